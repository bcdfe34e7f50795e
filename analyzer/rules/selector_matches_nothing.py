from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from analyzer.edges import Chooser, choosers_of, has_selectors
from analyzer.finding import Confidence, Note, Severity
from analyzer.graph import ResourceGraph
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.limits import allows, selects
from schemas.loose import items, mapping, texts
from schemas.resources import OUR_GROUP, unqualified
from schemas.selector import faults, is_empty
from schemas.validation import Path

TOLD_OF_ELSEWHERE = ("SnapshotSchedule", "StorageClass")  # which have rules of their own
ALLOWED = ("spec", "allowedNamespaces")


def check(case: Case, manifest: Manifest) -> Iterator[Hit]:
    if manifest.key.kind_name in TOLD_OF_ELSEWHERE or case.graph.unread:
        return
    for chooser in choosers_of(manifest):
        if chooser.wanted == "Host":
            yield from _of_hosts(case.graph, manifest, chooser)
        elif not (is_empty(chooser.chosen) or [*faults(chooser.chosen)] or _chooses(case.graph, chooser)):
            yield _nothing(case.graph, manifest, chooser)


def _chooses(graph: ResourceGraph, chooser: Chooser) -> bool:
    """Whether a selector makes any reference, whichever way it points."""
    owner = chooser.owner.key
    if chooser.names:
        return any(r.path == chooser.path for r in graph.references(owner))
    return any(
        r.path == ("metadata", "labels") and r.source.kind_name == chooser.wanted for r in graph.incoming_to(owner)
    )


def _nothing(graph: ResourceGraph, manifest: Manifest, chooser: Chooser) -> Hit:
    where = f" in namespace {manifest.key.namespace}" if manifest.key.namespace else ""
    group, kind = unqualified(chooser.wanted)
    message = f"no {kind}{where} has {_wanted(chooser.chosen)}"
    found = hit(manifest, chooser.path, message, f"label the {kind} that is meant, or correct the selector")
    like = manifest.key._replace(kind=kind, group=group, name="")
    known = group == OUR_GROUP or graph.names(like)
    return found if known else replace(found, confidence=Confidence.LOW)  # all of them may be declared elsewhere


def _wanted(selector: object) -> str:
    exact = [f"{name}: {value}" for name, value in mapping(mapping(selector).get("matchLabels")).items()]
    requirements = map(mapping, items(mapping(selector).get("matchExpressions")))
    more = [" ".join([str(r.get("key")), str(r.get("operator")), *texts(r.get("values"))]) for r in requirements]
    return ", ".join([*exact, *more])


def _of_hosts(graph: ResourceGraph, subsystem: Manifest, chooser: Chooser) -> Iterator[Hit]:
    """Hosts decide by themselves who may refer to them: those with the labels are not all picked."""
    matching = [host for host in graph.sound("Host") if selects(chooser.chosen, host.resource.labels)]
    closed = [host for host in matching if not allows(host.resource, subsystem.key.namespace)]
    if not matching:
        advice = "label a Host, or name hosts in spec.hosts.refs"
        yield hit(subsystem, chooser.path, "no Host has these labels", advice)
    elif closed:
        yield _closed(subsystem, (*chooser.path, "matchLabels"), closed)


def _closed(subsystem: Manifest, path: Path, closed: list[Manifest]) -> Hit:
    namespace = subsystem.key.namespace
    names = ", ".join(host.key.name for host in closed)
    message = f"passed over, because they do not let namespace {namespace} refer to them: Host {names}"
    notes: list[Note] = [(host.position_of(ALLOWED), "allowed here") for host in closed]
    return hit(subsystem, path, message, f"add {namespace} to their allowedNamespaces, or narrow the labels", *notes)


RULE = ResourceRule("selector-matches-nothing", Severity.WARNING, (), check, has=has_selectors)
