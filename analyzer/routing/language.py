"""Sets of texts, given by regular expressions, and the question whether some text is in several of them.

An expression becomes an automaton; `witness` walks several side by side, in all the states in which each may be. The
walk is bounded: where an answer would take too long, or an expression holds what is not followed here, it is Unknown,
never a guess. Plain texts and what begins with them, which most paths and hosts are, are compared as texts.
"""

from __future__ import annotations

import functools
from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

from schemas import re2
from schemas.re2 import Anchor, Chars, Either, Regex, Repeated, Sequenced
from schemas.re2_classes import Ranges

MAX_STATES = 1_000  # of one automaton
MAX_WALKED = 3_000  # combinations of states

ANY_CHAR: Ranges = ((0, 0x10FFFF),)
_NICE = tuple(map(ord, "abcdefghijklmnopqrstuvwxyz0123456789-/.ABCDEFGHIJKLMNOPQRSTUVWXYZ_"))

States: TypeAlias = frozenset[int]  # the states in which an automaton may be


class Unknown(Exception):
    """It cannot be told here."""


@dataclass(frozen=True, eq=False)
class Language:
    """A set of texts. State 0 is the start, `accepting` the end. Where it leads is worked out when it is asked, once.

    `plain`: these texts and, where it is said, whatever begins with them; empty for other sets.
    """

    steps: tuple[tuple[tuple[Ranges, int], ...], ...]
    silent: tuple[tuple[tuple[str, int], ...], ...]  # (what must hold: "", begin or end; the next state)
    accepting: int
    plain: tuple[tuple[str, bool], ...] = ()
    _onward: dict[States, tuple[tuple[Ranges, States], ...]] = field(default_factory=dict)
    _ends: dict[tuple[States, bool], bool] = field(default_factory=dict)

    @functools.cached_property
    def start(self) -> States:
        return self._closure((0,), {"", "begin"})

    def onward(self, states: States) -> tuple[tuple[Ranges, States], ...]:
        """Every character, and where it leads: nowhere for those that no text of the set has here."""
        found = self._onward.get(states)
        if found is None:
            edges = [edge for state in states for edge in self.steps[state]]
            cuts = sorted({0, *(end for ranges, _ in edges for low, high in ranges for end in (low, high + 1))})
            led: dict[States, list[tuple[int, int]]] = {}
            for low, after in pairwise((*cuts, ANY_CHAR[0][1] + 1)):
                if low < after:
                    targets = tuple(target for ranges, target in edges if _holds(ranges, low))
                    led.setdefault(self._closure(targets, {""}), []).append((low, after - 1))
            found = self._onward[states] = tuple((tuple(ranges), reached) for reached, ranges in led.items())
        return found

    def ends(self, states: States, *, begin: bool) -> bool:
        """Whether the text may end here."""
        found = self._ends.get((states, begin))
        if found is None:
            passable = {"", "begin", "end"} if begin else {"", "end"}
            found = self._ends[states, begin] = self.accepting in self._closure(tuple(states), passable)
        return found

    def _closure(self, states: tuple[int, ...], passable: set[str]) -> States:
        """The states that are reached without a character."""
        seen, todo = set(states), [*states]
        for here in todo:
            fresh = {target for where, target in self.silent[here] if where in passable} - seen
            seen |= fresh
            todo += fresh
        return frozenset(seen)


@functools.cache
def everything() -> Language:
    """Every text there is."""
    return _matching(Repeated(Chars(ANY_CHAR), 0, None), (("", True),))


@functools.lru_cache(maxsize=4096)
def exactly(*texts: str) -> Language:
    return _matching(Either(tuple(map(re2.literal, texts))), tuple((text, False) for text in texts))


@functools.lru_cache(maxsize=4096)
def beginning_with(*texts: str) -> Language:
    rest = Repeated(Chars(ANY_CHAR), 0, None)
    expression = Either(tuple(Sequenced((re2.literal(text), rest)) for text in texts))
    return _matching(expression, tuple((text, True) for text in texts))


