"""Part of a resource graph to be drawn: the whole, what is around one resource, or what a change touches. Pure.

A picture shows no more than it is asked to, and says what it left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from analyzer.graph import ResourceGraph
from analyzer.hazards import Action
from analyzer.impact.difference import Impact
from analyzer.impact.radius import way_in_words
from schemas.kinds import kinds
from schemas.resources import Json, ResourceKey
from schemas.validation import did_you_mean, quoted

State: TypeAlias = Literal["", "centre", "data-loss", "disruptive", "refused", "safe", "reached", "missing"]
Change: TypeAlias = Action | Literal[""]  # empty: it stays as it is


@dataclass(frozen=True, slots=True)
class Node:
    """One resource. A missing one is named, and nobody declares it."""

    key: ResourceKey
    state: State = ""
    action: Change = ""

    def to_json(self) -> dict[str, Json]:
        return {"resource": self.key.to_json(), "state": self.state or None, "action": self.action or None}


@dataclass(frozen=True, slots=True)
class Edge:
    """Who names whom, by which fields. `action`: it comes or goes with a change."""

    source: ResourceKey
    target: ResourceKey
    fields: tuple[str, ...]
    action: Change = ""

    def to_json(self) -> dict[str, Json]:
        return {
            "from": self.source.to_json(),
            "to": self.target.to_json(),
            "fields": [*self.fields],
            "action": self.action or None,
        }


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn, in order of keys, and how much is not."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    left_out: int = 0  # resources
    unsaid: int = 0  # references between resources that are drawn

    def to_json(self) -> dict[str, Json]:
        return {
            "version": "holdfast.dev/graph/v1",
            "nodes": [node.to_json() for node in self.nodes],
            "edges": [edge.to_json() for edge in self.edges],
            "leftOut": {"resources": self.left_out, "references": self.unsaid},
        }


class NoSuchResource(Exception):
    """Nothing, or more than one thing, is called that."""


def whole(graph: ResourceGraph, limit: int | None = None, references: int | None = None) -> Picture:
    """Everything; of too much, what has most references."""
    weight = {key: len(graph.references(key)) + len(graph.incoming_to(key)) for key in graph.manifests}
    ordered = sorted(weight, key=lambda key: (-weight[key], key))
    return _picture([Node(key) for key in ordered], (graph,), limit, references)


def around(
    graph: ResourceGraph, centre: ResourceKey, depth: int, limit: int | None = None, references: int | None = None
) -> Picture:
    """What a resource leads to and what leads to it, in so many steps each way; of too much, what is nearest."""
    far: dict[ResourceKey, int] = {centre: 0}
    for step in (_ahead, _behind):
        steps = {centre: 0}
        queue = deque([centre])
        while queue:
            here = queue.popleft()
            for other in step(graph, here) if steps[here] < depth else ():
                if other not in steps:
                    steps[other] = steps[here] + 1
                    queue.append(other)
        far |= {key: min(steps[key], far.get(key, steps[key])) for key in steps}
    ordered = sorted(far, key=lambda key: (far[key], key))
    states: dict[ResourceKey, State] = {key: "" if graph.get(key) else "missing" for key in ordered}
    nodes = [Node(key, state) for key, state in (states | {centre: "centre"}).items()]
    return _picture(nodes, (graph,), limit, references)


def touched(
    found: Impact, base: ResourceGraph, head: ResourceGraph, limit: int | None = None, references: int | None = None
) -> Picture:
    """What changes, worst first, whom it reaches, and what lies between."""
    nodes: dict[ResourceKey, Node] = {}
    for change in found.changes:
        nodes[change.key] = Node(change.key, change.hazard, change.action)
        if change.destroys and change.destroys not in nodes:
            nodes[change.destroys] = Node(change.destroys, "data-loss", "delete")
    reached = sorted((len(r.path), r.key) for change in found.changes for r in change.dependents)
    for _, key in reached:
        nodes.setdefault(key, Node(key, "reached"))
    return _picture([*nodes.values()], (base, head), limit, references)


def find(graph: ResourceGraph, text: str) -> ResourceKey:
    """The resource that somebody means by `Volume/team-a/db`, `vol/db`, `team-a/db` or `db`. Raises NoSuchResource."""
    words = text.replace(" ", "/").strip("/").split("/")
    fits = [key for key in graph.manifests if _fits(key, words)]
    if len(fits) == 1:
        return fits[0]
    if fits:
        several = ", ".join(sorted(_typed(key) for key in fits)[:5])
        raise NoSuchResource(f"{quoted(text)} may be any of {several}; say which")
    names = {_typed(key) if "/" in text else key.name for key in graph.manifests}
    raise NoSuchResource(f"no resource is called {quoted(text)}{did_you_mean(text, names)}")


def _typed(key: ResourceKey) -> str:
    return f"{key.kind}/{key.path}"


def _fits(key: ResourceKey, words: Sequence[str]) -> bool:
    if words[-1] != key.name:
        return False
    ends = [key.name, key.namespace] if key.namespace else [key.name]
    if len(words) <= len(ends):
        wanted = [*reversed(words)]
        return wanted == ends[: len(words)] or (len(words) == 2 and _is_kind(key, words[0]) and words[1] == key.name)
    inside = [*reversed(words[1:])]
    return _is_kind(key, words[0]) and inside == ends[: len(inside)]


def _is_kind(key: ResourceKey, word: str) -> bool:
    known = next((kind for kind in kinds().values() if (kind.group, kind.name) == (key.group, key.kind)), None)
    names = {key.kind, key.kind_name, *((known.plural, *known.short_names) if known else ())}
    return word.casefold() in {name.casefold() for name in names}


def _ahead(graph: ResourceGraph, key: ResourceKey) -> Iterable[ResourceKey]:
    return (reference.target for reference in graph.references(key))


def _behind(graph: ResourceGraph, key: ResourceKey) -> Iterable[ResourceKey]:
    return (reference.source for reference in graph.incoming_to(key))


def _picture(
    ordered: Sequence[Node], graphs: Sequence[ResourceGraph], limit: int | None, references: int | None
) -> Picture:
    """The first so many nodes with the edges between them, and what they name that nobody declares."""
    kept = {node.key: node for node in ordered[:limit]}
    edges = _edges(kept, graphs)
    if limit is None or len(ordered) < limit:
        declared = {key for graph in graphs for key in graph.manifests}
        missing = {edge.target for edge in edges if edge.target not in declared}
        kept |= {key: Node(key, "missing") for key in missing if key not in kept}
    drawn = tuple(edge for edge in edges if edge.target in kept)
    told = drawn[:references]
    left_out = max(0, len(ordered) - len(kept))
    return Picture(tuple(kept[key] for key in sorted(kept)), told, left_out, len(drawn) - len(told))


def _edges(kept: Mapping[ResourceKey, Node], graphs: Sequence[ResourceGraph]) -> list[Edge]:
    """One edge for each pair, with every field that makes it; of two revisions, with what came and what went."""
    sides = [_named(graph, kept) for graph in graphs]
    old, new = sides[0], sides[-1]
    return [
        Edge(*pair, tuple(dict.fromkeys((*new.get(pair, ()), *old.get(pair, ())))), _came(pair in old, pair in new))
        for pair in sorted({*old, *new})
    ]


def _came(before: bool, after: bool) -> Change:  # noqa: FBT001  # one question of each side
    return "" if before and after else "create" if after else "delete"


def _named(
    graph: ResourceGraph, kept: Mapping[ResourceKey, Node]
) -> dict[tuple[ResourceKey, ResourceKey], tuple[str, ...]]:
    found: dict[tuple[ResourceKey, ResourceKey], tuple[str, ...]] = {}
    for key in sorted(kept):
        for reference in graph.references(key):
            if reference.target not in kept and graph.get(reference.target):
                continue
            pair = (reference.source, reference.target)
            words = way_in_words(graph, reference).removeprefix("spec.")
            found[pair] = tuple(dict.fromkeys((*found.get(pair, ()), words)))
    return found
