"""ResourceGraph: declared resources and who refers to whom.

References point from the resource that names to the one that is named. Lookups walk plain dicts; networkx is imported
only for the questions that need an algorithm (a total order, the members of a cycle).
"""

from __future__ import annotations

import bisect
import functools
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from analyzer.edges import Reference, field_path, references_of, selections, values_at
from analyzer.finding import Location
from analyzer.indexes import Index
from analyzer.manifest import Manifest
from schemas.kinds import FieldPath
from schemas.resources import NOTHING, Resource, ResourceKey, qualified, unqualified

NEIGHBOURS = 30  # names to either side that are looked at for what was meant


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
    elsewhere: frozenset[ResourceKey] = (
        frozenset()
    )  # what roots declare of which nobody says whether they live with these

    @functools.cached_property
    def resources(self) -> Mapping[ResourceKey, Resource]:
        return {key: manifest.resource for key, manifest in self.manifests.items()}

    @functools.cached_property
    def _by_kind(self) -> Mapping[str, tuple[Manifest, ...]]:
        found: dict[tuple[str, str], list[Manifest]] = defaultdict(list)
        for manifest in self.manifests.values():
            if manifest.kind:
                found[manifest.key.group, manifest.key.kind].append(manifest)
        return {qualified(group, kind): tuple(manifests) for (group, kind), manifests in found.items()}

    @functools.cached_property
    def _duplicates_by_key(self) -> Mapping[ResourceKey, tuple[Manifest, ...]]:
        found: dict[ResourceKey, list[Manifest]] = defaultdict(list)
        for manifest in self.duplicates:
            found[manifest.key].append(manifest)
        return {key: tuple(manifests) for key, manifests in found.items()}

    @functools.cached_property
    def _indexed(self) -> dict[str, Mapping[str, tuple[Manifest, ...]]]:
        """Index → value → who has it; filled as indexes are asked."""
        return {}

    @functools.cached_property
    def _names(self) -> Mapping[tuple[str, str, str], list[str]]:
        """Names in order, by group, kind and namespace."""
        found: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        for key in self.manifests:
            found[key.group, key.kind, key.namespace].append(key.name)
        return found

    def manifest_of(self, resource: Resource | None) -> Manifest | None:
        return self.manifests[resource.key] if resource else None

    def get(self, key: ResourceKey) -> Manifest | None:
        """The manifest that declares a resource."""
        return self.manifests.get(key)

    def __getitem__(self, key: ResourceKey) -> Manifest:
        """The manifest that declares a resource. Raises KeyError for one that is not declared."""
        if (found := self.get(key)) is None:
            raise KeyError(key)
        return found

    def duplicates_of(self, key: ResourceKey) -> tuple[Manifest, ...]:
        """Manifests that declare it again, after the one that counts."""
        return self._duplicates_by_key.get(key, ())

    def of_kind(self, kind: str) -> tuple[Manifest, ...]:
        """The manifests of a kind that has a schema, in order of their keys: `Volume`, `core/Service`."""
        return self._by_kind.get(kind, ())

    def sound(self, kind: str) -> tuple[Manifest, ...]:
        """Those of them that are as their schema says, so that their fields can be relied on."""
        return tuple(manifest for manifest in self.of_kind(kind) if manifest.sound)

    def unsound(self, group: str) -> tuple[Manifest, ...]:
        """Those of a group that are not as their schema says, in order of their keys."""
        return tuple(m for m in self.manifests.values() if m.kind and not m.sound and m.key.group == group)

    def differing(self, base: ResourceGraph) -> Collection[ResourceKey] | None:  # noqa: ARG002  # here: unknown
        """The resources that may differ from those of another revision, where that is known; None: any may."""
        return None

    def sharing(self, index: Index, value: str) -> tuple[Manifest, ...]:
        """The manifests that have a value in an index, in order of their keys."""
        if index.name not in self._indexed:
            found: dict[str, list[Manifest]] = defaultdict(list)
            for manifest in sorted(chain.from_iterable(map(self.sound, index.kinds)), key=_by_key):
                for each in dict.fromkeys(index.values(manifest)):
                    found[each].append(manifest)
            self._indexed[index.name] = {each: tuple(manifests) for each, manifests in found.items()}
        return self._indexed[index.name].get(value, ())

    def references(self, key: ResourceKey) -> tuple[Reference, ...]:
        """What this resource names."""
        return self.outgoing.get(key, ())

    def incoming_to(self, key: ResourceKey) -> tuple[Reference, ...]:
        """Who names this resource: in order of their keys, and then as they name it."""
        return self.incoming.get(key, ())

    def dependents(
        self, key: ResourceKey, concerned: Callable[[Reference], bool] = lambda _: True
    ) -> tuple[Dependent, ...]:
        """Everything that leads to a resource, nearest first, each by a shortest way.

        `concerned` says which of the references to the resource itself matter.
        """
        ways: dict[ResourceKey, tuple[Reference, ...]] = {key: ()}
        queue = deque(filter(concerned, self.incoming_to(key)))
        while queue:
            reference = queue.popleft()
            if reference.source not in ways:
                ways[reference.source] = (reference, *ways[reference.target])
                queue.extend(self.incoming_to(reference.source))
        found = (Dependent(key, way) for key, way in ways.items() if way)
        return tuple(sorted(found, key=lambda dependent: (len(dependent.path), dependent.key)))

    def named(self, key: ResourceKey, kind: str) -> ResourceKey | None:
        """The declared resource of this kind that a resource names; None when there is none."""
        group, bare = unqualified(kind)
        for reference in self.references(key):
            target = reference.target
            if target.kind == bare and target.group == group and self.get(target):
                return target
        return None

    def dangling(self) -> tuple[Reference, ...]:
        """References to what nobody declares."""
        return tuple(r for references in self.outgoing.values() for r in references if self.dangles(r))

    def dangles(self, reference: Reference) -> bool:
        """Whether it leads nowhere. Of a missing part nothing is said when the whole is missing."""
        if reference.outlives:
            return False
        if not reference.part:
            return self.get(reference.target) is None and not self.is_elsewhere(reference.target)
        return self.get(reference.target) is not None and reference.part not in self.alternatives(reference)

    def is_elsewhere(self, key: ResourceKey) -> bool:
        """Whether a root declares it of which nobody says whether it lives with these."""
        return key in self.elsewhere

    def alternatives(self, reference: Reference) -> tuple[str, ...]:
        """The names that this reference could have given; of very many, those that stand next to it in the alphabet."""
        target = reference.target
        if not reference.part:
            names = self.names(target)
            at = bisect.bisect(names, target.name)
            return tuple(names[max(0, at - NEIGHBOURS) : at + NEIGHBOURS])
        whole = self.get(target)
        spec = whole.resource.spec if whole else NOTHING
        inside = self._names_inside(reference)
        return tuple(str(value) for path in inside for _, _, value in values_at(spec, path))

    def names(self, like: ResourceKey) -> Sequence[str]:
        """The names of the resources of one kind in one namespace, in order."""
        return self._names.get((like.group, like.kind, like.namespace), [])

    def _names_inside(self, reference: Reference) -> tuple[FieldPath, ...]:
        """Where the target keeps the names of its parts."""
        source = self.get(reference.source)
        kind = source.kind if source else None
        field = kind.field(field_path(reference.path)) if kind else None
        return field.reference.names if field and field.reference else ()

    def cycles(self) -> tuple[tuple[ResourceKey, ...], ...]:
        """One shortest cycle for each knot of resources that refer to each other, from its smallest member."""
        starts = (key for key, knot in self._knots.items() if key == min(knot))
        return tuple(sorted(self.cycle(start) for start in starts))

    def cycle(self, start: ResourceKey) -> tuple[ResourceKey, ...]:
        """A shortest cycle through a resource that is in a knot."""
        return self._cycle_through(start, self.knot(start))

    def knot(self, key: ResourceKey) -> frozenset[ResourceKey]:
        """The resources that a resource leads to and that lead back to it, itself among them; empty when none do."""
        return self._knots.get(key, frozenset())

    @functools.cached_property
    def _knots(self) -> Mapping[ResourceKey, frozenset[ResourceKey]]:
        if not self._circling or not self._knotted():
            return {}
        import networkx as nx  # noqa: PLC0415  # 0.1 s that a sound repository need not pay

        components = map(frozenset, nx.strongly_connected_components(self._as_networkx()))
        knots = (c for c in components if len(c) > 1 or any(key in self._targets(key) for key in c))
        return {key: knot for knot in knots for key in knot}

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
        ahead = {reference.target for reference in self.references(key) if not reference.back}
        return sorted(target for target in ahead if self.get(target))

    @functools.cached_property
    def _circling(self) -> frozenset[str]:
        """The kinds here that can lead back to themselves at all."""
        left: dict[str, set[str]] = {name: set() for name in self._by_kind}
        for name, manifests in self._by_kind.items():
            kind = manifests[0].kind
            assert kind is not None  # noqa: S101  # only such are in the table
            left[name] |= {other for f in kind.references if f.reference for other in f.reference.kinds}
            left[name] |= {field.schema["x-pick"] for field in kind.pickers}
            for field in kind.selectors:
                left.get(field.schema["x-select"], set()).add(name)
        while ends := {name for name, others in left.items() if not others & left.keys()}:
            left = {name: others for name, others in left.items() if name not in ends}
        return frozenset(left)

    def _knotted(self) -> bool:
        """Whether taking away resources that refer to nothing, again and again, leaves some."""
        inside = {manifest.key for name in self._circling for manifest in self.of_kind(name)}
        waiting = {
            key: len({r.target for r in self.references(key) if r.target in inside and not r.back}) for key in inside
        }
        free = [key for key, count in waiting.items() if not count]
        for key in free:
            sources = {reference.source for reference in self.incoming.get(key, ()) if not reference.back}
            for source in sources & inside:
                waiting[source] -= 1
                if not waiting[source]:
                    free.append(source)
        return len(free) < len(waiting)

    def _cycle_through(self, start: ResourceKey, knot: frozenset[ResourceKey]) -> tuple[ResourceKey, ...]:
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


