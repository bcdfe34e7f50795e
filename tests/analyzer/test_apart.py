"""Values before and after, as reports show them."""

from __future__ import annotations

import pytest

from analyzer.render.apart import LONGEST, told_apart

ROUTE = "Host(`storage.example.com`) && PathPrefix(`/v2/volumes`) && Method(`GET`) && HeaderRegexp(`X-Team`, `^team-`)"
LONG = "x" * 200


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (None, 3, (None, "3")),
        ({"b": 1, "a": 2}, "a", ('{"a":2,"b":1}', "a")),
        ("", "a", ("", "a")),
    ],
)
def test_short_values_are_shown_whole(before: object, after: object, shown: tuple[str | None, str | None]) -> None:
    """What fits is not touched, and nothing stays nothing."""
    assert told_apart(before, after) == shown


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (ROUTE, ROUTE.replace("v2", "v1")),
        (LONG + "a" + LONG, LONG + "b" + LONG),
        (LONG + LONG, LONG + LONG + LONG),
        (LONG + "a", LONG + "b"),
        ("a" + LONG, "b" + LONG),
    ],
)
def test_what_differs_is_seen(before: str, after: str) -> None:
    """A change deep inside a long value does not look like none."""
    old, new = told_apart(before, after)
    assert old is not None
    assert new is not None
    assert old != new
    assert max(len(old), len(new)) <= LONGEST
