"""The timeline: what is drawn where."""

from __future__ import annotations

from reconciler.history import DriftRecord, Event
from reconciler.serve.timeline import SHORTEST, SLIM, WIDTH, Mark, Timeline, timeline

NOW = 1_000_000.0


def record(number: int, detected: float, closed: float | None, clean: float | None = None) -> DriftRecord:
    return DriftRecord(
        number, "node-1", "qos p/v", "Volume t/v", "Modified", (), clean, detected, closed, "Corrected", ""
    )


def event(reason: str, at: float, target: str = "node-1") -> Event:
    return Event(reason, "m", target, at=at, id=int(at))


def marks(line: Timeline | None, target: str = "node-1") -> list[Mark]:
    assert line is not None
    return list(dict(line.lanes).get(target, ()))


def test_without_history_there_is_no_timeline() -> None:
    """Guards the first second: nothing is drawn of nothing."""
    assert timeline([], [], NOW) is None
    assert timeline([], [event("Converged", NOW)], NOW) is None


def test_a_drift_spans_its_life_and_the_time_in_which_it_began() -> None:
    """Guards drift marks: onset from the last clean look to detection, then until it was closed."""
    line = timeline([record(7, NOW - 600, NOW - 300, clean=NOW - 900)], [], NOW)

    onset, life = marks(line)
    assert (onset.kind, life.kind, life.link) == ("onset", "closed", "#drift-7")
    assert onset.x < life.x == round(onset.x + onset.width, 1)
    assert abs(onset.width - life.width) < 0.2
    assert life.x + life.width < WIDTH


def test_an_open_drift_reaches_to_now_and_a_short_one_can_be_seen() -> None:
    """Guards the ends: what is open ends at the right edge; a moment is as wide as can be seen, and stays inside."""
    line = timeline([record(2, NOW, NOW), record(1, NOW - 60, None)], [], NOW)

    moment, going_on = marks(line)
    assert (moment.width, moment.x + moment.width) == (SLIM, WIDTH)
    assert (going_on.kind, going_on.x + going_on.width) == ("open", WIDTH)
    assert line is not None
    assert line.start <= NOW - SHORTEST


def test_an_absence_lasts_from_the_first_failure_to_the_answer() -> None:
    """Guards unreachable targets: several failures in a row are one absence; one that goes on reaches to now."""
    events = [
        event("TargetUnreachable", NOW - 10, "node-2"),
        event("TargetReachable", NOW - 100),
        event("TargetUnreachable", NOW - 200),
        event("TargetUnreachable", NOW - 400),
        event("TargetReachable", NOW - 500),
        event("TargetUnreachable", NOW - 550),
    ]

    line = timeline([], events, NOW)

    latest, earlier = marks(line)
    assert {latest.kind, earlier.kind} == {"away"}
    assert round(latest.width / earlier.width) == 6
    (away,) = marks(line, "node-2")
    assert away.x + away.width == WIDTH


def test_nothing_is_drawn_of_a_time_that_is_not_known_completely() -> None:
    """Guards honesty: where the lists were cut the timeline begins; an empty stretch means that nothing happened."""
    drifts = [record(2, NOW - 100, NOW - 50), record(1, NOW - 90_000, NOW - 80_000)]

    line = timeline(drifts, [event("RevisionAccepted", NOW - 70_000, "")], NOW, since=NOW - 2_000)

    assert line is not None
    assert line.start == NOW - 2_000
    assert [name for name, _ in line.lanes] == ["node-1"]
    assert len(marks(line)) == 1


def test_a_short_past_is_not_stretched_into_what_is_not_known() -> None:
    """Guards busy minutes: where the lists were cut a moment ago, the axis is a moment long and not ten minutes."""
    events = [event("Applied", NOW - second) for second in range(30)]

    line = timeline([], events, NOW, since=NOW - 20)
    instant = timeline([], [event("Applied", NOW), event("Applied", NOW - 5)], NOW, since=NOW)

    assert line is not None
    assert line.start == NOW - 20
    assert instant is not None
    assert 0 < instant.end - instant.start <= 1


def test_an_absence_that_began_too_long_ago_begins_at_the_left_end() -> None:
    """Guards cut lists: an answer whose first failure is no longer known still ends an absence."""
    line = timeline([], [event("TargetReachable", NOW - 100), event("Applied", NOW - 400, "")], NOW, since=NOW - 300)

    (away,) = marks(line)
    assert (away.kind, away.x) == ("away", 0)
    assert round(away.width) == round(WIDTH * 2 / 3)


def test_only_so_many_lanes_are_drawn() -> None:
    """Guards large sites: the site's own lane comes first, the rest is counted."""
    line = timeline(
        [], [event("Applied", NOW, f"n{i:03}") for i in range(40)] + [event("RevisionRejected", NOW, "")], NOW
    )

    assert line is not None
    assert (len(line.lanes), line.more, line.lanes[0][0]) == (12, 29, "")
