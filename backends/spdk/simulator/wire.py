"""Bytes ↔ calls: JSON-RPC 2.0 framed by JSON itself, as observed on SPDK v26.05.

Requests need no separator and may be split anywhere; every answer is one line. Whatever is not strict JSON ends the
connection without a word, so the scanner validates each byte exactly once (linear, whatever the pieces) and the
decoder below it never meets anything malformed.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeGuard

from backends.spdk.simulator import errors
from schemas.resources import Json

MAX_REQUEST: Final = 262_144  # bytes that the target's receive buffer holds
MAX_VALUES: Final = 8_192  # JSON values in a request; begin and end of a container count as one each, so does a name
MAX_ANSWER: Final = 33_554_432  # bytes; what is longer is cut there, without its newline
MAX_DEPTH: Final = 64


class Malformed(Exception):
    """The stream cannot be read on: the connection closes silently."""


class Number(str):
    """A JSON number exactly as it was written: an id is echoed verbatim, and 1e3 is as good an integer as 1000."""

    __slots__ = ()


class Members(list[tuple[str, "Value"]]):
    """A JSON object in the order of its members, duplicates kept: they must be refused, and by whom depends on the method."""

    __slots__ = ()


Value: TypeAlias = "Members | list[Value] | str | bool | None"  # numbers are Number, a str


class _State(enum.Enum):
    VALUE = enum.auto()
    FIRST_VALUE = enum.auto()  # after `[`: a value or `]`
    NAME = enum.auto()
    FIRST_NAME = enum.auto()  # after `{`: a name or `}`
    COLON = enum.auto()
    NEXT = enum.auto()  # a comma, or the end of the container


_SPACE = re.compile(rb"[ \t\r\n]*+")
_TEXT = re.compile(  # characters and escapes of a string: valid UTF-8, no control characters, surrogates in pairs
    rb"(?:[\x20!\x23-\x5b\x5d-\x7f]++"
    rb"|\\(?:[\"\\/bfnrt]|u(?:[0-9a-cA-Ce-fE-F][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}"
    rb"|[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}))"
    rb"|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2})*+"
)
_TEXT_BEGUN = re.compile(rb"\\(?:u[0-9a-fA-F]{0,4}(?:\\(?:u[0-9a-fA-F]{0,3})?)?)?|[\xc2-\xf4][\x80-\xbf]{0,2}")
_DIGITS = re.compile(rb"[-+0-9.eE]*+")
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_NUMBER_BEGUN = re.compile(rb"-|-?(?:0|[1-9][0-9]*)(?:\.|(?:\.[0-9]+)?[eE][-+]?)")
_LITERALS: Final = {0x74: b"true", 0x66: b"false", 0x6E: b"null"}
_QUOTE, _COMMA, _COLON = b'",:'
_OPEN_OBJECT, _CLOSE_OBJECT, _OPEN_ARRAY, _CLOSE_ARRAY = b"{}[]"
_CLOSES: Final = {_CLOSE_OBJECT: _OPEN_OBJECT, _CLOSE_ARRAY: _OPEN_ARRAY}
_NUMBER_STARTS: Final = frozenset(b"-0123456789")
_VALUE_STATES: Final = frozenset({_State.VALUE, _State.FIRST_VALUE})
_NAME_STATES: Final = frozenset({_State.NAME, _State.FIRST_NAME})


class Scanner:
    """Cuts a stream into complete JSON values, looking at every byte once. Raises Malformed where a live target would close."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._begin_value()

    @property
    def room(self) -> int:
        """Bytes that the receive buffer can still take. None left means that an unfinished value can never end."""
        return MAX_REQUEST - len(self._buffer)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The values that `data` completes. What came before a malformed byte is yielded first: it is executed, too."""
        self._buffer += data
        while (end := self._scan()) is not None:
            if self._values > MAX_VALUES:
                raise Malformed
            value = bytes(self._buffer[:end])
            del self._buffer[:end]
            self._begin_value()
            yield value

    def _begin_value(self) -> None:
        self._position = 0  # of the next byte to look at
        self._token: int | None = None  # where an unfinished string or number began
        self._state = _State.VALUE
        self._containers: list[int] = []
        self._values = 0

    def _scan(self) -> int | None:
        """Where the value ends (with the white space behind it), or None until more has come."""
        buffer, size = self._buffer, len(self._buffer)
        while True:
            if self._token is None:
                self._position = self._skip_space()
                if self._position == size:
                    return None
                finished = self._take(buffer[self._position])
            else:
                finished = self._take(buffer[self._token])
            if not finished:
                return None
            if not self._containers and self._state is _State.NEXT:
                return self._skip_space()

    def _skip_space(self) -> int:
        match = _SPACE.match(self._buffer, self._position)
        assert match is not None  # it matches the empty string
        return match.end()

    def _take(self, byte: int) -> bool:
        """Consume one token that begins with `byte`; False when its rest has not come yet."""
        if byte == _QUOTE:
            return self._take_string()
        if byte == _COMMA:
            return self._take_comma()
        if byte == _COLON:
            return self._take_colon()
        if byte in (_OPEN_OBJECT, _OPEN_ARRAY):
            return self._open(byte)
        if byte in _CLOSES:
            return self._close(byte)
        if self._state not in _VALUE_STATES:
            raise Malformed
        if byte in _NUMBER_STARTS:
            return self._take_number()
        if byte in _LITERALS:
            return self._take_literal(_LITERALS[byte])
        raise Malformed

    def _take_string(self) -> bool:
        if self._state not in _VALUE_STATES and self._state not in _NAME_STATES:
            raise Malformed
        start = self._position + 1 if self._token is None else self._position
        match = _TEXT.match(self._buffer, start)
        assert match is not None
        if (end := match.end()) < len(self._buffer) and self._buffer[end] == _QUOTE:
            self._token, self._position = None, end + 1
            self._count(_State.COLON if self._state in _NAME_STATES else _State.NEXT)
            return True
        if end < len(self._buffer) and not _TEXT_BEGUN.fullmatch(self._buffer, end):
            raise Malformed
        self._token, self._position = (self._position if self._token is None else self._token), end
        return False

    def _take_number(self) -> bool:
        """A number ends where something else begins. Outside every container, it also ends where the received bytes do."""
        start = self._position if self._token is None else self._token
        digits = _DIGITS.match(self._buffer, self._position)
        assert digits is not None
        end = digits.end()
        unfinished = end == len(self._buffer)
        if unfinished and (self._containers or _NUMBER_BEGUN.fullmatch(self._buffer, start)):
            self._token, self._position = start, end
            return False
        if not _NUMBER.fullmatch(self._buffer, start, end):
            raise Malformed
        self._token, self._position = None, end
        self._count(_State.NEXT)
        return True

    def _take_literal(self, literal: bytes) -> bool:
        end = self._position + len(literal)
        if end > len(self._buffer):
            return False
        if self._buffer[self._position : end] != literal:
            raise Malformed
        self._position = end
        self._count(_State.NEXT)
        return True

    def _take_comma(self) -> bool:
        if self._state is not _State.NEXT:
            raise Malformed
        self._position += 1
        self._state = _State.NAME if self._containers[-1] == _OPEN_OBJECT else _State.VALUE
        return True

    def _take_colon(self) -> bool:
        if self._state is not _State.COLON:
            raise Malformed
        self._position += 1
        self._state = _State.VALUE
        return True

    def _open(self, byte: int) -> bool:
        if self._state not in _VALUE_STATES or len(self._containers) == MAX_DEPTH:
            raise Malformed
        self._containers.append(byte)
        self._position += 1
        self._count(_State.FIRST_NAME if byte == _OPEN_OBJECT else _State.FIRST_VALUE)
        return True

    def _close(self, byte: int) -> bool:
        first = _State.FIRST_NAME if byte == _CLOSE_OBJECT else _State.FIRST_VALUE
        if not self._containers or self._containers.pop() != _CLOSES[byte] or self._state not in (_State.NEXT, first):
            raise Malformed
        self._position += 1
        self._count(_State.NEXT)
        return True

    def _count(self, state: _State) -> None:
        self._values += 1
        self._state = state


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
    if params is not None and not isinstance(params, list):
        return Invalid(id_)
    return Call(id_, method, params)


def is_text(value: Value) -> TypeGuard[str]:
    """A JSON string; a Number is a str, too, and is none."""
    return isinstance(value, str) and not isinstance(value, Number)


_ESCAPES = re.compile(r"\\\\|\\u[0-9a-f]{4}|\x7f")


def encode(value: Json) -> str:
    """JSON as the target writes it: no spaces, everything outside printable ASCII as \\uXXXX with capital digits."""
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
    """An answer as it goes out. Beyond 32 MiB it is cut, loses its newline and never ends for a client that waits for one."""
    return (answer + "\n").encode("ascii")[:MAX_ANSWER]
