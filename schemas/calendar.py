"""When something runs that a cron expression and a time zone describe. The one door to cronsim.

Cron speaks of the time on the wall. A time that the clocks skip is run at the moment at which they go on; one that they
show twice is run at the first. Where the hour field begins with `*` the hours themselves are meant: then both are run.
Moments are seconds since 1970, always whole minutes.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

HOUR, DAY = 3600.0, 86400.0
BACK = (HOUR, DAY, 8 * DAY, 32 * DAY, 367 * DAY, 9 * 366 * DAY)  # how far back a last run is looked for
SHIFT = timedelta(hours=3)  # clocks are never set by more
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # a time on the wall
FIELDS = 5
YEARS = 9  # between two leap days there may be eight years


def parse_cron(text: str) -> str:
    """The expression, if it is one, whether or not there ever is such a day. Raises ValueError."""
    fields = text.split(" ")
    if len(fields) != FIELDS:
        raise ValueError(f"{len(fields)} fields, not minute, hour, day of month, month and day of week")
    minute, hour, day, month, weekday = fields
    for expression in (f"{minute} {hour} {day} * {weekday}", f"{minute} {hour} * {month} {weekday}"):
        if _cron(expression, EPOCH) is None:
            raise ValueError(f"{text} is no cron expression")
    return text


@functools.cache
def parse_zone(name: str) -> ZoneInfo:
    """The time zone of this name. Raises ValueError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(f"there is no time zone {name}") from error


@dataclass(frozen=True, slots=True)
class Calendar:
    """When a schedule runs. Both parts have passed `parse_cron` and `parse_zone`."""

    cron: str
    zone: str = "UTC"

    def next(self, after: float) -> float | None:
        """The first moment later than this one; None when there is none within nine years."""
        end, found = _on_the_wall(after, self._tz) + timedelta(days=366 * YEARS), None
        for wall in self._walls(_on_the_wall(after, self._tz) - SHIFT):
            if wall > end:
                break
            later = [moment for moment in self._moments(wall) if moment > after]
            if later:
                found = min(later) if found is None else min(found, *later)
                end = min(end, wall + SHIFT)
        return found

    def latest(self, now: float) -> float | None:
        """The last moment that is not later than this one; None when there was none within nine years."""
        return next((found[-1] for back in BACK if (found := self.between(now - back, now))), None)

    def between(self, after: float, until: float, limit: int = 1_000_000) -> list[float]:
        """Moments after the first bound and up to the second, in order; of no more than `limit` times on the wall."""
        end = _on_the_wall(until, self._tz) + SHIFT
        found: set[float] = set()
        for wall in islice(self._walls(_on_the_wall(after, self._tz) - SHIFT), limit):
            if wall > end:
                break
            found.update(moment for moment in self._moments(wall) if after < moment <= until)
        return sorted(found)

    @property
    def _tz(self) -> ZoneInfo:
        return parse_zone(self.zone)

    def _walls(self, after: datetime) -> Iterator[datetime]:
        """Times on the wall, as if clocks were never set."""
        return _cron(self.cron, after) or iter(())

    def _moments(self, wall: datetime) -> tuple[float, ...]:
        """The moments at which the wall shows a time that the schedule names, or should have shown it."""
        first, second = (wall.replace(tzinfo=self._tz, fold=fold) for fold in (0, 1))
        one, two = first.timestamp(), second.timestamp()
        if one == two:
            return (one,)
        if one > two:  # skipped
            return (_end_of_gap(two, one, self._tz),)
        return (one, two) if self.cron.split()[1].startswith("*") else (one,)


def _cron(expression: str, after: datetime) -> Iterator[datetime] | None:
    """What an expression names after a time; None where it names nothing, ever."""
    from cronsim import CronSim, CronSimError  # noqa: PLC0415  # 12 ms that few commands need

    try:
        return CronSim(expression, after)
    except CronSimError:
        return None


def _on_the_wall(moment: float, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(moment, zone).replace(tzinfo=None, fold=0, microsecond=0)


def _end_of_gap(before: float, after: float, zone: ZoneInfo) -> float:
    """The moment, to the minute, at which clocks are set forward between these two."""
    low, high = int(before) // 60, int(after) // 60
    offset = _offset(low * 60, zone)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(middle * 60, zone) == offset else (low, middle)
    return high * 60.0


def _offset(moment: float, zone: ZoneInfo) -> timedelta | None:
    return datetime.fromtimestamp(moment, UTC).astimezone(zone).utcoffset()
