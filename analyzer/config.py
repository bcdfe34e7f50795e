"""The repository's policy, `.holdfast.yaml`: what is ignored, how bad each finding is, and what may be destroyed."""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from analyzer.document import Document, load
from analyzer.finding import Confidence, Finding, Location, Severity
from analyzer.snapshot import POLICY_FILE, Snapshot
from schemas.kinds import config_validator
from schemas.resources import NOTHING, Json, JsonObject
from schemas.validation import Path


@dataclass(frozen=True)
class AnalyzerConfig:
    """A checked policy. `settings` is the file as written, for those who read budgets and drift policy from it."""

    severities: Mapping[str, Severity] = field(default_factory=dict)
    fail_on: Severity = Severity.ERROR
    fail_on_low_confidence: bool = False
    ignore: tuple[str, ...] = ()
    secret_dirs: tuple[str, ...] | None = None  # None: files are not checked
    secret_env: tuple[str, ...] | None = None  # None: variables are not checked
    settings: JsonObject = field(default_factory=lambda: NOTHING)

    def blocks(self, finding: Finding) -> bool:
        """Whether a revision with this finding must not be applied."""
        sure = finding.confidence is Confidence.HIGH or finding.fixed or self.fail_on_low_confidence
        return finding.severity >= self.fail_on and sure

    def ignores(self, path: str) -> bool:
        """Whether a pattern matches the path or one of the folders it is in."""
        return any(_matches(_compiled(pattern), tuple(path.split("/"))) for pattern in self.ignore)


PolicyProblem: TypeAlias = tuple[Location, str]


def read_config(snapshot: Snapshot) -> tuple[AnalyzerConfig, tuple[PolicyProblem, ...]]:
    """The policy of a snapshot; of a broken one nothing counts, and the problems say why."""
    blob = snapshot.blobs.get(POLICY_FILE)
    if blob is None:
        return AnalyzerConfig(), ()
    parsed = load(blob)
    defects = tuple(
        (Location(POLICY_FILE, d.place.line, d.place.column, text=parsed.source.line(d.place.line)), d.message)
        for d in parsed.defects
    )
    documents = parsed.documents
    if defects or not documents:
        return AnalyzerConfig(), defects
    problems = (*_extra_documents(documents[1:]), *_schema_problems(documents[0]))
    return (AnalyzerConfig(), problems) if problems else (_config(documents[0].value), ())


def _config(value: Json) -> AnalyzerConfig:
    assert isinstance(value, dict)  # noqa: S101  # the schema said so
    severities = {rule: Severity.parse(str(name)) for rule, name in _mapping(value.get("severities")).items()}
    ignore = value.get("ignore", [])
    return AnalyzerConfig(
        severities=severities,
        fail_on=Severity.parse(str(value.get("failOn", "error"))),
        fail_on_low_confidence=value.get("failOnLowConfidence") is True,
        ignore=tuple(str(pattern) for pattern in ignore) if isinstance(ignore, list) else (),
        secret_dirs=_texts(_mapping(value.get("secrets")).get("dirs")),
        secret_env=_texts(_mapping(value.get("secrets")).get("env")),
        settings=value,
    )


def _texts(value: Json) -> tuple[str, ...] | None:
    return tuple(map(str, value)) if isinstance(value, list) else None


def _mapping(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _extra_documents(documents: tuple[Document, ...]) -> tuple[PolicyProblem, ...]:
    return tuple((_at(document, ()), "a second document; the policy is one") for document in documents)


def _schema_problems(document: Document) -> tuple[PolicyProblem, ...]:
    return tuple(
        (_at(document, problem.path, key=problem.rule == "unknown-field"), problem.message)
        for problem in config_validator("policy").problems(document.value)
    )


def _at(document: Document, path: Path, *, key: bool = False) -> Location:
    place = document.place(path, key=key)
    return Location(POLICY_FILE, place.line, place.column, text=document.source.line(place.line))


Step: TypeAlias = "re.Pattern[str] | None"  # None stands for `**`: any number of folders


@functools.cache
def _compiled(pattern: str) -> tuple[Step, ...]:
    """One step for each part of the path; fnmatch's expressions take linear time."""
    parts = pattern.strip("/").split("/")
    return tuple(None if part == "**" else re.compile(fnmatch.translate(part)) for part in parts)


def _matches(steps: tuple[Step, ...], parts: tuple[str, ...]) -> bool:
    """Follow every way through the pattern at once, until one ends at a folder of the path or at the path itself."""
    here = _skip(steps, {0})
    for part in parts:
        if len(steps) in here:
            return True
        here = _skip(steps, {at for step in here for at in _next(steps, step, part)})
    return len(steps) in here


def _next(steps: tuple[Step, ...], at: int, part: str) -> tuple[int, ...]:
    step = steps[at]
    if step is None:
        return (at,)
    return (at + 1,) if step.match(part) else ()


def _skip(steps: tuple[Step, ...], here: set[int]) -> set[int]:
    """A `**` may also stand for no folder at all."""
    for at in range(len(steps)):
        if at in here and steps[at] is None:
            here.add(at + 1)
    return here
