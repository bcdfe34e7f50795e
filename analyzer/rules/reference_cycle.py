from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from analyzer.edges import Reference
from analyzer.finding import Severity
from analyzer.graph import ResourceGraph
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.resources import ResourceKey


def check(case: Case, manifest: Manifest) -> Iterator[Hit]:
    """Each knot is told of by its smallest member."""
    knot = case.graph.knot(manifest.key)
    if knot and manifest.key == min(knot):
        cycle = case.graph.cycle(manifest.key)
        first, *others = (_reference(case.graph, source, target) for source, target in pairwise(cycle))
        related = tuple((case.graph[r.source].position_of(r.path), f"names {r.target}") for r in others)
        message = f"{' → '.join(map(str, cycle))}: none of them can be made first"
        found = hit(manifest, first.path, message, "break the circle at one of these places", *related)
        yield replace(found, way=True)


def _reference(graph: ResourceGraph, source: ResourceKey, target: ResourceKey) -> Reference:
    return next(reference for reference in graph.references(source) if reference.target == target)


RULE = ResourceRule("reference-cycle", Severity.ERROR, (), check, fixed=True, sound=False)
