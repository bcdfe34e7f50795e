"""What a rule is, and what rules look at.

There are four sorts, by what each is asked about, so that after a change only those are asked again whose answer it can
alter: a file, a resource, a resource that differs from the base, and (rarely) the case as a whole. A fifth is asked in
the end, about what people allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path as FilePath
from typing import ClassVar, TypeAlias

from analyzer.authority.history import History
from analyzer.composer import Defect, Place
from analyzer.config import AnalyzerConfig
from analyzer.document import Source
from analyzer.finding import Confidence, Finding, Location, Note, Severity
from analyzer.graph import ResourceGraph
from analyzer.manifest import Declaration, Manifest
from analyzer.roots.deployment import Root
from analyzer.snapshot import Unread
from analyzer.suppression import Outcome, Suppression
from schemas.kind import Kind
from schemas.resources import OUR_GROUP, JsonObject, ResourceKey
from schemas.validation import Path, Problem

DEFINITION = "CustomResourceDefinition"
PAGES = FilePath(__file__).parent / "rules"


@dataclass(frozen=True, slots=True)
class File:
    """A file that was read, with all that it declares."""

    path: str
    source: Source
    declarations: tuple[Declaration, ...]
    defects: tuple[Defect, ...]
    suppressions: tuple[Suppression, ...] = ()
    deploys: bool = False  # whether it says how others are deployed
    defines: bool = False  # whether it defines kinds

    def at(self, place: Place) -> Location:
        return self.source.at(self.path, place)

    @property
    def odd(self) -> bool:
        """Whether something in it is not as it should be, or defines kinds, which may not be."""
        return bool(self.defects) or any(
            declaration.problems or declaration.kind is None or declaration.kind_name == DEFINITION
            for declaration in self.declarations
        )

    @property
    def unread(self) -> Iterator[tuple[Location, str]]:
        """Where something of ours may be that could not be made out."""
        yield from ((self.at(defect.place), defect.message) for defect in self.defects)
        for declaration in self.declarations:
            if declaration.lost:
                yield declaration.location, declaration.because

    def defects_of(self, rule: str) -> Iterable[Defect]:
        return (defect for defect in self.defects if defect.rule == rule)

    def problems_of(self, rule: str) -> Iterator[tuple[Declaration, Problem]]:
        """What the schemas find that this rule tells of."""
        for declaration in self.declarations:
            yield from ((declaration, problem) for problem in declaration.problems if problem.rule == rule)


@dataclass(frozen=True)
class Case:
    """Everything that rules may look at: one revision and, for what changes, an earlier one.

    What is asked of `graph` is recorded, and so is whether the day, the policy and the base were looked at: a rule is
    asked again when any of it has changed, and only then.
    """

    graph: ResourceGraph
    base: ResourceGraph | None
    as_of: date
    config: AnalyzerConfig = field(default_factory=AnalyzerConfig)
    unread: tuple[Unread, ...] = ()
    policy_problems: tuple[tuple[Location, str], ...] = ()
    history: History | None = None  # who made the changes, where Git was asked
    roots: tuple[Root, ...] = ()  # what these resources are deployed by
    base_settings: JsonObject | None = None  # the policy file of the base, where that was judged
    stores: tuple[tuple[Location, str], ...] = ()  # where each of several clusters first declares something of ours

    def is_new(self, key: ResourceKey) -> bool:
        """Whether this very change declares a resource; never without a base."""
        return self.base is not None and self.base.get(key) is None

    def was(self, manifest: Manifest, path: Path) -> Location:
        """A place at the base revision."""
        revision = self.base.revision if self.base else ""
        return replace(manifest.position_of(path), revision=revision or "base")

    def is_gone(self, before: Manifest | None, after: Manifest | None) -> bool:
        """Whether a sound resource was declared and is no more.

        Of none can that be said when part of the revision could not be made out.
        """
        return bool(before and before.sound and not after) and not self.graph.unread


def both_sound(before: Manifest | None, after: Manifest | None) -> tuple[Manifest, Manifest] | None:
    """A resource that was declared before and still is, as its schema says on both sides."""
    return (before, after) if before and after and before.sound and after.sound else None


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
    at_most: Severity | None = None  # when it is milder than the rule's own
    way: bool = False  # the related places are the steps of a way that begins here


def hit(manifest: Manifest, path: Path, message: str, advice: str, *related: Note) -> Hit:
    """A hit at a field of a manifest."""
    return Hit(manifest.position_of(path), message, manifest.key, path, related, advice)


@dataclass(frozen=True)
class Rule:
    """One thing to look for. `fixed`: nothing could be applied without it, so no policy may make less of it."""

    id: str
    severity: Severity
    fixed: bool = field(default=False, kw_only=True)

    about_manifests: ClassVar[bool] = False

    @property
    def page(self) -> str:
        """The rule's page, as Markdown."""
        return (PAGES / f"{self.id}.md").read_text("utf-8")

    @property
    def summary(self) -> str:
        """The first sentence of the page."""
        _, _, text = self.page.partition("## What it finds")
        return text.strip().replace("\n", " ").partition(". ")[0].partition("  ")[0].rstrip(".") + "."

    def finding(self, found: Hit, severity: Severity) -> Finding:
        """A hit at the severity that the policy gives the rule, or a worse or milder one of its own."""
        return Finding(
            rule=self.id,
            severity=min(max(severity, found.severity or severity), found.at_most or Severity.ERROR),
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
        """Whether no policy makes less of it: of manifests not ours nothing is applied, so those are up to people."""
        ours = not self.about_manifests or found.resource is None or found.resource.group == OUR_GROUP
        return (self.fixed and ours) or (found.severity or self.severity) > self.severity


@dataclass(frozen=True)
class FileRule(Rule):
    """Asked about each file, which is all that it may look at; with `odd` only about odd ones, which are few."""

    about_manifests: ClassVar[bool] = True

    check: Callable[[File], Iterable[Hit]]
    odd: bool = field(default=False, kw_only=True)


@dataclass(frozen=True)
class ResourceRule(Rule):
    """Asked about each resource of these kinds (none named: of every kind), and it answers for that one alone.

    Kinds of ours go by their name, others by "group/Kind". With `sound` it is asked only about manifests that are as
    their schema says, and with `has` only about those of a kind of which that is true. What it asks of `case.graph` is
    all that its answer may depend on beside the manifest itself.
    """

    about_manifests: ClassVar[bool] = True

    kinds: tuple[str, ...]
    check: Callable[[Case, Manifest], Iterable[Hit]]
    sound: bool = field(default=True, kw_only=True)
    has: Callable[[Kind], object] | None = field(default=None, kw_only=True)

    def concerns(self, kind: Kind | None, name: str) -> bool:
        """Whether it is asked about the resources of a kind of that name (None: one that nobody knows)."""
        return (not self.kinds or name in self.kinds) and (
            self.has is None or (kind is not None and bool(self.has(kind)))
        )


@dataclass(frozen=True)
class ChangeRule(Rule):
    """Asked about each resource that differs from the base; one that was renamed is still one resource."""

    check: Callable[[Case, Manifest | None, Manifest | None], Iterable[Hit]]


@dataclass(frozen=True)
class CaseRule(Rule):
    """Asked once for each revision. It looks at what is small (the policy, the change), never at everything."""

    check: Callable[[Case], Iterable[Hit]]


@dataclass(frozen=True)
class SuppressionRule(Rule):
    """Asked last, about each suppression and what came of it."""

    check: Callable[[Outcome], Iterable[Hit]]


AnyRule: TypeAlias = "FileRule | ResourceRule | ChangeRule | CaseRule | SuppressionRule"
