"""Reports of revisions, from what earlier runs have kept where there is such, and from nothing where not: the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path

from analyzer.analyze import advance, analyze
from analyzer.authority.history import History
from analyzer.config import read_config
from analyzer.git import blob_reader, read_changes, read_settings, read_snapshot, tree_of
from analyzer.graph import ResourceGraph
from analyzer.incremental.state import State
from analyzer.incremental.table import Damaged
from analyzer.report import Report
from analyzer.snapshot import SnapshotError, Unread
from reconciler.cli.cache import Cache, Known


@dataclass(frozen=True)
class _At:
    """A report, the tree that it is about, and what was not read there."""

    report: Report
    tree: str
    gaps: tuple[Unread, ...]


@dataclass
class Warm:
    """Reports of one folder of a repository. `folder`: where things are kept."""

    repository: Path
    root: str
    as_of: date
    folder: Path
    _known: Known | None = field(default=None, init=False)

    def alone(self, rev: str) -> Report:
        """What there is to say about a revision. Raises SnapshotError."""
        cache = self._open(rev)
        found = self._from_kept(rev) or self._from_nothing(rev)
        self._keep(cache, found)
        return found.report

    def compared(self, base: str, head: str, history_of: Callable[[ResourceGraph], History]) -> tuple[Report, Report]:
        """What there is to say about a revision, and about another one against it. Raises SnapshotError.

        `history_of` tells of the commits between, by the graph of the first. That one is kept: the other, of a pull
        request, may be in no later clone, and follows from it as fast.
        """
        cache = self._open(base)
        try:
            before, after = self._both(self._from_kept(base) or self._from_nothing(base), head, history_of)
        except Damaged:
            self._known = None
            before, after = self._both(self._from_nothing(base), head, history_of)
        self._keep(cache, before)
        return before.report, after.report

    def _both(self, before: _At, head: str, history_of: Callable[[ResourceGraph], History]) -> tuple[_At, _At]:
        history = history_of(before.report.graph)
        return before, self._from_other(head, before, history) or self._against(head, before, history)

    def _open(self, rev: str) -> Cache:
        settings = read_settings(self.repository, rev, self.root)
        cache = Cache(self.folder, self.repository, settings)
        self._known = cache.read(read_config(settings)[0], lambda _, blob: self._blobs(blob))
        return cache

    @cached_property
    def _blobs(self) -> Callable[[str], bytes]:
        return blob_reader(self.repository)

    def _from_kept(self, rev: str) -> _At | None:
        """From what was kept; None where that is of no use, or not what was written."""
        known = self._known
        if known is None:
            return None
        try:
            changes = read_changes(self.repository, rev, self.root, known.tree, known.gaps)
            report = advance(known.state, changes.changed, changes.settings, as_of=self.as_of) if changes else None
        except (Damaged, SnapshotError):
            report = changes = None
        if report is None or changes is None:
            self._known = None
            return None
        return _At(report, changes.tree, changes.settings.problems)

    def _from_nothing(self, rev: str) -> _At:
        snapshot = read_snapshot(self.repository, rev, self.root)
        report = analyze(snapshot, as_of=self.as_of, keep=True)
        return _At(report, tree_of(self.repository, rev, self.root), snapshot.problems)

    def _from_other(self, rev: str, before: _At, history: History | None) -> _At | None:
        """From another revision that was analysed just now."""
        state = before.report.state
        if not (isinstance(state, State) and before.report.plain):
            return None
        changes = read_changes(self.repository, rev, self.root, before.tree, before.gaps)
        if changes is None:
            return None
        settings, changed = changes.settings, changes.changed
        report = advance(state, changed, settings, as_of=self.as_of, base=before.report, history=history)
        return _At(report, changes.tree, changes.settings.problems) if report else None

    def _against(self, rev: str, before: _At, history: History | None) -> _At:
        snapshot = read_snapshot(self.repository, rev, self.root)
        report = analyze(snapshot, as_of=self.as_of, base=before.report, history=history)
        return _At(report, tree_of(self.repository, rev, self.root), snapshot.problems)

    def _keep(self, cache: Cache, found: _At) -> None:
        state = found.report.state
        same = self._known and (self._known.tree, self._known.state.around.as_of) == (found.tree, self.as_of)
        usable = found.report.plain and found.report.root == self.root
        if isinstance(state, State) and usable and not same:
            cache.keep(state, found.tree, found.gaps, self._known)
