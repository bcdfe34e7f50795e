"""Files of keys that targets read: SPDK takes a key only from a file of its own user that nobody else reads.

One directory for each target. A file is named after its key, whose name carries a fingerprint of what is in it, so that
no file ever changes: another key is another file.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

ONLY_OWNER = 0o600


@dataclass(frozen=True)
class KeyFiles:
    """The directory of key files of one site, usually `keys` in its state directory."""

    directory: Path

    def place(self, target: str) -> Path:
        """Where the files of one target are."""
        return self.directory / target

    def obstacle(self, target: str, user: int | None) -> str:
        """Why a target that runs as this user could not read a file that this process writes; empty when it could.

        None for a user: the target is not reached over a UNIX socket of this machine.
        """
        me = os.geteuid()
        if user is None:
            return "the target is not reached over a UNIX socket, so it may run on another machine"
        if user == me:
            return ""
        if me != 0:
            return f"the target runs as uid {user}, and this daemon, as uid {me}, cannot give it a file of its own"
        if closed := next((p for p in self.place(target).parents if _is_closed(p, user)), None):
            return f"the target runs as uid {user}, which may not pass through {closed}"
        return ""

    def write(self, path: Path, text: str, owner: int | None) -> None:
        """Have exactly this in the file, for its owner alone; nothing is written when it is so. Raises OSError."""
        if self.is_whole(path, text, owner):
            return
        self._prepare(path.parent, owner)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with os.fdopen(handle, "w") as file:
                os.fchmod(handle, ONLY_OWNER)
                _give(handle, owner)
                file.write(text)
                file.flush()
                os.fsync(handle)
            Path(temporary).replace(path)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise

    def is_whole(self, path: Path, text: str, owner: int | None) -> bool:
        try:
            found = path.lstat()
            fits = stat.S_ISREG(found.st_mode) and stat.S_IMODE(found.st_mode) == ONLY_OWNER
            return fits and owner in (None, found.st_uid) and path.read_text() == text
        except (OSError, UnicodeDecodeError):
            return False

    def tidy(self, target: str, kept: Collection[str]) -> None:
        """Remove the files of keys that nobody needs any more. Raises OSError."""
        place = self.place(target)
        if place.is_dir():
            for path in place.iterdir():
                if path.name not in kept:
                    path.unlink(missing_ok=True)

    def _prepare(self, place: Path, owner: int | None) -> None:
        self.directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        place.mkdir(mode=0o700, exist_ok=True)
        folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _give(folder, owner)
        finally:
            os.close(folder)


def _give(handle: int, owner: int | None) -> None:
    """Another user's file can be made by root alone."""
    if owner not in (None, os.fstat(handle).st_uid):
        os.fchown(handle, owner, -1)


def _is_closed(path: Path, user: int) -> bool:
    """Whether a directory lets a user, of whose groups nobody knows, not through."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False  # it is made to let everybody through
    return not found.st_mode & (stat.S_IXUSR if found.st_uid == user else stat.S_IXOTH)
