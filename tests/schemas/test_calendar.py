"""When schedules run: against a brute-force search through every minute, in zones that set their clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.calendar import Calendar, parse_cron, parse_zone

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns")
MINUTE = timedelta(minutes=1)
crons = st.builds(
    lambda minute, hour, day, weekday: f"{minute} {hour} {day} * {weekday}",
    st.sampled_from(["0", "30", "15,45", "*/20", "59"]),
    st.sampled_from(["*", "2", "1,2,3", "*/2", "0", "23"]),
    st.sampled_from(["*", "1", "*/5", "L"]),
    st.sampled_from(["*", "*", "0", "1-5", "SUN"]),
)
START = datetime(2026, 1, 1, tzinfo=UTC)
CHANGES = [  # near which clocks are set
    datetime(2026, 3, 29, tzinfo=UTC),
    datetime(2026, 10, 25, tzinfo=UTC),
    datetime(2026, 3, 8, tzinfo=UTC),
    datetime(2026, 11, 1, tzinfo=UTC),
    datetime(2026, 4, 4, tzinfo=UTC),
    datetime(2026, 10, 3, tzinfo=UTC),
]


def field(text: str, value: int, low: int, names: dict[str, int]) -> bool:
    """Whether one field of a cron expression names a value: comma, range, step and name, and nothing else."""
    for part in text.split(","):
        body, _, step = part.partition("/")
        first, _, last = body.partition("-")
        begin = low if body == "*" else names.get(first) if first in names else int(first)
        assert begin is not None
        end = 99 if body == "*" else int(last) if last else begin
        if begin <= value <= end and (value - begin) % int(step or 1) == 0:
            return True
    return False


def named(cron: str, wall: datetime) -> bool:
    """Whether an expression names a time on the wall."""
    minute, hour, day, _, weekday = cron.split()
    last = (wall + timedelta(days=1)).month != wall.month
    by_day = last if day == "L" else field(day, wall.day, 1, {})
    by_weekday = field(weekday, wall.isoweekday() % 7, 0, {"SUN": 0})
    restricted = not day.startswith("*") and not weekday.startswith("*")
    days = by_day or by_weekday if restricted else by_day and by_weekday
    return field(minute, wall.minute, 0, {}) and field(hour, wall.hour, 0, {}) and days


def brute(cron: str, zone: str, begin: datetime, end: datetime) -> list[float]:
    """Every minute of the world, one after another, and what the wall shows or skips in it."""
    tz, found = ZoneInfo(zone), set[float]()
    both = cron.split()[1].startswith("*")
    shown = set[datetime]()
    moment = begin - timedelta(hours=4)
    before = moment.astimezone(tz).replace(tzinfo=None)
    while moment <= end:
        wall = moment.astimezone(tz).replace(tzinfo=None)
        skipped = before + MINUTE
        while skipped < wall:  # the clocks were set forward: what was skipped is run now
            if named(cron, skipped):
                found.add(moment.timestamp())
            skipped += MINUTE
        if named(cron, wall) and (both or wall not in shown):
            found.add(moment.timestamp())
        shown.add(wall)
        before, moment = wall, moment + MINUTE
    return sorted(m for m in found if begin.timestamp() < m <= end.timestamp())


@settings(max_examples=60, deadline=None, derandomize=True)
@given(crons, st.sampled_from(ZONES), st.sampled_from(CHANGES), st.integers(-36, 36))
@example("30 2 * * *", "Europe/Berlin", CHANGES[0], 0)
@example("30 2 * * *", "Europe/Berlin", CHANGES[1], 0)
@example("*/20 1,2,3 * * *", "Australia/Lord_Howe", CHANGES[5], 12)
def test_every_moment_is_the_one_that_the_wall_shows(cron: str, zone: str, near: datetime, hours: int) -> None:
    """Guards daylight saving: skipped times run once when clocks go on, times shown twice run once, and no other."""
    begin = near + timedelta(hours=hours)
    end = begin + timedelta(hours=40)
    calendar, expected = Calendar(cron, zone), brute(cron, zone, begin, end)
    assert calendar.between(begin.timestamp(), end.timestamp()) == expected
    if expected:
        assert calendar.next(begin.timestamp()) == expected[0]
        assert calendar.latest(end.timestamp()) == expected[-1]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(crons, st.sampled_from(ZONES), st.integers(0, 400 * 1440))
def test_next_and_latest_meet(cron: str, zone: str, minutes: int) -> None:
    """Guards that no run is skipped or invented between two looks, at whatever second somebody looks."""
    now = START.timestamp() + minutes * 60 + 7
    calendar = Calendar(cron, zone)
    upcoming, last = calendar.next(now), calendar.latest(now)
    assert upcoming is not None
    assert last is not None
    assert last <= now < upcoming
    assert calendar.latest(upcoming) == upcoming
    assert calendar.latest(upcoming - 1) == last
    assert calendar.next(last) == upcoming


def test_a_day_that_never_comes_is_never() -> None:
    """Guards the 31st of April: an expression, and no moment."""
    calendar = Calendar(parse_cron("0 0 31 4,6 *"))
    assert (calendar.next(START.timestamp()), calendar.latest(START.timestamp())) == (None, None)


@pytest.mark.parametrize("text", ["61 * * * *", "@daily", "* * * *", "0 0 * * 8", "a b c d e", "0 0 * * * *", ""])
def test_what_is_no_cron_expression(text: str) -> None:
    """Guards the door: what cron would not take is refused."""
    with pytest.raises(ValueError, match=r"."):
        parse_cron(text)


@pytest.mark.parametrize("name", ["Europe/Berln", "../../etc/passwd", "CET-1"])
def test_what_is_no_time_zone(name: str) -> None:
    """Guards the door: a zone that nobody knows is refused, and no file is read for it."""
    with pytest.raises(ValueError, match=r"zone|key"):
        parse_zone(name)
