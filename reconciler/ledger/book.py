"""What every part of the ledger stands on: the store, and single values by name."""

from __future__ import annotations

from reconciler.store import Store


class Book:
    """A part of the ledger."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, key: str) -> str:
        rows = self._store.rows("SELECT value FROM meta WHERE key = ?", key)
        return str(rows[0][0]) if rows else ""

    def set(self, key: str, value: str) -> None:
        self._store.write("INSERT OR REPLACE INTO meta VALUES (?, ?)", [(key, value)])
