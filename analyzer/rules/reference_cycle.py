from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from analyzer.finding import Severity
from analyzer.graph import Reference, ResourceGraph
from analyzer.rule import Case, Hit, Rule, hit
from schemas.resources import ResourceKey


def check(case: Case) -> Iterator[Hit]:
    for cycle in case.graph.cycles():
        way = [_reference(case.graph, source, target) for source, target in pairwise(cycle)]
        first, *others = way
        related = tuple((case.graph.manifests[r.source].position_of(r.path), f"names {r.target}") for r in others)
        message = f"{' → '.join(map(str, cycle))}: none of them can be made first"
        manifest = case.graph.manifests[first.source]
        found = hit(manifest, first.path, message, "break the circle at one of these places", *related)
        yield replace(found, way=True)


def _reference(graph: ResourceGraph, source: ResourceKey, target: ResourceKey) -> Reference:
    return next(reference for reference in graph.references(source) if reference.target == target)


RULE = Rule("reference-cycle", Severity.ERROR, check, fixed=True)
