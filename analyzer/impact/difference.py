"""What a change of the repository does: every changed resource, its hazard, and who would notice. Pure.

A side that cannot be made out is reported as that: what is not seen there is unknown, never deleted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from analyzer.access.questions import Answer
from analyzer.finding import Finding, Location
from analyzer.graph import ResourceGraph
from analyzer.hazards import HAZARDS, FieldChange, Hazard, Pair, changes, removal_ref, worst
from analyzer.impact.admission import felt_through_selectors
from analyzer.impact.budget import Verdict
from analyzer.impact.moved import perhaps_renamed
from analyzer.impact.radius import Radius, ResourceChange, radius_of, reach
from analyzer.impact.usage import Live
from analyzer.renames import compared
from analyzer.volumes import resolved
from schemas.resources import OUR_GROUP, UNKNOWN, Json, ResourceKey

Side: TypeAlias = Literal["base", "head"]

REMOVAL = "Removal"
TOUCHING: Final[tuple[Hazard, ...]] = ("data-loss", "disruptive", "safe")  # what is refused touches nothing


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A place where one side cannot be made out."""

    side: Side
    location: Location
    because: str

    def to_json(self) -> dict[str, Json]:
        return {"side": self.side, "location": self.location.to_json(), "because": self.because}


@dataclass(frozen=True)
class Impact:
    """The difference between two revisions, worst first. With something unreadable there are no changes to show.

    `rejected`: why the head does not pass, so that nothing of all this would happen.
    """

    base: str
    head: str
    changes: tuple[ResourceChange, ...]
    radius: Mapping[Hazard, Radius]
    unreadable: tuple[Unreadable, ...] = ()
    rejected: tuple[Finding, ...] = ()
    access: tuple[Answer, ...] = ()  # who gains and loses what, by question
    live: Live | None = None  # what it means to who is connected, where somebody was asked
    verdict: Verdict | None = None  # whether it goes through, where there is a policy to ask

    @property
    def hazard(self) -> Hazard:
        return worst(change.hazard for change in self.changes)

    def tally(self) -> dict[Hazard, int]:
        """How many resources change with each hazard, worst first."""
        found = Counter(change.hazard for change in self.changes)
        return {hazard: found[hazard] for hazard in reversed(HAZARDS)}

    def to_json(self) -> dict[str, Json]:
        return {
            "version": "holdfast.dev/impact/v1",
            "base": self.base,
            "head": self.head,
            "hazard": UNKNOWN if self.unreadable else self.hazard,
            "changes": [change.to_json() for change in self.changes],
            "radius": {hazard: radius.to_json() for hazard, radius in self.radius.items()},
            "access": [answer.to_json() for answer in self.access],
            "live": _live_json(self.live),
            "verdict": self.verdict.to_json() if self.verdict else None,
            "unreadable": [place.to_json() for place in self.unreadable],
            "rejected": [finding.to_json() for finding in self.rejected],
        }


def _live_json(live: Live | None) -> dict[str, Json]:
    known = live or Live("", None, None, (), ())
    return {
        "time": known.time or None,
        "bytesInUse": UNKNOWN if known.bytes_in_use is None else known.bytes_in_use,
        "connectedHosts": UNKNOWN if known.connected is None else known.connected,
        "losses": [loss.to_json() for loss in known.losses],
        "unread": [*known.unread],
    }


def impact(base: ResourceGraph, head: ResourceGraph, rejected: tuple[Finding, ...] = ()) -> Impact:
    """Compare two revisions. `rejected`: the findings for which the head would not be accepted."""
    unreadable = tuple(_unreadable(base, head))
    if unreadable:
        return Impact(base.revision, head.revision, (), {}, unreadable, rejected)
    found = perhaps_renamed([change for pair in differing(base, head) if (change := _change(pair, base, head)).fields])
    ordered = tuple(sorted(found, key=lambda change: (-HAZARDS.index(change.hazard), change.key)))
    radius = {hazard: radius_of(ordered, hazard, base, head) for hazard in TOUCHING}
    return Impact(base.revision, head.revision, ordered, radius, (), rejected)


def _unreadable(base: ResourceGraph, head: ResourceGraph) -> Iterator[Unreadable]:
    sides: tuple[tuple[Side, ResourceGraph, ResourceGraph], ...] = (("base", base, head), ("head", head, base))
    for side, graph, other in sides:
        yield from (Unreadable(side, location, because) for location, because in graph.unread)
        twice = (m for m in graph.duplicates if m.key.group == OUR_GROUP and m.kind and not m.sound)
        yield from (Unreadable(side, m.location, m.because) for m in (*graph.unsound(OUR_GROUP), *twice))
        yield from (
            Unreadable(side, manifest.location, f"{manifest.key} is declared twice")
            for manifest in graph.duplicates
            if manifest.key.group == OUR_GROUP or not _stays(manifest.key, graph, other)
        )


def _stays(key: ResourceKey, graph: ResourceGraph, other: ResourceGraph) -> bool:
    """Whether a resource that is declared more than once is declared just so in the other revision, too."""
    here, there = ([m and m.resource for m in (g.get(key), *g.duplicates_of(key))] for g in (graph, other))
    return here == there


def differing(base: ResourceGraph, head: ResourceGraph) -> Iterator[Pair]:
    """The resources that are not the same, at both revisions; nobody else is looked at."""
    for before, after in compared(base, head, head.differing(base)):
        pair = Pair(before.resource if before else None, after.resource if after else None)
        if pair.before != pair.after:
            yield pair


def _change(pair: Pair, base: ResourceGraph, head: ResourceGraph) -> ResourceChange:
    before = resolved(base, pair.before) if pair.before and not pair.after else pair.before
    raw = any(m and not m.sound for m in (before and base[before.key], pair.after and head[pair.after.key]))
    fields = felt_through_selectors(pair, base, head, changes(before, pair.after, raw=raw))
    graph = head if pair.after else base
    location = replace(graph[pair.key].position_of(("metadata", "name")), revision="" if pair.after else base.revision)
    former = pair.before.key if pair.before and pair.before.key != pair.key else None
    return ResourceChange(
        pair.action, pair.key, location, fields, reach(pair, base, head, fields), _destroyed(pair, fields), former
    )


def _destroyed(pair: Pair, fields: Sequence[FieldChange]) -> ResourceKey | None:
    """Whose bytes are gone afterwards: what a Removal names, or what was deleted itself."""
    if worst(field.hazard for field in fields) != "data-loss":
        return None
    if pair.after is None:
        return pair.key
    return removal_ref(pair.after) if pair.key.kind_name == REMOVAL else None
