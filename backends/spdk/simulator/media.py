"""What keeps a device's first bytes: a file, memory, or both legs of a mirror. There is no data path: only the metadata
of lvol stores and of arrays is ever written, where a live target has it, so that it moves, dies and returns with them.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias


class Medium:
    """Bytes behind a descriptor, which a file has from the start and memory from its first write."""

    def __init__(self, descriptor: int | None, *, writable: bool = True) -> None:
        self._descriptor = descriptor
        self.writable = writable

    def read(self, size: int, position: int) -> bytes:
        """What was never written, or lies behind the end, is nothing."""
        return b"" if self._descriptor is None else os.pread(self._descriptor, size, position)

    def write(self, data: bytes, position: int) -> None:
        if not self.writable:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        if self._descriptor is None:
            self._descriptor = os.memfd_create("simulated device")
        if os.pwrite(self._descriptor, data, position) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def size(self) -> int:
        return 0 if self._descriptor is None else os.lseek(self._descriptor, 0, os.SEEK_END)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            self.writable = False


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a medium, seen through the keys of the crypto devices above it."""

    medium: Medium
    offset: int
    size: int
    veil: str = ""  # only who looks through the same keys can read what was written through them

    def read(self, size: int, position: int) -> bytes:
        return self.medium.read(max(0, min(size, self.size - position)), self.offset + position)

    def write(self, data: bytes, position: int) -> None:
        if position + len(data) > self.size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.medium.write(data, self.offset + position)

    def part(self, offset: int, size: int) -> Window:
        """A smaller window."""
        return replace(self, offset=self.offset + offset, size=size)

    def veiled(self, key: str) -> Window:
        """The same bytes through one key more."""
        return replace(self, veil=hashlib.sha256(f"{self.veil} {key}".encode()).hexdigest()[:16])


Media: TypeAlias = "Callable[[], tuple[Window, ...]]"  # mirrors of each other; none for what nobody can read back
