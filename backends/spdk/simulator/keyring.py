"""Keys by name, each a file that only the target's user may read. Nobody looks inside until a host connects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from schemas.resources import Json


@dataclass(eq=False, slots=True)
class Key:
    """A key; one that was removed from the ring lives on while hosts refer to it."""

    name: str
    path: str
    is_removed: bool = False
    users: int = 0

    def dump(self) -> dict[str, Json]:
        shown: dict[str, Json] = {
            "name": self.name,
            "module": "keyring_file",
            "removed": self.is_removed,
            "probed": False,
            "refcnt": self.users + (not self.is_removed),
        }
        return shown if self.is_removed else shown | {"path": self.path}


@dataclass(eq=False, slots=True)
class Keyring:
    """The ring, and the removed keys that are still in use."""

    ring: dict[str, Key] = field(default_factory=dict)
    removed: list[Key] = field(default_factory=list)

    def __iter__(self) -> Iterator[Key]:
        yield from self.ring.values()
        yield from (key for key in self.removed if key.users)

    def hold(self, name: str | None) -> Key | None:
        """A reference to a key in the ring; None for no name. KeyError when the ring has none of it."""
        if name is None:
            return None
        key = self.ring[name]
        key.users += 1
        return key

    @staticmethod
    def release(*keys: Key | None) -> None:
        for key in keys:
            if key is not None:
                key.users -= 1
