"""The database in the state directory: one SQLite file, one writer, every commit on disk before it counts."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from schemas.resources import JsonObject

VERSION = 1
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE records (
    target TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
    resource_kind TEXT NOT NULL, resource_namespace TEXT NOT NULL, resource_name TEXT NOT NULL,
    phase TEXT NOT NULL, uid TEXT NOT NULL, applied TEXT NOT NULL, reclaim TEXT NOT NULL,
    revision TEXT NOT NULL, replay INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (target, kind, name)
) WITHOUT ROWID;
CREATE INDEX records_opened ON records (target) WHERE kind IN ('bdev', 'lvolstore');
CREATE TABLE sessions (target TEXT PRIMARY KEY, owner TEXT NOT NULL, pid INTEGER, since REAL NOT NULL,
    claimed INTEGER NOT NULL, address TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE stores (uuid TEXT NOT NULL, target TEXT NOT NULL, since REAL NOT NULL, PRIMARY KEY (uuid, target))
    WITHOUT ROWID;
CREATE TABLE journal (
    id INTEGER PRIMARY KEY, target TEXT NOT NULL, owner TEXT NOT NULL, action TEXT NOT NULL, kind TEXT NOT NULL,
    name TEXT NOT NULL, change TEXT NOT NULL, sent REAL NOT NULL, repeated INTEGER NOT NULL DEFAULT 0, ended REAL,
    outcome TEXT
);
CREATE INDEX journal_open ON journal (target, id) WHERE ended IS NULL;
CREATE TABLE spending (
    id INTEGER PRIMARY KEY, target TEXT NOT NULL, at REAL NOT NULL, hazard TEXT NOT NULL, subject TEXT NOT NULL,
    cause TEXT NOT NULL, revision TEXT NOT NULL
);
CREATE INDEX spending_at ON spending (target, at);
CREATE TABLE approvals (id TEXT PRIMARY KEY, granted REAL NOT NULL, expires REAL NOT NULL, by TEXT NOT NULL, spent REAL)
    WITHOUT ROWID;
CREATE TABLE held (target TEXT NOT NULL, step TEXT NOT NULL, since REAL NOT NULL, policy TEXT NOT NULL,
    PRIMARY KEY (target, step)) WITHOUT ROWID;
CREATE TABLE removals (uid TEXT PRIMARY KEY, resource TEXT NOT NULL, at REAL NOT NULL, revision TEXT NOT NULL)
    WITHOUT ROWID;
CREATE TABLE identities (shown TEXT PRIMARY KEY, bytes TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE failures (target TEXT NOT NULL, resource TEXT NOT NULL, count INTEGER NOT NULL, not_before REAL NOT NULL,
    PRIMARY KEY (target, resource)) WITHOUT ROWID;
CREATE TABLE corrections (target TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, path TEXT NOT NULL,
    at REAL NOT NULL);
CREATE INDEX corrections_at ON corrections (target, at);
CREATE TABLE revisions (revision TEXT PRIMARY KEY, accepted REAL NOT NULL, converged REAL, policy TEXT NOT NULL,
    subject TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE events (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, type TEXT NOT NULL, reason TEXT NOT NULL, target TEXT NOT NULL,
    resource TEXT NOT NULL, message TEXT NOT NULL, revision TEXT NOT NULL
);
CREATE TABLE drifts (
    id INTEGER PRIMARY KEY, target TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, resource TEXT NOT NULL,
    class TEXT NOT NULL, fields TEXT NOT NULL, clean REAL, detected REAL NOT NULL, closed REAL,
    action TEXT NOT NULL, revision TEXT NOT NULL
);
CREATE INDEX drifts_open ON drifts (target) WHERE closed IS NULL;
CREATE TABLE conditions (
    subject TEXT NOT NULL, target TEXT NOT NULL, type TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL,
    message TEXT NOT NULL, since REAL NOT NULL, revision TEXT NOT NULL, PRIMARY KEY (subject, target, type)
) WITHOUT ROWID;
"""


_ENCODER = msgspec.json.Encoder(
    enc_hook=dict
)  # ten times as fast as the standard library's (a mapping that is no dict)


class StateError(Exception):
    """The state directory cannot be used: what is wrong and what to do."""


class Store:
    """One connection, shared by threads, one at a time."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.RLock()
        self.undone: list[Callable[[], None]] = []  # told, alone, when a transaction came to nothing
        with self._at_work():
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        try:
            self._begin()
        except StateError:
            self._db.close()
            raise

    def _begin(self) -> None:
        with self._at_work():
            version = self._version()
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")  # a create is on disk as `creating` before it is sent
            if version == 0:
                self._db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")

    def _version(self) -> int:
        """0 for a new ledger. Nothing is written to one that we do not understand: StateError."""
        version: int = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, VERSION):
            raise StateError(
                f"{self._path}: the ledger has version {version}, and this Holdfast knows version {VERSION}; use the "
                "newer Holdfast that wrote it"
            )
        return version

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        """Alone, and with SQLite's errors as ours. Raises StateError."""
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise StateError(f"{self._path}: {error}{_advice(error)}") from error

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401  # SQL values
        with self._at_work():
            return self._db.execute(sql, values).fetchall()

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it or nothing. Nested use joins the outer one."""
        with self._at_work():
            if self._db.in_transaction:
                yield self._db
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                self._undo()
                raise

    def _undo(self) -> None:
        """Nothing of the transaction counts, neither on disk nor in anybody's memory."""
        try:
            if self._db.in_transaction:  # a full disk ends it by itself
                self._db.execute("ROLLBACK")
        finally:
            for forget in self.undone:
                forget()

    def alone(self) -> contextlib.AbstractContextManager[object]:
        """Nobody else reads or writes meanwhile, and no transaction of another is half done."""
        return self._lock

    @contextlib.contextmanager
    def rehearsal(self) -> Iterator[None]:
        """A transaction of which nothing is kept: what would happen can be looked at."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                self._undo()

    def write(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            with self.writing() as db:
                db.executemany(sql, rows)

    def close(self) -> None:
        with self._lock:
            self._db.close()


def _advice(error: sqlite3.Error) -> str:
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:  # without the details
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return "; restore the file, or move it away, run again and see `holdfast import --help`"
        case sqlite3.SQLITE_FULL:
            return "; make room"
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY:
            return "; is the directory writable?"
    return ""


def text_of(value: JsonObject) -> str:
    """The JSON text to store of an object."""
    return _ENCODER.encode(value).decode()


class StateLock:
    """Held by whoever writes: the daemon, or one standalone command."""

    def __init__(self, directory: Path) -> None:
        path = directory / "lock"
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._file)
            raise StateError(f"{directory} is in use by a running holdfast; ask that one, or stop it first") from error
        except OSError as error:
            raise StateError(f"{path}: {error.strerror}; choose a [state] dir that this user can write") from error

    def release(self) -> None:
        os.close(self._file)
