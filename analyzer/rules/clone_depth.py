from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.graph import ResourceGraph
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from analyzer.volumes import full_spec, origin_of

DEEPEST = 8  # layers
FATHOMED = 64  # layers that are counted


def check(case: Case, volume: Manifest) -> Iterator[Hit]:
    depth = len(_below(case.graph, volume))
    if depth > DEEPEST:
        count = f"{depth}{' or more' * (depth == FATHOMED)}"
        message = f"{volume.key} is a clone of a clone, {count} deep: a read may have to look through each of them"
        advice = "let one of them stand alone: source.detach: true, or thin: false"
        yield hit(volume, ("spec", "source"), message, advice)


def _below(graph: ResourceGraph, volume: Manifest) -> tuple[Manifest, ...]:
    """What a volume lies on, nearest first, down to one that stands alone."""
    found: list[Manifest] = []
    here: Manifest | None = volume
    while len(found) < FATHOMED and here and here.sound and here not in found and not _stands_alone(graph, here):
        found.append(here)
        here = origin_of(graph, here)
    return tuple(found)


def _stands_alone(graph: ResourceGraph, volume: Manifest) -> bool:
    """Whether it is no clone, or a copy that shares nothing."""
    source = volume.spec.get("source")
    return source is None or bool(source["detach"]) or not full_spec(graph, volume)["thin"]


RULE = ResourceRule("clone-depth", Severity.INFO, ("Volume",), check)
