from __future__ import annotations

from collections.abc import Iterator

from analyzer.edges import Reference
from analyzer.finding import Severity
from analyzer.graph import ResourceGraph
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from analyzer.volumes import pool_of, target_of
from schemas.resources import ResourceKey


def check(case: Case, volume: Manifest) -> Iterator[Hit]:
    for reference in case.graph.references(volume.key):
        if reference.path[:2] == ("spec", "source"):
            yield from _judge(case.graph, reference)


def _judge(graph: ResourceGraph, reference: Reference) -> Iterator[Hit]:
    volume, pool = graph[reference.source], pool_of(graph, reference.source)
    image = reference.target.kind == "Image"
    home = graph.named(reference.target, "Target") if image else _pool_of_source(graph, reference.target)
    here = target_of(graph, reference.source) if image else pool
    if home and here and home != here:
        where = "on" if image else "in"
        message = f"{reference.target} is {where} {home}, and the volume is {where} {here}"
        share = f"put the volume into {home.name}; a clone shares the bytes of its source"
        advice = "declare the image on that target, too" if image else share
        yield hit(volume, reference.path, message, advice)


def _pool_of_source(graph: ResourceGraph, source: ResourceKey) -> ResourceKey | None:
    volume = source if source.kind == "Volume" else graph.named(source, "Volume")
    return pool_of(graph, volume) if volume else None


RULE = ResourceRule("source-in-other-pool", Severity.ERROR, ("Volume",), check)
