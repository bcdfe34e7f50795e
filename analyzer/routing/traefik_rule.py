"""The rules of Traefik's routers, in their v3 and v2 form: Host(`a.example`) && (Path(`/v1`) || !Method(`GET`))."""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn, TypeAlias

from schemas.validation import did_you_mean

MAX_DEPTH = 50


class RuleError(ValueError):
    """What Traefik would not take, in words, and at which character."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a request, such as Host or PathPrefix."""

    name: str
    values: tuple[str, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Not:
    operand: Rule


@dataclass(frozen=True, slots=True)
class And:
    operands: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Or:
    operands: tuple[Rule, ...]


Rule: TypeAlias = "Matcher | Not | And | Or"

# How many values each takes, least and most; None: any number.
MATCHERS: Mapping[str, tuple[int, int | None]] = {
    "ClientIP": (1, None),
    "Header": (2, 2),
    "HeaderRegexp": (2, 2),
    "Headers": (2, 2),
    "HeadersRegexp": (2, 2),
    "Host": (1, None),
    "HostHeader": (1, None),
    "HostRegexp": (1, None),
    "Method": (1, None),
    "Path": (1, None),
    "PathPrefix": (1, None),
    "PathRegexp": (1, 1),
    "Query": (1, None),
    "QueryRegexp": (1, 2),
}
VARIABLE = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*(:|\})")  # in the templates of v2
_SPELT = {name.casefold(): name for name in MATCHERS}
_TOKEN = re.compile(
    r"\s*(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)|`(?P<raw>[^`]*)`|\"(?P<text>(?:[^\"\\\n]|\\.)*)\"|(?P<sign>&&|\|\||[!(),]))"
)
_SPACE = re.compile(r"\s*")


@functools.lru_cache(maxsize=8192)
def parse(text: str) -> Rule:
    """The conditions of a rule. Raises RuleError."""
    return _Parser(text).whole()


def matchers(rule: Rule) -> Iterator[Matcher]:
    """Every condition in a rule, from left to right."""
    match rule:
        case Matcher():
            yield rule
        case Not(operand):
            yield from matchers(operand)
        case And(operands) | Or(operands):
            for operand in operands:
                yield from matchers(operand)


def only_in_v2(matcher: Matcher) -> str:
    """What is of the form of version 2 in a condition, and how version 3 has it; empty when nothing is."""
    name = matcher.name
    if newer := {"Headers": "Header", "HeadersRegexp": "HeaderRegexp", "HostHeader": "Host"}.get(name):
        return f"{name} is {newer} there"
    if name == "Query":
        return "Query has the name and the value apart there" if "=" in matcher.values[0] else ""
    if len(matcher.values) > 1 and MATCHERS[name] == (1, None):
        return f"{name} takes one value there, others are joined with ||"
    if name in ("Path", "PathPrefix") and any("{" in value for value in matcher.values):
        return f"{name} has no variables there; use PathRegexp"
    if name == "HostRegexp" and any(VARIABLE.search(value) for value in matcher.values):
        return f"{name} is one regular expression there, without braces around a part"
    return ""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # name, text, or the sign itself; empty at the end
    text: str
    at: int


class _Parser:
    """`||` binds weaker than `&&`, and that weaker than `!`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tuple(_tokens(text))
        self.next = 0
        self.depth = 0

    def whole(self) -> Rule:
        found = self._either()
        if self._here.kind:
            self._refuse(f"{self._here.text} is not expected here; join conditions with && or ||")
        return found

    @property
    def _here(self) -> _Token:
        return self.tokens[self.next]

    def _take(self, kind: str) -> bool:
        taken = self._here.kind == kind
        self.next += taken
        return taken

    def _refuse(self, message: str, at: int | None = None) -> NoReturn:
        raise RuleError(message, self._here.at if at is None else at)

    def _either(self) -> Rule:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self._refuse(f"nested more than {MAX_DEPTH} levels deep")
        operands = [self._both()]
        while self._take("||"):
            operands.append(self._both())
        self.depth -= 1
        return operands[0] if len(operands) == 1 else Or(tuple(operands))

    def _both(self) -> Rule:
        operands = [self._single()]
        while self._take("&&"):
            operands.append(self._single())
        return operands[0] if len(operands) == 1 else And(tuple(operands))

    def _single(self) -> Rule:
        negations = 0
        while self._take("!"):
            negations += 1
        found = self._plain()
        return Not(found) if negations % 2 else found

    def _plain(self) -> Rule:
        start = self._here
        if self._take("("):
            found = self._either()
            if not self._take(")"):
                self._refuse("a parenthesis is not closed", start.at)
            return found
        if start.kind != "name":
            self._refuse(f"a condition is missing{f' before {start.text}' if start.kind else ''}")
        self.next += 1
        name = _SPELT.get(start.text.casefold())
        if name is None:
            self._refuse(f"Traefik has no matcher {start.text}{did_you_mean(start.text, MATCHERS)}", start.at)
        return self._matcher(name, start)

    def _matcher(self, name: str, start: _Token) -> Matcher:
        if not self._take("("):
            self._refuse(f"{name} needs its values in parentheses")
        values = [*self._values(name)]
        if not self._take(")"):
            self._refuse(f"the parenthesis after {name} is not closed", start.at)
        least, most = MATCHERS[name]
        if len(values) < least or (most is not None and len(values) > most):
            wanted = "a value" if least == 1 else f"{least} values"
            self._refuse(f"{name} needs {wanted} and has {len(values)}", start.at)
        if fault := next(filter(None, (_fault(name, value) for value in values)), ""):
            self._refuse(fault, start.at)
        return Matcher(name, tuple(values), start.at)

    def _values(self, name: str) -> Iterator[str]:
        while self._here.kind == "text":
            yield self._here.text
            self.next += 1
            if not self._take(","):
                return
        if self._here.kind == "name":
            self._refuse(f"put the values of {name} in backquotes: `{self._here.text}…`")


def _fault(name: str, value: str) -> str:
    """Why Traefik, in both forms, would not take a value."""
    if not value:
        return f"{name} has an empty value"
    if name in ("Path", "PathPrefix") and not value.startswith("/"):
        return f"a path begins with /, and {value} does not"
    if name.startswith("Host") and not value.isascii():
        return f"{value} is not ASCII; write the host in its encoded form (xn--…)"
    if name == "ClientIP":
        try:
            ipaddress.ip_network(value, strict=False)
        except ValueError:
            return f"{value} is no address and no network"
    return ""


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while found := _TOKEN.match(text, at):
        kind = str(found.lastgroup)
        value = found[kind]
        match kind:
            case "raw":
                yield _Token("text", value, found.start(kind) - 1)
            case "text":
                yield _Token("text", _unescaped(value), found.start(kind) - 1)
            case "name":
                yield _Token("name", value, found.start(kind))
            case _:
                yield _Token(value, value, found.start(kind))
        at = found.end()
    at = _SPACE.match(text, at).end()  # type: ignore[union-attr]  # it matches everywhere
    if at < len(text):
        what = {"'": "single quotes are for one character; use backquotes", "`": "a backquote is not closed"}
        raise RuleError(what.get(text[at], f"{text[at]} has no meaning in a rule"), at)
    yield _Token("", "", len(text))


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), text)
