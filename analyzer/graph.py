"""ResourceGraph: declared resources and who refers to whom, as the schemas' `x-ref` annotations say.

References point from the resource that names to the one that is named. Lookups walk plain dicts; networkx is imported
only for the questions that need an algorithm (a total order, the members of a cycle).
"""

from __future__ import annotations

import bisect
import functools
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from analyzer.finding import Location
from analyzer.manifest import Manifest
from schemas.kinds import ITEM, FieldPath, kinds
from schemas.kinds import Reference as FieldReference
from schemas.limits import picks, selects
from schemas.resources import Json, Resource, ResourceKey
from schemas.validation import Path

NEIGHBOURS = 30  # names to either side that are looked at for what was meant


@dataclass(frozen=True, slots=True)
class Reference:
    """One place where a resource names another, or (`part`) something inside another."""

    source: ResourceKey
    path: Path
    target: ResourceKey
    part: str = ""
    outlives: bool = False  # the target may be gone while the source stays

    def __lt__(self, other: Reference) -> bool:
        return self._order < other._order

    @property
    def _order(self) -> tuple[object, ...]:
        return (self.source, tuple(map(str, self.path)), self.target, self.part)


@dataclass(frozen=True, slots=True)
class Dependent:
    """Somebody who would notice, and the references that lead from them to the resource in question."""

    key: ResourceKey
    path: tuple[Reference, ...]


