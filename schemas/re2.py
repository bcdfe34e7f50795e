r"""Regular expressions as Go reads them (RE2 syntax with Perl's additions): what is wrong with one, and its parts.

Python's own `re` is no judge: it takes back-references and look-arounds, which Go refuses, and refuses `\z` and `\pL`,
which Go takes. Traefik and the Kubernetes kinds around it are written in Go.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn, TypeAlias

from schemas.re2_classes import PERL, POSIX, Ranges, any_but, folded, merged, unicode_class

MAX_REPEAT = 1000
MAX_DEPTH = 100
_HIGHEST = sys.maxunicode
_SIMPLE = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_OCTAL = frozenset("01234567")


class RegexError(ValueError):
    """What Go would refuse, in words, and at which character."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


class TooDeep(ValueError):
    """An expression with so many groups inside each other that it is not followed here. Go may take it."""


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of a set. None: a set whose members are not known here (a Unicode script)."""

    ranges: Ranges | None


@dataclass(frozen=True, slots=True)
class Anchor:
    """The beginning or the end of the text (`text`) or of a line, or a word boundary."""

    where: str  # begin, end, begin-line, end-line, boundary, no-boundary


@dataclass(frozen=True, slots=True)
class Sequenced:
    parts: tuple[Regex, ...]


@dataclass(frozen=True, slots=True)
class Either:
    options: tuple[Regex, ...]


@dataclass(frozen=True, slots=True)
class Repeated:
    part: Regex
    least: int
    most: int | None


Regex: TypeAlias = "Chars | Anchor | Sequenced | Either | Repeated"
EMPTY = Sequenced(())


def parse(text: str) -> Regex:
    """The parts of an expression. Raises RegexError where Go would not compile it, and TooDeep."""
    return _Parser(text).whole()


def literal(text: str) -> Regex:
    """What matches exactly this text."""
    return Sequenced(tuple(Chars(((ord(char), ord(char)),)) for char in text))


@dataclass(frozen=True, slots=True)
class _Flags:
    fold: bool = False
    lines: bool = False
    dot_all: bool = False


class _Parser:
    """Reads from left to right; each method leaves `at` behind what it took."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.flags = _Flags()
        self.names: set[str] = set()
        self.depth = 0

    def whole(self) -> Regex:
        found = self._alternatives()
        if self.at < len(self.text):
            raise RegexError("a closing parenthesis without an opening one", self.at)
        return found

    def _peek(self, length: int = 1) -> str:
        return self.text[self.at : self.at + length]

    def _refuse(self, message: str, at: int | None = None) -> NoReturn:
        raise RegexError(message, self.at if at is None else at)

    def _alternatives(self) -> Regex:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise TooDeep
        flags, options = self.flags, [self._sequence()]
        while self._peek() == "|":
            self.at += 1
            options.append(self._sequence())
        self.flags = flags
        self.depth -= 1
        return options[0] if len(options) == 1 else Either(tuple(options))

    def _sequence(self) -> Regex:
        parts: list[Regex] = []
        repeated = False  # whether the last thing read was a repetition
        while (char := self._peek()) and char not in "|)":
            if repeats := self._repetition(char):
                if repeated:
                    self._refuse("one repetition right after another", repeats[2])
                if not parts:
                    self._refuse(f"nothing stands before {self.text[repeats[2] : self.at]}", repeats[2])
                parts[-1] = self._repeat(parts[-1], repeats)
            else:
                parts += self._atom(char)
            repeated = repeats is not None
        return parts[0] if len(parts) == 1 else Sequenced(tuple(parts))

    def _repeat(self, part: Regex, repeats: tuple[int, int | None, int]) -> Regex:
        least, most, at = repeats
        found = Repeated(part, least, most)
        if max(least, most or 0) >= 2 and _times(found) > MAX_REPEAT:
            self._refuse(f"repeated more than {MAX_REPEAT:,} times", at)
        return found

    def _repetition(self, char: str) -> tuple[int, int | None, int] | None:
        """(least, most, where it began) of `*`, `+`, `?` or `{…}`; a brace that is no repetition is a character."""
        start = self.at
        counts = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(char)
        if counts:
            self.at += 1
        elif char != "{" or not (counts := self._braces()):
            return None
        if self._peek() == "?":
            self.at += 1
        return (*counts, start)

    def _braces(self) -> tuple[int, int | None] | None:
        start = self.at
        end = self.text.find("}", start)
        least, comma, most = self.text[start + 1 : max(end, 0)].partition(",")
        if end < 0 or not _is_count(least) or not (most == "" or _is_count(most)):
            return None
        if len(least) > 4 or len(most) > 4 or int(least) > MAX_REPEAT or int(most or 0) > MAX_REPEAT:
            self._refuse(f"repeated more than {MAX_REPEAT:,} times")
        low, high = int(least), (int(most) if most else None) if comma else int(least)
        if high is not None and low > high:
            self._refuse(f"{{{low},{high}}} is the wrong way round")
        self.at = end + 1
        return low, high

    def _atom(self, char: str) -> Sequence[Regex]:
        r"""What one step reads: nothing for a group that only sets flags, much for `\Q…\E`."""
        match char:
            case "(":
                return self._group()
            case "[":
                return [self._set()]
            case "\\":
                return self._escape()
        self.at += 1
        return [self._sign(char)]

    def _sign(self, char: str) -> Regex:
        match char:
            case ".":
                return Chars(((0, _HIGHEST),) if self.flags.dot_all else any_but(((10, 10),)))
            case "^":
                return Anchor("begin-line" if self.flags.lines else "begin")
            case "$":
                return Anchor("end-line" if self.flags.lines else "end")
        return self._char(ord(char))

    def _char(self, code: int) -> Chars:
        return Chars(folded(((code, code),)) if self.flags.fold else ((code, code),))

    # --- groups

    def _group(self) -> Sequence[Regex]:
        start, outer = self.at, self.flags
        self.at += 1
        if self._peek() == "?":
            self.at += 1
            if not self._extension(start):
                return []
        inside = self._alternatives()
        if self._peek() != ")":
            self._refuse("a closing parenthesis is missing", start)
        self.at += 1
        self.flags = outer
        return [inside]

    def _extension(self, start: int) -> bool:
        """After `(?`: whether a group follows, or only flags were set."""
        for opening in ("P<", "<"):
            if self._peek(len(opening)) == opening and self._peek(len(opening) + 1)[-1:] not in ("=", "!"):
                self.at += len(opening)
                self._name(start)
                return True
        return self._set_flags(start)

    def _name(self, start: int) -> None:
        end = self.text.find(">", self.at)
        name = self.text[self.at : end]
        if end < 0 or not name or not _WORD.issuperset(name):
            self._refuse("a group's name is of letters, digits and _, and ends with >", start)
        if name in self.names:
            self._refuse(f"two groups are called {name}", start)
        self.names.add(name)
        self.at = end + 1

    def _set_flags(self, start: int) -> bool:
        flags, on, given = self.flags, True, True
        while char := self._peek():
            self.at += 1
            if char in _FLAGS:
                flags, given = replace(flags, **{_FLAGS[char]: on}) if _FLAGS[char] else flags, True
            elif char == "-" and on:
                on = given = False
            elif char in ":)" and given:
                self.flags = flags
                return char == ":"
            else:
                break
        return self._refuse(
            f"Go has no {self.text[start : self.at]}…; it knows no look-around and no back-reference", start
        )

    # --- escapes

    def _escape(self) -> Sequence[Regex]:
        at, char = self.at, self._peek(2)[1:]
        if anchor := {"A": "begin", "z": "end", "b": "boundary", "B": "no-boundary"}.get(char):
            self.at += 2
            return [Anchor(anchor)]
        if char == "Q":
            end = self.text.find("\\E", at)
            quoted = self.text[at + 2 : end if end >= 0 else None]
            self.at = end + 2 if end >= 0 else len(self.text)
            return [self._char(ord(one)) for one in quoted]
        if (found := self._known_class()) is not None:
            return [found]
        return [self._char(self._escaped_char())]

    def _known_class(self) -> Chars | None:
        r"""`\d` and the like, `\pL` and `\p{Greek}`."""
        start, char = self.at, self._peek(2)[1:]
        if char in PERL:
            self.at += 2
            return Chars(folded(PERL[char]) if self.flags.fold else PERL[char])
        if char not in ("p", "P") or not char:
            return None
        self.at += 2
        name = self._peek()
        end = self.text.find("}", self.at) if name == "{" else self.at
        if not name or end < 0:
            self._refuse("a class of Unicode characters needs a name, such as \\pL or \\p{Greek}", start)
        name = self.text[self.at + 1 : end] if name == "{" else name
        self.at = end + 1
        ranges = unicode_class(name.removeprefix("^"))
        if isinstance(ranges, str):
            self._refuse(f"Go knows no class of Unicode characters called {name.removeprefix('^')}", start)
        if ranges is None:
            return Chars(None)
        return Chars(any_but(ranges) if (char == "P") != name.startswith("^") else ranges)

    def _escaped_char(self) -> int:
        start, char = self.at, self._peek(2)[1:]
        if not char:
            self._refuse("it ends with a backslash")
        self.at += 2
        if char in _SIMPLE:
            return _SIMPLE[char]
        if char == "x":
            return self._hexadecimal(start)
        if char in _OCTAL and (char == "0" or (self._peek() in _OCTAL and self._peek())):
            digits = char
            while len(digits) < 3 and self._peek() and self._peek() in _OCTAL:
                digits += self._peek()
                self.at += 1
            return int(digits, 8)
        if char.isascii() and not char.isalnum():
            return ord(char)
        return self._refuse(_no_escape(char), start)

    def _hexadecimal(self, start: int) -> int:
        digits = self._peek(2)
        width = 2
        if digits[:1] == "{":
            end = self.text.find("}", self.at)
            digits, width = self.text[self.at + 1 : max(end, 0)], end + 1 - self.at
        wanted = all(digit in "0123456789abcdefABCDEF" for digit in digits) and digits
        if not wanted or (self._peek() != "{" and len(digits) < 2) or int(digits, 16) > _HIGHEST:
            self._refuse("\\x needs two hexadecimal digits, or up to 10FFFF in braces", start)
        self.at += width
        return int(digits, 16)

    # --- sets

    def _set(self) -> Chars:
        start = self.at
        self.at += 1
        negated = self._peek() == "^"
        self.at += negated
        found: list[tuple[int, int]] = []
        unknown, first = False, True
        while (char := self._peek()) != "]" or first:
            if not char:
                self._refuse("a closing ] is missing", start)
            first = False
            one = self._member()
            unknown |= one.ranges is None
            found += one.ranges or ()
        self.at += 1
        if unknown:
            return Chars(None)
        ranges = folded(merged(found)) if self.flags.fold else merged(found)
        return Chars(any_but(ranges) if negated else ranges)

    def _member(self) -> Chars:
        """One item of a set: a named class, a range or a character."""
        if self._peek(2) == "[:" and (end := self.text.find(":]", self.at + 2)) >= 0:
            name = self.text[self.at + 2 : end]
            if name.removeprefix("^") not in POSIX:
                self._refuse(f"Go knows no class called [:{name}:]")
            self.at = end + 2
            ranges = POSIX[name.removeprefix("^")]
            return Chars(any_but(ranges) if name.startswith("^") else ranges)
        if self._peek() == "\\" and (found := self._known_class()) is not None:
            return found
        start = self.at
        low = high = self._set_char()
        if self._peek() == "-" and self._peek(2)[1:] not in ("]", ""):
            self.at += 1
            high = self._set_char()
        if low > high:
            self._refuse(f"the range {self.text[start : self.at]} is the wrong way round", start)
        return Chars(((low, high),))

    def _set_char(self) -> int:
        if self._peek() == "\\":
            return self._escaped_char()
        if not self._peek():
            self._refuse("a closing ] is missing")
        self.at += 1
        return ord(self.text[self.at - 1])


_FLAGS = {"i": "fold", "m": "lines", "s": "dot_all", "U": ""}


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and (text == "0" or text[0] != "0")


def _no_escape(char: str) -> str:
    hints = {"Z": "; the end of the text is \\z", "u": "; write \\x{…}", "h": "; write [ \\t]"}
    hint = "; Go has no back-references" if char.isdigit() else hints.get(char, "")
    return f"Go has no \\{char}{hint}"


def _times(node: Regex) -> int:
    """How often the innermost part of nested repetitions is written out."""
    match node:
        case Repeated(part, least, most):
            return 1 if most == 0 else max(1, most if most is not None else least) * _times(part)
        case Sequenced(parts) | Either(parts):
            return max(map(_times, parts), default=1)
    return 1


def classes(node: Regex) -> Iterator[Chars]:
    """Every set of characters in an expression."""
    match node:
        case Chars():
            yield node
        case Repeated(part):
            yield from classes(part)
        case Sequenced(parts) | Either(parts):
            for part in parts:
                yield from classes(part)
