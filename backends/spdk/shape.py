"""Reading JSON answers with their types checked: a null flag is not false, an object is not an empty list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from backends.contract import Terminal

T = TypeVar("T")
Raw: TypeAlias = "Mapping[str, Any]"


class Malformed(Terminal):
    """An answer does not have the shape that SPDK documents."""


class shape:  # noqa: N801  # reads as what it is: `with _shape("method"):`
    def __init__(self, method: str) -> None:
        self._method = method

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, (KeyError, TypeError, ValueError)):
            raise Malformed(f"{self._method}: the answer has an unexpected shape ({error!r})") from error


def typed(value: object, kind: type[T]) -> T:
    if type(value) is not kind:
        raise TypeError(f"{value!r:.60} is no {kind.__name__}")
    return value


def text(raw: Raw, name: str) -> str:
    return typed(raw[name], str)


def number(raw: Raw, name: str) -> int:
    return typed(raw[name], int)


def optional(raw: Raw, name: str, kind: type[T]) -> T | None:
    """What not every version, or not every transport, tells."""
    return typed(raw[name], kind) if name in raw else None


def flag(raw: Raw, name: str) -> bool:
    return typed(raw[name], bool)


def mapping(value: object) -> Raw:
    return typed(value, dict)


def items(value: object) -> Sequence[object]:
    return typed(value, list)


def objects(value: object) -> Iterator[Raw]:
    return map(mapping, items(value))
