"""The requests that a rule takes, as a set: whether two rules share one, and whether one takes all that another does.

A rule is brought into the form "any of these combinations", each a list of conditions on the host, the path, the method
and so on. Where a condition cannot be followed, Unknown is raised.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

from analyzer.routing import language
from analyzer.routing.language import Language, Unknown, witness
from analyzer.routing.traefik_rule import VARIABLE, And, Matcher, Not, Or, Rule
from schemas import re2

MAX_COMBINATIONS = 64

ANYWHERE, NO_HOST = "anywhere", "*"

Point: TypeAlias = tuple[str, str]  # a host, and how paths begin there
Example: TypeAlias = Mapping[str, str]  # a request: what it has as host, path …


@dataclass(frozen=True, eq=False)
class Combination:
    """Conditions that hold together, by what they speak of: `host`, `path`, `method`, `header x-a` …"""

    inside: Mapping[str, tuple[Language, ...]]
    outside: Mapping[str, tuple[Language, ...]]


Requests: TypeAlias = tuple[Combination, ...]


@functools.lru_cache(maxsize=8192)
def requests_of(rule: Rule) -> Requests:
    """Raises Unknown, and RegexError for an expression that is none."""
    combinations = _combinations(rule, holds=True)
    if len(combinations) > MAX_COMBINATIONS:
        raise Unknown
    return tuple(map(_combination, combinations))


def shared(one: Requests, other: Requests) -> Example | None:
    """A request that both take."""
    examples = (_shared(a, b) for a in one for b in other)
    return next((example for example in examples if example is not None), None)


def within(one: Requests, other: Requests) -> bool:
    """Whether each combination of one is within one of the other's. (All together might be within several.)"""
    return all(any(_within(a, b) for b in other) for a in one if _shared(a, a) is not None)


def meeting_points(rule: Rule) -> frozenset[Point]:
    """Where others meet a rule: at its hosts, or anywhere for whoever names none, and how its paths begin."""
    return frozenset(other for host, path in _points(rule) for other in ((host, path), (ANYWHERE, path)))


def ways_to(rule: Rule) -> frozenset[Point]:
    """The points at which others stand that this rule may meet, or that may meet it: of two rules that share a request
    one's path begins as the other's does, and the longer one finds the shorter.
    """
    return frozenset(
        (name, path[:length])
        for host, path in _points(rule)
        for name in ((ANYWHERE,) if host == NO_HOST else (host, NO_HOST))
        for length in range(len(path) + 1)
    )


def _points(rule: Rule) -> frozenset[Point]:
    found: set[Point] = set()
    for combination in _combinations(rule, holds=True):
        named = [m for m, holds in combination if holds and m.name in _HOSTS]
        paths = [_beginnings(m) for m, holds in combination if holds and m.name.startswith("Path")]
        hosts = set.intersection(*(set(map(str.lower, m.values)) for m in named)) if named else {NO_HOST}
        longest = max(paths, key=lambda each: min(map(len, each)), default=("",))
        found |= {(host, path) for host in hosts for path in longest}
    return frozenset(found)


def _beginnings(matcher: Matcher) -> tuple[str, ...]:
    """How every path begins that a condition lets through."""
    if matcher.name == "PathRegexp":
        return tuple(map(_beginning, matcher.values))
    return tuple(value.partition("{")[0] for value in matcher.values)


def _beginning(expression: str) -> str:
    try:
        match re2.parse(expression):
            case re2.Sequenced((re2.Anchor("begin"), *parts)):
                plain = itertools.takewhile(lambda part: part is not None, map(_only_char, parts))
                return "".join(filter(None, plain))
    except (re2.RegexError, re2.TooDeep):
        pass
    return ""


def _only_char(part: re2.Regex) -> str | None:
    match part:
        case re2.Chars(((low, high),)) if low == high:
            return chr(low)
    return None


def in_words(example: Example) -> str:
    """`GET a.example/v1`, with headers and queries after it."""
    method, host, path = (example.get(name) for name in ("method", "host", "path"))
    rest = [f"{name} {text}" for name, text in sorted(example.items()) if name not in ("method", "host", "path")]
    return ", ".join([f"{f'{method} ' if method else ''}{host or ''}{path or '/'}", *rest])


_HOSTS = ("Host", "HostHeader")


