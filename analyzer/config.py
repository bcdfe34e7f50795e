"""The repository's policy, `.holdfast.yaml`: what is ignored, how bad each finding is, and what may be destroyed."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from analyzer.baseline import Baseline, read_baseline
from analyzer.document import Document, load
from analyzer.finding import Confidence, Finding, Location, Severity
from analyzer.patterns import matches_path
from analyzer.roots.deployment import RootSetting
from analyzer.snapshot import BASELINE_FILE, POLICY_FILE, Snapshot
from analyzer.suppression import Suppression, suppressions_of
from analyzer.vocabulary import SchemaFolder
from schemas.kinds import config_validator
from schemas.loose import items, mapping, texts
from schemas.resources import NOTHING, Json, JsonObject
from schemas.validation import Path

OFF = "off"


@dataclass(frozen=True)
class AnalyzerConfig:
    """A checked policy. `settings` is the file as written, for those who read budgets and drift policy from it."""

    severities: Mapping[str, Severity] = field(default_factory=dict)
    fail_on: Severity = Severity.ERROR
    fail_on_low_confidence: bool = False
    ignore: tuple[str, ...] = ()
    secret_dirs: tuple[str, ...] | None = None  # None: files are not checked
    secret_env: tuple[str, ...] | None = None  # None: variables are not checked
    off: frozenset[str] = frozenset()  # rules whose findings nobody wants to hear of
    suppressions: tuple[Suppression, ...] = ()
    baseline: Baseline = field(default_factory=dict)
    schemas: tuple[SchemaFolder, ...] = ()  # where schemas of kinds are that only this repository knows
    roots: tuple[RootSetting, ...] = ()  # none: they are found
    settings: JsonObject = field(default_factory=lambda: NOTHING)

    def blocks(self, finding: Finding) -> bool:
        """Whether a revision with this finding must not be applied."""
        sure = finding.confidence is Confidence.HIGH or finding.fixed or self.fail_on_low_confidence
        return finding.severity >= self.fail_on and sure

    def ignores(self, path: str) -> bool:
        """Whether a pattern matches the path or one of the folders it is in."""
        return any(matches_path(pattern, path) for pattern in self.ignore)


PolicyProblem: TypeAlias = tuple[Location, str]


def read_config(snapshot: Snapshot) -> tuple[AnalyzerConfig, tuple[PolicyProblem, ...]]:
    """The policy of a snapshot with its baseline; of a broken one nothing counts, and the problems say why."""
    config, problems = _read_policy(snapshot)
    blob = snapshot.blobs.get(BASELINE_FILE)
    if blob is None:
        return config, problems
    known, defects = read_baseline(blob.data, BASELINE_FILE)
    return replace(config, baseline=known), (*problems, *defects)


def _read_policy(snapshot: Snapshot) -> tuple[AnalyzerConfig, tuple[PolicyProblem, ...]]:
    blob = snapshot.blobs.get(POLICY_FILE)
    if blob is None:
        return AnalyzerConfig(), ()
    parsed = load(blob)
    defects = tuple((parsed.source.at(POLICY_FILE, defect.place), defect.message) for defect in parsed.defects)
    documents = parsed.documents
    if defects or not documents:
        return AnalyzerConfig(), defects
    problems = (*_extra_documents(documents[1:]), *_schema_problems(documents[0]))
    return (AnalyzerConfig(), problems) if problems else (_config(documents[0]), ())


def _config(document: Document) -> AnalyzerConfig:
    value = document.value
    assert isinstance(value, dict)  # noqa: S101  # the schema said so
    said = mapping(value.get("severities"))
    return AnalyzerConfig(
        severities={rule: Severity.parse(str(name)) for rule, name in said.items() if name != OFF},
        off=frozenset(rule for rule, name in said.items() if name == OFF),
        fail_on=Severity.parse(str(value.get("failOn", "error"))),
        fail_on_low_confidence=value.get("failOnLowConfidence") is True,
        ignore=texts(value.get("ignore")),
        secret_dirs=_texts(mapping(value.get("secrets")).get("dirs")),
        secret_env=_texts(mapping(value.get("secrets")).get("env")),
        suppressions=tuple(suppressions_of(_entries(document))),
        schemas=tuple(_schema_folders(document, value.get("schemas"))),
        roots=tuple(_roots(document, value.get("roots"))),
        settings=value,
    )


def _roots(document: Document, value: Json) -> Iterator[RootSetting]:
    for index, root in enumerate(items(value)):
        path = posixpath.normpath(str(mapping(root).get("path")))
        folder = "" if path == "." else path
        yield RootSetting(folder, str(mapping(root).get("cluster", folder)), _at(document, ("roots", index, "path")))


def _schema_folders(document: Document, value: Json) -> Iterator[SchemaFolder]:
    for index, path in enumerate(items(value)):
        yield SchemaFolder(posixpath.normpath(str(path)), _at(document, ("schemas", index)))


def _entries(document: Document) -> Iterator[tuple[Location, JsonObject]]:
    for index, entry in enumerate(items(mapping(document.value).get("suppressions"))):
        yield _at(document, ("suppressions", index)), mapping(entry)


def _texts(value: Json) -> tuple[str, ...] | None:
    return tuple(map(str, value)) if isinstance(value, list) else None


def _extra_documents(documents: tuple[Document, ...]) -> tuple[PolicyProblem, ...]:
    return tuple((_at(document, ()), "a second document; the policy is one") for document in documents)


def _schema_problems(document: Document) -> tuple[PolicyProblem, ...]:
    return tuple(
        (_at(document, problem.path, key=problem.rule == "unknown-field"), problem.message)
        for problem in config_validator("policy").problems(document.value)
    )


def _at(document: Document, path: Path, *, key: bool = False) -> Location:
    return document.source.at(POLICY_FILE, document.place(path, key=key))
