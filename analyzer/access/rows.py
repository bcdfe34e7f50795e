"""Access as rows: one for each principal, resource and right. Two revisions are compared row by row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from analyzer.edges import Reference
from schemas.resources import Json, ResourceKey

PrincipalKind: TypeAlias = Literal["host", "application", "group", "everyone"]
Terms: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, order=True, slots=True)
class Principal:
    """Who is allowed. Everyone (any host, any user of the portal) has no name."""

    kind: PrincipalKind
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".rstrip()

    def to_json(self) -> dict[str, Json]:
        return {"kind": self.kind, "name": self.name}


EVERYONE: Final = Principal("everyone")
IDENTITY: Final = "NQN"  # the term that says by which name a principal comes, which everyone has not


@dataclass(frozen=True, order=True, slots=True)
class Row:
    """What identifies a grant."""

    principal: Principal
    resource: ResourceKey
    right: str  # a verb: call, see, connect …


@dataclass(frozen=True, slots=True)
class Grant:
    """A principal may do something with a resource, on these terms, because of these references.

    `terms` are (name, value) in words and in the order in which people read them; a name is there once.
    """

    principal: Principal
    resource: ResourceKey
    right: str
    terms: Terms = ()
    because: tuple[Reference, ...] = ()

    @property
    def row(self) -> Row:
        return Row(self.principal, self.resource, self.right)

    def to_json(self) -> dict[str, Json]:
        return {
            "principal": self.principal.to_json(),
            "resource": self.resource.to_json(),
            "right": self.right,
            "terms": dict(self.terms),
            "because": [reference.to_json() for reference in self.because],
        }


@dataclass(frozen=True, slots=True)
class AccessChange:
    """A row that differs: gained (no `before`), lost (no `after`), or on other terms."""

    row: Row
    before: Grant | None
    after: Grant | None

    @property
    def terms(self) -> tuple[tuple[str, str | None, str | None], ...]:
        """The terms that differ: (name, before, after); None where one side has no such term."""
        old = dict(self.before.terms) if self.before else {}
        new = dict(self.after.terms) if self.after else {}
        names = dict.fromkeys((*old, *new))
        return tuple((name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name))

    def to_json(self) -> dict[str, Json]:
        return {
            "before": self.before.to_json() if self.before else None,
            "after": self.after.to_json() if self.after else None,
        }


def compare(before: Iterable[Grant], after: Iterable[Grant]) -> tuple[AccessChange, ...]:
    """The rows that differ, in order. Why a row is there does not count, only that it is and on what terms.

    Whoever is no longer listed, and may do the same as everyone may, loses nothing; nor gains, the other way round.
    """
    listed_before, listed_after = {g.row: g for g in before}, {g.row: g for g in after}
    old = listed_before | _as_everyone(listed_before, listed_after)
    new = listed_after | _as_everyone(listed_after, listed_before)
    rows = (AccessChange(row, old.get(row), new.get(row)) for row in sorted({*old, *new}))
    return tuple(change for change in rows if not (change.before and change.after) or change.terms)


def _as_everyone(here: Mapping[Row, Grant], there: Mapping[Row, Grant]) -> dict[Row, Grant]:
    """What a principal of the other side may do here as everyone may, by its own name there."""
    found: dict[Row, Grant] = {}
    for row in there.keys() - here.keys():
        everyone = here.get(replace(row, principal=EVERYONE))
        if everyone:
            own = tuple((name, value) for name, value in there[row].terms if name == IDENTITY)
            found[row] = replace(everyone, principal=row.principal, terms=(*everyone.terms, *own))
    return found
