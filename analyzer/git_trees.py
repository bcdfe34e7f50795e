"""The files of a tree in the Git object database, and how two trees differ. Of which revision, analyzer.git says."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pygit2
from pygit2.enums import FileMode, ObjectType

from analyzer.snapshot import (
    MAX_FILES,
    MAX_FOLDERS,
    MAX_OTHER_BYTES,
    SETTINGS,
    Blob,
    Collector,
    SnapshotError,
    is_hidden,
)

MAX_TARGET = 4096  # bytes of a link


class GitError(SnapshotError):
    """Git could not answer: says what was asked, where, and why not."""


def gather(repo: pygit2.Repository, tree: pygit2.Tree, root: str, found: Collector) -> pygit2.Object | None:
    """Everything below `root`, a folder or a single file of the tree; what that is, None where there is nothing."""
    entry = entry_at(tree, root)
    if isinstance(entry, pygit2.Tree):
        collect(repo, entry, found)
        for path in found.named():
            found.others[path] = _other(repo, entry, path)
    elif isinstance(entry, pygit2.Blob):
        read(repo, entry, root.rpartition("/")[2], found)
    return entry


def entry_at(tree: pygit2.Tree, root: str) -> pygit2.Object | None:
    try:
        return tree[root] if root else tree
    except KeyError:
        return None


def collect(repo: pygit2.Repository, tree: pygit2.Tree, found: Collector) -> None:
    """Walk without recursion; a tree that repeats itself without end runs into the limit."""
    folders = [("", tree)]
    for visited, (folder, here) in enumerate(folders):
        if visited == MAX_FOLDERS:
            raise GitError(f"more than {MAX_FOLDERS:,} folders; name the one that holds the manifests")
        for entry in here:
            name = (entry.raw_name or b"").decode("utf-8", "surrogateescape")
            path = f"{folder}/{name}" if folder else name
            if isinstance(entry, pygit2.Tree) and path.isprintable():
                folders += [] if is_hidden(path) else [(path, entry)]
            else:
                take(repo, entry, path, found)


def take(repo: pygit2.Repository, entry: pygit2.Object, path: str, found: Collector) -> None:
    if not path.isprintable():
        found.name(path, holds_files=entry.filemode in (FileMode.TREE, FileMode.LINK, FileMode.COMMIT))
    elif entry.filemode == FileMode.COMMIT:
        found.submodule(path)
    elif entry.filemode == FileMode.LINK:
        found.link(path, _target(repo, entry))
    elif found.wants(path):
        read(repo, entry, path, found)
    else:
        found.pass_over(path)


def _target(repo: pygit2.Repository, entry: pygit2.Object) -> str:
    """Where a link leads; nowhere when nobody can tell."""
    _, size = repo.odb.read_header(entry.id)
    return repo.odb.read(entry.id)[1].decode("utf-8", "replace") if size <= MAX_TARGET else "/"


def read(repo: pygit2.Repository, entry: pygit2.Object, path: str, found: Collector) -> None:
    """The header tells the size, so that nothing huge is ever loaded."""
    if len(found.blobs) == MAX_FILES:
        raise GitError(f"more than {MAX_FILES:,} files; name the folder that holds the manifests")
    _, size = repo.odb.read_header(entry.id)
    if not found.too_large(path, size):
        kind, data = repo.odb.read(entry.id)
        assert kind == ObjectType.BLOB  # noqa: S101  # the tree said so
        found.add(Blob(path, str(entry.id), data))


def _other(repo: pygit2.Repository, tree: pygit2.Tree, path: str) -> Blob | None:
    """A file that is no manifest; None for a large one."""
    entry = tree[path]
    _, size = repo.odb.read_header(entry.id)
    return Blob(path, str(entry.id), repo.odb.read(entry.id)[1]) if size <= MAX_OTHER_BYTES else None


def read_policy(repo: pygit2.Repository, tree: pygit2.Tree, found: Collector) -> None:
    for path in sorted(SETTINGS):
        if path in tree and tree[path].filemode in (FileMode.BLOB, FileMode.BLOB_EXECUTABLE):
            read(repo, tree[path], path, found)


def differing(old: pygit2.Tree, new: pygit2.Tree) -> Iterator[tuple[str, pygit2.Object | None, pygit2.Object | None]]:
    """Everything but folders that is not the same in two trees."""
    folders: list[tuple[str, pygit2.Tree | None, pygit2.Tree | None]] = [("", old, new)]
    for visited, (folder, one, other) in enumerate(folders):
        if visited == MAX_FOLDERS:
            raise GitError(f"more than {MAX_FOLDERS:,} folders; name the one that holds the manifests")
        before, after = _unlike(one, other), _unlike(other, one)
        for raw in sorted(before.keys() | after.keys()):
            was, now = before.get(raw), after.get(raw)
            name = raw.decode("utf-8", "surrogateescape")
            path = f"{folder}/{name}" if folder else name
            walked = [side if isinstance(side, pygit2.Tree) and path.isprintable() else None for side in (was, now)]
            if walked != [None, None] and not is_hidden(path):
                folders.append((path, walked[0], walked[1]))
            yield path, was if walked[0] is None else None, now if walked[1] is None else None


def _unlike(tree: pygit2.Tree | None, other: pygit2.Tree | None) -> dict[bytes, pygit2.Object]:
    """What a folder holds that is not so in another one, by name. Entries are compared as they are written."""
    if tree is None:
        return {}
    places = {entry: at for at, entry in enumerate(_written(tree))}
    return {entry[1]: tree[places[entry]] for entry in places.keys() - (_written(other) if other else ())}


def _written(tree: pygit2.Tree) -> list[tuple[bytes, bytes, bytes]]:
    """The mode, name and id of each entry."""
    entry = rb"([0-7]+) ([^\0]+)\0(.{%d})" % len(tree.id.raw)
    return re.findall(entry, tree.read_raw(), re.DOTALL)
