"""The timeline: when drift was open on which target, when commits came, when a target was away. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from reconciler.history import DriftRecord, Event

SHORTEST = 600.0  # seconds that a timeline shows at least, when all that happened is known
MOMENT = 1.0  # seconds that it shows in any case
LANES = 12
WIDTH = 1000.0  # units across
SLIM = 4.0  # units that even a moment takes
POINTS: Mapping[str, str] = {  # events that are a moment: reason → how it is drawn
    "RevisionAccepted": "commit",
    "RevisionRejected": "rejected",
    "NotDescendant": "rejected",
    "Applied": "applied",
    "TargetRestarted": "restart",
}


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing on a lane, in units from its left end."""

    kind: str
    x: float
    width: float
    title: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Lanes by target, the site's own first; only those with something on them."""

    start: float
    end: float
    lanes: Sequence[tuple[str, Sequence[Mark]]]
    more: int  # lanes left out

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(mark.kind for _, marks in self.lanes for mark in marks)


def timeline(
    drifts: Sequence[DriftRecord],
    events: Sequence[Event],
    now: float,
    since: float | None = None,
    shown: Collection[str] | None = None,
) -> Timeline | None:
    """Lanes for drifts and events, newest first as History gives them. `since`: nothing older is known completely, so
    nothing older is drawn. `shown`: the places on the page that a mark can lead to; None for all.
    """
    first = min((*(d.clean or d.detected for d in drifts), *(e.at for e in events)), default=None)
    if first is None:
        return None
    scale = _scale(first, since, now)
    lanes: defaultdict[str, list[Mark]] = defaultdict(list)
    for target, mark in (*_absences(events, scale), *_drifts(drifts, scale), *_points(events, scale)):
        if mark.x + mark.width > 0:
            lanes[target].append(mark if shown is None or mark.link in shown else replace(mark, link=""))
    named = sorted(lanes.items())
    return Timeline(scale.start, now, named[:LANES], max(0, len(named) - LANES)) if named else None


@dataclass(frozen=True, slots=True)
class _Scale:
    start: float
    end: float

    def span(self, kind: str, begin: float, end: float, title: str, link: str = "") -> Mark:
        x = min(max(self._at(begin), 0.0), WIDTH - SLIM)
        width = max(self._at(end) - x, SLIM if end >= self.start else 0.0)
        return Mark(kind, round(x, 1), round(min(width, WIDTH - x), 1), title, link)

    def point(self, kind: str, at: float, title: str, link: str) -> Mark:
        x = min(self._at(at), WIDTH - SLIM)
        return Mark(kind, round(x, 1), SLIM, title, link)

    def _at(self, moment: float) -> float:
        return (moment - self.start) / (self.end - self.start) * WIDTH


def _scale(first: float, since: float | None, now: float) -> _Scale:
    """From the first that is known, with some room before it; but never into a time that is not known completely."""
    if since is not None:
        return _Scale(min(since, now - MOMENT), now)
    return _Scale(min(first, now - SHORTEST) - (now - first) * 0.02, now)


def _drifts(drifts: Iterable[DriftRecord], scale: _Scale) -> Iterable[tuple[str, Mark]]:
    for drift in drifts:
        title, link = f"{drift.kind} drift of {drift.resource}", f"#drift-{drift.id}"
        if drift.clean is not None:
            yield (
                drift.target,
                scale.span("onset", drift.clean, drift.detected, f"{title}: began somewhere in here", link),
            )
        kind, end = ("open", scale.end) if drift.closed is None else ("closed", drift.closed)
        yield drift.target, scale.span(kind, drift.detected, end, f"{title}, {kind}", link)


def _points(events: Iterable[Event], scale: _Scale) -> Iterable[tuple[str, Mark]]:
    for event in events:
        if kind := POINTS.get(event.reason):
            yield (
                event.target,
                scale.point(kind, event.at, f"{event.reason}: {event.message}"[:200], f"#event-{event.id}"),
            )


def _absences(events: Sequence[Event], scale: _Scale) -> Iterable[tuple[str, Mark]]:
    """From the first failure to the next answer; from the left end where the first failure is too old to be known."""
    back: dict[str, float] = {}
    first: dict[str, float] = {}
    for event in events:  # newest first
        if event.reason == "TargetReachable":
            if event.target in first:
                yield event.target, _absence(scale, first.pop(event.target), back.get(event.target))
            back[event.target] = event.at
        elif event.reason == "TargetUnreachable":
            first[event.target] = event.at
    for target in sorted(first.keys() | back.keys()):
        yield target, _absence(scale, first.get(target, scale.start), back.get(target))


def _absence(scale: _Scale, began: float, ended: float | None) -> Mark:
    return scale.span("away", began, scale.end if ended is None else ended, "unreachable")
