from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Note, Severity
from analyzer.graph import values_at
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.limits import allows, selects

SELECTOR = ("hosts", "selector")
ALLOWED = ("spec", "allowedNamespaces")


def check(case: Case, subsystem: Manifest) -> Iterator[Hit]:
    for path, _, selector in values_at(subsystem.resource.spec, SELECTOR, ("spec",)):
        matching = [host for host in case.graph.sound("Host") if selects(selector, host.resource.labels)]
        closed = [host for host in matching if not allows(host.resource, subsystem.key.namespace)]
        if not matching:
            yield hit(subsystem, path, "no Host has these labels", "label a Host, or name hosts in spec.hosts.refs")
        elif closed:
            yield _closed(subsystem, (*path, "matchLabels"), closed)


def _closed(subsystem: Manifest, path: tuple[str | int, ...], closed: list[Manifest]) -> Hit:
    namespace = subsystem.key.namespace
    names = ", ".join(host.key.name for host in closed)
    message = f"passed over, because they do not let namespace {namespace} refer to them: Host {names}"
    notes: list[Note] = [(host.position_of(ALLOWED), "allowed here") for host in closed]
    return hit(subsystem, path, message, f"add {namespace} to their allowedNamespaces, or narrow the labels", *notes)


RULE = ResourceRule("empty-selector", Severity.WARNING, ("Subsystem",), check)
