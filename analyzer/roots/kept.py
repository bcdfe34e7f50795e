"""What was rendered before, by what it was made of: as long as all that it looked at is the same, so is it."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from analyzer.roots.files import Files

Made = TypeVar("Made")
Trace: TypeAlias = tuple[tuple[str, str], ...]

VARIANTS = 2  # of one thing: a revision is mostly looked at beside the one before
MAX_KEPT = 400_000  # resources of all that is kept


def trace_of(files: Files, reads: Iterable[str]) -> Trace:
    """What is at each path that was looked at, or that there is nothing."""
    return tuple((path, files.id_of(path)) for path in sorted(reads))


@dataclass(frozen=True, slots=True)
class _Entry(Generic[Made]):
    trace: Trace
    made: Made
    size: int


class Kept(Generic[Made]):
    """Rendered things by what they are called; those that nobody has asked for longest go first."""

    def __init__(self) -> None:
        self._entries: OrderedDict[object, tuple[_Entry[Made], ...]] = OrderedDict()
        self._size = 0

    def find(self, name: object, files: Files) -> Made | None:
        """What was made under this name, of the very files that are there now."""
        for entry in self._entries.get(name, ()):
            if all(files.id_of(path) == known for path, known in entry.trace):
                with contextlib.suppress(KeyError):  # another thread may just have let it go
                    self._entries.move_to_end(name)
                return entry.made
        return None

    def keep(self, name: object, trace: Trace, made: Made, size: int) -> None:
        others = self._entries.pop(name, ())
        fresh = (_Entry(trace, made, size + len(trace)), *(each for each in others if each.trace != trace))
        self._entries[name] = fresh[:VARIANTS]
        self._size += sum(each.size for each in self._entries[name]) - sum(each.size for each in others)
        while self._size > MAX_KEPT and len(self._entries) > 1:
            _, oldest = self._entries.popitem(last=False)
            self._size -= sum(each.size for each in oldest)
