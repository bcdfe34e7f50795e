"""What the verbs that read manifests share: what cannot be read ends in one message."""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.exits import CommandError

if TYPE_CHECKING:
    from analyzer.snapshot import Snapshot


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Around everything that reads: what cannot be read ends the command with one message.

    The garbage collector rests meanwhile, and later passes over what there is by then: all that is read is kept until
    the command ends, so it would find nothing, and looking takes a tenth of the whole time.
    """
    from analyzer.snapshot import SnapshotError  # noqa: PLC0415  # a verb's imports happen inside it

    gc.disable()
    try:
        yield
    except SnapshotError as error:
        raise CommandError(str(error)) from error
    finally:
        gc.freeze()
        gc.enable()


def snapshot_of(arguments: argparse.Namespace) -> Snapshot:
    """What PATH, --repo and --rev lead to. Raises SnapshotError."""
    if arguments.repo is None and arguments.rev is None:
        from analyzer.snapshot import from_path  # noqa: PLC0415  # see above

        return from_path(Path(arguments.path or "."))
    from analyzer.git import read_snapshot  # noqa: PLC0415  # 20 ms that files need not pay

    return read_snapshot(arguments.repo or Path(), arguments.rev or "HEAD", arguments.path or "")


def left_aside(path: Path) -> Path | None:
    """The folder around a path, in the same work tree, whose policy does not count when the path is read by itself."""
    from analyzer.snapshot import POLICY_FILE  # noqa: PLC0415  # see above

    folder = Path(os.path.realpath(path))
    for here in (folder, *folder.parents):
        if (here / POLICY_FILE).is_file():
            return here if here != folder and _in_work_tree(here) else None
        if (here / ".git").exists():
            break
    return None


def _in_work_tree(folder: Path) -> bool:
    return any((parent / ".git").exists() for parent in (folder, *folder.parents))


def place_in_repository(path: Path, root: str) -> str:
    """What the paths of a report are relative to, seen from the root of the work tree around it; else `root` itself."""
    folder = Path(os.path.realpath(path if path.is_dir() else path.parent))
    around = next((parent for parent in (folder, *folder.parents) if (parent / ".git").exists()), None)
    if around is None:
        return root
    inside = folder.relative_to(around).as_posix()
    return "" if inside == "." else inside
