"""The ring of the last 1024 bdev events. Ids restart at 0 with the process; an older id starts at the oldest."""

from __future__ import annotations

from collections import deque
from typing import Final

from schemas.resources import Json

RING: Final = 1024
FIELD: Final = 128  # bytes for a type, and for a name; a longer name runs into the type of the next place in the ring


class Notifications:
    """Events by type and bdev name, oldest first."""

    def __init__(self) -> None:
        self._events: deque[tuple[str, str]] = deque(maxlen=RING)
        self._sent = 0

    def send(self, kind: str, name: str) -> None:
        self._events.append((kind, name))
        self._sent += 1

    def since(self, first: int, at_most: int) -> list[Json]:
        """At most so many events from id `first` on."""
        oldest = self._sent - len(self._events)
        begin = max(first, oldest)
        return [self._dump(id_, oldest) for id_ in range(begin, min(self._sent, begin + at_most))]

    def _dump(self, id_: int, oldest: int) -> Json:
        kind, name = self._events[id_ - oldest]
        if len(name.encode()) >= FIELD:
            name = name.encode()[:FIELD].decode(errors="ignore") + self._next_kind(id_ - oldest)
        return {"type": kind, "ctx": name, "id": id_}

    def _next_kind(self, place: int) -> str:
        return self._events[place + 1][0] if place + 1 < len(self._events) else ""
