"""Snapshot → Report. Pure: no clock, no network, and the same answer whatever order the files come in."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from datetime import date

from analyzer.config import AnalyzerConfig, PolicyProblem, read_config
from analyzer.document import MAX_REMEMBERED, load
from analyzer.finding import Location
from analyzer.graph import ResourceGraph, link
from analyzer.manifest import Manifest, decode
from analyzer.report import Counts, Report
from analyzer.rule import Case, File
from analyzer.rules import RULES
from analyzer.snapshot import POLICY_FILE, Blob, Snapshot, Unread


def analyze(snapshot: Snapshot, *, as_of: date, base: Report | ResourceGraph | None = None) -> Report:
    """Everything there is to say about a revision; `base` is an earlier one, for what its changes would mean."""
    config, policy_problems = read_config(snapshot)
    case = _case(snapshot, config, policy_problems, base.graph if isinstance(base, Report) else base, as_of)
    findings = {
        finding for rule in RULES for finding in rule.findings(case, config.severities.get(rule.id, rule.severity))
    }
    counts = Counts(files=len(case.files), resources=len(case.graph.manifests))
    return Report(snapshot.revision, snapshot.root, tuple(sorted(findings)), case.graph, config, counts)


def _case(
    snapshot: Snapshot,
    config: AnalyzerConfig,
    policy_problems: tuple[PolicyProblem, ...],
    base: ResourceGraph | None,
    as_of: date,
) -> Case:
    blobs = (snapshot.blobs[path] for path in sorted(snapshot.blobs) if path != POLICY_FILE)
    files = tuple(_file(blob) for blob in blobs if not config.ignores(blob.path))
    unread = tuple(gap for gap in snapshot.problems if not config.ignores(gap.path))
    manifests = (found for file in files for found in file.declarations if isinstance(found, Manifest))
    graph = link(manifests, (*policy_problems, *_unread(files, unread)), snapshot.revision)
    return Case(files, unread, policy_problems, graph, base, as_of, config)


@functools.lru_cache(maxsize=MAX_REMEMBERED)
def _file(blob: Blob) -> File:
    parsed = load(blob)
    declarations = tuple(decode(document, blob.path) for document in parsed.documents)
    return File(blob.path, parsed.source, declarations, parsed.defects)


def _unread(files: Iterable[File], unread: Iterable[Unread]) -> Iterator[tuple[Location, str]]:
    """Where something of ours may be that did not make it into the graph."""
    for gap in unread:
        yield Location(gap.path, 1, 1), gap.because
    for file in files:
        yield from ((file.at(defect.place), defect.message) for defect in file.defects)
        for declaration in file.declarations:
            if declaration.lost:
                yield declaration.location, declaration.because
