"""What happened between two revisions as values: each commit, whose signature it bears, and what it does. Pure.

`reconciler.lineage` reads it; the rules about signatures judge it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from analyzer.finding import Location, Note
from analyzer.hazards import Action
from analyzer.manifest import Manifest
from schemas.resources import ResourceKey

MAIN: Final = ""  # what Holdfast applies, whichever of the sites that is
POLICY: Final = ".holdfast.yaml"  # how access policies name that file, and the baseline beside it
APPROVAL: Final = "Approval"  # how they name the commit trailer by which something held is approved


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that a commit does. `location` is in that commit, or in the one before."""

    action: Action
    key: ResourceKey
    location: Location

    @property
    def words(self) -> str:
        """What it does, as a verb and its object."""
        if self.key.kind == POLICY:
            return f"{self.action}s {self.key.name}"
        return f"approves {self.key.name}" if self.key.kind == APPROVAL else f"{self.action}s {self.key}"


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit. `signer` is the key that its signature was verified with; without one, `unverified` says why."""

    id: str
    subject: str
    acts: tuple[Act, ...] = ()
    signer: str = ""
    unverified: str = ""
    opaque: tuple[Note, ...] = ()  # what keeps its acts from being made out: it may do anything

    @property
    def name(self) -> str:
        """How messages call it."""
        subject = self.subject if len(self.subject) <= SHOWN else self.subject[: SHOWN - 1] + "…"
        return f"commit {self.id[:12]} ({subject})" if subject else f"commit {self.id[:12]}"


SHOWN = 50  # characters of a subject


@dataclass(frozen=True)
class History:
    """The commits that lead from a base to a head, oldest first, and the access policies of the base.

    `severed`: the head does not build on the base, so that commits do not tell all that changes.
    """

    commits: tuple[Commit, ...] = ()
    policies: tuple[Manifest, ...] = ()
    severed: str = ""  # in words; empty where the head builds on the base
