"""JSON values ↔ calls and answers: JSON-RPC 2.0 as observed on SPDK v26.05."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeGuard

from backends.spdk.simulator import errors
from schemas.resources import Json

MAX_ANSWER: Final = 33_554_432  # bytes; what is longer is cut there, without its newline


class Number(str):
    """A JSON number exactly as it was written: an id is echoed verbatim, and 1e3 is as good an integer as 1000."""

    __slots__ = ()


class Members(tuple[tuple[str, "Value"], ...]):
    """A JSON object in the order of its members, duplicates kept: each method has its own way to refuse them."""

    __slots__ = ()


Value: TypeAlias = "Members | list[Value] | str | bool | None"  # numbers are Number, a str

_decode = json.JSONDecoder(object_pairs_hook=Members, parse_int=Number, parse_float=Number).decode


@dataclass(frozen=True, slots=True)
class Call:
    """One request that may be executed. `id` is the text to echo; None asks for no answer on success."""

    id: str | None
    method: str
    params: Members | list[Value] | None


@dataclass(frozen=True, slots=True)
class Invalid:
    """One request that is answered -32600."""

    id: str | None = None


def read(text: bytes) -> Call | Invalid | list[Call | Invalid]:
    """What one JSON value asks for: a call, or a batch of them."""
    match _decode(text.decode()):
        case Members() as members:
            return _read_call(members)
        case []:
            return Invalid()
        case list() as batch:
            return [_read_call(element) if isinstance(element, Members) else Invalid() for element in batch]
        case _:
            return Invalid()


def _read_call(members: Members) -> Call | Invalid:
    """Observed: an extra or duplicate member, a version other than "2.0", or an id of another type lose the id, too."""
    request = dict(members)
    if len(request) != len(members) or not request.keys() <= {"jsonrpc", "method", "params", "id"}:
        return Invalid()
    version, method, params = request.get("jsonrpc", "2.0"), request.get("method"), request.get("params")
    name = request.get("id")
    if not (is_text(version) and version == "2.0" and is_text(method) and (name is None or isinstance(name, str))):
        return Invalid()
    id_ = name if isinstance(name, Number) else None if name is None else encode(name)
    if params is not None and not isinstance(params, Members | list):
        return Invalid(id_)
    return Call(id_, method, params)


def is_text(value: Value) -> TypeGuard[str]:
    """A JSON string; a Number is a str, too, and is none."""
    return isinstance(value, str) and not isinstance(value, Number)


_ESCAPES = re.compile(r"\\\\|\\u[0-9a-f]{4}|\x7f")


def encode(value: Json) -> str:
    """JSON as the target writes it: no spaces, everything outside printable ASCII escaped with capital digits."""
    text = json.dumps(value, separators=(",", ":"))
    return _ESCAPES.sub(_escape, text) if "\\u" in text or "\x7f" in text else text


def _escape(match: re.Match[str]) -> str:
    found = match.group()
    return {"\x7f": "\\u007F", "\\\\": found}.get(found) or "\\u" + found[2:].upper()


def result_of(call: Call, result: Json) -> str | None:
    """The answer to a call that went well; None for a notification."""
    return None if call.id is None else f'{{"jsonrpc":"2.0","id":{call.id},"result":{encode(result)}}}'


def refusal_of(call: Call | Invalid, error: errors.RpcError) -> str:
    """The answer to a call that failed. A notification gets one, too, with a null id."""
    detail = encode({"code": error.code, "message": error.message})
    return f'{{"jsonrpc":"2.0","id":{call.id or "null"},"error":{detail}}}'


def line_of(answer: str) -> bytes:
    """An answer as it goes out. Beyond 32 MiB it is cut and loses its newline: a client that waits for one hangs."""
    return (answer + "\n").encode("ascii")[:MAX_ANSWER]