@dataclass(frozen=True, eq=False)
class ResourceGraph:
    """The resources of one revision, linked. Of two manifests with one key the first counts; the others are kept aside.

    `unread` is where something could not be made out: what is not in the graph may have been there.
    """

    manifests: Mapping[ResourceKey, Manifest]
    duplicates: tuple[Manifest, ...]
    outgoing: Mapping[ResourceKey, tuple[Reference, ...]]
    incoming: Mapping[ResourceKey, tuple[Reference, ...]]
    unread: tuple[tuple[Location, str], ...] = ()
    revision: str = ""

    @functools.cached_property
    def resources(self) -> Mapping[ResourceKey, Resource]:
        return {key: manifest.resource for key, manifest in self.manifests.items()}

    @functools.cached_property
    def _by_kind(self) -> Mapping[str, tuple[Manifest, ...]]:
        found: dict[str, list[Manifest]] = defaultdict(list)
        for manifest in self.manifests.values():
            if manifest.kind:
                found[manifest.key.kind].append(manifest)
        return {kind: tuple(manifests) for kind, manifests in found.items()}

    @functools.cached_property
    def _names(self) -> Mapping[tuple[str, str, str], list[str]]:
        """Names in order, by group, kind and namespace."""
        found: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        for key in self.manifests:
            found[key.group, key.kind, key.namespace].append(key.name)
        return found

    def manifest_of(self, resource: Resource | None) -> Manifest | None:
        return self.manifests[resource.key] if resource else None

    def of_kind(self, kind: str) -> tuple[Manifest, ...]:
        """The manifests of a kind that has a schema, in order of their keys."""
        return self._by_kind.get(kind, ())

    def sound(self, kind: str) -> tuple[Manifest, ...]:
        """Those of them that are as their schema says, so that their fields can be relied on."""
        return tuple(manifest for manifest in self.of_kind(kind) if manifest.sound)

    def references(self, key: ResourceKey) -> tuple[Reference, ...]:
        """What this resource names."""
        return self.outgoing.get(key, ())

    def dependents(
        self, key: ResourceKey, concerned: Callable[[Reference], bool] = lambda _: True
    ) -> tuple[Dependent, ...]:
        """Everything that leads to a resource, nearest first, each by a shortest way.

        `concerned` says which of the references to the resource itself matter.
        """
        ways: dict[ResourceKey, tuple[Reference, ...]] = {key: ()}
        queue = deque(filter(concerned, self.incoming.get(key, ())))
        while queue:
            reference = queue.popleft()
            if reference.source not in ways:
                ways[reference.source] = (reference, *ways[reference.target])
                queue.extend(self.incoming.get(reference.source, ()))
        found = (Dependent(key, way) for key, way in ways.items() if way)
        return tuple(sorted(found, key=lambda dependent: (len(dependent.path), dependent.key)))

    def named(self, key: ResourceKey, kind: str) -> ResourceKey | None:
        """The declared resource of this kind that a resource names; None when there is none."""
        targets = (reference.target for reference in self.references(key))
        return next((target for target in targets if target.kind == kind and target in self.manifests), None)

    def dangling(self) -> tuple[Reference, ...]:
        """References to what nobody declares. A missing part is not reported when the whole is missing."""
        everything = (reference for references in self.outgoing.values() for reference in references)
        return tuple(r for r in everything if not (r.outlives or self._resolves(r)))

    def _resolves(self, reference: Reference) -> bool:
        if not reference.part:
            return reference.target in self.manifests
        return reference.target not in self.manifests or reference.part in self.alternatives(reference)

    def alternatives(self, reference: Reference) -> tuple[str, ...]:
        """The names that this reference could have given; of very many, those that stand next to it in the alphabet."""
        target = reference.target
        if not reference.part:
            names = self._names.get((target.group, target.kind, target.namespace), [])
            at = bisect.bisect(names, target.name)
            return tuple(names[max(0, at - NEIGHBOURS) : at + NEIGHBOURS])
        spec = self.manifests[target].resource.spec
        return tuple(str(value) for _, _, value in values_at(spec, self._names_inside(reference)))

    def _names_inside(self, reference: Reference) -> FieldPath:
        """Where the target keeps the names of its parts."""
        kind = self.manifests[reference.source].kind
        field = kind.field(field_path(reference.path)) if kind else None
        return field.reference.names if field and field.reference else ()

    def cycles(self) -> tuple[tuple[ResourceKey, ...], ...]:
        """One shortest cycle for each knot of resources that refer to each other, from its smallest member."""
        if not self._may_have_cycles or not self._knotted():
            return ()
        import networkx as nx  # noqa: PLC0415  # 0.1 s that a sound repository need not pay

        knots = nx.strongly_connected_components(self._as_networkx())
        return tuple(sorted(cycle for knot in knots if (cycle := self._cycle_through(min(knot), knot))))

    def order(self) -> tuple[ResourceKey, ...]:
        """Every resource after those it refers to; ties by key. Raises ValueError when there is a cycle."""
        import networkx as nx  # noqa: PLC0415  # see above

        try:
            return tuple(nx.lexicographical_topological_sort(self._as_networkx().reverse()))
        except nx.NetworkXUnfeasible:
            raise ValueError(f"{' → '.join(map(str, self.cycles()[0]))} is a cycle") from None

    def _as_networkx(self) -> Any:  # noqa: ANN401  # naming its type would import it
        import networkx as nx  # noqa: PLC0415  # see above

        graph: nx.DiGraph[ResourceKey] = nx.DiGraph()
        graph.add_nodes_from(sorted(self.manifests))
        graph.add_edges_from((source, target) for source in self.manifests for target in self._targets(source))
        return graph

    def _targets(self, key: ResourceKey) -> list[ResourceKey]:
        return sorted({reference.target for reference in self.references(key)} & self.manifests.keys())

    @functools.cached_property
    def _may_have_cycles(self) -> bool:
        """Whether a kind here can lead back to itself at all."""
        here = (manifests[0].kind for manifests in self._by_kind.values())
        left = {kind.name: {f.reference.kind for f in kind.references if f.reference} for kind in here if kind}
        while ends := {name for name, others in left.items() if not others & left.keys()}:
            left = {name: others for name, others in left.items() if name not in ends}
        return bool(left)

    def _knotted(self) -> bool:
        """Whether taking away resources that refer to nothing, again and again, leaves some."""
        waiting = {key: len(self._targets(key)) for key in self.manifests}
        free = [key for key, count in waiting.items() if not count]
        for key in free:
            for source in {reference.source for reference in self.incoming.get(key, ())}:
                waiting[source] -= 1
                if not waiting[source]:
                    free.append(source)
        return len(free) < len(waiting)

    def _cycle_through(self, start: ResourceKey, knot: set[ResourceKey]) -> tuple[ResourceKey, ...]:
        ways: dict[ResourceKey, tuple[ResourceKey, ...]] = {start: (start,)}
        queue = deque([start])
        while queue:
            here = queue.popleft()
            for target in self._targets(here):
                if target == start:
                    return (*ways[here], start)
                if target in knot and target not in ways:
                    ways[target] = (*ways[here], target)
                    queue.append(target)
        return ()


def link(
    manifests: Iterable[Manifest], unread: Iterable[tuple[Location, str]] = (), revision: str = ""
) -> ResourceGraph:
    """The graph of these manifests, whatever order they come in."""
    ordered = sorted(manifests, key=_file_order)
    first = {manifest.key: manifest for manifest in reversed(ordered)}
    duplicates = tuple(manifest for manifest in ordered if first[manifest.key] is not manifest)
    manifests_by_key = {key: first[key] for key in sorted(first, key=_key_order)}
    chosen = _selections(manifests_by_key.values())
    picked = _picks(manifests_by_key.values())
    outgoing = {
        key: found
        for key, manifest in manifests_by_key.items()
        if (found := (*_references(manifest), *chosen.get(key, ()), *picked.get(key, ())))
    }
    incoming: dict[ResourceKey, list[Reference]] = defaultdict(list)
    for references in outgoing.values():
        for reference in references:
            incoming[reference.target].append(reference)
    pointers = {key: tuple(references) for key, references in incoming.items()}
    return ResourceGraph(manifests_by_key, duplicates, outgoing, pointers, tuple(unread), revision)


