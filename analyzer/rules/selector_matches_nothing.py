from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from analyzer.finding import Confidence, Note, Severity
from analyzer.graph import ResourceGraph
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from analyzer.selectors import Selector, picked, selectors_of
from schemas.limits import allows, selects
from schemas.resources import OUR_GROUP
from schemas.selector import faults, is_empty
from schemas.validation import Path

TOLD_OF_ELSEWHERE = ("SnapshotSchedule", "StorageClass")  # which have rules of their own
ALLOWED = ("spec", "allowedNamespaces")


def check(case: Case, manifest: Manifest) -> Iterator[Hit]:
    if manifest.key.kind_name in TOLD_OF_ELSEWHERE or case.graph.unread:
        return
    for selector in selectors_of(manifest):
        if selector.kind == "Host":
            yield from _of_hosts(case.graph, manifest, selector)
        elif not (is_empty(selector.value) or [*faults(selector.value)] or picked(case.graph, manifest, selector)):
            yield _nothing(case.graph, manifest, selector)


def _nothing(graph: ResourceGraph, manifest: Manifest, selector: Selector) -> Hit:
    where = f" in namespace {manifest.key.namespace}" if manifest.key.namespace else ""
    message = f"no {selector.wanted}{where} has {_wanted(selector.value)}"
    found = hit(manifest, selector.path, message, f"label the {selector.wanted} that is meant, or correct the selector")
    group, _, kind = selector.kind.rpartition("/")
    like = manifest.key._replace(kind=kind, group=group or OUR_GROUP, name="")
    known = not group or graph.names(like)
    return found if known else replace(found, confidence=Confidence.LOW)  # all of them may be declared elsewhere


def _wanted(selector: Any) -> str:  # noqa: ANN401  # JSON
    exact = [f"{name}: {value}" for name, value in (selector.get("matchLabels") or {}).items()]
    requirements = (selector.get("matchExpressions") or []) if isinstance(selector, dict) else []
    more = [
        " ".join([str(r.get("key")), str(r.get("operator")), *map(str, r.get("values") or ())]) for r in requirements
    ]
    return ", ".join([*exact, *more])


def _of_hosts(graph: ResourceGraph, subsystem: Manifest, selector: Selector) -> Iterator[Hit]:
    """Hosts decide by themselves who may refer to them: those with the labels are not all picked."""
    matching = [host for host in graph.sound("Host") if selects(selector.value, host.resource.labels)]
    closed = [host for host in matching if not allows(host.resource, subsystem.key.namespace)]
    if not matching:
        advice = "label a Host, or name hosts in spec.hosts.refs"
        yield hit(subsystem, selector.path, "no Host has these labels", advice)
    elif closed:
        yield _closed(subsystem, (*selector.path, "matchLabels"), closed)


def _closed(subsystem: Manifest, path: Path, closed: list[Manifest]) -> Hit:
    namespace = subsystem.key.namespace
    names = ", ".join(host.key.name for host in closed)
    message = f"passed over, because they do not let namespace {namespace} refer to them: Host {names}"
    notes: list[Note] = [(host.position_of(ALLOWED), "allowed here") for host in closed]
    return hit(subsystem, path, message, f"add {namespace} to their allowedNamespaces, or narrow the labels", *notes)


RULE = ResourceRule("selector-matches-nothing", Severity.WARNING, (), check)
