"""Which snapshots are kept: against an independent count, and what must never be lost by keeping on."""

from __future__ import annotations

from datetime import datetime
from itertools import groupby
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.retention import Retain, kept
from schemas.calendar import Calendar

ZONES = ("UTC", "Europe/Berlin", "Pacific/Auckland")
FORMS = {"hourly": "%Y %m %d %H %z", "daily": "%Y %m %d", "weekly": "%G %V", "monthly": "%Y %m"}
START = 1_790_000_000 // 60 * 60
counts = st.integers(0, 6)
retains = st.builds(Retain, counts, counts, counts, counts, counts, st.sampled_from(ZONES))
moments = st.sets(st.integers(0, 400 * 24 * 4).map(lambda quarter: START + quarter * 900.0), max_size=80)


def brute(found: set[float], retain: Retain) -> set[float]:
    """By sorting and grouping the calendar's own words."""
    ordered = sorted(found)
    wanted = set(ordered[len(ordered) - min(max(1, retain.last), len(ordered)) :])
    for name, form in FORMS.items():
        zone = ZoneInfo(retain.zone)
        groups = groupby(ordered, key=lambda at, form=form, zone=zone: datetime.fromtimestamp(at, zone).strftime(form))
        lasts = [[*group][-1] for _, group in groups]
        number = getattr(retain, name)
        wanted |= set(lasts[-number:]) if number else set()
    return wanted


@settings(max_examples=300, deadline=None, derandomize=True)
@given(moments, retains)
def test_as_an_independent_count_says(found: set[float], retain: Retain) -> None:
    """Guards every period in every zone."""
    assert kept(found, retain) == brute(found, retain)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(moments, retains)
def test_pruning_is_done_once_and_for_all(found: set[float], retain: Retain) -> None:
    """Guards against creeping loss: what was kept is still kept when the rest is gone, and so is the newest."""
    wanted = kept(found, retain)
    assert kept(wanted, retain) == wanted
    if found and any((retain.last, retain.hourly, retain.daily, retain.weekly, retain.monthly)):
        assert max(found) in wanted


@settings(max_examples=25, deadline=None, derandomize=True)
@given(retains, st.sampled_from(["0 * * * *", "0 2 * * *", "30 */6 * * *", "0 3 * * 1"]), st.integers(0, 3000))
def test_pruning_at_every_run_loses_nothing_that_pruning_at_the_end_would_keep(
    retain: Retain, cron: str, hours: int
) -> None:
    """Guards a long life: as many days, weeks and months are there as if nothing had ever been pruned before."""
    begin = START + hours * 3600.0
    runs = Calendar(cron, retain.zone).between(begin, begin + 60 * 86400.0)
    alive: set[float] = set()
    for moment in runs:
        alive = set(kept({*alive, moment}, retain))
    assert alive == kept(runs, retain)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(moments, retains, retains)
def test_what_is_looser_keeps_all_that_what_is_stricter_keeps(found: set[float], one: Retain, other: Retain) -> None:
    """Guards the order: more of everything never keeps less."""
    names = ("last", "hourly", "daily", "weekly", "monthly")
    more = Retain(*(max(getattr(one, name), getattr(other, name)) for name in names), zone=one.zone)
    assert kept(found, one) <= kept(found, more)
