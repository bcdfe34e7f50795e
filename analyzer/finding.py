"""What the analyzer says: findings, where they are, and how bad."""

from __future__ import annotations

import enum
import hashlib
import re
from dataclasses import dataclass, field
from typing import TypeAlias

from schemas.resources import Json, ResourceKey
from schemas.validation import Path


class Severity(enum.IntEnum):
    """How bad a finding is; comparable."""

    INFO = 1
    WARNING = 2
    ERROR = 3

    def __str__(self) -> str:
        return self.name.lower()

    @classmethod
    def parse(cls, text: str) -> Severity:
        """The severity of that name. Raises KeyError."""
        return cls[text.upper()]


class Confidence(enum.IntEnum):
    """How sure the rule is: `low` where part of what decides could not be seen; comparable."""

    LOW = 1
    HIGH = 2

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, order=True, slots=True)
class Location:
    """A place in a file; line and column count from 1. `revision` is empty for the revision under analysis."""

    path: str
    line: int
    column: int
    revision: str = ""
    text: str = field(default="", compare=False, repr=False)  # the line itself, for excerpts

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"

    def to_json(self) -> dict[str, Json]:
        place: dict[str, Json] = {"path": self.path, "line": self.line, "column": self.column}
        return place | ({"revision": self.revision} if self.revision else {})


LONGEST_SUBJECT = 4_000  # characters; names may be endless, and patterns take their time
_GUESS = re.compile(r"; did you mean .*\?$")
_QUOTED = r'(?P<quoted>"[^"]*")'
_PLACE = re.compile(rf"{_QUOTED}|[^\s\x22]{{1,255}}\.ya?ml(?::\d+){{0,2}}")
_PLACE_OR_AMOUNT = re.compile(rf"{_PLACE.pattern}|\b\d[\d,.]*\s?(?:[KMGTPE]i?B?\b|%|bytes\b)")

Note: TypeAlias = tuple[Location, str]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a rule has to say, at one place, with the other places that explain it."""

    rule: str
    severity: Severity
    message: str
    location: Location
    resource: ResourceKey | None = None
    path: Path = ()
    related: tuple[Note, ...] = ()
    help: str = ""
    follows: bool = False  # perhaps only from something else that was found; told after it
    confidence: Confidence = Confidence.HIGH
    fixed: bool = False  # nothing could be applied with it, so nobody may make less of it
    way: bool = False  # the related places are the steps of a way that begins here
    roots: tuple[str, ...] = ()  # the roots that were rendered for it to be seen

    def __lt__(self, other: Finding) -> bool:
        return self._order < other._order

    @property
    def _order(self) -> tuple[object, ...]:
        """Total: causes first, then by place, then by everything else that tells two findings apart."""
        subject = (str(self.resource or ""), tuple(map(str, self.path)))
        weight = (-self.severity, -self.confidence, self.fixed, self.way)
        return (self.follows, self.location, self.rule, self.message, *weight, *subject, self.related, self.help)

    @property
    def fingerprint(self) -> str:
        """The same for the same mistake, wherever its file and its lines have moved to."""
        path = ".".join("[]" if isinstance(step, int) else step for step in self.path)
        words = (self.rule, str(self.resource or self._surroundings), path, self.subject(numbers=False))
        return hashlib.sha256("\0".join(words).encode(errors="surrogatepass")).hexdigest()[:32]

    def subject(self, *, numbers: bool = True) -> str:
        """The message without what depends on others: guesses, places and (unless wanted) amounts."""
        found = _GUESS.sub("", self.message[:LONGEST_SUBJECT])
        return (_PLACE if numbers else _PLACE_OR_AMOUNT).sub(lambda match: match["quoted"] or "…", found)

    @property
    def _surroundings(self) -> str:
        """What stands for the resource where there is none: the line itself, or the name of the file."""
        return " ".join(self.location.text.split()) or self.location.path.rpartition("/")[2]

    def to_json(self) -> dict[str, Json]:
        return {
            "rule": self.rule,
            "severity": str(self.severity),
            "confidence": str(self.confidence),
            "fingerprint": self.fingerprint,
            "message": self.message,
            "location": self.location.to_json(),
            "resource": self.resource.to_json() if self.resource else None,
            "path": list(self.path),
            "related": [{"location": place.to_json(), "note": note} for place, note in self.related],
            "help": self.help,
            "roots": list(self.roots),
        }
