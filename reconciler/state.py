"""The state directory: the site's id, the ledger, and the copy of the repository."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path

from reconciler.store import StateError, StateLock, Store

SITE_ID = "site-id"
DATABASE = "holdfast.db"
COPY = "source.git"
KEYS = "keys"


@dataclass(frozen=True)
class State:
    """An opened state directory."""

    directory: Path
    site: str
    store: Store
    lock: StateLock

    @property
    def copy(self) -> Path:
        return self.directory / COPY

    @property
    def keys(self) -> Path:
        """Where keys are laid down for targets to read."""
        return self.directory / KEYS

    def close(self) -> None:
        self.store.close()
        self.lock.release()


def init(directory: Path, minted: str) -> str:
    """Make the directory a site's state, with the minted id unless it has one; its id. Raises StateError."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = directory / SITE_ID
        if not file.exists():
            with file.open("x") as handle:
                handle.write(f"{minted}\n")
            file.chmod(0o600)
    except OSError as error:
        raise StateError(f"{directory}: {error.strerror}; choose a [state] dir that this user can write") from error
    return site_id(directory)


def site_id(directory: Path) -> str:
    """Raises StateError when the directory holds no site."""
    try:
        text = (directory / SITE_ID).read_text(errors="replace").strip()
    except FileNotFoundError as error:
        raise StateError(f"{directory} is not a site's state yet: run `holdfast init` first") from error
    except OSError as error:
        raise StateError(f"{directory / SITE_ID}: {error.strerror}") from error
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise StateError(f"{directory / SITE_ID}: {text[:60]!r} is not a site id; restore the file") from error


def open_state(directory: Path) -> State:
    """Open it for writing, alone. Raises StateError."""
    site = site_id(directory)
    lock = StateLock(directory)
    try:
        return State(directory, site, Store(directory / DATABASE), lock)
    except StateError:
        lock.release()
        raise
