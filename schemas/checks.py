"""Checks across fields that JSON Schema has no short words for: `x-checks`, a list of {name: argument} on a mapping or
a list. Most of them are what the CRDs of others state in CEL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

Steps: TypeAlias = tuple[str | int, ...]
Broken: TypeAlias = tuple[Steps, str]  # where, seen from the value that was checked, and what is wrong in words
Check: TypeAlias = Callable[[Any, Any], Iterator[Broken]]


def _at_most_one(value: Mapping[str, Any], names: list[str]) -> Iterator[Broken]:
    given = [name for name in names if name in value]
    if len(given) > 1:
        yield (given[1],), f"at most one of {_listed(names)} may be given; {_all(given)} are"


def _at_least_one(value: Mapping[str, Any], names: list[str]) -> Iterator[Broken]:
    if not any(name in value for name in names):
        yield (), f"one of {_listed(names)} is needed"


def _only_with(value: Mapping[str, Any], wanted: list[str]) -> Iterator[Broken]:
    field, other, needed = wanted
    if field in value and value.get(other) != needed:
        yield (field,), f'"{field}" can only be given where "{other}" is "{needed}"'


def _not_both(value: Mapping[str, Any], names: list[str]) -> Iterator[Broken]:
    if all(value.get(name) for name in names):
        yield (names[1],), f"{_all(names)} exclude each other"


def _one_of_both(value: Mapping[str, Any], names: list[str]) -> Iterator[Broken]:
    if not any(value.get(name) for name in names):
        yield (), f"one of {_listed(names)} is needed, and neither false nor empty"


def _required_unless(value: Mapping[str, Any], names: list[str]) -> Iterator[Broken]:
    """The first is needed where none of the others is there, which belong to an older form."""
    if not any(name in value for name in names):
        yield (), f'"{names[0]}" is missing'


def _unique(value: list[Any], field: str) -> Iterator[Broken]:
    seen: dict[str, int] = {}
    for index, item in enumerate(value):
        name = item.get(field) if isinstance(item, Mapping) else None
        if not isinstance(name, str):
            continue
        if name in seen:
            yield (index, field), f'"{name}" is in the list twice'
        seen.setdefault(name, index)


def _one_without(value: list[Any], field: str) -> Iterator[Broken]:
    bare = [index for index, item in enumerate(value) if isinstance(item, Mapping) and not item.get(field)]
    if len(bare) > 1:
        yield (bare[1],), f'only one entry may be without "{field}"; the first is number {bare[0] + 1}'


_OF_MAPPINGS: Mapping[str, Check] = {
    "atMostOne": _at_most_one,
    "atLeastOne": _at_least_one,
    "onlyWith": _only_with,
    "notBoth": _not_both,
    "oneOfBoth": _one_of_both,
    "requiredUnless": _required_unless,
}
_OF_LISTS: Mapping[str, Check] = {"unique": _unique, "oneWithout": _one_without}
CHECKS = _OF_MAPPINGS.keys() | _OF_LISTS.keys()


def broken(value: object, checks: list[dict[str, Any]]) -> Iterator[Broken]:
    """What is wrong with a value; of one that is neither a mapping nor a list the schema itself tells."""
    table = _OF_MAPPINGS if isinstance(value, Mapping) else _OF_LISTS if isinstance(value, list) else {}
    for check in checks:
        for name, argument in check.items():
            if name in table:
                yield from table[name](value, argument)


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _all(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
