"""Values of the analyzer as JSON, and back, for what is kept between runs. Only these types are ever made."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Any

from analyzer.edges import Reference
from analyzer.finding import Confidence, Location, Severity
from analyzer.rule import Hit
from analyzer.suppression import Lines, Selector, Suppression
from schemas.resources import ResourceKey

_TYPES: Mapping[str, type] = MappingProxyType(
    {kind.__name__: kind for kind in (Hit, Lines, Location, Reference, Selector, Suppression)}
)
_KEY, _SEVERITY, _CONFIDENCE, _DATE = "k", "s", "c", "d"


def pack(value: Any) -> Any:  # noqa: ANN401, PLR0911  # any value of ours; one arm for each sort
    """A value as JSON: a tuple becomes a list, and anything else that JSON lacks {its type: what it is made of}."""
    if value is None or type(value) in (str, int, bool, float):
        return value
    if type(value) is ResourceKey:
        return {_KEY: list(value)}
    if type(value) in (tuple, list, frozenset):
        return [pack(item) for item in value]
    if isinstance(value, Severity):
        return {_SEVERITY: int(value)}
    if isinstance(value, Confidence):
        return {_CONFIDENCE: value.name}
    if isinstance(value, date):
        return {_DATE: value.isoformat()}
    name = type(value).__name__
    if _TYPES.get(name) is not type(value):
        raise TypeError(f"{name} is not kept between runs")
    return {name: [pack(getattr(value, field)) for field in _fields(name)]}


def unpack(value: Any) -> Any:  # noqa: ANN401, PLR0911  # see above
    if isinstance(value, list):
        return tuple(map(unpack, value))
    if not isinstance(value, dict):
        return value
    [(name, inside)] = value.items()
    if name == _KEY:
        return ResourceKey(*inside)
    if name == _SEVERITY:
        return Severity(inside)
    if name == _CONFIDENCE:
        return Confidence[inside]
    if name == _DATE:
        return date.fromisoformat(inside)
    return _TYPES[name](*map(unpack, inside))


@functools.cache
def _fields(name: str) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(_TYPES[name]))
