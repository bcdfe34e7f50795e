"""The files of a snapshot as kustomizations see them: by folder, with paths that lead from one to another."""

from __future__ import annotations

import functools
import hashlib
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from analyzer.snapshot import KUSTOMIZATION_FILES, Blob, Snapshot

_MAX_LINKS = 40  # one after another, as in Linux
_REMOTE = re.compile(
    r"://|^git::|^git@|^(?:www\.)?(?:github|gitlab)\.com[/:]|^bitbucket\.org/|\?(?:ref|version|timeout)="
)


@dataclass(frozen=True)
class Files:
    """What can be read, where, and what is known to be there without having been read."""

    blobs: Mapping[str, Blob]
    others: Mapping[str, Blob | None]  # what is no manifest; None: it was not read
    unread: Mapping[str, str]  # path → why it was not read
    root: str = ""
    kustomizations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # folder → its kustomization files
    folders: frozenset[str] = frozenset()
    links: Mapping[str, str] = field(default_factory=dict)  # those that stay in the tree, and where they lead

    def actual(self, path: str) -> str:
        """A path without links in it; itself where it leads in circles."""
        found = path
        for _ in range(_MAX_LINKS if self.links else 0):
            ends = (at for at in range(1, len(found) + 1) if found[at : at + 1] in ("", "/"))
            link = next((found[:at] for at in ends if found[:at] in self.links), None)
            if link is None:
                return found
            found = self.links[link] + found[len(link) :]
        return path

    def kustomization(self, folder: str) -> Blob | None:
        paths = self.kustomizations.get(folder)
        return self.blobs[paths[0]] if paths else None

    def id_of(self, path: str) -> str:
        """What is at a path, as text that changes whenever that changes; "" for nothing. Of a folder (a path that ends
        in a slash) it is all that is in it and below.
        """
        if path.endswith("/"):
            return self._listed[path[:-1]]
        blob = self.blobs.get(path)
        if blob:
            return blob.id
        if path in self.unread:
            return f"unread: {self.unread[path]}"
        other = self.others.get(path)
        return other.id if other else "present" if path in self.others or path in self.folders else ""

    @functools.cached_property
    def _listed(self) -> Mapping[str, str]:
        """A digest of what is in a folder and below, by the folder; "" for nothing."""
        inside: dict[str, list[str]] = defaultdict(list)
        for path, blob in sorted(self.blobs.items()):
            folder = path
            while folder:
                folder = folder.rpartition("/")[0]
                inside[folder].append(f"{path}\0{blob.id}")
        digests = {folder: hashlib.sha256("\0".join(each).encode()).hexdigest() for folder, each in inside.items()}
        return defaultdict(str, digests)

    def content(self, path: str) -> Blob | None:
        """What is in a file, manifest or not; None where it was not read."""
        return self.blobs.get(path) or self.others.get(path)

    def below(self, folder: str) -> Iterator[str]:
        """The manifest files in a folder and in all its folders."""
        prefix = f"{folder}/" if folder else ""
        return (path for path in self.blobs if path.startswith(prefix))


def files_of(snapshot: Snapshot) -> Files:
    kustomizations: dict[str, list[str]] = {}
    folders = {""}
    for path in snapshot.blobs:
        folder, _, name = path.rpartition("/")
        if name in KUSTOMIZATION_FILES:
            kustomizations.setdefault(folder, []).append(path)
        while folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    return Files(
        snapshot.blobs,
        snapshot.others,
        {gap.path: gap.because for gap in snapshot.problems if not gap.goal},
        snapshot.root,
        {folder: tuple(sorted(paths, key=_rank)) for folder, paths in kustomizations.items()},
        frozenset(folders),
        {gap.path: gap.goal for gap in snapshot.problems if gap.goal},
    )


def _rank(path: str) -> int:
    return KUSTOMIZATION_FILES.index(path.rpartition("/")[2])


def is_kustomization(path: str) -> bool:
    return path.rpartition("/")[2] in KUSTOMIZATION_FILES


def joined(folder: str, reference: str) -> str | None:
    """The path that a reference from a folder leads to; None when it leads out."""
    if reference.startswith("/"):
        return None
    path = posixpath.normpath(posixpath.join(folder, reference))
    if path == ".." or path.startswith("../"):
        return None
    return "" if path == "." else path


def is_remote(reference: str) -> bool:
    """Whether a reference needs a network."""
    return bool(_REMOTE.search(reference))
