"""A manifest that is being rendered: its value, and for every part of it where that was written last.

Parts stand where their whole stands until something else sets them: only the exceptions are remembered, so a manifest
that no kustomization touches costs nothing. Files are shared between roots; a part is copied when it is first changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from analyzer.composer import MAX_DEPTH, MAX_NODES, holds
from analyzer.document import Document
from schemas.validation import Path

Step: TypeAlias = str | int

MAX_MADE = 2_000_000  # parts that one kustomization puts somewhere
TEXT = 64  # characters that count as much as a part


@dataclass(frozen=True, slots=True)
class Origin:
    """A place in a document of the repository."""

    file: str
    document: Document
    path: Path = ()

    def at(self, *steps: Step) -> Origin:
        """The place of a part."""
        return Origin(self.file, self.document, (*self.path, *steps))

    @property
    def value(self) -> Any:  # noqa: ANN401  # JSON
        """What is written there."""
        here: Any = self.document.value
        for step in self.path:
            here = here[step]
        return here


@dataclass(frozen=True, slots=True)
class Part:
    """A value, and where it was written; `tree` where parts of it were written elsewhere."""

    value: Any
    origin: Origin
    tree: Tree | None = None


@dataclass(slots=True)
class _Moved:
    """The parts of a container that were not written where it was. Holds on to the container: its id stays its own."""

    container: Any
    origins: dict[Step, Origin] = field(default_factory=dict)


class Misfit(Exception):
    """Something was to be put into a value that holds nothing, such as a text."""

    def __init__(self, origin: Origin) -> None:
        super().__init__(f"{origin.file}: what should hold something is a single value")
        self.origin = origin


class TooMuch(Misfit):
    """More was to be made of few files than anybody could read."""


@dataclass(slots=True)
class Allowance:
    """How much a kustomization may still make: a few lines that double something forty times would fill any
    memory. Counted are parts that are put somewhere, long texts by their length, and resources that are looked through.
    """

    left: int = MAX_MADE

    def spend(self, amount: int, origin: Origin) -> None:
        self.left -= amount
        if self.left < 0:
            raise TooMuch(origin)

    def put(self, value: Any, origin: Origin, depth: int = 0) -> int:  # noqa: ANN401  # JSON
        """Count every part of a value that is to be so deep in another one; what is shared, as often as it is there."""
        parts, before = [(value, depth)], self.left
        while parts:
            part, depth = parts.pop()
            self.spend(1 + len(part) // TEXT if isinstance(part, (str, bytes)) else 1, origin)
            if isinstance(part, (dict, list)):
                self.spend(len(part), origin)
                if depth >= MAX_DEPTH:
                    raise TooMuch(origin)
                parts += ((each, depth + 1) for each in (part.values() if isinstance(part, dict) else part))
        return before - self.left


class Tree:
    """A value that can be changed part by part."""

    def __init__(self, value: Any, origin: Origin, allowance: Allowance | None = None) -> None:  # noqa: ANN401  # JSON
        self.value = value
        self.origin = origin
        self.allowance = allowance or Allowance()
        self._made = 0  # parts that were put here
        self._own: dict[int, Any] = {}  # containers that nobody else sees
        self._moved: dict[int, _Moved] = {}

    def fork(self, allowance: Allowance | None = None) -> Tree:
        """The same tree, to be changed by somebody else."""
        twin = Tree(self.value, self.origin, allowance or self.allowance)
        twin._moved, twin._made = self.lend(), self._made
        return twin

    def lend(self) -> dict[int, _Moved]:
        """What somebody else needs to know who takes parts over; from now on they are seen by two."""
        self._own = {}
        return {at: _Moved(moved.container, dict(moved.origins)) for at, moved in self._moved.items()}

    @property
    def untouched(self) -> bool:
        """Whether it still is what its document says."""
        return self.value is self.origin.document.value and not self.origin.path

    def get(self, path: Path, default: Any = None) -> Any:  # noqa: ANN401  # JSON
        here = self.value
        for step in path:
            if not holds(here, step):
                return default
            here = here[step]
        return here

    def has(self, path: Path) -> bool:
        return self.get(path, _NOTHING) is not _NOTHING

    def written(self, path: Path) -> Origin:
        """Where the part at `path` was written; of one that is not there, what should hold it."""
        here, origin = self.value, self.origin
        for step in path:
            if not holds(here, step):
                break
            origin, here = self._origin_of(here, origin, step), here[step]
        return origin

    def exceptions(self) -> Iterator[tuple[Path, Origin]]:
        """The parts that were not written where their whole was, in the order of the value."""
        waiting: list[tuple[Path, Any]] = [((), self.value)]
        while waiting:
            path, here = waiting.pop()
            moved = self._moved.get(id(here))
            for step, part in here.items() if isinstance(here, dict) else enumerate(here):
                if moved and step in moved.origins:
                    yield (*path, step), moved.origins[step]
                if isinstance(part, (dict, list)):
                    waiting.append(((*path, step), part))

    def part(self, path: Path) -> Part:
        return Part(self.get(path), self.written(path), self)

    def set(self, path: Path, part: Part) -> None:
        """Put a value at `path`, whose holder exists; in a list, in place of an item."""
        self._made += self.allowance.put(part.value, part.origin, len(path))
        if self._made > MAX_NODES:
            raise TooMuch(part.origin)
        self._put(path, part)

    def _put(self, path: Path, part: Part) -> None:
        self._adopt(part.tree)
        if not path:
            self.value, self.origin = part.value, part.origin
            return
        holder = self._writable(path[:-1])
        holder[path[-1]] = part.value
        self._remember(holder, path[-1], part.origin)

    def create(self, path: Path, part: Part) -> None:
        """Put a value at `path`; mappings that are missing on the way are written where the value is."""
        for depth in range(1, len(path)):
            if self.get(path[:depth]) is None:
                self.set(path[:depth], Part({}, part.origin))
        self.set(path, part)

    def edit(self, path: Path, value: Any) -> None:  # noqa: ANN401  # JSON
        """Change a value that stays where it was written, such as a name that gets a prefix."""
        self._put(path, Part(value, self.written(path)))

    def remove(self, path: Path) -> None:
        holder = self._writable(path[:-1])
        if isinstance(holder, list):
            parts = list(self.items(path[:-1]))
            del parts[int(path[-1])]
            self.set_items(path[:-1], parts)
        else:
            del holder[path[-1]]
            if id(holder) in self._moved:
                self._moved[id(holder)].origins.pop(path[-1], None)

    def items(self, path: Path) -> Iterator[Part]:
        """The items of a list, each with its place."""
        for index in range(len(self.get(path))):
            yield self.part((*path, index))

    def set_items(self, path: Path, parts: Iterable[Part]) -> None:
        """Let the list at `path` hold these items, in this order."""
        kept = list(parts)
        for part in kept:
            self._adopt(part.tree)
        fresh: list[Any] = [part.value for part in kept]
        self.allowance.spend(len(fresh), self.origin)
        self._put(path, Part(fresh, self.written(path)))
        self._own[id(fresh)] = fresh
        self._moved[id(fresh)] = _Moved(fresh, {index: part.origin for index, part in enumerate(kept)})

    def _adopt(self, tree: Tree | None) -> None:
        """Take over what another tree knows of its parts, some of which come here. What comes from this one would hold
        itself if it were changed in place.
        """
        if tree is self:
            self._own = {}
        elif tree is not None:
            for at, moved in tree.lend().items():
                self._moved.setdefault(at, moved)

    def _origin_of(self, container: Any, origin: Origin, step: Step) -> Origin:  # noqa: ANN401  # JSON
        moved = self._moved.get(id(container))
        return (moved.origins.get(step) if moved else None) or origin.at(step)

    def _remember(self, holder: Any, step: Step, origin: Origin) -> None:  # noqa: ANN401  # JSON
        self._moved.setdefault(id(holder), _Moved(holder)).origins[step] = origin

    def _writable(self, path: Path) -> Any:  # noqa: ANN401  # JSON
        """The container at `path`, every one on the way copied unless it is ours alone."""
        self.value = here = self._owned(self.value, ())
        for depth, step in enumerate(path, 1):
            here[step] = self._owned(here[step], path[:depth])
            here = here[step]
        return here

    def _owned(self, container: Any, path: Path) -> Any:  # noqa: ANN401  # JSON
        if id(container) in self._own:
            return container
        if not isinstance(container, (dict, list)):
            raise Misfit(self.written(path))
        copy = container.copy()
        self.allowance.spend(len(copy) // TEXT, self.origin)
        self._own[id(copy)] = copy
        moved = self._moved.get(id(container))
        if moved:
            self._moved[id(copy)] = _Moved(copy, dict(moved.origins))
        return copy


_NOTHING = object()
