"""What the analyzer says: findings, where they are, and how bad."""

from __future__ import annotations

import enum
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

    def __lt__(self, other: Finding) -> bool:
        return self._order < other._order

    @property
    def _order(self) -> tuple[object, ...]:
        """Total: causes first, then by place, then by everything else that tells two findings apart."""
        subject = (str(self.resource or ""), tuple(map(str, self.path)))
        return (self.follows, self.location, self.rule, self.message, -self.severity, *subject, self.related, self.help)

    def to_json(self) -> dict[str, Json]:
        return {
            "rule": self.rule,
            "severity": str(self.severity),
            "message": self.message,
            "location": self.location.to_json(),
            "resource": self.resource.to_json() if self.resource else None,
            "path": list(self.path),
            "related": [{"location": place.to_json(), "note": note} for place, note in self.related],
            "help": self.help,
        }
