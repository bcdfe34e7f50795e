"""The circuit breaker as a value: when it opens, when one write is tried, when it closes."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from reconciler.breaker import (
    CLOSED,
    FAILURES,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    RESOURCES,
    WITHIN,
    Breaker,
    breaker_of,
    noted,
)

ENDS = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from([None, "refused"]), st.floats(0, 400)))


def failures(*names: str) -> list[tuple[str, str | None]]:
    return [(name, f"{name} was refused") for name in names]


def test_it_opens_after_several_resources_failed_in_a_row() -> None:
    """Guards the threshold: so many failures of so many resources, none successful between."""
    assert not noted(CLOSED, failures("a", "b", "c", "a"), 0.0).is_open
    opened = noted(CLOSED, failures("a", "b", "c", "a", "b"), 7.0)
    assert (opened.opened, opened.probe_at, opened.last_error) == (7.0, 7.0 + FIRST_PAUSE, "b was refused")
    assert not noted(CLOSED, [*failures("a", "b", "c", "a"), ("d", None), *failures("b")], 0.0).is_open


def test_one_resource_alone_never_opens_it() -> None:
    """Guards everybody else: a manifest that cannot be carried out backs off by itself."""
    assert not noted(CLOSED, failures(*"ababababab"), 0.0).is_open


def test_what_failed_long_ago_does_not_count() -> None:
    """Guards the window."""
    before = noted(CLOSED, failures("a", "b", "c", "d"), 0.0)
    assert not noted(before, failures("e"), WITHIN + 1).is_open


def test_pauses_grow_and_a_success_ends_it() -> None:
    """Guards the probe: each failure doubles the pause up to the longest, and one success closes the circuit."""
    breaker, now, pauses = noted(CLOSED, failures("a", "b", "c", "d", "e"), 0.0), 0.0, []
    for _ in range(8):
        assert not breaker.may_probe(breaker.probe_at - 1)
        now = breaker.probe_at
        assert breaker.may_probe(now)
        breaker = noted(breaker, failures("a"), now)
        pauses.append(breaker.pause)
    assert pauses == [120.0, 240.0, 480.0, 960.0, 1800.0, 1800.0, 1800.0, LONGEST_PAUSE]
    assert noted(breaker, [("a", None)], now) == CLOSED


def test_answers_to_what_was_sent_before_it_opened_do_not_prolong_it() -> None:
    """Guards a thousand writes that fail together: they open it once."""
    together = noted(CLOSED, failures(*(f"v{n}" for n in range(1000))), 5.0)
    assert (together.probe_at, len(together.failed)) == (5.0 + FIRST_PAUSE, 2 * FAILURES)


@given(ENDS)
def test_it_survives_being_written_down(ends: list[tuple[str, str | None, float]]) -> None:
    """Guards a restart of the daemon: what is stored is what was; and it is open only for a reason."""
    breaker, now = CLOSED, 0.0
    for resource, error, later in ends:
        now += later
        breaker = noted(breaker, [(resource, error)], now)
        assert breaker_of(json.loads(json.dumps(breaker.to_json()))) == breaker
        assert error is not None or breaker == CLOSED
        assert not breaker.is_open or len(breaker.failed) >= FAILURES >= RESOURCES
    assert isinstance(breaker, Breaker)