@functools.lru_cache(maxsize=4096)
def containing(expression: str) -> Language:
    """The texts in which an expression matches somewhere. Raises Unknown, and RegexError when it is none."""
    rest = Repeated(Chars(ANY_CHAR), 0, None)
    try:
        return _matching(Sequenced((rest, re2.parse(expression), rest)))
    except re2.TooDeep as error:
        raise Unknown from error


@functools.lru_cache(maxsize=65_536)
def witness(inside: tuple[Language, ...], outside: tuple[Language, ...] = ()) -> str | None:
    """A shortest text that is in all of these and in none of those; None when there is none. Raises Unknown."""
    everyone, wanted = (*inside, *outside), len(inside)
    if all(language.plain for language in everyone):
        return _plain_witness(inside, outside)
    start = tuple(language.start for language in everyone)
    queue = deque([(start, True, "")])
    seen = {start}
    while queue:
        states, begin, text = queue.popleft()
        ends = [language.ends(here, begin=begin) for language, here in zip(everyone, states, strict=True)]
        if all(ends[:wanted]) and not any(ends[wanted:]):
            return text
        for ranges, after in _onward(everyone, states, wanted):
            if after not in seen:
                seen.add(after)
                queue.append((after, False, text + _nicest(ranges)))
        if len(seen) > MAX_WALKED:
            raise Unknown
    return None


def _plain_witness(inside: tuple[Language, ...], outside: tuple[Language, ...]) -> str | None:
    """The same for plain texts, and what begins with them."""
    shared: list[tuple[str, bool]] = [("", True)]
    for language in inside:
        shared = [both for one in shared for other in language.plain if (both := _plain_common(one, other))]
    refused = [each for language in outside for each in language.plain]
    for text, onward in sorted(shared, key=lambda each: (len(each[0]), each)):
        endings = ("", *map(chr, _NICE)) if onward else ("",)
        found = next((text + end for end in endings if not any(_has(each, text + end) for each in refused)), None)
        if found is not None:
            return found
        if onward and not any(also and text.startswith(begun) for begun, also in refused):
            raise Unknown  # every ending that was tried is refused, and there are others
    return None


def _plain_common(one: tuple[str, bool], other: tuple[str, bool]) -> tuple[str, bool] | None:
    short, long = sorted((one, other), key=lambda each: len(each[0]))
    if not _has(short, long[0]):
        return None
    return (long[0], one[1] and other[1]) if long[0] == short[0] else long


def _has(plain: tuple[str, bool], text: str) -> bool:
    return text.startswith(plain[0]) if plain[1] else text == plain[0]


def _onward(
    everyone: tuple[Language, ...], states: tuple[States, ...], wanted: int
) -> list[tuple[Ranges, tuple[States, ...]]]:
    """Every way to go on by one character that leads somewhere in each set that the text is to be in."""
    ways: list[tuple[Ranges, tuple[States, ...]]] = [(ANY_CHAR, ())]
    for number, (language, here) in enumerate(zip(everyone, states, strict=True)):
        led = [(ranges, reached) for ranges, reached in language.onward(here) if reached or number >= wanted]
        ways = [
            (common, (*before, reached))
            for ranges, before in ways
            for others, reached in led
            if (common := _common(ranges, others))
        ]
    return ways


def _common(one: Ranges, other: Ranges) -> Ranges:
    if one is ANY_CHAR:
        return other
    found, left, right = [], 0, 0
    while left < len(one) and right < len(other):
        low, high = max(one[left][0], other[right][0]), min(one[left][1], other[right][1])
        if low <= high:
            found.append((low, high))
        if one[left][1] < other[right][1]:
            left += 1
        else:
            right += 1
    return tuple(found)


def _holds(ranges: Ranges, char: int) -> bool:
    return any(low <= char <= high for low, high in ranges)


def _nicest(ranges: Ranges) -> str:
    return chr(next((char for char in _NICE if _holds(ranges, char)), ranges[0][0]))


def _matching(expression: Regex, plain: tuple[tuple[str, bool], ...] = ()) -> Language:
    builder = _Builder()
    accepting = builder.add(expression, builder.state())
    return Language(
        tuple(map(tuple, builder.steps)),
        tuple(map(tuple, builder.silent)),
        accepting,
        plain,
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
