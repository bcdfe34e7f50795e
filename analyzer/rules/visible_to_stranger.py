from __future__ import annotations

from collections.abc import Iterator

from analyzer.edges import Reference, field_path
from analyzer.finding import Severity
from analyzer.graph import ResourceGraph
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.kinds import ITEM

VISIBLE = ("spec", "namespaces", ITEM, "visibleTo", ITEM)
HOSTS = ("spec", "hosts")


def check(case: Case, subsystem: Manifest) -> Iterator[Hit]:
    if not subsystem.spec["hosts"]["any"]:
        yield from _judge(case.graph, subsystem)


def _judge(graph: ResourceGraph, subsystem: Manifest) -> Iterator[Hit]:
    references = graph.references(subsystem.key)
    invited = {reference.target for reference in references if reference.path[:2] == HOSTS}
    for reference in references:
        if "visibleTo" in reference.path and field_path(reference.path) == VISIBLE and reference.target not in invited:
            yield _hit(subsystem, reference)


def _hit(subsystem: Manifest, reference: Reference) -> Hit:
    name = reference.target.name
    message = f"{reference.target} is to see this namespace, but may not connect to {subsystem.key}"
    return hit(subsystem, reference.path, message, f"add {name} to spec.hosts.refs, or take it from visibleTo")


RULE = ResourceRule("visible-to-stranger", Severity.WARNING, ("Subsystem",), check)
