"""The files of one revision as values. Read from a directory here, from the Git object database in analyzer.git.

Only *.yaml and *.yml count, and Kustomization; that other files exist is remembered, because a kustomization may name
them. Names that begin with a dot (.github, .pre-commit-config.yaml) belong to tools and are passed over, except
.holdfast.yaml and its baseline at the root. What should have been read and was not is Unread, never silence.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

MAX_FILE_BYTES = 8 * 1024 * 1024
MAX_FILES = 200_000
MAX_FOLDERS = 100_000

POLICY_FILE = ".holdfast.yaml"
BASELINE_FILE = ".holdfast-baseline.json"
SETTINGS = frozenset({POLICY_FILE, BASELINE_FILE})  # at the root, and no manifests
_MISNAMED_POLICY = ".holdfast.yml"
_SUFFIXES = (".yaml", ".yml")
KUSTOMIZATION_FILES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
MAX_OTHER_BYTES = 1024 * 1024  # as much as a ConfigMap may hold
_WORD = re.compile(rb"[^\s\"'=,\[\]{}]+")
_MAX_WORDS = 256 * 1024  # bytes of a kustomization that are looked through for them


@dataclass(frozen=True, slots=True)
class Blob:
    """One file. Its id is the one Git gives it, so that equal content is known as equal wherever it comes from."""

    path: str
    id: str
    data: bytes = field(compare=False, repr=False)


@dataclass(frozen=True, order=True, slots=True)
class Unread:
    """Something that was met and not read."""

    path: str
    because: str
    goal: str = ""  # of a link: where in the same tree that is read which it leads to


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The manifest files at one revision; the revision is empty for a directory. Paths are relative to `root`."""

    revision: str
    blobs: Mapping[str, Blob]
    problems: tuple[Unread, ...] = ()
    root: str = ""
    others: Mapping[str, Blob | None] = field(default_factory=dict)  # what is no manifest; None: it was not read


class SnapshotError(Exception):
    """Nothing could be read: says what, where, and what to do."""


class Collector:
    """Gathers what a walk over files meets, within the limits."""

    def __init__(self) -> None:
        self.blobs: dict[str, Blob] = {}
        self.problems: list[Unread] = []
        self.others: dict[str, Blob | None] = {}

    def refuse(self, path: str, because: str) -> None:
        self.problems.append(Unread(path, because))

    def submodule(self, path: str) -> None:
        self.refuse(path, "a submodule; its files are not part of this revision")

    def link(self, path: str, target: str) -> None:
        """A symlink, which may lead to manifests that nobody would see here."""
        if is_manifest(path) or "." not in path.rpartition("/")[2]:
            self.problems.append(Unread(path, "a symbolic link; links are never followed", _goal(path, target)))

    def name(self, path: str, *, holds_files: bool) -> None:
        """Something with a name that cannot be shown."""
        shown, marked = ("".join(sign if sign.isprintable() else mark for sign in path) for mark in ("", "?"))
        if is_manifest(shown) or is_manifest(marked) or (holds_files and not is_hidden(marked)):
            self.refuse(ascii(path)[1:-1], "the name holds characters that cannot be shown")

    def wants(self, path: str) -> bool:
        """Whether a file of this name is read. The policy under a slightly wrong name would be no policy."""
        if path == _MISNAMED_POLICY:
            self.refuse(path, f"the policy is read from {POLICY_FILE}")
        return is_manifest(path)

    def too_large(self, path: str, size: int) -> bool:
        if size <= MAX_FILE_BYTES:
            return False
        self.refuse(path, f"{size:,} bytes (limit {MAX_FILE_BYTES:,})")
        return True

    def pass_over(self, path: str) -> None:
        """A file that is no manifest."""
        if len(self.others) < MAX_FILES:
            self.others[path] = None

    def named(self) -> Iterator[str]:
        """The files among them that are read after all: schemas, and those that a kustomization may mean by a word in
        it, for a generator puts such into ConfigMaps.
        """
        for path, blob in list(self.blobs.items()):
            folder, _, name = path.rpartition("/")
            if name in KUSTOMIZATION_FILES:
                for word in dict.fromkeys(_WORD.findall(blob.data[:_MAX_WORDS])):
                    other = posixpath.normpath(posixpath.join(folder, word.decode(errors="replace")))
                    if self.others.get(other, blob) is None:
                        yield other
        yield from self._schemas()

    def _schemas(self) -> Iterator[str]:
        """The JSON files that the policy may mean by a word in it, or that are in a folder which it means."""
        policy = self.blobs.get(POLICY_FILE)
        if policy is None or b"schemas" not in policy.data:
            return
        words = {posixpath.normpath(word.decode(errors="replace")) for word in _WORD.findall(policy.data[:_MAX_WORDS])}
        for path, blob in self.others.items():
            if blob is None and path.endswith(".json"):
                folders = (path[:at] for at, sign in enumerate(path) if sign == "/")
                if not words.isdisjoint((path, *folders)):
                    yield path

    def add(self, blob: Blob) -> None:
        self.blobs[blob.path] = blob

    def snapshot(self, revision: str, root: str) -> Snapshot:
        kept = dict(sorted(self.blobs.items()))
        return Snapshot(revision, kept, tuple(sorted(self.problems)), root, self.others)


