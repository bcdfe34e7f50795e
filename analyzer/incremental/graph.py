"""A graph over what is known in layers: it looks up what it is asked, and builds the whole only for who wants that."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from analyzer.edges import Chooser, Reference, choosers_of, references_of
from analyzer.finding import Location
from analyzer.graph import ResourceGraph, file_order, key_order
from analyzer.incremental.layers import Layer
from analyzer.incremental.memberships import AGAIN, ALL, KNOTTED, Name, candidates, choosing
from analyzer.indexes import Index
from analyzer.manifest import Manifest
from schemas.resources import ResourceKey


class LayeredGraph(ResourceGraph):
    """The resources of one revision. `unread`, `revision` and `elsewhere` as in any graph."""

    def __init__(
        self,
        layer: Layer,
        unread: tuple[tuple[Location, str], ...],
        revision: str,
        elsewhere: frozenset[ResourceKey] = frozenset(),
    ) -> None:
        object.__setattr__(self, "layer", layer)
        object.__setattr__(self, "unread", unread)
        object.__setattr__(self, "revision", revision)
        object.__setattr__(self, "elsewhere", elsewhere)
        object.__setattr__(self, "_met", {})

    layer: Layer
    _met: dict[ResourceKey, Manifest | None]  # what was looked up before

    def declared(self, key: ResourceKey) -> tuple[Manifest, ...]:
        """All manifests that declare a resource; the first counts."""
        entry = self.layer.entry(key)
        return tuple(self.at(path, number) for path, number in entry.places) if entry else ()

    def at(self, path: str, number: int) -> Manifest:
        unit = self.layer.unit(path)
        assert unit is not None  # noqa: S101  # an entry leads to units that are there
        return unit.manifest(number)

    def get(self, key: ResourceKey) -> Manifest | None:
        if key not in self._met:
            entry = self.layer.entry(key)
            self._met[key] = self.at(*entry.places[0]) if entry else None
        return self._met[key]

    def duplicates_of(self, key: ResourceKey) -> tuple[Manifest, ...]:
        return self.declared(key)[1:]

    def references(self, key: ResourceKey) -> tuple[Reference, ...]:
        entry = self.layer.entry(key)
        return entry.outgoing if entry else ()

    def incoming_to(self, key: ResourceKey) -> tuple[Reference, ...]:
        sources = sorted(self.layer.members(("incoming", key)), key=key_order)
        return tuple(r for source in sources for r in self.references(source) if r.target == key)

    def of_kind(self, kind: str) -> tuple[Manifest, ...]:
        return self._manifests(("kind", kind))

    def unsound(self, group: str) -> tuple[Manifest, ...]:
        return self._manifests(("unsound", group))

    def differing(self, base: ResourceGraph) -> Collection[ResourceKey] | None:
        """What a layer holds on top of another one, as far as it is from other files."""
        if not (isinstance(base, LayeredGraph) and self.layer.below is base.layer):
            return None
        return [key for key in self.layer.entries if self.get(key) is not base.get(key)]

    def sharing(self, index: Index, value: str) -> tuple[Manifest, ...]:
        return self._manifests(("index", index.name, value))

    def names(self, like: ResourceKey) -> Sequence[str]:
        return sorted(key.name for key in self.layer.members(("names", like.group, like.kind, like.namespace)))

    def knot(self, key: ResourceKey) -> frozenset[ResourceKey]:
        entry = self.layer.entry(key)
        return entry.knot if entry else frozenset()

    def _manifests(self, name: Name) -> tuple[Manifest, ...]:
        return tuple(self[key] for key in sorted(self.layer.members(name), key=key_order))

    # --- the whole

    @functools.cached_property
    def manifests(self) -> Mapping[ResourceKey, Manifest]:
        return {key: self[key] for key in sorted(self.layer.members(ALL), key=key_order)}

    @functools.cached_property
    def duplicates(self) -> tuple[Manifest, ...]:
        others = (manifest for key in self.layer.members(AGAIN) for manifest in self.duplicates_of(key))
        return tuple(sorted(others, key=file_order))

    @functools.cached_property
    def outgoing(self) -> Mapping[ResourceKey, tuple[Reference, ...]]:
        return {key: found for key in self.manifests if (found := self.references(key))}

    @functools.cached_property
    def incoming(self) -> Mapping[ResourceKey, tuple[Reference, ...]]:
        targets = {reference.target for references in self.outgoing.values() for reference in references}
        return {target: self.incoming_to(target) for target in targets}

    @functools.cached_property
    def _knots(self) -> Mapping[ResourceKey, frozenset[ResourceKey]]:
        return {key: knot for key in self.layer.members(KNOTTED) if (knot := self.knot(key))}

    # --- what follows from the rest, for who changes it

    def outgoing_of(self, key: ResourceKey) -> tuple[Reference, ...]:
        """What a resource names, worked out."""
        manifest = self.get(key)
        if manifest is None:
            return ()
        return (*references_of(manifest), *self._chosen_by_others(manifest), *self._chosen(manifest))

    def _chosen_by_others(self, manifest: Manifest) -> Iterator[Reference]:
        for owner in sorted(self.choosing(manifest, names=False), key=key_order):
            for chooser in choosers_of(self[owner]):
                if not chooser.names and _looksat(chooser, manifest) and chooser.matches(manifest):
                    yield chooser.reference(manifest)

    def _chosen(self, owner: Manifest) -> Iterator[Reference]:
        for chooser in choosers_of(owner):
            if chooser.names:
                for manifest in map(self.get, sorted(self.layer.members(candidates(chooser)), key=key_order)):
                    if manifest and manifest.kind and manifest.sound and chooser.matches(manifest):
                        yield chooser.reference(manifest)

    def choosing(self, manifest: Manifest, *, names: bool) -> set[ResourceKey]:
        """Whose selectors may choose a resource."""
        return {key for name in choosing(manifest, names=names) for key in self.layer.members(name)}

    def candidates(self, owner: Manifest, *, names: bool) -> set[ResourceKey]:
        """What the selectors of a resource may choose."""
        choosers = (chooser for chooser in choosers_of(owner) if chooser.names == names)
        return {key for chooser in choosers for key in self.layer.members(candidates(chooser))}

    def knot_of(self, key: ResourceKey) -> frozenset[ResourceKey]:
        """The knot that a resource is in, worked out."""
        ahead = self._reach(key, lambda here: (r.target for r in self.references(here) if not r.back))
        if key not in ahead:
            return frozenset()
        behind = self._reach(key, lambda here: (r.source for r in self.incoming_to(here) if not r.back))
        return frozenset(ahead & behind)

    def _reach(self, start: ResourceKey, step: Callable[[ResourceKey], Iterable[ResourceKey]]) -> set[ResourceKey]:
        """Everything declared that some steps lead to; the start only where they lead back to it."""
        found: set[ResourceKey] = set()
        waiting = [start]
        while waiting:
            for key in step(waiting.pop()):
                if key not in found and self.layer.entry(key):
                    found.add(key)
                    waiting.append(key)
        return found


def _looksat(chooser: Chooser, manifest: Manifest) -> bool:
    return chooser.wanted == manifest.key.kind_name and chooser.namespace in (None, manifest.key.namespace)
