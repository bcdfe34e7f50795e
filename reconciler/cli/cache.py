"""What is known of a revision, kept between runs: one folder for each key, which names all that an answer hangs on.

The key: the code and schemas of the analyzer, the repository and the folder in it, and the policy. The day is no part
of it, because it is known which findings looked at it. What is in a folder is written once and named in `head`, which
takes its place in one step: of two that write at once one is forgotten, and nobody reads what is half there. Whatever
is not what was written is passed over, and the revision analysed from nothing.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analyzer.config import AnalyzerConfig
from analyzer.incremental.graph import LayeredGraph
from analyzer.incremental.layers import Layer
from analyzer.incremental.packing import pack, unpack
from analyzer.incremental.state import Around, State
from analyzer.incremental.stored import StoredLayer, Uncacheable, merged, rows_of
from analyzer.incremental.table import Damaged, Table, Written, write
from analyzer.snapshot import Snapshot, Unread

FORMAT = 1
LARGEST = 1 << 30  # bytes of all folders together
MOST_CHANGES = 20_000  # rows on top of the lowest table, before all are written anew
_SOURCES = ("analyzer", "schemas")
_UNFIT = (Damaged, OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, EOFError)


@dataclass(frozen=True)
class Known:
    """A state that was kept, the tree that it is of, and what was not read there."""

    state: State
    tree: str
    gaps: tuple[Unread, ...]
    rows: tuple[Table, ...]  # the lowest first
    tables: tuple[Mapping[str, Any], ...]


class Cache:
    """The folder of one key."""

    def __init__(self, folder: Path, repository: Path, settings: Snapshot) -> None:
        policy = {path: blob.id for path, blob in settings.blobs.items()}
        about = [FORMAT, code(folder), os.path.realpath(repository), settings.root, policy]
        self._all = folder
        self._folder = folder / hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:32]

    def read(self, config: AnalyzerConfig, fetch: Callable[[str, str], bytes]) -> Known | None:
        """What was kept last; None where that is nothing of use."""
        try:
            text, _, digest = (self._folder / "head").read_text("utf-8").rpartition("\n")
            if digest != _digest(text):
                return None
            head = json.loads(text)
            tables = tuple(self._table(about) for about in head["tables"])
            layer: Layer | None = None
            for table in tables:
                layer = StoredLayer(table, fetch, layer)
            assert layer is not None  # noqa: S101  # a head names a table
            gaps = tuple(Unread(*gap) for gap in head["gaps"])
            around = Around(config, unpack(head["asOf"]), head["revision"], unpack(head["outside"]))
            graph = LayeredGraph(layer, unpack(head["unread"]), head["revision"])
            state = State(layer, around, graph, frozenset(), head["files"], head["resources"])
            return Known(state, head["tree"], gaps, tables, tuple(head["tables"]))
        except _UNFIT:
            return None

    def keep(self, state: State, tree: str, gaps: tuple[Unread, ...], before: Known | None) -> None:
        """Keep a state; on top of the one it comes from, where there is one. What cannot be kept is not."""
        with contextlib.suppress(Uncacheable, OSError):
            self._keep(state, tree, gaps, before)

    def _keep(self, state: State, tree: str, gaps: tuple[Unread, ...], before: Known | None) -> None:
        rows = rows_of(state.layer)
        tables: list[Mapping[str, Any]] = []
        if before:
            upper = dict(before.rows[1].rows()) if len(before.rows) > 1 else {}
            rows = upper | merged(upper, rows)
            if len(rows) > MOST_CHANGES:
                lower = dict(before.rows[0].rows())
                rows = {key: row for key, row in (lower | merged(lower, rows)).items() if row}
            else:
                tables = [before.tables[0]]
        self._folder.mkdir(parents=True, exist_ok=True)
        tables.append(self._written(write(rows)))
        around = state.around
        head = {
            "tree": tree,
            "revision": around.revision,
            "asOf": pack(around.as_of),
            "outside": pack(around.unread),
            "unread": pack(state.graph.unread),
            "gaps": [[gap.path, gap.because, gap.goal] for gap in gaps],
            "files": state.files,
            "resources": state.resources,
            "tables": tables,
        }
        text = json.dumps(head)
        _replace(self._folder / "head", f"{text}\n{_digest(text)}".encode())
        self._tidy({str(table["name"]) for table in tables})

    def _table(self, about: Mapping[str, Any]) -> Table:
        return Table(_reader(self._folder / about["name"]), about["start"], about["digest"])

    def _written(self, table: Written) -> Mapping[str, Any]:
        name = f"{table.digest}.table"
        _replace(self._folder / name, table.data)
        return {"name": name, "start": table.start, "digest": table.digest}

    def _tidy(self, used: set[str]) -> None:
        """Nothing lies around that no head names, and all folders together stay within bounds: the oldest go."""
        for path in self._folder.glob("*.table"):
            if path.name not in used:
                path.unlink(missing_ok=True)
        folders = [path.parent for path in self._all.glob("*/head")]
        sizes = {path: sum(file.stat().st_size for file in path.iterdir()) for path in folders}
        for path in sorted(sizes, key=lambda path: (path / "head").stat().st_mtime):
            if sum(sizes.values()) <= LARGEST or path == self._folder:
                break
            shutil.rmtree(path, ignore_errors=True)
            del sizes[path]


def default_folder() -> Path:
    """Where it is kept if nothing else is said."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "holdfast"


def code(folder: Path) -> str:
    """A digest of all that the analyzer is made of. It is remembered by the sizes and times of the files."""
    files = sorted(_sources())
    seen = _digest(json.dumps(files))
    memory = folder / f"code-{seen}"
    with contextlib.suppress(OSError, ValueError):
        known = memory.read_text("ascii")
        if len(known) == len(seen):
            return known
    found = hashlib.blake2b(digest_size=12)
    for path, *_ in files:
        found.update(hashlib.sha256(Path(path).read_bytes()).digest())
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("code-*"):
            old.unlink(missing_ok=True)
        _replace(memory, found.hexdigest().encode())
    return found.hexdigest()


def _sources() -> Iterator[tuple[str, int, int]]:
    folders = [str(Path(__file__).parents[2] / name) for name in _SOURCES]
    for folder in folders:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.name.endswith((".py", ".json")):
                    status = entry.stat()
                    yield entry.path, status.st_size, status.st_mtime_ns


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def _reader(path: Path) -> Callable[[int, int], bytes]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    return functools.partial(_read, descriptor)


def _read(descriptor: int, offset: int, length: int) -> bytes:
    return os.pread(descriptor, length if length >= 0 else os.fstat(descriptor).st_size - offset, offset)


def _replace(path: Path, data: bytes) -> None:
    """Write a file in one step."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
