"""A graph and a case that write down what they are asked, so that it is known what an answer depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from analyzer.config import AnalyzerConfig
from analyzer.edges import Reference
from analyzer.finding import Location
from analyzer.graph import ResourceGraph
from analyzer.incremental.memberships import Name
from analyzer.indexes import Index
from analyzer.manifest import Manifest
from analyzer.rule import Case
from schemas.resources import Resource, ResourceKey

EVERYTHING: Name = ("everything",)
UNREAD: Name = ("unread",)
DAY: Name = ("day",)
BASE: Name = ("base",)


class RecordedGraph(ResourceGraph):
    """Looks things up in another graph, and writes down what. Whoever walks over everything has asked everything."""

    def __init__(self, graph: ResourceGraph) -> None:
        object.__setattr__(self, "_graph", graph)
        object.__setattr__(self, "asked", set())

    _graph: ResourceGraph
    asked: set[Name]

    def get(self, key: ResourceKey) -> Manifest | None:
        self.asked.add(("key", key))
        return self._graph.get(key)

    def duplicates_of(self, key: ResourceKey) -> tuple[Manifest, ...]:
        self.asked.add(("key", key))
        return self._graph.duplicates_of(key)

    def references(self, key: ResourceKey) -> tuple[Reference, ...]:
        self.asked.add(("refs", key))
        return self._graph.references(key)

    def incoming_to(self, key: ResourceKey) -> tuple[Reference, ...]:
        self.asked.add(("incoming", key))
        return self._graph.incoming_to(key)

    def of_kind(self, kind: str) -> tuple[Manifest, ...]:
        self.asked.add(("kind", kind))
        return self._graph.of_kind(kind)

    def sharing(self, index: Index, value: str) -> tuple[Manifest, ...]:
        self.asked.add(("index", index.name, value))
        return self._graph.sharing(index, value)

    def is_elsewhere(self, key: ResourceKey) -> bool:
        self.asked.add(("elsewhere", key))
        return self._graph.is_elsewhere(key)

    def names(self, like: ResourceKey) -> Sequence[str]:
        self.asked.add(("names", like.group, like.kind, like.namespace))
        return self._graph.names(like)

    def knot(self, key: ResourceKey) -> frozenset[ResourceKey]:
        self.asked.add(("knot", key))
        return self._graph.knot(key)

    @property
    def unread(self) -> tuple[tuple[Location, str], ...]:
        self.asked.add(UNREAD)
        return self._graph.unread

    @property
    def revision(self) -> str:
        return self._graph.revision

    @property
    def manifests(self) -> Mapping[ResourceKey, Manifest]:
        self.asked.add(EVERYTHING)
        return self._graph.manifests

    @property
    def duplicates(self) -> tuple[Manifest, ...]:
        self.asked.add(EVERYTHING)
        return self._graph.duplicates

    @property
    def outgoing(self) -> Mapping[ResourceKey, tuple[Reference, ...]]:
        self.asked.add(EVERYTHING)
        return self._graph.outgoing

    @property
    def incoming(self) -> Mapping[ResourceKey, tuple[Reference, ...]]:
        self.asked.add(EVERYTHING)
        return self._graph.incoming

    @property
    def resources(self) -> Mapping[ResourceKey, Resource]:
        self.asked.add(EVERYTHING)
        return self._graph.resources


class RecordedCase(Case):
    """A case whose graph, day and base are recorded."""

    graph: RecordedGraph

    def __init__(self, graph: ResourceGraph, as_of: date, config: AnalyzerConfig, base: ResourceGraph | None) -> None:
        object.__setattr__(self, "graph", RecordedGraph(graph))
        object.__setattr__(self, "config", config)
        object.__setattr__(self, "unread", ())
        object.__setattr__(self, "policy_problems", ())
        object.__setattr__(self, "history", None)
        object.__setattr__(self, "_as_of", as_of)
        object.__setattr__(self, "_base", base)

    _as_of: date
    _base: ResourceGraph | None

    @property
    def as_of(self) -> date:
        self.graph.asked.add(DAY)
        return self._as_of

    @property
    def base(self) -> ResourceGraph | None:
        self.graph.asked.add(BASE)
        return self._base

    def asked_for(self, key: ResourceKey) -> frozenset[Name]:
        """What was asked since this was called last, beside what lies at hand for the subject itself."""
        asked = self.graph.asked
        asked -= {("key", key), ("refs", key), ("incoming", key), ("knot", key)}
        found = frozenset(asked)
        asked.clear()
        return found
