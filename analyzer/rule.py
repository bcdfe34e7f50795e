"""What a rule is, and what rules look at."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path as FilePath
from typing import TypeAlias

from analyzer.config import AnalyzerConfig
from analyzer.document import Defect, Place, Source
from analyzer.finding import Confidence, Finding, Location, Note, Severity
from analyzer.graph import ResourceGraph
from analyzer.hazards import pairs
from analyzer.manifest import Declaration, Manifest
from analyzer.snapshot import Unread
from schemas.resources import OUR_GROUP, ResourceKey
from schemas.validation import Path

PAGES = FilePath(__file__).parent / "rules"


@dataclass(frozen=True, slots=True)
class File:
    """A file that was read, with all that it declares."""

    path: str
    source: Source
    declarations: tuple[Declaration, ...]
    defects: tuple[Defect, ...]

    def at(self, place: Place) -> Location:
        return Location(self.path, place.line, place.column, text=self.source.line(place.line))


@dataclass(frozen=True)
class Case:
    """Everything that rules may look at: one revision and, for what changes, an earlier one."""

    files: tuple[File, ...]
    unread: tuple[Unread, ...]
    policy_problems: tuple[tuple[Location, str], ...]
    graph: ResourceGraph
    base: ResourceGraph | None
    as_of: date
    config: AnalyzerConfig = field(default_factory=AnalyzerConfig)

    def declarations(self) -> Iterator[Declaration]:
        return (declaration for file in self.files for declaration in file.declarations)

    def defects(self, rule: str) -> Iterator[tuple[File, Defect]]:
        return ((file, defect) for file in self.files for defect in file.defects if defect.rule == rule)

    @functools.cached_property
    def _changed(self) -> tuple[tuple[Manifest | None, Manifest | None], ...]:
        """The resources that differ from the base, at both revisions."""
        if self.base is None:
            return ()
        sides = (
            (self.base.manifest_of(pair.before), self.graph.manifest_of(pair.after))
            for pair in pairs(self.base.resources, self.graph.resources)
        )
        return tuple((before, after) for before, after in sides if before is not after)

    def updated(self, kind: str) -> Iterator[tuple[Manifest, Manifest]]:
        """Resources of a kind that were declared before and are still, as their schema says on both sides."""
        for before, after in self._changed:
            if before and after and before.sound and after.sound and after.key.kind == kind:
                yield before, after

    def was(self, manifest: Manifest, path: Path) -> Location:
        """A place at the base revision."""
        revision = self.base.revision if self.base else ""
        return replace(manifest.position_of(path), revision=revision or "base")

    def vanished(self) -> Iterator[Manifest]:
        """Resources that were declared and are no more. None when part of the revision could not be made out."""
        if not self.graph.unread:
            yield from (before for before, after in self._changed if before and before.sound and not after)


@dataclass(frozen=True, slots=True)
class Hit:
    """What a rule found; the rule's name and severity are added to make a Finding."""

    location: Location
    message: str
    resource: ResourceKey | None = None
    path: Path = ()
    related: tuple[Note, ...] = ()
    help: str = ""
    severity: Severity | None = None  # when it is worse than the rule's own
    follows: bool = False  # perhaps only from something else that is found
    confidence: Confidence = Confidence.HIGH
    way: bool = False  # the related places are the steps of a way that begins here


def hit(manifest: Manifest, path: Path, message: str, advice: str, *related: Note) -> Hit:
    """A hit at a field of a manifest."""
    return Hit(manifest.position_of(path), message, manifest.key, path, related, advice)


Check: TypeAlias = Callable[[Case], Iterable[Hit]]


@dataclass(frozen=True)
class Rule:
    """One thing to look for. `fixed`: nothing could be applied without it, so no policy may make less of it."""

    id: str
    severity: Severity
    check: Check
    fixed: bool = False

    @property
    def page(self) -> str:
        """The rule's page, as Markdown."""
        return (PAGES / f"{self.id}.md").read_text("utf-8")

    @property
    def summary(self) -> str:
        """The first sentence of the page."""
        _, _, text = self.page.partition("## What it finds")
        return text.strip().replace("\n", " ").partition(". ")[0].partition("  ")[0].rstrip(".") + "."

    def findings(self, case: Case, severity: Severity) -> Iterator[Finding]:
        """What it finds, at the severity that the policy gives it."""
        for found in self.check(case):
            yield Finding(
                rule=self.id,
                severity=max(severity, found.severity or severity),
                message=found.message,
                location=found.location,
                resource=found.resource,
                path=found.path,
                related=found.related,
                help=found.help,
                follows=found.follows,
                confidence=found.confidence,
                fixed=self._holds_fast(found),
                way=found.way,
            )

    def _holds_fast(self, found: Hit) -> bool:
        """Whether no policy makes less of it: of what is not ours nothing is applied, so that much is up to people."""
        ours = found.resource is None or found.resource.group == OUR_GROUP
        return (self.fixed and ours) or (found.severity or self.severity) > self.severity
