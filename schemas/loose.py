"""Values whose form nobody has checked, read as what is wanted: one of another form counts as empty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def texts(value: object) -> tuple[str, ...]:
    """The items of a list, each as a text."""
    return tuple(map(str, items(value)))
