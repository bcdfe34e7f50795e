"""What an lvol store leaves on its device: a mark and a journal, inside the AIO file itself.

A store's metadata lives where a real one's does, in the clusters reserved at the front of the device, so that a file
that is copied, moved or replaced carries its store along, and a file without our mark is blank.

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
from pathlib import Path
from typing import Any, Final, TypeAlias

MARK: Final = b"HOLDFAST SIMULATED LVOL STORE 1\n"
BLOCK: Final = 4096
MAX_RECORD: Final = 1 << 20

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

    def to_bytes(self) -> bytes:
        body = json.dumps({"region": self.region, "generation": self.generation, "half": self.half}).encode()
        return (MARK + _line(0, body)).ljust(BLOCK, b"\0")

    @classmethod
    def from_bytes(cls, block: bytes) -> Header | None:
        if not block.startswith(MARK) or (body := _checked(0, block[len(MARK) :].partition(b"\n")[0])) is None:
            return None
        return cls(**json.loads(body))


class Journal:
    """The log of one store. Appending costs one write, however large the store."""

    def __init__(self, descriptor: int, header: Header, position: int) -> None:
        self._descriptor = descriptor
        self._header = header
        self._position = position

    @classmethod
    def create(cls, file: str, region: int, generation: int, state: Iterable[Record]) -> Journal:
        """Begin a store: whatever the file held is gone, as with bdev_lvol_create_lvstore on a live target."""
        journal = cls(os.open(file, os.O_RDWR), Header(region, generation, 1), 0)
        journal.rewrite(state)
        return journal

    @classmethod
    def open(cls, file: str, *, writable: bool) -> tuple[Journal, list[Record]] | None:
        """The store that the file carries, or None when it is blank to us."""
        descriptor = os.open(file, os.O_RDWR if writable else os.O_RDONLY)
        header = Header.from_bytes(os.pread(descriptor, BLOCK, 0))
        if header is None:
            os.close(descriptor)
            return None
        journal = cls(descriptor, header, header.start)
        return journal, list(journal._replay(Path(file)))

    def append(self, record: Record, state: Callable[[], Iterable[Record]]) -> None:
        """Make a change durable. `state` tells everything, for when the journal must be written anew."""
        line = _line(self._header.generation, _packed(record))
        if self._position + len(line) > self._header.end:
            self.rewrite(state())
        else:
            self._write(line, self._position)
            self._position += len(line)

    def erase(self) -> None:
        """The store is no more: the file is blank to whoever looks next."""
        self._write(bytes(BLOCK), 0)

    def close(self) -> None:
        os.close(self._descriptor)

    def rewrite(self, state: Iterable[Record]) -> None:
        """Write the whole state into the free half, then point block 0 at it."""
        header = self._header.next()
        data = b"".join(_line(header.generation, _packed(record)) for record in state)
        if len(data) > header.half_size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._write(data, header.start)
        self._write(header.to_bytes(), 0)
        self._header, self._position = header, header.start + len(data)

    def _write(self, data: bytes, position: int) -> None:
        if os.pwrite(self._descriptor, data, position) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _replay(self, file: Path) -> Iterator[Record]:
        """Records up to the first that is not whole: what a killed process did not finish, nobody was told about."""
        with file.open("rb") as stream:
            stream.seek(self._position)
            while self._position < self._header.end:
                line = stream.readline(MAX_RECORD)
                if (body := _checked(self._header.generation, line.rstrip(b"\n"))) is None:
                    return
                self._position += len(line)
                yield json.loads(body)


def _packed(record: Record) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode()


def _line(generation: int, body: bytes) -> bytes:
    return b"%08x %b\n" % (_sum(generation, body), body)


def _checked(generation: int, line: bytes) -> bytes | None:
    checksum, _, body = line.partition(b" ")
    return body if body and checksum == b"%08x" % _sum(generation, body) else None


def _sum(generation: int, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(str(generation).encode()))
