"""A sorted table of texts in blocks, so that a few rows of very many are read without the others.

Every block has a digest in the index, and the index has one that whoever opens the table must know: what was damaged or
cut short is never taken for what was written. A table is written once, and never changed.
"""

from __future__ import annotations

import bisect
import functools
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

BLOCK = 32 * 1024  # characters, about: small enough to read one for a single row
_END, _GAP = "\n", "\t"  # no key or value holds them


class Damaged(Exception):
    """What is read is not what was written."""


@dataclass(frozen=True, slots=True)
class Written:
    """The bytes of a table, and what is needed to open it again."""

    data: bytes
    start: int  # of the index
    digest: str


def write(rows: Mapping[str, str]) -> Written:
    blocks: list[bytes] = []
    index: list[tuple[str, int, int, str]] = []
    offset = 0
    for first, text in _blocks(rows):
        packed = zlib.compress(text.encode(), 1)
        blocks.append(packed)
        index.append((first, offset, len(packed), _digest(packed)))
        offset += len(packed)
    tail = json.dumps(index, ensure_ascii=False).encode()
    return Written(b"".join((*blocks, tail)), offset, _digest(tail))


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
        self._index: list[tuple[str, int, int, str]] = json.loads(tail)
        self._firsts = [first for first, *_ in self._index]
        self._block = functools.lru_cache(maxsize=4096)(self._load)

    def get(self, key: str) -> str | None:
        """The value of a row. Raises Damaged."""
        at = bisect.bisect(self._firsts, key) - 1
        if at < 0:
            return None
        text, line = self._block(at), f"{_END}{key}{_GAP}"
        begin = text.find(line)
        return text[begin + len(line) : text.index(_END, begin + 1)] if begin >= 0 else None

    def rows(self, prefix: str = "") -> Iterator[tuple[str, str]]:
        """All rows whose key begins so, in order. Raises Damaged."""
        for at in range(max(0, bisect.bisect_left(self._firsts, prefix) - 1), len(self._index)):
            if self._firsts[at] > prefix and not self._firsts[at].startswith(prefix):
                return
            lines = (line.partition(_GAP) for line in self._load(at)[1:-1].split(_END))
            yield from ((key, value) for key, _, value in lines if key.startswith(prefix))

    def _load(self, at: int) -> str:
        _, offset, length, digest = self._index[at]
        packed = self._read(offset, length)
        if _digest(packed) != digest:
            raise Damaged
        return f"{_END}{zlib.decompress(packed).decode()}{_END}"
