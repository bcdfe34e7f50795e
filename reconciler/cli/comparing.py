"""What the verbs that compare two revisions share: which two, what is said of each, and who is connected now."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.exits import CommandError, UsageError

if TYPE_CHECKING:
    from datetime import date

    from analyzer.impact.usage import Usage
    from analyzer.report import Report
    from analyzer.snapshot import Snapshot

LIVE = (
    "also say which connected hosts lose what: a file that `holdfast usage -o json` wrote, or the daemon at "
    "http://127.0.0.1:PORT or unix:PATH"
)


_LISTENS = re.compile(r"unix:.+|(?:\[[0-9A-Fa-f:.]+\]|[^\s/:\[\]@]+):[0-9]{1,5}")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Range:
    """Two revisions as people name them. Without a base there is nothing to compare with."""

    base: str
    head: str = "HEAD"


def range_of(text: str) -> Range:
    """BASE..HEAD or BASE...HEAD; where nothing stands, HEAD is meant."""
    base, dots, head = text.partition("..")
    if not dots:
        raise UsageError(f"{text!r} is not a range; write BASE..HEAD, such as main..HEAD")
    return Range(base or "HEAD", head.removeprefix(".") or "HEAD")


def reports(  # noqa: PLR0913, PLR0917  # what an answer hangs on
    repository: Path,
    revisions: Range,
    path: str,
    as_of: date | None = None,
    policy: str = "",
    cache: Path | None = None,
) -> tuple[Report, Report]:
    """The report of where the head left its base, and that of the head against it. Raises SnapshotError.

    `cache`: where earlier runs have kept what they know; it makes no other answer of it.
    """
    from analyzer.analyze import analyze  # noqa: PLC0415  # a verb's imports happen inside it
    from analyzer.git import departure  # noqa: PLC0415  # see above
    from reconciler.clock import today  # noqa: PLC0415  # see above
    from reconciler.lineage import proposal_of  # noqa: PLC0415  # see above

    day = as_of or today()
    left = departure(repository, revisions.base, revisions.head)
    history_of = partial(proposal_of, repository, revisions.base, revisions.head, path, left)
    if cache and not policy:
        from reconciler.cli.warm import Warm  # noqa: PLC0415  # see above

        return Warm(repository, path, day, cache).compared(left, revisions.head, history_of)
    after = _snapshot(repository, revisions.head, path, policy)
    before = _snapshot(repository, left, path, policy, needed=False)
    judged = analyze(before, as_of=day, keep=True)
    return judged, analyze(after, as_of=day, base=judged, history=history_of(judged.graph))


def reverted(repository: Path, revs: str, path: str) -> tuple[Report, Report]:
    """The report of HEAD, and that of what it would be with these commits reverted. Raises SnapshotError."""
    from analyzer.analyze import analyze  # noqa: PLC0415  # a verb's imports happen inside it
    from analyzer.git import read_reverted, read_snapshot  # noqa: PLC0415  # see above
    from reconciler.clock import today  # noqa: PLC0415  # see above

    before = analyze(read_snapshot(repository, "HEAD", path), as_of=today(), keep=True)
    return before, analyze(read_reverted(repository, revs, root=path), as_of=today(), base=before)


def asked(words: Sequence[str]) -> tuple[Range | None, str]:
    """The range and the folder that words name."""
    ranges = [word for word in words if ".." in word and not word.startswith((".", "/"))]
    paths = [word for word in words if word not in ranges]
    if len(ranges) > 1 or len(paths) > 1:
        raise UsageError("name one range BASE..HEAD and one folder at most")
    return range_of(ranges[0]) if ranges else None, (paths or [""])[0]


def alone(repository: Path, revision: str, path: str, as_of: date | None = None, policy: str = "") -> Report:
    """The report of a revision by itself. Raises SnapshotError."""
    from analyzer.analyze import analyze  # noqa: PLC0415  # see above
    from reconciler.clock import today  # noqa: PLC0415  # see above

    return analyze(_snapshot(repository, revision, path, policy), as_of=as_of or today())


def _snapshot(repository: Path, revision: str, path: str, policy: str, *, needed: bool = True) -> Snapshot:
    """The files below a path, with another file of that revision in place of its policy where one is named.

    `needed`: whether that file must be there; an earlier revision may be from before there was one.
    """
    from analyzer.git import read_snapshot  # noqa: PLC0415  # see above
    from analyzer.snapshot import POLICY_FILE, Blob, SnapshotError  # noqa: PLC0415  # see above

    found = read_snapshot(repository, revision, path)
    if not policy:
        return found
    try:
        read = list(read_snapshot(repository, revision, policy).blobs.values())
    except SnapshotError:
        read = []
    if needed and len(read) != 1:
        raise CommandError(f"{policy}: there is no such policy file in {revision[:12]}")
    others = {name: blob for name, blob in found.blobs.items() if name != POLICY_FILE}
    chosen = {POLICY_FILE: Blob(POLICY_FILE, read[0].id, read[0].data)} if len(read) == 1 else {}
    return replace(found, blobs=dict(sorted({**others, **chosen}.items())))


def commit_of(repository: Path, revision: str) -> str:
    """The id of the commit that somebody names. Raises SnapshotError."""
    from analyzer.git import resolve  # noqa: PLC0415  # a verb's imports happen inside it

    return resolve(repository, revision)


def usage_at(place: str, revision: str = "") -> Usage:
    """What a file or the daemon tells of who is connected, and what a commit would have held. Raises CommandError."""
    from analyzer.impact.usage import UsageError as NoUsage  # noqa: PLC0415  # see above
    from analyzer.impact.usage import usage_of  # noqa: PLC0415  # see above

    try:
        return usage_of(_document(place, revision))
    except NoUsage as error:
        raise CommandError(f"--live {place}: {error}") from error


def _document(place: str, revision: str) -> object:
    from reconciler.cli import daemon_client  # noqa: PLC0415  # see above

    if place.startswith(("http://", "unix:")):
        listen = place.removeprefix("http://").rstrip("/")
        if not _LISTENS.fullmatch(listen):
            raise UsageError(f"--live {place}: write http://HOST:PORT, such as http://127.0.0.1:8770, or unix:PATH")
        return {
            "kind": "Usage",
            **daemon_client.ask_at(listen, "/usage", revision=revision if _COMMIT.fullmatch(revision) else ""),
        }
    if place.startswith("https://"):
        raise UsageError(f"--live {place}: the daemon speaks plain HTTP, on loopback or a UNIX socket only")
    try:
        return json.loads(Path(place).read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"--live {place}: {error.strerror}") from error
    except ValueError as error:
        raise CommandError(f"--live {place}: not JSON: {error}") from error
