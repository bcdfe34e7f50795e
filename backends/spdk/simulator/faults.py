"""Mishaps to order, for tests: what a hook answers decides what becomes of a call.

A plan orders them in words, one mishap a line (or between semicolons), `#` begins a comment:

    METHOD WHEN WHAT

METHOD is a method, or * for any. WHEN counts its calls from 1, over restarts: 3, 2-4, or 5+. WHAT is one of

    drop-before            the connection ends, nothing is done
    drop-after             it is done, then the connection ends
    error CODE MESSAGE     it is refused, nothing is done
    deny CODE MESSAGE      it is done, and answered as if it were refused
    pretend JSON           it is answered with this result, nothing is done
    delay SECONDS          it is done, the answer comes late
    late SECONDS           it is done late
    hang                   it is done, no answer ever comes
    restart-before [SECONDS]   the target dies before doing it, and is back after so long
    restart-after [SECONDS]    it is done, then the target dies, and is back after so long
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from backends.spdk.simulator.errors import RpcError
from backends.spdk.simulator.wire import Call, Members, Number, Value
from schemas.resources import Json


@dataclass(frozen=True, slots=True)
class DropBefore:
    """The connection ends, and the call is not executed."""


@dataclass(frozen=True, slots=True)
class DropAfter:
    """The call is executed; instead of its answer the connection ends."""


@dataclass(frozen=True, slots=True)
class _Error:
    code: int
    message: str

    @property
    def error(self) -> RpcError:
        return RpcError(self.code, self.message)


class Refuse(_Error):
    """The call is answered with this error, and not executed."""


class Deny(_Error):
    """The call is executed, and answered with this error all the same."""


@dataclass(frozen=True, slots=True)
class Pretend:
    """The call is answered with this result, and not executed."""

    result: Json = True


@dataclass(frozen=True, slots=True)
class Hold:
    """The call is executed; its answer comes so many seconds later, or never."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Late:
    """The call is executed so many seconds later."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Restart:
    """The target dies with all its connections, before or after the call is executed, and comes back by itself."""

    seconds: float = 0.0
    after: bool = True


Fault: TypeAlias = DropBefore | DropAfter | Refuse | Deny | Pretend | Hold | Late | Restart
Params: TypeAlias = "dict[str, Any]"
Hook: TypeAlias = "Callable[[str, Params], Fault | None]"  # method and parameters → what to do, or None for nothing


def params_of(call: Call) -> Params:
    """Parameters as plain values."""
    plain = _plain(call.params)
    return plain if isinstance(plain, dict) else {}


def _plain(value: Value) -> Any:  # noqa: ANN401  # any JSON
    match value:
        case Members():
            return {name: _plain(member) for name, member in value}
        case list():
            return [_plain(element) for element in value]
        case Number():
            return int(value) if value.lstrip("-").isdigit() else float(value)
        case _:
            return value


WORDS: Final[Mapping[str, Fault]] = {"drop-before": DropBefore(), "drop-after": DropAfter(), "hang": Hold()}


class PlanError(ValueError):
    """A line of a plan that cannot be understood."""


@dataclass(slots=True)
class Order:
    """One line of a plan: asked about each call of its method, it strikes at those that it counts."""

    method: str
    first: int
    last: int | None
    fault: Fault
    seen: int = field(default=0)

    def __call__(self, _method: str, _params: Params) -> Fault | None:
        self.seen += 1
        is_due = self.first <= self.seen and (self.last is None or self.seen <= self.last)
        return self.fault if is_due else None


def parse_plan(text: str) -> list[Order]:
    """A plan in words, line by line."""
    lines = (line.strip() for part in text.splitlines() for line in part.partition("#")[0].split(";"))
    return [_parse(line) for line in lines if line]


def _parse(line: str) -> Order:
    words = line.split(maxsplit=3)
    if len(words) < 3:
        raise PlanError(f"{line!r} is not METHOD WHEN WHAT")
    method, when, what, *rest = words
    try:
        first, last = _parse_when(when)
        fault = _parse_what(what, rest[0] if rest else "")
    except ValueError as error:
        raise PlanError(f"{line!r}: {error}") from error
    return Order(method, first, last, fault)


def _parse_when(text: str) -> tuple[int, int | None]:
    first, dash, last = text.removesuffix("+").partition("-")
    if not first.isdigit() or (dash and not last.isdigit()) or (dash and text.endswith("+")) or int(first) < 1:
        raise ValueError(f"{text} is none of 3, 2-4, 5+")
    return int(first), None if text.endswith("+") else int(last or first)


def _parse_what(what: str, rest: str) -> Fault:
    match what:
        case "drop-before" | "drop-after" | "hang" if not rest:
            return WORDS[what]
        case "delay":
            return Hold(_seconds(rest))
        case "late":
            return Late(_seconds(rest))
        case "restart-before" | "restart-after":
            return Restart(_seconds(rest or "0"), after=what == "restart-after")
        case "error" | "deny":
            code, _, message = rest.partition(" ")
            return (Refuse if what == "error" else Deny)(int(code), message)
        case "pretend":
            return Pretend(json.loads(rest))
        case _:
            raise ValueError(f"{what} {rest} is no mishap".replace("  ", " "))


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"{text} is no time")
    return seconds