def unlinked(manifests: Iterable[Manifest], unread: Iterable[tuple[Location, str]], revision: str) -> ResourceGraph:
    """The graph of these manifests for those who ask what there is, and never who refers to whom: most of the work is
    left out.
    """
    return ResourceGraph(*_one_for_each_key(manifests), {}, {}, tuple(unread), revision)


def _one_for_each_key(manifests: Iterable[Manifest]) -> tuple[dict[ResourceKey, Manifest], tuple[Manifest, ...]]:
    """The manifests that count by their keys, in order, and those that repeat a key."""
    ordered = sorted(manifests, key=file_order)
    first = {manifest.key: manifest for manifest in reversed(ordered)}
    duplicates = tuple(manifest for manifest in ordered if first[manifest.key] is not manifest)
    return {key: first[key] for key in sorted(first, key=key_order)}, duplicates


def link(
    manifests: Iterable[Manifest],
    unread: Iterable[tuple[Location, str]] = (),
    revision: str = "",
    elsewhere: frozenset[ResourceKey] = frozenset(),
) -> ResourceGraph:
    """The graph of these manifests, whatever order they come in."""
    manifests_by_key, duplicates = _one_for_each_key(manifests)
    chosen = selections(manifests_by_key.values())
    outgoing = {
        key: found
        for key, manifest in manifests_by_key.items()
        if (found := (*references_of(manifest), *chosen.get(key, ())))
    }
    incoming: dict[ResourceKey, list[Reference]] = defaultdict(list)
    for references in outgoing.values():
        for reference in references:
            incoming[reference.target].append(reference)
    pointers = {key: tuple(references) for key, references in incoming.items()}
    return ResourceGraph(manifests_by_key, duplicates, outgoing, pointers, tuple(unread), revision, elsewhere)


def _by_key(manifest: Manifest) -> tuple[str, str, str, str]:
    return key_order(manifest.key)


def key_order(key: ResourceKey) -> tuple[str, str, str, str]:
    """The order of keys, as a tuple because that compares ten times as fast."""
    return (key.kind, key.namespace, key.name, key.group)


def file_order(manifest: Manifest) -> tuple[Any, ...]:
    """The order in which manifests count: by path, and then by their place in the file."""
    document = manifest.document
    return (manifest.path, document.number, *(step for step in document.within if isinstance(step, int)))
