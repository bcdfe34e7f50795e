"""What an lvol store leaves on its device: a mark and a journal, inside the file itself where it is one.

A store's metadata lives where a real one's does, in the clusters reserved at the front of the device, so that a file
that is copied, moved or replaced carries its store along, and a device without our mark is blank.

    block 0            mark, and which half of the region holds the journal now
    first half of the region    journal: one record a line, each with a checksum over the generation
    second half                 free; compaction writes the whole state here, then block 0 points here

A record is one write(2) before its RPC is answered, and the switch to another half is one write of one block. That is
enough to lose nothing when the process is killed; nothing is synced, so it does not outlive a crash of the machine.
"""

from __future__ import annotations

import errno
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from backends.spdk.simulator.media import Media, Window

MARK: Final = b"HOLDFAST SIMULATED LVOL STORE 1\n"
BLOCK: Final = 4096
CHUNK: Final = 1 << 20

Record: TypeAlias = "dict[str, Any]"


@dataclass(frozen=True, slots=True)
class Header:
    """Block 0. `generation` differs between journals, so that no remnant of an older one can pass for a record."""

    region: int  # bytes at the front of the device that metadata may use
    generation: int
    half: int  # 0 or 1

    @property
    def start(self) -> int:
        return BLOCK + self.half * self.half_size

    @property
    def half_size(self) -> int:
        return (self.region - BLOCK) // 2

    @property
    def end(self) -> int:
        return self.start + self.half_size

    def next(self) -> Header:
        return Header(self.region, self.generation + 1, 1 - self.half)

    def to_bytes(self, veil: str) -> bytes:
        return mark(MARK, veil, {"region": self.region, "generation": self.generation, "half": self.half})

    @classmethod
    def from_bytes(cls, block: bytes, veil: str) -> Header | None:
        found = marked(MARK, veil, block)
        return cls(**found) if found else None


def mark(kind: bytes, veil: str, body: Record) -> bytes:
    """The first block, or blocks, of a device that carries something of this kind."""
    text = kind + veil.encode() + b"\n" + _line(0, _packed(body))
    return text.ljust(-(-len(text) // BLOCK) * BLOCK, b"\0")


def is_marked(block: bytes) -> bool:
    return block.startswith(b"HOLDFAST SIMULATED ")


def marked(kind: bytes, veil: str, data: bytes) -> Record | None:
    """What the mark says, or None where there is none of this kind, or none that can be read through these keys."""
    head = kind + veil.encode() + b"\n"
    body = _checked(0, data[len(head) :].partition(b"\n")[0]) if data.startswith(head) else None
    return dict(json.loads(body)) if body else None


class Journal:
    """The log of one store, on every mirror of its device. Appending costs one write each, however large the store."""

    def __init__(self, media: Media, header: Header, position: int) -> None:
        self._media = media
        self._seen = media()
        self._header = header
        self._position = position

    @classmethod
    def create(cls, media: Media, region: int, generation: int, state: Iterable[Record]) -> Journal:
        """Begin a store: whatever the device held is gone, as with bdev_lvol_create_lvstore on a live target."""
        region = min(region, *(window.size for window in media()))
        journal = cls(media, Header(region, generation, 1), 0)
        journal.rewrite(state)
        return journal

    @classmethod
    def open(cls, media: Media) -> tuple[Journal, list[Record]] | None:
        """The store that the device carries, or None when it is blank to us."""
        window = media()[0]
        header = Header.from_bytes(window.read(BLOCK, 0), window.veil)
        if header is None:
            return None
        journal = cls(media, header, header.start)
        return journal, list(journal._replay(window))

    def append(self, record: Record, state: Callable[[], Iterable[Record]]) -> None:
        """Make a change durable. `state` tells everything, for when the journal must be written anew."""
        line = _line(self._header.generation, _packed(record))
        if self._position + len(line) > self._header.end or self._media() != self._seen:
            self.rewrite(state())
        else:
            self._write(line, self._position)
            self._position += len(line)

    def erase(self) -> None:
        """The store is no more: the device is blank to whoever looks next."""
        self._write(bytes(BLOCK), 0)

    def rewrite(self, state: Iterable[Record]) -> None:
        """Write the whole state into the free half, then point block 0 at it."""
        header = self._header.next()
        data = b"".join(_line(header.generation, _packed(record)) for record in state)
        if len(data) > header.half_size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._seen = self._media()
        self._write(data, header.start)
        for window in self._seen:
            window.write(header.to_bytes(window.veil), 0)
        self._header, self._position = header, header.start + len(data)

    def _write(self, data: bytes, position: int) -> None:
        for window in self._media():
            window.write(data, position)

    def _replay(self, window: Window) -> Iterator[Record]:
        """Records up to the first that is not whole: what a killed process did not finish, nobody was told about."""
        kept = b""
        end = self._position
        while end < self._header.end:
            chunk = window.read(min(CHUNK, self._header.end - end), end)
            end += len(chunk)
            lines = (kept + chunk).splitlines(keepends=True)
            kept = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
            for line in lines:
                if (body := _checked(self._header.generation, line.rstrip(b"\n"))) is None:
                    return
                self._position += len(line)
                yield json.loads(body)
            if not chunk or not lines:
                return


def _packed(record: Record) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode()


def _line(generation: int, body: bytes) -> bytes:
    return b"%08x %b\n" % (_sum(generation, body), body)


def _checked(generation: int, line: bytes) -> bytes | None:
    checksum, _, body = line.partition(b" ")
    return body if body and checksum == b"%08x" % _sum(generation, body) else None


def _sum(generation: int, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(str(generation).encode()))
