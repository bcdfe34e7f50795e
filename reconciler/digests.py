"""SHA-256 of image files: worked out once for a file as it is, beside the ticks where that takes long."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.ledger import Ledger
from reconciler.planner.view import Digest

AT_ONCE = 16 << 20  # bytes that are read within a tick
PIECE = 1 << 20


class _ChangedError(OSError):
    """The file was written while it was read."""


def _aside(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="digest", daemon=True).start()


@dataclass
class Digests:
    """Remembers digests by what a file is: its path, length, times of change and inode. Asked by any target's thread.

    Of a disk nothing tells that it was written since, so that is read again by every daemon.
    """

    ledger: Ledger
    aside: Callable[[Callable[[], None]], None] = _aside
    _running: dict[str, int] = field(default_factory=dict)  # by identity: percent
    _known: dict[str, Digest] = field(default_factory=dict)  # by identity
    _failed: dict[str, Digest] = field(default_factory=dict)  # by identity
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, path: str) -> Digest:
        """The digest of a file or disk as it is now, how far it is, or why it cannot be had."""
        try:
            about = Path(path).stat()
            name = _identity(path, about)
        except OSError as error:
            return Digest(why=f"{path} cannot be read: {error.strerror}")
        if not (stat.S_ISREG(about.st_mode) or stat.S_ISBLK(about.st_mode)):
            return Digest(why=f"{path} is neither a file nor a disk")
        known = self._begun(name)
        if known:
            return known
        if stat.S_ISREG(about.st_mode) and about.st_size <= AT_ONCE:
            self._work(path, name)
            return self._known.get(name) or self._failed.pop(name, Digest())
        self.aside(lambda: self._work(path, name))
        return Digest()

    def _begun(self, name: str) -> Digest | None:
        """What is known of a file, or how far it is; None when it is to be read by whoever asks first."""
        with self._lock:
            if name in self._running:
                return Digest(percent=self._running[name])
            if name not in self._known and (kept := self.ledger.get(f"digest/{name}")):
                self._known[name] = Digest(kept)
            found = self._known.get(name) or self._failed.pop(name, None)  # what failed is tried again
            if found is None:
                self._running[name] = 0
            return found

    def _work(self, path: str, name: str) -> None:
        try:
            found = Digest(self._read(path, name))
        except _ChangedError:
            found = None  # another file by now
        except OSError as error:
            found = Digest(why=f"{path} cannot be read: {error.strerror}")
        if found and found.sha256 and not Path(path).is_block_device():
            self.ledger.set(f"digest/{name}", found.sha256)
        with self._lock:
            del self._running[name]
            if found and found.sha256:
                self._known[name] = found
            elif found:
                self._failed[name] = found

    def _read(self, path: str, name: str) -> str:
        digest, done = hashlib.sha256(), 0
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123  # block devices have no Path reader
            size = max(os.lseek(file.fileno(), 0, os.SEEK_END), 1)
            os.lseek(file.fileno(), 0, os.SEEK_SET)
            while piece := file.read(PIECE):
                digest.update(piece)
                done += len(piece)
                self._running[name] = min(99, done * 100 // size)
            if _identity(path, os.fstat(file.fileno())) != name:
                raise _ChangedError
        return digest.hexdigest()


def _identity(path: str, about: os.stat_result) -> str:
    return f"{path}:{about.st_size}:{about.st_mtime_ns}:{about.st_ctime_ns}:{about.st_ino}"
