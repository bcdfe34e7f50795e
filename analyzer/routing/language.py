"""Sets of texts, given by regular expressions, and the question whether some text is in several of them.

An expression becomes a nondeterministic automaton; `witness` walks the product of several. The walk is bounded: where
an answer would take too long, or an expression holds what is not followed here, it is Unknown, never a guess.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

from schemas import re2
from schemas.re2 import Anchor, Chars, Either, Regex, Repeated, Sequenced
from schemas.re2_classes import Ranges, merged

MAX_STATES = 2_000  # of one automaton
MAX_WALKED = 20_000  # configurations of a product

ANY_CHAR: Ranges = ((0, 0x10FFFF),)
_NICE = tuple(map(ord, "abcdefghijklmnopqrstuvwxyz0123456789-/.ABCDEFGHIJKLMNOPQRSTUVWXYZ_"))


class Unknown(Exception):
    """It cannot be told here."""


@dataclass(frozen=True, eq=False)
class Language:
    """A set of texts. State 0 is the start, `accepting` the end."""

    steps: tuple[tuple[tuple[Ranges, int], ...], ...]
    silent: tuple[tuple[tuple[str, int], ...], ...]  # (what must hold: "", begin or end; the next state)
    accepting: int
    _reached: dict[tuple[int, bool, bool], frozenset[int]] = field(default_factory=dict)

    def closure(self, state: int, *, begin: bool = False, end: bool = False) -> frozenset[int]:
        """The states that are reached without a character."""
        found = self._reached.get((state, begin, end))
        if found is None:
            passable = {""} | ({"begin"} if begin else set()) | ({"end"} if end else set())
            seen, todo = {state}, [state]
            for here in todo:
                fresh = {target for where, target in self.silent[here] if where in passable} - seen
                seen |= fresh
                todo += fresh
            found = self._reached[state, begin, end] = frozenset(seen)
        return found

    def accepts(self, state: int, *, begin: bool = False) -> bool:
        """Whether the text may end here."""
        return self.accepting in self.closure(state, begin=begin, end=True)


def everything() -> Language:
    """Every text there is."""
    return _matching(Repeated(Chars(ANY_CHAR), 0, None))


@functools.lru_cache(maxsize=4096)
def exactly(*texts: str) -> Language:
    return _matching(Either(tuple(map(re2.literal, texts))))


@functools.lru_cache(maxsize=4096)
def beginning_with(*texts: str) -> Language:
    rest = Repeated(Chars(ANY_CHAR), 0, None)
    return _matching(Either(tuple(Sequenced((re2.literal(text), rest)) for text in texts)))


@functools.lru_cache(maxsize=4096)
def containing(expression: str) -> Language:
    """The texts in which an expression matches somewhere. Raises Unknown, and RegexError when it is none."""
    rest = Repeated(Chars(ANY_CHAR), 0, None)
    try:
        return _matching(Sequenced((rest, re2.parse(expression), rest)))
    except re2.TooDeep as error:
        raise Unknown from error


def witness(inside: Sequence[Language], outside: Sequence[Language] = ()) -> str | None:
    """A shortest text that is in all of these and in none of those; None when there is none. Raises Unknown."""
    starts = product(*(sorted(one.closure(0, begin=True)) for one in inside))
    without = tuple(one.closure(0, begin=True) for one in outside)
    queue = deque((states, without, True, "") for states in starts)
    seen = {(states, without) for states, without, _, _ in queue}
    while queue:
        states, without, begin, text = queue.popleft()
        if _ends(inside, states, outside, without, begin=begin):
            return text
        for char, after in _onward(inside, states, outside, without):
            if after not in seen:
                seen.add(after)
                queue.append((*after, False, text + chr(char)))
        if len(seen) > MAX_WALKED:
            raise Unknown
    return None


_States = tuple[int, ...]
_Sets = tuple[frozenset[int], ...]


def _ends(
    inside: Sequence[Language], states: _States, outside: Sequence[Language], without: _Sets, *, begin: bool
) -> bool:
    if not all(one.accepts(state, begin=begin) for one, state in zip(inside, states, strict=True)):
        return False
    pairs = ((one, state) for one, some in zip(outside, without, strict=True) for state in some)
    return not any(one.accepts(state, begin=begin) for one, state in pairs)


def _onward(
    inside: Sequence[Language], states: _States, outside: Sequence[Language], without: _Sets
) -> Iterator[tuple[int, tuple[_States, _Sets]]]:
    """Every way to go on by one character: a character for each kind of it that is told apart here."""
    cuts = sorted({edge for one, some in zip(outside, without, strict=True) for edge in _edges(one, some)})
    for taken in product(*(one.steps[state] for one, state in zip(inside, states, strict=True))):
        common = functools.reduce(_common, (ranges for ranges, _ in taken), ANY_CHAR)
        targets = [sorted(one.closure(target)) for one, (_, target) in zip(inside, taken, strict=True)]
        for piece in _pieces(common, cuts):
            char = next((nice for nice in _NICE if any(low <= nice <= high for low, high in piece)), piece[0][0])
            after = tuple(_stepped(one, some, char) for one, some in zip(outside, without, strict=True))
            for reached in product(*targets):
                yield char, (reached, after)


def _edges(language: Language, states: Iterable[int]) -> Iterator[int]:
    for state in states:
        for ranges, _ in language.steps[state]:
            for low, high in ranges:
                yield from (low, high + 1)


def _pieces(ranges: Ranges, cuts: Sequence[int]) -> Iterator[Ranges]:
    """Ranges cut apart so that no cut lies inside a piece; without cuts they are one."""
    if not cuts:
        if ranges:
            yield ranges
        return
    for low, high in ranges:
        start = low
        for cut in (cut for cut in cuts if low < cut <= high):
            yield ((start, cut - 1),)
            start = cut
        yield ((start, high),)


def _stepped(language: Language, states: Iterable[int], char: int) -> frozenset[int]:
    targets = (
        target
        for state in states
        for ranges, target in language.steps[state]
        if any(low <= char <= high for low, high in ranges)
    )
    return frozenset().union(*(language.closure(target) for target in targets))


def _common(one: Ranges, other: Ranges) -> Ranges:
    pairs = ((max(a, c), min(b, d)) for a, b in one for c, d in other)
    return merged(pair for pair in pairs if pair[0] <= pair[1])


def _matching(expression: Regex) -> Language:
    builder = _Builder()
    accepting = builder.add(expression, builder.state())
    return Language(
        tuple(map(tuple, builder.steps)),
        tuple(map(tuple, builder.silent)),
        accepting,
    )


class _Builder:
    """States and steps of an automaton, one part of an expression after another."""

    def __init__(self) -> None:
        self.steps: list[list[tuple[Ranges, int]]] = []
        self.silent: list[list[tuple[str, int]]] = []

    def state(self) -> int:
        if len(self.steps) >= MAX_STATES:
            raise Unknown
        self.steps.append([])
        self.silent.append([])
        return len(self.steps) - 1

    def add(self, part: Regex, start: int) -> int:
        """Append what a part matches; the state in which it is matched."""
        match part:
            case Chars(None):
                raise Unknown
            case Chars(ranges):
                end = self.state()
                self.steps[start].append((ranges or (), end))
                return end
            case Anchor(where) if where in ("begin", "end"):
                return self._skip(start, where)
            case Anchor():
                raise Unknown
            case Sequenced(parts):
                for one in parts:
                    start = self.add(one, start)
                return start
            case Either(options):
                end = self.state()
                for one in options:
                    self.silent[self.add(one, self._skip(start))].append(("", end))
                return end
        return self._repeated(part, start)

    def _repeated(self, part: Repeated, start: int) -> int:
        for _ in range(part.least):
            start = self.add(part.part, start)
        if part.most is None:
            loop = self._skip(start)
            self.silent[self.add(part.part, loop)].append(("", loop))
            return self._skip(loop)
        end = self.state()
        for _ in range(part.most - part.least):
            self.silent[start].append(("", end))
            start = self.add(part.part, self._skip(start))
        self.silent[start].append(("", end))
        return end

    def _skip(self, start: int, where: str = "") -> int:
        end = self.state()
        self.silent[start].append((where, end))
        return end
