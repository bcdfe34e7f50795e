"""What somebody allows, why, and until when: in a comment beside it, or in `.holdfast.yaml` by selector.

# holdfast: allow[open-subsystem, rounded-iops] the old backup host has no NQN, until 2026-12-31
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice
from typing import Any

from analyzer.comments import Comment, comments
from analyzer.document import Source
from analyzer.finding import Finding, Location
from analyzer.patterns import matches_name, matches_path
from schemas.resources import ResourceKey
from schemas.validation import quoted

MOST = 1_000  # comments of one file that allow something
LONGEST = 2_000  # characters of one
FORM = "allow[rule] reason, until 2026-12-31"

_VERB = re.compile(r"(?P<verb>[A-Za-z]+)\s*(?P<rest>.*)")
_ALLOWED = re.compile(r"\[(?P<rules>[^\]]*)\]\s*(?P<words>.*)")
_UNTIL = re.compile(r"(?:^|[,;]?\s+)until\s+(?P<day>\S+)$")
_MEANT = ("ignore", "disable", "suppress", "noqa", "skip")


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a file that a comment is about."""

    path: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Selector:
    """What a finding must be about: all that is given, and of each any."""

    paths: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()

    def covers(self, finding: Finding, labels: Mapping[str, str]) -> bool:
        path, key = finding.location.path, finding.resource
        if self.paths and not any(matches_path(pattern, path) for pattern in self.paths):
            return False
        if not (self.kinds or self.names or self.namespaces or self.labels):
            return True
        return key is not None and self._covers(key) and all(labels.get(name) == value for name, value in self.labels)

    def _covers(self, key: ResourceKey) -> bool:
        kinds = (key.kind, key.kind_name, f"{key.group or 'core'}/{key.kind}")
        return (
            (not self.kinds or any(kind in self.kinds for kind in kinds))
            and (not self.names or matches_name(self.names, key.name))
            and (not self.namespaces or matches_name(self.namespaces, key.namespace))
        )


@dataclass(frozen=True, slots=True)
class Suppression:
    """These rules may find what the scope covers. With a problem it counts for nothing."""

    location: Location
    scope: Lines | Selector
    rules: tuple[str, ...] = ()
    reason: str = ""
    until: date | None = None
    problem: str = ""

    @property
    def commented(self) -> bool:
        """Whether it stands beside what it is about."""
        return isinstance(self.scope, Lines)

    def expired(self, as_of: date) -> bool:
        """It counts to the end of its last day."""
        return self.until is not None and self.until < as_of


@dataclass(frozen=True, slots=True)
class Outcome:
    """A suppression, and what came of it: rules without findings, unknown ones, and findings that nobody may allow."""

    suppression: Suppression
    as_of: date
    unused: tuple[str, ...] = ()
    unknown: tuple[tuple[str, str], ...] = ()  # with a guess what was meant
    refused: tuple[Finding, ...] = ()


def suppressions_in(path: str, source: Source) -> tuple[Suppression, ...]:
    """Those that the comments of a file make."""
    found = (_of_comment(path, source, comment) for comment in comments(source))
    counted = tuple(islice((suppression for suppression in found if suppression), MOST + 1))
    if len(counted) <= MOST:
        return counted
    return (
        *counted[:MOST],
        replace(counted[MOST], problem=f"more than {MOST:,} of these in one file; from here on none counts"),
    )


def suppressions_of(entries: Iterable[tuple[Location, Mapping[str, Any]]]) -> Iterator[Suppression]:
    """Those of a checked policy."""
    for location, entry in entries:
        paths, kinds, names, spaces = (tuple(entry.get(key, ())) for key in ("paths", "kinds", "names", "namespaces"))
        selector = Selector(paths, kinds, names, spaces, tuple(sorted(entry.get("labels", {}).items())))
        until = date.fromisoformat(entry["until"]) if "until" in entry else None
        yield Suppression(location, selector, tuple(entry["rules"]), entry["reason"], until)


def _of_comment(path: str, source: Source, comment: Comment) -> Suppression | None:
    location, scope = source.at(path, comment.place), Lines(path, comment.first, comment.last)
    said = _VERB.fullmatch(" ".join(comment.text[:LONGEST].split()))
    if said is None or said["verb"] != "allow":
        meant = said is not None and _meant(said["verb"], said["rest"])
        return Suppression(location, scope, problem=f"{quoted(comment.text)} allows nothing") if meant else None
    allowed = _ALLOWED.fullmatch(said["rest"])
    if allowed is None:
        return Suppression(location, scope, problem="allow names no rule in brackets")
    rules = tuple(filter(None, (rule.strip() for rule in allowed["rules"].split(","))))
    return _checked(Suppression(location, scope, rules), allowed["words"])


def _checked(suppression: Suppression, words: str) -> Suppression:
    """With the reason and the day that the words give, or what is wrong with them."""
    until = _UNTIL.search(words)
    reason = (words[: until.start()] if until else words).strip(" ,;")
    base = (suppression.location, suppression.scope, suppression.rules, reason)
    try:
        day = date.fromisoformat(until["day"]) if until else None
    except ValueError:
        return Suppression(*base, problem=f"{quoted(until['day'] if until else '')} is not a date, such as 2026-12-31")
    if not suppression.rules:
        return Suppression(*base, problem="allow names no rule in brackets")
    return Suppression(*base, day, "" if reason else "no reason is given")


def _meant(verb: str, rest: str) -> bool:
    """Whether a comment that is not in the right form means to allow something."""
    near = difflib.get_close_matches(verb.casefold(), ("allow", *_MEANT), cutoff=0.75)
    return rest.startswith("[") or (bool(near) and "[" in rest)
