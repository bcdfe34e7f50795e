"""Snapshot → Report. Pure: no clock, no network, and the same answer whatever order the files come in."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
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
from analyzer.state import Around, State
from analyzer.suppression import suppressions_in
from analyzer.triage import Standard, triage


def analyze(
    snapshot: Snapshot,
    *,
    as_of: date,
    base: Report | ResourceGraph | None = None,
    history: History | None = None,
    keep: bool = False,
) -> Report:
    """Everything there is to say about a revision; `base` is an earlier one, for what its changes would mean, and
    `history` the commits that lead from there to here, for who made them.

    `keep`: the report holds what is needed to analyse the next revision by what differs from this one. A base that
    holds that is gone on from.
    """
    config, problems = read_config(snapshot)
    files, unread = _read(snapshot, config)
    before = base.graph if isinstance(base, Report) else base
    around = Around(config, as_of, snapshot.revision, _outside(unread, problems))
    known = _known(base, config)
    state = known.after(known.differing(files), around) if known else State.of(files, around) if keep else None
    graph = state.graph if state else _linked(snapshot, files, unread, problems)
    case = Case(graph, before, as_of, config, unread, problems, history)
    told = state.told(before) if state else chain(ask_of_files(files), ask_of_resources(case))
    changed = ask_of_changes(case, state.touched if state and known else None)
    findings = {
        rule.finding(hit, config.severities.get(rule.id, rule.severity))
        for rule, hit in chain(ask_of_case(case), told, changed)
    }
    counts = Counts(len(files), state.resources if state else len(graph.manifests))
    commented = chain.from_iterable(file.suppressions for file in files)
    found = triage(findings, commented, graph, Standard(config, as_of, compared=before is not None))
    return Report(
        snapshot.revision, snapshot.root, found.findings, graph, config, counts, found.aside, found.resolved, state
    )


def _known(base: Report | ResourceGraph | None, config: AnalyzerConfig) -> State | None:
    """What is known of the base: of use only under the same policy."""
    state = base.state if isinstance(base, Report) else None
    return state if isinstance(state, State) and state.around.config == config else None


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
    inside = (place for file in files for place in file.unread)
    return link(manifests, (*_outside(unread, problems), *inside), snapshot.revision)


def _outside(unread: Iterable[Unread], problems: Iterable[PolicyProblem]) -> tuple[tuple[Location, str], ...]:
    """Where something of ours may be beside the files that were read."""
    return (*problems, *((Location(gap.path, 1, 1), gap.because) for gap in unread))


@functools.lru_cache(maxsize=MAX_REMEMBERED)
def _file(blob: Blob) -> File:
    parsed = load(blob)
    declarations = tuple(decode(document, blob.path) for document in parsed.documents)
    return File(blob.path, parsed.source, declarations, parsed.defects, suppressions_in(blob.path, parsed.source))
