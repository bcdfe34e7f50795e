"""A sorted table of texts in blocks, so that a few rows of very many are read without the others.

Every block has a digest in the index, whose parts have one in what stands above them, which has one that whoever opens
the table must know: what was damaged or cut short is never taken for what was written. A table is written once, and
never changed.
"""

from __future__ import annotations

import bisect
import functools
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TypeAlias

BLOCK = 8 * 1024  # characters, about: small enough to read one for a single row
FAN = 64  # blocks that one part of the index knows
_END, _GAP = "\n", "\t"  # no key or value holds them

_Place: TypeAlias = tuple[str, int, int, str]  # the first key of a block, where it is, how long, and its digest


class Damaged(Exception):
    """What is read is not what was written."""


@dataclass(frozen=True, slots=True)
class Written:
    """The bytes of a table, and what is needed to open it again."""

    data: bytes
    start: int  # of the index
    digest: str


def write(rows: Mapping[str, str]) -> Written:
    data = bytearray()
    places = [_append(data, first, text) for first, text in _blocks(rows)]
    parts = (places[at : at + FAN] for at in range(0, len(places), FAN))
    top = [_append(data, part[0][0], json.dumps(part)) for part in parts]
    tail = json.dumps(top).encode()
    start = len(data)
    data += tail
    return Written(bytes(data), start, _digest(tail))


def _append(data: bytearray, first: str, text: str) -> _Place:
    packed = zlib.compress(text.encode(), 1)
    place = (first, len(data), len(packed), _digest(packed))
    data += packed
    return place


def _blocks(rows: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Rows in order, and the first key of each block."""
    first, lines, size = "", list[str](), 0
    for key in sorted(rows):
        if not lines:
            first = key
        line = f"{key}{_GAP}{rows[key]}"
        lines.append(line)
        size += len(line)
        if size > BLOCK:
            yield first, _END.join(lines)
            lines, size = [], 0
    if lines:
        yield first, _END.join(lines)


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=12).hexdigest()


class Table:
    """A table that was written. `read` gives so many bytes from an offset; -1: all that are left."""

    def __init__(self, read: Callable[[int, int], bytes], start: int, digest: str) -> None:
        tail = read(start, -1)
        if _digest(tail) != digest:
            raise Damaged
        self._read = read
        self._top = _places(tail)
        self._part = functools.lru_cache(maxsize=4096)(self._load_part)
        self._block = functools.lru_cache(maxsize=4096)(self._load_block)

    def get(self, key: str) -> str | None:
        """The value of a row. Raises Damaged."""
        part = _before(self._top, key)
        place = _before(self._part(part), key) if part else None
        if place is None:
            return None
        text, line = self._block(place), f"{_END}{key}{_GAP}"
        begin = text.find(line)
        return text[begin + len(line) : text.index(_END, begin + 1)] if begin >= 0 else None

    def rows(self, prefix: str = "") -> Iterator[tuple[str, str]]:
        """All rows whose key begins so, in order. Raises Damaged."""
        for part in _from(self._top, prefix):
            for place in _from(self._load_part(part), prefix):
                lines = (line.partition(_GAP) for line in self._load_block(place)[1:-1].split(_END))
                yield from ((key, value) for key, _, value in lines if key.startswith(prefix))

    def _load_part(self, place: _Place) -> list[_Place]:
        return _places(self._load(place))

    def _load_block(self, place: _Place) -> str:
        return f"{_END}{self._load(place).decode()}{_END}"

    def _load(self, place: _Place) -> bytes:
        _, offset, length, digest = place
        packed = self._read(offset, length)
        if _digest(packed) != digest:
            raise Damaged
        return zlib.decompress(packed)


def _places(index: bytes) -> list[_Place]:
    return [(first, offset, length, digest) for first, offset, length, digest in json.loads(index)]


def _before(places: Sequence[_Place], key: str) -> _Place | None:
    """The last that begins no later than a key."""
    at = bisect.bisect(places, key, key=itemgetter(0)) - 1
    return places[at] if at >= 0 else None


def _from(places: Sequence[_Place], prefix: str) -> Iterator[_Place]:
    """Those in which keys may begin so."""
    for at in range(max(0, bisect.bisect_left(places, prefix, key=itemgetter(0)) - 1), len(places)):
        if places[at][0] > prefix and not places[at][0].startswith(prefix):
            return
        yield places[at]