def _combinations(rule: Rule, *, holds: bool) -> list[tuple[tuple[Matcher, bool], ...]]:
    match rule:
        case Matcher():
            return [((rule, holds),)]
        case Not(operand):
            return _combinations(operand, holds=not holds)
        case And(operands) | Or(operands):
            parts = [_combinations(operand, holds=holds) for operand in operands]
            if isinstance(rule, Or) == holds:
                return [combination for part in parts for combination in part]
            total = 1
            for part in parts:
                total *= len(part)
            if total > MAX_COMBINATIONS:
                raise Unknown
            return [tuple(matcher for part in chosen for matcher in part) for chosen in product(*parts)]


def _combination(conditions: Iterable[tuple[Matcher, bool]]) -> Combination:
    inside: dict[str, tuple[Language, ...]] = {}
    outside: dict[str, tuple[Language, ...]] = {}
    for matcher, holds in conditions:
        side = inside if holds else outside
        for aspect, texts in _condition(matcher):
            side[aspect] = (*side.get(aspect, ()), texts)
    return Combination(inside, outside)


def _condition(matcher: Matcher) -> Iterator[tuple[str, Language]]:
    values = matcher.values
    match matcher.name:
        case "Host" | "HostHeader":
            yield "host", language.exactly(*(value.lower() for value in values))
        case "HostRegexp":
            yield "host", _any_of(_host_expression(value.lower()) for value in values)
        case "Path" | "PathPrefix":
            yield "path", _paths(matcher.name, values)
        case "PathRegexp":
            yield "path", _any_of(values)
        case "Method":
            yield "method", language.exactly(*(value.upper() for value in values))
        case "Header" | "Headers":
            yield f"header {values[0].lower()}", language.exactly(values[1])
        case "HeaderRegexp" | "HeadersRegexp":
            yield f"header {values[0].lower()}", _any_of(values[1:])
        case "Query" | "QueryRegexp":
            yield _query(matcher)
        case _:
            raise Unknown


def _query(matcher: Matcher) -> tuple[str, Language]:
    name, *rest = matcher.values
    if not rest and "=" in name:  # as v2 writes it
        name, _, value = name.partition("=")
        rest = [value]
    if not rest:
        return f"query {name}", language.everything()
    return f"query {name}", language.exactly(*rest) if matcher.name == "Query" else _any_of(rest)


def _any_of(expressions: Iterable[str]) -> Language:
    return language.containing("|".join(f"(?:{one})" for one in expressions))


def _paths(name: str, values: tuple[str, ...]) -> Language:
    if any("{" in value for value in values):
        end = "$" if name == "Path" else ""
        return _any_of(f"^{_from_template(value, '[^/]+')}{end}" for value in values)
    return language.exactly(*values) if name == "Path" else language.beginning_with(*values)


def _host_expression(value: str) -> str:
    """An expression of v3 as it is; a template of v2, in which only what stands in braces is one."""
    return f"^{_from_template(value, '[^.]+')}$" if VARIABLE.search(value) else value


def _from_template(value: str, plain: str) -> str:
    """`/users/{id:[0-9]+}` as an expression."""
    found, at = "", 0
    while (start := value.find("{", at)) >= 0:
        end, depth = start + 1, 1
        while depth and end < len(value):
            depth += {"{": 1, "}": -1}.get(value[end], 0)
            end += 1
        _, colon, expression = value[start + 1 : end - 1].partition(":")
        found += re.escape(value[at:start]) + f"(?:{expression if colon else plain})"
        at = end
    return found + re.escape(value[at:])


def _shared(one: Combination, other: Combination) -> Example | None:
    found: dict[str, str] = {}
    for aspect in sorted({*one.inside, *other.inside, *one.outside, *other.outside}):
        inside = (*one.inside.get(aspect, ()), *other.inside.get(aspect, ()))
        outside = (*one.outside.get(aspect, ()), *other.outside.get(aspect, ()))
        text = witness(tuple(dict.fromkeys(inside)) or (_start_of(aspect),), tuple(dict.fromkeys(outside)))
        if text is None:
            return None
        if inside:
            found[aspect] = text
    return found


def _within(one: Combination, other: Combination) -> bool:
    for aspect, wanted in other.inside.items():
        inside = one.inside.get(aspect) or (_start_of(aspect),)
        if any(witness(inside, (*one.outside.get(aspect, ()), part)) is not None for part in wanted):
            return False
    for aspect, refused in other.outside.items():
        inside = one.inside.get(aspect) or (_start_of(aspect),)
        if any(witness((*inside, part), one.outside.get(aspect, ())) is not None for part in refused):
            return False
    return True


def _start_of(aspect: str) -> Language:
    """What any request has there."""
    return language.beginning_with("/") if aspect == "path" else language.everything()