def is_manifest(path: str) -> bool:
    """Whether a file of this name is read."""
    named = path.endswith(_SUFFIXES) and not is_hidden(path)
    return named or path in SETTINGS or path.rpartition("/")[2] in KUSTOMIZATION_FILES


def is_hidden(path: str) -> bool:
    """Whether the last part of the path begins with a dot."""
    return path.rpartition("/")[2].startswith(".")


def _goal(path: str, target: str) -> str:
    """Where in the tree a link leads to what is read there for what the link says it is; empty where it does not."""
    steps = [step for step in target.rstrip("/").split("/") if step != "."]
    upwards = next((number for number, step in enumerate(steps) if step != ".."), len(steps))
    goal = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    leaves = target.startswith("/") or ".." in steps[upwards:] or any(step.startswith(".") for step in goal.split("/"))
    names = {each.rpartition("/")[2] for each in (path, goal)}
    if leaves or not goal.isprintable() or names & {*SETTINGS, *KUSTOMIZATION_FILES}:
        return ""
    return goal if is_manifest(goal) or not is_manifest(path) else ""


def from_path(path: Path) -> Snapshot:
    """A directory, or a single file as if it were alone in the world."""
    return from_directory(path) if path.is_dir() else from_file(path)


def from_directory(path: Path) -> Snapshot:
    """The manifests below a directory. Raises SnapshotError when it, or something in it, is unreadable."""
    found = Collector()
    folders = [""]
    for visited, folder in enumerate(folders):
        if visited == MAX_FOLDERS:
            raise SnapshotError(f"{path}: more than {MAX_FOLDERS:,} folders; name the one that holds the manifests")
        folders += _collect(path, folder, found)
    for other in found.named():
        found.others[other] = _other(f"{path}/{other}", other)
    return found.snapshot("", "" if path == Path() else str(path))


def from_file(path: Path) -> Snapshot:
    """A single file, whatever its name."""
    found = Collector()
    _read(os.path.realpath(path), path.name, found)
    return found.snapshot("", "" if path.parent == Path() else str(path.parent))


def blob_id(data: bytes) -> str:
    """The id that Git gives this content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _collect(root: Path, folder: str, found: Collector) -> Iterator[str]:
    """Take in the files of one folder; its folders are returned for later."""
    for entry in _entries(root / folder):
        path = f"{folder}/{entry.name}" if folder else entry.name
        if not path.isprintable():
            found.name(path, holds_files=entry.is_symlink() or entry.is_dir(follow_symlinks=False))
        elif entry.is_symlink():
            found.link(path, str((root / path).readlink()))
        elif entry.is_dir(follow_symlinks=False):
            if not is_hidden(path):
                yield path
        elif found.wants(path):
            _read(f"{root}/{path}", path, found)
        else:
            found.pass_over(path)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise SnapshotError(f"{folder}: {error.strerror}") from error


def _read(file: str, path: str, found: Collector) -> None:
    if len(found.blobs) == MAX_FILES:
        raise SnapshotError(f"{file}: more than {MAX_FILES:,} files; name the folder that holds the manifests")
    try:
        with _opened(file) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                found.refuse(path, "not a regular file")
            elif not found.too_large(path, status.st_size):
                data = stream.read()
                found.add(Blob(path, blob_id(data), data))
    except OSError as error:
        raise SnapshotError(f"{file}: {error.strerror}") from error


def _other(file: str, path: str) -> Blob | None:
    """A file that is no manifest; None when it is not to be had."""
    try:
        with _opened(file) as stream:
            status = os.fstat(stream.fileno())
            small = stat.S_ISREG(status.st_mode) and status.st_size <= MAX_OTHER_BYTES
            data = stream.read() if small else b""
            return Blob(path, blob_id(data), data) if small else None
    except OSError:
        return None


def _opened(file: str) -> FileIO:
    """A file that is read whatever it turns out to be: a link is not followed, and a pipe is not waited for."""
    return FileIO(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW))
