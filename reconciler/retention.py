"""Which of a schedule's snapshots are kept. Pure.

Of each of the newest hours, days, weeks and months in which there are snapshots the last one is kept, as many as are
asked for, and so are the newest of all, the very newest even where nothing is asked for. Hours and days begin as the
wall shows them in the schedule's time zone, weeks on Monday. What counts is how many there are, not how old they are:
where none is taken, none goes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from schemas.calendar import parse_zone
from schemas.resources import JsonObject


@dataclass(frozen=True, slots=True)
class Retain:
    """How many snapshots are kept of each period, in a time zone."""

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    zone: str = "UTC"

    def to_json(self) -> JsonObject:
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def of_json(cls, told: Mapping[str, object]) -> Retain:
        return cls(**{name: told[name] for name in cls.__slots__ if name in told})  # type: ignore[arg-type]


_PERIODS: Mapping[str, Callable[[datetime], tuple[int, ...]]] = {
    "hourly": lambda at: (at.year, at.month, at.day, at.hour, at.fold),
    "daily": lambda at: (at.year, at.month, at.day),
    "weekly": lambda at: at.isocalendar()[:2],
    "monthly": lambda at: (at.year, at.month),
}


def kept(moments: Iterable[float], retain: Retain) -> frozenset[float]:
    """The moments (seconds since 1970) whose snapshots are kept."""
    return _kept(frozenset(moments), retain)


@functools.lru_cache(maxsize=4096)  # volumes of one schedule mostly have the same moments
def _kept(moments: frozenset[float], retain: Retain) -> frozenset[float]:
    newest = sorted(moments, reverse=True)
    found = set(newest[: retain.last or 1])
    zone = parse_zone(retain.zone)
    for name, period in _PERIODS.items():
        last: dict[tuple[int, ...], float] = {}
        for moment in newest:
            last.setdefault(period(datetime.fromtimestamp(moment, zone)), moment)
        found.update([*last.values()][: getattr(retain, name)])
    return frozenset(found)
