"""Mishaps to order, for tests: what a hook answers decides what becomes of a call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from backends.spdk.simulator.errors import RpcError
from backends.spdk.simulator.wire import Call, Members, Number, Value


@dataclass(frozen=True, slots=True)
class DropBefore:
    """The connection ends, and the call is not executed."""


@dataclass(frozen=True, slots=True)
class DropAfter:
    """The call is executed; instead of its answer the connection ends."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The call is answered with this error, and not executed."""

    code: int
    message: str

    @property
    def error(self) -> RpcError:
        return RpcError(self.code, self.message)


@dataclass(frozen=True, slots=True)
class Hold:
    """The call is executed; its answer comes so many seconds later, or never."""

    seconds: float | None = None


Fault: TypeAlias = DropBefore | DropAfter | Refuse | Hold
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
