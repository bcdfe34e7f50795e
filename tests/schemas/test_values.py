"""Values that are cheap to make."""

from __future__ import annotations

import dataclasses
from dataclasses import field

import pytest

from schemas.values import value


@value(frozen=True, slots=True)
class Point:
    x: int
    y: int = 0
    seen: int = field(default=0, compare=False)


def test_a_value_is_what_is_in_it() -> None:
    """Guards that values work as keys and are compared as frozen dataclasses are: without what is not compared."""
    assert Point(1) == Point(1, 0, seen=7) != Point(1, 2)
    assert {Point(1): "a"}[dataclasses.replace(Point(1, seen=1), seen=2)] == "a"
    assert not hasattr(Point(1), "__dict__")


def test_only_what_is_frozen_is_a_value() -> None:
    """Guards against a type that the checker lets anybody change, and that is hashed by content all the same."""
    with pytest.raises(TypeError, match="a value is frozen"):
        value(frozen=False, slots=True)
