"""Bytes → complete JSON values. Requests are framed by JSON itself: no separator, split anywhere.

Observed on SPDK v26.05: whatever is not strict JSON ends the connection without a word, and the receive buffer holds
262,144 bytes. Each byte is looked at once, whatever the pieces it comes in.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar, Final

MAX_REQUEST: Final = 262_144  # bytes that the receive buffer holds
MAX_VALUES: Final = 8_192  # in a request; each begin and each end of a container counts as one, and so does a name
MAX_DEPTH: Final = 64


class Malformed(Exception):
    """The stream cannot be read on: the connection closes silently."""


class _State(enum.Enum):
    VALUE = enum.auto()
    FIRST_VALUE = enum.auto()  # after `[`: a value or `]`
    NAME = enum.auto()
    FIRST_NAME = enum.auto()  # after `{`: a name or `}`
    COLON = enum.auto()
    NEXT = enum.auto()  # a comma, or the end of the container


_SPACE = re.compile(rb"[ \t\r\n]*+")
# Characters and escapes of a string: valid UTF-8, no control characters, surrogates in pairs. Not `*+`, which before
# Python 3.11.5 stops inside a group (gh-106052).
_TEXT = re.compile(
    rb"(?:[\x20!\x23-\x5b\x5d-\x7f]++"
    rb"|\\(?:[\"\\/bfnrt]|u(?:[0-9a-cA-Ce-fE-F][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}"
    rb"|[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}))"
    rb"|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2})*"
)
_TEXT_BEGUN = re.compile(rb"\\(?:u[0-9a-fA-F]{0,4}(?:\\(?:u[0-9a-fA-F]{0,3})?)?)?|[\xc2-\xf4][\x80-\xbf]{0,2}")
_DIGITS = re.compile(rb"[-+0-9.eE]*+")
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_NUMBER_BEGUN = re.compile(rb"-|-?(?:0|[1-9][0-9]*)(?:\.|(?:\.[0-9]+)?[eE][-+]?)")
_LITERALS: Final = {0x74: b"true", 0x66: b"false", 0x6E: b"null"}
_QUOTE, _COMMA, _COLON = b'",:'
_OPEN_OBJECT, _CLOSE_OBJECT, _OPEN_ARRAY, _CLOSE_ARRAY = b"{}[]"
_CLOSES: Final = {_CLOSE_OBJECT: _OPEN_OBJECT, _CLOSE_ARRAY: _OPEN_ARRAY}
_VALUE_STATES: Final = frozenset({_State.VALUE, _State.FIRST_VALUE})
_NAME_STATES: Final = frozenset({_State.NAME, _State.FIRST_NAME})


class Scanner:
    """Cuts a stream into complete JSON values, looking at every byte once. Malformed is where a target would close."""

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
        while self._take():
            if not self._containers and self._state is _State.NEXT:
                return _end_of(_SPACE, self._buffer, self._position)
        return None

    def _take(self) -> bool:
        """Consume one token; False when it, or its rest, has not come yet."""
        start = self._token
        if start is None:
            start = self._position = _end_of(_SPACE, self._buffer, self._position)
        if start == len(self._buffer):
            return False
        byte = self._buffer[start]
        taker = self._TAKERS.get(byte)
        if taker is None:
            raise Malformed
        return taker(self, byte)

    def _take_string(self, _byte: int) -> bool:
        if self._state not in _VALUE_STATES and self._state not in _NAME_STATES:
            raise Malformed
        end = _end_of(_TEXT, self._buffer, self._position + (self._token is None))
        if end < len(self._buffer) and self._buffer[end] == _QUOTE:
            self._token, self._position = None, end + 1
            self._count(_State.COLON if self._state in _NAME_STATES else _State.NEXT)
            return True
        if end < len(self._buffer) and not _TEXT_BEGUN.fullmatch(self._buffer, end):
            raise Malformed
        self._token, self._position = (self._position if self._token is None else self._token), end
        return False

    def _take_number(self, _byte: int) -> bool:
        """A number ends where something else begins. Outside every container, also where the received bytes do."""
        if self._state not in _VALUE_STATES:
            raise Malformed
        start = self._position if self._token is None else self._token
        end = _end_of(_DIGITS, self._buffer, self._position)
        unfinished = end == len(self._buffer)
        if unfinished and (self._containers or _NUMBER_BEGUN.fullmatch(self._buffer, start)):
            self._token, self._position = start, end
            return False
        if not _NUMBER.fullmatch(self._buffer, start, end):
            raise Malformed
        self._token, self._position = None, end
        self._count(_State.NEXT)
        return True

    def _take_literal(self, byte: int) -> bool:
        if self._state not in _VALUE_STATES:
            raise Malformed
        literal = _LITERALS[byte]
        end = self._position + len(literal)
        if end > len(self._buffer):
            return False
        if self._buffer[self._position : end] != literal:
            raise Malformed
        self._position = end
        self._count(_State.NEXT)
        return True

    def _take_comma(self, _byte: int) -> bool:
        if self._state is not _State.NEXT:
            raise Malformed
        self._position += 1
        self._state = _State.NAME if self._containers[-1] == _OPEN_OBJECT else _State.VALUE
        return True

    def _take_colon(self, _byte: int) -> bool:
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

    _TAKERS: ClassVar[Mapping[int, Callable[[Scanner, int], bool]]] = {
        _QUOTE: _take_string,
        _COMMA: _take_comma,
        _COLON: _take_colon,
        _OPEN_OBJECT: _open,
        _OPEN_ARRAY: _open,
        _CLOSE_OBJECT: _close,
        _CLOSE_ARRAY: _close,
        **dict.fromkeys(b"-0123456789", _take_number),
        **dict.fromkeys(_LITERALS, _take_literal),
    }


def _end_of(pattern: re.Pattern[bytes], buffer: bytearray, start: int) -> int:
    """How far a pattern reaches that matches anywhere."""
    match = pattern.match(buffer, start)
    return match.end() if match else start
