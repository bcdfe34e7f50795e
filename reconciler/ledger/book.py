"""What every part of the ledger stands on: the store, and single values by name."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.store import Store

_UNDER = "SELECT key, value FROM meta WHERE key >= ?1 AND key < ?1 || char(1114111)"  # the last character there is


class Book:
    """A part of the ledger."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, key: str) -> str:
        rows = self._store.rows("SELECT value FROM meta WHERE key = ?", key)
        return str(rows[0][0]) if rows else ""

    def _under(self, prefix: str) -> Mapping[str, str]:
        """Values by what their names have behind a prefix."""
        return {str(key)[len(prefix) :]: str(value) for key, value in self._store.rows(_UNDER, prefix)}

    def set(self, key: str, value: str) -> None:
        self._store.write("INSERT OR REPLACE INTO meta VALUES (?, ?)", [(key, value)])
