"""Which bytes were shown under which identity, and with which key they are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.ledger.book import Book
from schemas.resources import JsonObject


class Identities(Book):
    """What was said to hosts of bytes, and may not be said of others."""

    def show(self, identities: Mapping[str, str]) -> None:
        """Note which bytes (lvol uid) a chosen namespace uuid shows; the first to use it keeps it."""
        self._store.write("INSERT OR IGNORE INTO identities VALUES (?, ?)", sorted(identities.items()))

    def shown(self) -> Mapping[str, str]:
        """Chosen namespace uuids, each with the uid of the bytes it was used for."""
        return dict(self._store.rows("SELECT shown, bytes FROM identities"))

    def seal(self, prints: Mapping[str, str]) -> None:
        """Note with which key (by its fingerprint) the bytes of a crypto device are written; the first stays."""
        rows = [(f"sealed/{uuid}", fingerprint) for uuid, fingerprint in sorted(prints.items())]
        self._store.write("INSERT OR IGNORE INTO meta VALUES (?, ?)", rows)

    def sealed(self) -> Mapping[str, str]:
        """Uuids of crypto devices, each with the fingerprint of its key."""
        return self._under("sealed/")


def seals(applied: Iterable[JsonObject]) -> dict[str, str]:
    """What of objects' fields is to be sealed: the uuids of crypto devices, each with the fingerprint of its key."""
    named = ((fields.get("uuid"), fields.get("key_name"), fields.get("sealed")) for fields in applied)
    return {
        uuid: str(sealed or key.rpartition("-")[2])
        for uuid, key, sealed in named
        if isinstance(uuid, str) and isinstance(key, str)
    }
