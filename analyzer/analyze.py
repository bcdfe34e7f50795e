"""Snapshot → Report. Pure: no clock, no network, and the same answer whatever order the files come in."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import chain

from analyzer.ask import ask_of_case, ask_of_changes, ask_of_files, ask_of_resources
from analyzer.config import AnalyzerConfig, PolicyProblem, read_config
from analyzer.document import MAX_REMEMBERED, load
from analyzer.finding import Location
from analyzer.graph import ResourceGraph, link
from analyzer.history import History
from analyzer.manifest import Manifest, decode
from analyzer.report import Counts, Report
from analyzer.rule import Case, File
from analyzer.snapshot import SETTINGS, Blob, Snapshot, Unread
from analyzer.suppression import suppressions_in
from analyzer.triage import Standard, triage


def analyze(
    snapshot: Snapshot, *, as_of: date, base: Report | ResourceGraph | None = None, history: History | None = None
) -> Report:
    """Everything there is to say about a revision; `base` is an earlier one, for what its changes would mean, and
    `history` the commits that lead from there to here, for who made them.
    """
    config, policy_problems = read_config(snapshot)
    files, unread = _read(snapshot, config)
    graph = _linked(snapshot, files, unread, policy_problems)
    before = base.graph if isinstance(base, Report) else base
    case = Case(graph, before, as_of, config, unread, policy_problems, history)
    findings = {
        rule.finding(hit, config.severities.get(rule.id, rule.severity))
        for rule, hit in chain(ask_of_case(case), ask_of_files(files), ask_of_resources(case), ask_of_changes(case))
    }
    counts = Counts(files=len(files), resources=len(graph.manifests))
    commented = chain.from_iterable(file.suppressions for file in files)
    found = triage(findings, commented, graph, Standard(config, as_of, compared=before is not None))
    return Report(snapshot.revision, snapshot.root, found.findings, graph, config, counts, found.aside, found.resolved)


def graph_of(snapshot: Snapshot) -> ResourceGraph:
    """What a revision declares, without a word about whether that is good."""
    config, policy_problems = read_config(snapshot)
    return _linked(snapshot, *_read(snapshot, config), policy_problems)


def _read(snapshot: Snapshot, config: AnalyzerConfig) -> tuple[tuple[File, ...], tuple[Unread, ...]]:
    blobs = (snapshot.blobs[path] for path in sorted(snapshot.blobs) if path not in SETTINGS)
    files = tuple(_file(blob) for blob in blobs if not config.ignores(blob.path))
    return files, tuple(gap for gap in snapshot.problems if not config.ignores(gap.path))


def _linked(
    snapshot: Snapshot, files: Sequence[File], unread: Iterable[Unread], problems: Iterable[PolicyProblem]
) -> ResourceGraph:
    manifests = (found for file in files for found in file.declarations if isinstance(found, Manifest))
    return link(manifests, (*problems, *_unread(files, unread)), snapshot.revision)


@functools.lru_cache(maxsize=MAX_REMEMBERED)
def _file(blob: Blob) -> File:
    parsed = load(blob)
    declarations = tuple(decode(document, blob.path) for document in parsed.documents)
    return File(blob.path, parsed.source, declarations, parsed.defects, suppressions_in(blob.path, parsed.source))


def _unread(files: Iterable[File], unread: Iterable[Unread]) -> Iterator[tuple[Location, str]]:
    """Where something of ours may be that did not make it into the graph."""
    for gap in unread:
        yield Location(gap.path, 1, 1), gap.because
    for file in files:
        yield from ((file.at(defect.place), defect.message) for defect in file.defects)
        for declaration in file.declarations:
            if declaration.lost:
                yield declaration.location, declaration.because
