"""Who is near a change: whose access can have become another, so that nobody else has to be looked at. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from analyzer.graph import ResourceGraph, key_order
from analyzer.manifest import Manifest
from schemas.resources import ResourceKey


def behind(graphs: Iterable[ResourceGraph], keys: Iterable[ResourceKey]) -> set[ResourceKey]:
    """These, and everything that leads to any of them at one of the revisions."""
    found = set(keys)
    for graph in graphs:
        queue = [*found]
        for key in queue:
            new = {reference.source for reference in graph.incoming_to(key)} - found
            found |= new
            queue += new
    return found


def sound(graph: ResourceGraph, kind: str, among: Collection[ResourceKey] | None) -> Iterator[Manifest]:
    """The sound manifests of a kind among these keys (None: all there are), in order of their keys."""
    if among is None:
        yield from graph.sound(kind)
        return
    for key in sorted((key for key in among if key.kind_name == kind), key=key_order):
        manifest = graph.get(key)
        if manifest and manifest.sound:
            yield manifest
