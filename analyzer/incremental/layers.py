"""What is known of a revision, in layers: a newer one holds what differs, and leaves the rest to the one below.

Three sorts of things are kept: units (files, or what stands for several of them), entries (one for each key that is
declared), and sets of keys under a name, which are the indexes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from analyzer.ask import Found
from analyzer.edges import Reference
from analyzer.finding import Location
from analyzer.incremental.memberships import Name
from analyzer.manifest import Manifest
from analyzer.rule import File
from schemas.resources import ResourceKey

Place: TypeAlias = tuple[str, int]  # a unit, and the number of a declaration in it

DEEPEST = 8  # layers on top of each other


@dataclass(frozen=True, slots=True)
class Unit:
    """A file, what rules found in it alone, and where something in it could not be made out."""

    file: File
    told: tuple[Found, ...]
    unread: tuple[tuple[Location, str], ...]

    def manifest(self, number: int) -> Manifest:
        found = self.file.declarations[number]
        assert isinstance(found, Manifest)  # noqa: S101  # only those have a place
        return found


@dataclass(frozen=True, slots=True)
class Entry:
    """One key: where it is declared (the first counts), what it names, what was found, and what was asked for that."""

    places: tuple[Place, ...]
    outgoing: tuple[Reference, ...] = ()
    knot: frozenset[ResourceKey] = frozenset()
    told: tuple[Found, ...] = ()
    asked: frozenset[Name] = frozenset()


class Layer:
    """The lowest one holds everything; one on top holds what differs from the one below."""

    def __init__(self, below: Layer | None = None) -> None:
        self.below = below
        self.units: dict[str, Unit | None] = {}
        self.entries: dict[ResourceKey, Entry | None] = {}
        self.added: dict[Name, set[ResourceKey]] = defaultdict(set)
        self.removed: dict[Name, set[ResourceKey]] = defaultdict(set)

    stored = False  # whether what it holds is read from somewhere as it is asked

    @property
    def depth(self) -> int:
        return 1 + (self.below.depth if self.below else 0)

    def unit(self, path: str) -> Unit | None:
        if path in self.units or self.below is None:
            return self.units.get(path)
        return self.below.unit(path)

    def entry(self, key: ResourceKey) -> Entry | None:
        if key in self.entries or self.below is None:
            return self.entries.get(key)
        return self.below.entry(key)

    def members(self, name: Name) -> Iterable[ResourceKey]:
        """The keys in a set, in no order."""
        if self.below is None:
            return self.added.get(name, ())
        if name not in self.added and name not in self.removed:
            return self.below.members(name)
        kept = set(self.below.members(name)) - self.removed.get(name, set())
        return kept | self.added.get(name, set())

    def paths(self) -> Iterator[str]:
        """The names of all units."""
        yield from (path for path, unit in self.units.items() if unit)
        if self.below:
            yield from (path for path in self.below.paths() if path not in self.units)

    def put(self, name: Name, key: ResourceKey) -> None:
        self.removed.get(name, set()).discard(key)
        self.added[name].add(key)

    def take(self, name: Name, key: ResourceKey) -> None:
        self.added.get(name, set()).discard(key)
        if self.below:
            self.removed[name].add(key)

    def flat(self) -> Layer:
        """The same in one layer."""
        if self.below is None:
            return self
        under, made = self.below.flat(), Layer()
        if under.stored:
            return self
        made.units = {path: unit for path, unit in (under.units | self.units).items() if unit}
        made.entries = {key: entry for key, entry in (under.entries | self.entries).items() if entry}
        names = under.added.keys() | self.added.keys()
        made.added.update({name: keys for name in names if (keys := set(self.members(name)))})
        return made
