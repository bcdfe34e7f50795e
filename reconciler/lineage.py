"""Who made the changes between two revisions: reads the commits, compares what each declares, checks signatures.

The policies of the base count, whatever the commits say: none grants itself a right.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from analyzer import git
from analyzer.analyze import graphs_of
from analyzer.authority.acts import NOTHING, State, acts_of, opaque
from analyzer.authority.history import APPROVAL, MAIN, Act, Commit, History
from analyzer.authority.rights import KIND, Subject, subjects
from analyzer.finding import Location, Note
from analyzer.git import CommitObject
from analyzer.graph import ResourceGraph
from analyzer.manifest import Manifest
from analyzer.roots.files import is_kustomization
from analyzer.snapshot import POLICY_FILE, SETTINGS, Blob
from reconciler.signatures import verify
from schemas.resources import ResourceKey

APPROVAL_TRAILER = "Holdfast-Approve"
KEPT = 8  # states: a commit, its parents, what they began as, and some to come


@dataclass
class _Reader:
    """Reads revisions of one repository; the states that were asked for last are kept."""

    repository: Path
    root: str
    _states: dict[str, State] = field(default_factory=dict)

    def tree(self, rev: str) -> str:
        return git.tree_of(self.repository, rev, self.root)

    def state(self, rev: str) -> State:
        tree = self.tree(rev)
        if not tree:
            return NOTHING
        if tree not in self._states:
            while len(self._states) >= KEPT:
                self._states.pop(next(iter(self._states)))
            snapshot = git.read_snapshot(self.repository, rev, self.root)
            files = {path: blob.id for path, blob in snapshot.blobs.items()}
            self._states[tree] = State(graphs_of(snapshot), files)
        return self._states[tree]


def history_of(repository: Path, base: str, head: str, root: str, before: ResourceGraph) -> History:
    """The commits from an applied revision to one that is to follow it, under the policies that `before`, the graph of
    the applied one, declares. Without any policy, nothing is read. Raises git.GitError.
    """
    policies = before.of_kind(KIND)
    if not policies:
        return History()
    severed = "" if git.is_ancestor(repository, base, head) else f"{head[:12]} does not build on {base[:12]}"
    return History(_commits(repository, base, head, root, policies), policies, severed)


def proposal_of(  # noqa: PLR0913, PLR0917  # two revisions, and where the one left the other
    repository: Path, base: str, head: str, root: str, left: str, before: ResourceGraph
) -> History:
    """The commits of a branch that left `base` at `left`, of which `before` is the graph. The base may have moved on
    since: its newest policies count. Raises git.GitError.
    """
    policies = _newest(repository, base, root, left, before)
    if not policies:
        return History()
    shared = git.merge_base(repository, base, head)
    severed = "" if shared else f"{head} and {base} have no commit in common"
    return History(_commits(repository, base, head, root, policies), policies, severed)


def _newest(repository: Path, base: str, root: str, left: str, before: ResourceGraph) -> tuple[Manifest, ...]:
    """The policies of a revision; read in full only where it may have others than an earlier one."""
    policies, known = before.of_kind(KIND), git.tree_of(repository, left, root)
    if git.tree_of(repository, base, root) == known:
        return policies
    changes = None if policies else git.read_changes(repository, base, root, known, ())
    if changes and not any(_may_declare(path, blob) for path, blob in changes.changed.items()):
        return ()
    return graphs_of(git.read_snapshot(repository, base, root))[MAIN].of_kind(KIND)


def _may_declare(path: str, blob: Blob | None) -> bool:
    """Whether a file that is new, other or gone may bring a policy, by itself or by what it has others deploy."""
    if blob is None or path in SETTINGS or is_kustomization(path):
        return True
    return any(word in blob.data for word in (KIND.encode(), b"kustomize"))


def _commits(repository: Path, base: str, head: str, root: str, policies: tuple[Manifest, ...]) -> tuple[Commit, ...]:
    reader, known = _Reader(repository, root), tuple(subjects(policies))
    return tuple(_commit(reader, commit, known) for commit in git.commits_between(repository, base, head))


def _commit(reader: _Reader, commit: CommitObject, known: tuple[Subject, ...]) -> Commit:
    acts, hidden = _acts(reader, commit)
    acts = (*acts, *_approvals(commit))
    subject = commit.message.strip().partition("\n")[0].strip()
    if not acts and not hidden:
        return Commit(commit.id, subject)
    verdict = verify(commit, known)
    return Commit(commit.id, subject, acts, verdict.signer, verdict.because, hidden)


def _approvals(commit: CommitObject) -> Iterator[Act]:
    for name, value in git.parse_trailers(commit.message):
        if name == APPROVAL_TRAILER:
            yield Act("create", ResourceKey(APPROVAL, "", value), Location(POLICY_FILE, 1, 1, commit.id))


def _acts(reader: _Reader, commit: CommitObject) -> tuple[tuple[Act, ...], tuple[Note, ...]]:
    """What a commit does by itself, and what keeps that from being made out."""
    if {reader.tree(parent) for parent in commit.parents} == {reader.tree(commit.id)}:
        return (), ()
    after = reader.state(commit.id)
    sides = [reader.state(parent) for parent in commit.parents] or [NOTHING]
    ancestor = _ancestor(reader, commit.parents)
    seen = (after, *sides, *([ancestor] if ancestor else []))
    return acts_of(after, sides, ancestor, commit.id), opaque(seen)


def _ancestor(reader: _Reader, parents: tuple[str, ...]) -> State | None:
    """What the two sides of a merge began as, where that is one state."""
    if len(parents) != 2:  # two sides
        return None
    shared = git.common_ancestor(reader.repository, *parents)
    return reader.state(shared) if shared else None
