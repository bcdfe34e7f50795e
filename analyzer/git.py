"""Revisions and their files, read from the Git object database, never from a work tree.

With git_trees, which knows the files, this is the one door to pygit2.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pygit2
from pygit2.enums import SortMode

from analyzer.git_trees import GitError, differing, entry_at, gather, read_policy, take
from analyzer.snapshot import Blob, Collector, Snapshot, Unread, is_manifest
from schemas.validation import did_you_mean

_TRAILER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)[ \t]*:[ \t]*(.*)")
_SCRATCH_FIRST = 100  # priority of where new objects go; those of the repository have less
_SHOWN = 5  # paths that a message names
REVERT = "revert of "  # the revision of a snapshot that no commit has
_CHERRY_PICKED = "(cherry picked from commit "


MAX_COMMITS = 2_000  # that are judged one by one


class NoCommitError(GitError):
    """A revision that the repository does not have."""


@dataclass(frozen=True, slots=True)
class CommitObject:
    """A commit as it is stored. `signed` is what the signature was made over: everything but the signature itself."""

    id: str
    parents: tuple[str, ...]
    message: str
    signature: bytes = b""
    signed: bytes = b""


def read_snapshot(repository: Path, rev: str, root: str = "") -> Snapshot:
    """The manifests of a revision below `root` (a folder or a single file inside the repository)."""
    repo, commit = _commit(repository, rev)
    found = Collector()
    with _explained(f"{repository}: reading {rev}"):
        entry = gather(repo, commit.tree, root, found)
        if not isinstance(entry, pygit2.Tree | pygit2.Blob):
            raise GitError(f"{repository}: {rev} has no folder {root}")
    return found.snapshot(str(commit.id), root if isinstance(entry, pygit2.Tree) else root.rpartition("/")[0])


def resolve(repository: Path, rev: str) -> str:
    """The full id of the commit that `rev` means."""
    return str(_commit(repository, rev)[1].id)


def is_ancestor(repository: Path, older: str, newer: str) -> bool:
    """Whether `newer` builds on `older`; a commit builds on itself."""
    repo, first = _commit(repository, older)
    _, second = _commit(repository, newer)
    with _explained(f"{repository}: history of {newer}"):
        return first.id == second.id or repo.descendant_of(second.id, first.id)


def merge_base(repository: Path, one: str, other: str) -> str | None:
    """The newest commit that both build on; None when their histories have nothing in common."""
    repo, first = _commit(repository, one)
    _, second = _commit(repository, other)
    with _explained(f"{repository}: histories of {one} and {other}"):
        found = repo.merge_base(first.id, second.id)
    return str(found) if found else None


def departure(repository: Path, base: str, head: str) -> str:
    """The commit to compare `head` with: where it left `base`; for a step back, to an older commit, `base` itself."""
    shared = merge_base(repository, base, head)
    return shared if shared and shared != resolve(repository, head) else resolve(repository, base)


def read_reverted(repository: Path, revs: str, onto: str = "HEAD", root: str = "") -> Snapshot:
    """The manifests as they would be after `git revert` of one commit, or of all after the first of a range.

    What Git makes for that lands in a folder of its own and goes with it: the repository is not touched.
    """
    repo, ours = _commit(repository, onto)
    first, last = _span(repository, revs, onto)
    for earlier, later in ((last, ours), *(((first, last),) if first else ())):
        if earlier.id != later.id and not repo.descendant_of(later.id, earlier.id):
            whose = f"the history of {str(later.id)[:12]}"
            raise GitError(f"{repository}: {str(earlier.id)[:12]} is not in {whose}: there is nothing to revert")
    found = Collector()
    with tempfile.TemporaryDirectory() as scratch, _explained(f"{repository}: reverting {revs} on {onto}"):
        repo.odb.add_backend(pygit2.OdbBackendLoose(scratch, -1, False), _SCRATCH_FIRST)  # noqa: FBT003  # no fsync
        before = repo[first.id if first else repo.TreeBuilder().write()].peel(pygit2.Tree)
        merged = repo.merge_trees(last.tree, ours.tree, before)
        _refuse_conflicts(merged, revs, onto)
        entry = gather(repo, repo[merged.write_tree(repo)].peel(pygit2.Tree), root, found)
        if not isinstance(entry, pygit2.Tree | pygit2.Blob) and entry_at(ours.tree, root) is None:
            raise GitError(f"{repository}: {onto} has no folder {root}")
    return found.snapshot(f"{REVERT}{last.id}", root)


def _span(repository: Path, revs: str, onto: str) -> tuple[pygit2.Commit | None, pygit2.Commit]:
    """The commit that is gone back to, None for nothing at all, and the last one that is undone."""
    older, dots, newer = revs.partition("..")
    _, last = _commit(repository, (newer.removeprefix(".") or onto) if dots else older)
    return (_commit(repository, older)[1] if dots else next(iter(last.parents), None)), last


def _refuse_conflicts(merged: pygit2.Index, revs: str, onto: str) -> None:
    conflicts = merged.conflicts
    if conflicts is None:
        return
    paths = sorted({side.path for sides in conflicts for side in sides if side})
    shown = ", ".join(paths[:_SHOWN]) + (f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else "")
    later = "git revert would stop there, too; revert what came later as well (OLDER..NEWER), or change it by hand"
    raise GitError(f"reverting {revs} on {onto} conflicts with later changes in {shown}; {later}")


def commits_between(repository: Path, base: str, head: str) -> tuple[CommitObject, ...]:
    """The commits that `head` has and `base` has not, parents first. Raises GitError also where there are too many."""
    repo, first = _commit(repository, base)
    _, last = _commit(repository, head)
    with _explained(f"{repository}: the commits from {base} to {head}"):
        walker = repo.walk(last.id, SortMode.TOPOLOGICAL | SortMode.REVERSE)
        walker.hide(first.id)
        found = [_object(commit) for _, commit in zip(range(MAX_COMMITS + 1), walker, strict=False)]
    if len(found) > MAX_COMMITS:
        raise GitError(f"{repository}: more than {MAX_COMMITS:,} commits from {base} to {head}; go there in steps")
    if repo.is_shallow and not all(commit.parents for commit in found):
        raise GitError(f"{repository}: a shallow clone ends between {base} and {head}; run `git fetch --unshallow`")
    return tuple(found)


def common_ancestor(repository: Path, one: str, other: str) -> str | None:
    """The one newest commit that both build on; None when there is none, or more than one."""
    repo, first = _commit(repository, one)
    _, second = _commit(repository, other)
    with _explained(f"{repository}: histories of {one} and {other}"):
        shared = repo.merge_base(first.id, second.id)
        if shared is None:
            return None
        sides = [_side(repo, tip.id, shared) for tip in (first, second)]
    return None if sides[0] & sides[1] else str(shared)


def tree_of(repository: Path, rev: str, root: str = "") -> str:
    """The id of a folder at a revision, equal where its content is; empty where there is no such folder."""
    _, commit = _commit(repository, rev)
    with _explained(f"{repository}: reading {rev}"):
        entry = entry_at(commit.tree, root)
    return str(entry.id) if entry is not None else ""


def trailers(repository: Path, rev: str) -> tuple[tuple[str, str], ...]:
    """The trailers of a commit message, such as Holdfast-Approve, in order."""
    return parse_trailers(_message(_commit(repository, rev)[1]))


def subject(repository: Path, rev: str) -> str:
    """The first line of the commit message."""
    return _message(_commit(repository, rev)[1]).strip().partition("\n")[0].strip()


def find_repository(path: Path) -> tuple[Path, str]:
    """The repository around a path, and the path inside it."""
    full = path.resolve()
    with _explained(f"{path}: looking for a Git repository"):
        found = pygit2.discover_repository(str(full))
        folder = pygit2.Repository(found).workdir if found else None
    if folder is None:
        raise GitError(f"{path} is not in a Git work tree; name a repository with --repo")
    inside = full.relative_to(Path(folder).resolve()).as_posix()
    return Path(folder), "" if inside == "." else inside


def parse_trailers(message: str) -> tuple[tuple[str, str], ...]:
    """Trailers stand in the last paragraph, which holds nothing else; an indented line continues the one before."""
    _, gap, last = message.strip().replace("\r\n", "\n").rpartition("\n\n")
    found: list[tuple[str, str]] = []
    for line in last.split("\n") if gap else ():
        match = _TRAILER.fullmatch(line)
        if match:
            found.append((match[1], match[2].strip()))
        elif found and line[:1] in (" ", "\t"):
            found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}")
        elif not line.startswith(_CHERRY_PICKED):
            return ()
    return tuple(found)


def _message(commit: pygit2.Commit) -> str:
    """The message, also of a commit that claims an encoding which there is not, or which its text does not have."""
    try:
        return commit.message
    except (LookupError, ValueError):
        return commit.raw_message.decode("utf-8", "replace")


def _object(commit: pygit2.Commit) -> CommitObject:
    signature, signed = commit.gpg_signature
    parents = tuple(map(str, commit.parent_ids))
    return CommitObject(str(commit.id), parents, _message(commit), signature or b"", signed or b"")


def _side(repo: pygit2.Repository, tip: pygit2.Oid, shared: pygit2.Oid) -> set[pygit2.Oid]:
    """What leads to a commit and not to one that it shares with another."""
    walker = repo.walk(tip, SortMode.NONE)
    walker.hide(shared)
    return {commit.id for commit in walker}


def _commit(repository: Path, rev: str) -> tuple[pygit2.Repository, pygit2.Commit]:
    with _explained(f"{repository} cannot be read as a Git repository"):
        found = pygit2.discover_repository(str(repository))
        repo = pygit2.Repository(found) if found else None
    if repo is None:
        raise GitError(f"{repository} is no Git repository, nor inside one")
    try:
        return repo, repo.revparse_single(rev).peel(pygit2.Commit)
    except (KeyError, ValueError, TypeError, pygit2.GitError) as error:
        raise NoCommitError(f"{repository}: {_no_commit(repo, rev)}") from error


def _no_commit(repo: pygit2.Repository, rev: str) -> str:
    if repo.is_empty:
        return "there is no commit yet"
    names = [name.partition("/")[2].partition("/")[2] for name in repo.references]  # refs/heads/main
    return f"no commit {rev!r}{did_you_mean(rev, names) or '; see `git log --all --oneline`'}"


@contextlib.contextmanager
def _explained(doing: str) -> Iterator[None]:
    try:
        yield
    except (pygit2.GitError, KeyError, ValueError, OSError) as error:
        raise GitError(f"{doing}: {str(error).strip(chr(39)) or type(error).__name__}") from error


@dataclass(frozen=True)
class Changes:
    """How a revision differs from a tree: `changed` files (None: are gone). `settings` holds the policy and no more
    files, and all that was met and not read.
    """

    tree: str
    settings: Snapshot
    changed: Mapping[str, Blob | None]


def read_settings(repository: Path, rev: str, root: str = "") -> Snapshot:
    """The policy of a revision, and no other files."""
    repo, commit = _commit(repository, rev)
    entry = entry_at(commit.tree, root)
    found = Collector()
    with _explained(f"{repository}: reading {rev}"):
        if isinstance(entry, pygit2.Tree):
            read_policy(repo, entry, found)
    return found.snapshot(str(commit.id), root)


def read_changes(repository: Path, rev: str, root: str, since: str, gaps: Iterable[Unread]) -> Changes | None:
    """How a revision differs from a tree in which there were these gaps; None where that tree is not to be had.

    Trees are compared by their ids, level by level: what is the same is not looked into.
    """
    repo, commit = _commit(repository, rev)
    found, gone = Collector(), set[str]()
    with _explained(f"{repository}: comparing {rev}"):
        old, new = repo.get(since), entry_at(commit.tree, root)
        if not (isinstance(old, pygit2.Tree) and isinstance(new, pygit2.Tree)):
            return None
        for path, before, after in differing(old, new):
            if before is not None:
                gone.add(path if path.isprintable() else ascii(path)[1:-1])
            if after is not None:
                take(repo, after, path, found)
        settings = Collector()
        read_policy(repo, new, settings)
    settings.problems = [*(gap for gap in gaps if gap.path not in gone), *found.problems]
    changed = {path: None for path in gone if is_manifest(path)} | found.blobs
    return Changes(str(new.id), settings.snapshot(str(commit.id), root), changed)


def blob_reader(repository: Path) -> Callable[[str], bytes]:
    """Reads blobs by their id."""
    repo = pygit2.Repository(str(pygit2.discover_repository(str(repository))))

    def read(blob: str) -> bytes:
        with _explained(f"{repository}: reading {blob}"):
            data: bytes = repo.odb.read(blob)[1]
            return data

    return read