def values_at(value: Any, path: FieldPath, here: Path = ()) -> Iterator[tuple[Path, Any, Any]]:  # noqa: ANN401  # JSON
    """Every value at a schema path: (where, the mapping that holds it, the value)."""
    yield from _values_at(value, path, here, None)


def _values_at(value: Any, path: FieldPath, here: Path, holder: Any) -> Iterator[tuple[Path, Any, Any]]:  # noqa: ANN401
    if not path:
        yield here, holder, value
    elif path[0] == ITEM:
        for index, item in enumerate(value if isinstance(value, list) else ()):
            yield from _values_at(item, path[1:], (*here, index), holder)
    elif isinstance(value, dict) and path[0] in value:
        yield from _values_at(value[path[0]], path[1:], (*here, path[0]), value)


def field_path(path: Path) -> FieldPath:
    """The schema path of a value's path."""
    return tuple(ITEM if isinstance(step, int) else step for step in path)


def _key_order(key: ResourceKey) -> tuple[str, str, str, str]:
    """The order of keys, as a tuple because that compares ten times as fast."""
    return (key.kind, key.namespace, key.name, key.group)


def _file_order(manifest: Manifest) -> tuple[object, ...]:
    document = manifest.document
    return (manifest.path, document.number, *(step for step in document.within if isinstance(step, int)))


def _references(manifest: Manifest) -> Iterator[Reference]:
    if manifest.kind is None:
        return
    for field in manifest.kind.references:
        assert field.reference is not None  # noqa: S101  # that is what `references` means
        for path, holder, value in values_at(manifest.resource.spec, field.path[1:], ("spec",)):
            if isinstance(value, str):
                yield from _reference(manifest, path, holder, value, field.reference)


def _selections(manifests: Iterable[Manifest]) -> Mapping[ResourceKey, list[Reference]]:
    """References to those who pick a resource by its labels, under the resource."""
    found: dict[ResourceKey, list[Reference]] = defaultdict(list)
    ours = _of_each_kind(manifest for manifest in manifests if manifest.kind)
    for owner in chain.from_iterable(ours.values()):
        for field in owner.kind.selectors if owner.kind else ():
            kind = field.schema["x-select"]
            for _, _, selector in values_at(owner.resource.spec, field.path[1:], ("spec",)):
                for key in (m.key for m in ours.get(kind, ()) if _picked(owner, kind, selector, m)):
                    found[key].append(Reference(key, ("metadata", "labels"), owner.key))
    return found


def _picks(manifests: Iterable[Manifest]) -> Mapping[ResourceKey, list[Reference]]:
    """References to what a resource names by its labels, under the resource that does."""
    found: dict[ResourceKey, list[Reference]] = defaultdict(list)
    ours = _of_each_kind(manifest for manifest in manifests if manifest.kind and manifest.sound)
    for owner in chain.from_iterable(ours.values()):
        for field in owner.kind.pickers if owner.kind else ():
            candidates = ours.get(field.schema["x-pick"], ())
            for path, _, selector in values_at(owner.resource.spec, field.path[1:], ("spec",)):
                named = (m.key for m in candidates if picks(selector, owner.key.namespace, m.resource))
                found[owner.key] += (Reference(owner.key, path, key) for key in named)
    return found


def _of_each_kind(manifests: Iterable[Manifest]) -> Mapping[str, Sequence[Manifest]]:
    found: dict[str, list[Manifest]] = defaultdict(list)
    for manifest in manifests:
        found[manifest.key.kind].append(manifest)
    return found


def _picked(owner: Manifest, kind: str, selector: Json, manifest: Manifest) -> bool:
    """Whether a selector picks a resource: one of its owner's namespace, or any when the owner has none."""
    at_hand = manifest.key.kind == kind and owner.key.namespace in ("", manifest.key.namespace)
    return at_hand and selects(selector, manifest.resource.labels)


def _reference(
    manifest: Manifest, path: Path, holder: Mapping[str, Json], value: str, reference: FieldReference
) -> Iterator[Reference]:
    whole = holder.get(reference.via) if reference.via else value
    if isinstance(whole, str):
        target = _key(manifest, reference.kind, whole)
        yield Reference(manifest.key, path, target, value if reference.via else "", reference.outlives)


def _key(manifest: Manifest, kind: str, name: str) -> ResourceKey:
    """A name means a resource of the same namespace, or a cluster-scoped one."""
    assert manifest.kind is not None  # noqa: S101  # only kinds of ours have references
    scope = kinds()[manifest.kind.api_version, kind].scope
    namespace = "" if scope == "Cluster" else manifest.key.namespace
    return ResourceKey(kind, namespace, name, manifest.key.group)
