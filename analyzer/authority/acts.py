"""What a commit does by itself, from what it and its parents declare. Pure.

A commit answers for what it changes against its parent. A merge answers for what it makes other than its sides ask for:
where one side changed a resource since they parted, the commits of that side did it; where the merge drops that, or
both sides changed the resource, the merge does it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from analyzer.authority.history import POLICY, Act
from analyzer.finding import Location, Note
from analyzer.graph import ResourceGraph
from analyzer.hazards import Action, pairs
from analyzer.snapshot import SETTINGS
from schemas.resources import Resource, ResourceKey

Value = TypeVar("Value")


NO_GRAPH = ResourceGraph({}, (), {}, {})


@dataclass(frozen=True, eq=False)
class State:
    """What one revision says: its resources site by site, and the ids of its files by path."""

    graphs: Mapping[str, ResourceGraph]
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def gaps(self) -> tuple[Note, ...]:
        """Where something may be hidden."""
        graphs = {id(graph): graph for graph in self.graphs.values()}.values()
        twice = ((m.location, f"{m.key} is declared twice") for graph in graphs for m in graph.duplicates)
        return (*(note for graph in graphs for note in graph.unread), *twice)

    def site(self, name: str) -> ResourceGraph:
        return self.graphs.get(name, NO_GRAPH)


NOTHING = State({})


def acts_of(after: State, sides: Sequence[State], ancestor: State | None, commit: str) -> tuple[Act, ...]:
    """What a commit does. `sides` are its parents; `ancestor` is what the two sides of a merge began as; None where
    that is not one state: then no side is taken as unchanged.
    """
    found = {(act.key, act.action): act for act in _policy(sides, ancestor, after, commit)}
    compared = set[tuple[int, ...]]()
    for name in sorted({name for state in (after, *sides) for name in state.graphs}):
        graphs = [side.site(name) for side in sides]
        same = tuple(map(id, (after.site(name), *graphs, ancestor.site(name) if ancestor else NO_GRAPH)))
        if same in compared:
            continue  # the main site under its own name
        compared.add(same)
        before = _merged(graphs, ancestor.site(name) if ancestor else None, after.site(name))
        for act in _between(before, after.site(name), graphs, commit):
            found.setdefault((act.key, act.action), act)
    return tuple(found[order] for order in sorted(found))


def opaque(states: Sequence[State]) -> tuple[Note, ...]:
    """What may hide something that differs between these states: a gap that is not the same in all of them, in a file
    that is the same.
    """
    known = [{(place.path, because) for place, because in state.gaps} for state in states]
    found = {note: None for state in states for note in state.gaps}
    return tuple(
        (place, because)
        for place, because in found
        if not all((place.path, because) in gaps for gaps in known)
        or len({state.files.get(place.path) for state in states}) > 1
    )


def _merged(
    sides: Sequence[ResourceGraph], ancestor: ResourceGraph | None, after: ResourceGraph
) -> dict[ResourceKey, Resource]:
    """What a commit would declare if it did nothing by itself. Where that is not clear, what it does not declare."""
    if len(sides) == 1:
        return {**sides[0].resources}
    here, there = after.resources, ancestor.resources if ancestor is not None else {}
    declared = [side.resources for side in sides]
    found: dict[ResourceKey, Resource] = {}
    for key in {key for side in declared for key in side}:
        values = [side.get(key) for side in declared]
        value = (
            _due(values, there.get(key), here.get(key)) if ancestor is not None else _contested(values, here.get(key))
        )
        if value is not None:
            found[key] = value
    return found


def _due(values: Sequence[Value], before: Value, after: Value) -> Value:
    """What a merge of two sides comes to by itself: the value of the side that changed."""
    if before in values:
        return next((value for value in values if value != before), before)
    return _contested(values, after)


def _contested(values: Sequence[Value], after: Value) -> Value:
    """Where the sides differ and none is known to be unchanged, the merge has chosen: what it did not take."""
    return next((value for value in values if value != after), values[0])


def _policy(sides: Sequence[State], ancestor: State | None, after: State, commit: str) -> Iterator[Act]:
    """Which files of the policy a commit changes; by the same reasoning."""
    unclear = len(sides) > 1 and ancestor is None
    for path in sorted(SETTINGS):
        values, now = [side.files.get(path) for side in sides], after.files.get(path)
        common = (ancestor or sides[0]).files.get(path)
        before = _contested(values, now) if unclear else _due(values, common, now)
        if before != now:
            action: Action = "delete" if now is None else "update" if before else "create"
            yield Act(action, ResourceKey(POLICY, "", path), Location(path, 1, 1, commit))


def _between(
    before: Mapping[ResourceKey, Resource], after: ResourceGraph, sides: Sequence[ResourceGraph], commit: str
) -> Iterator[Act]:
    for pair in pairs(before, after.resources):
        if pair.before != pair.after:
            manifest = next(found for graph in (after, *sides) if (found := graph.get(pair.key)))
            place = manifest.position_of(("metadata", "name"))
            yield Act(pair.action, pair.key, replace(place, revision=commit))
