"""The selectors of a manifest, and what each of them picks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from analyzer.edges import Reference, values_of
from analyzer.graph import ResourceGraph
from analyzer.manifest import Manifest
from schemas.validation import Path


@dataclass(frozen=True, slots=True)
class Selector:
    """A selector where it stands. `wanted`: the kind whose resources it picks, by its bare name."""

    path: Path
    value: Any  # JSON
    kind: str  # as it is called among all kinds
    outward: bool  # what it picks is what this resource depends on, and not the other way round

    @property
    def wanted(self) -> str:
        return self.kind.rpartition("/")[2]


def selectors_of(manifest: Manifest) -> Iterator[Selector]:
    """Those that pick resources which the analyzer knows of."""
    kind = manifest.kind
    for field in (*kind.selectors, *kind.pickers) if kind else ():
        wanted = field.schema.get("x-pick")
        for place, _, value in values_of(manifest, field):
            yield Selector(place, value, wanted or field.schema["x-select"], outward=wanted is not None)


def picked(graph: ResourceGraph, manifest: Manifest, selector: Selector) -> tuple[Reference, ...]:
    """The references that a selector makes, whichever way they point."""
    if selector.outward:
        return tuple(r for r in graph.references(manifest.key) if r.path == selector.path)
    incoming = graph.incoming_to(manifest.key)
    return tuple(r for r in incoming if r.path == ("metadata", "labels") and r.source.kind_name == selector.kind)
