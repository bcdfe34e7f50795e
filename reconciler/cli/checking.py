"""The check of a pull request, for the command and for the GitHub Action: what is said, and how it ends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from reconciler.cli.accepting import judged
from reconciler.cli.comparing import Range, alone, reports
from reconciler.cli.exits import Exit, worst

if TYPE_CHECKING:
    from analyzer.check import Check
    from analyzer.impact.usage import Usage

Mode: TypeAlias = Literal["lint", "impact", "check"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What counts."""

    fail_on: str = ""  # empty: as `.holdfast.yaml` says
    changed_only: bool = False
    as_of: date | None = None  # None: today
    mode: Mode = "check"
    baseline: str = ""  # a file of findings that do not count
    cache: Path | None = None  # a folder in which what is known of revisions is kept; None: nothing is
    policy: str = ""  # a file to read in place of `.holdfast.yaml`, from the root of the repository


def checked(repository: Path, revisions: Range, path: str, options: Options, usage: Usage | None = None) -> Check:
    """Judge the head against where it left its base; without a base, by itself. Raises SnapshotError."""
    from analyzer.incremental.table import Damaged  # noqa: PLC0415  # a verb's imports happen inside it

    try:
        return _checked(repository, revisions, path, options, usage)
    except Damaged:  # of what was kept; told only when it is read
        return _checked(repository, revisions, path, replace(options, cache=None), usage)


def _checked(repository: Path, revisions: Range, path: str, options: Options, usage: Usage | None) -> Check:
    from analyzer.check import Check  # noqa: PLC0415  # see above
    from analyzer.finding import Severity  # noqa: PLC0415  # see above
    from analyzer.impact.assess import assess  # noqa: PLC0415  # a verb's imports happen inside it

    before = None
    if revisions.base:
        before, after = reports(repository, revisions, path, options.as_of, options.policy, options.cache)
    else:
        after = alone(repository, revisions.head, path, options.as_of, options.policy)
    after = judged(after, baseline=options.baseline or None, written=None)
    fail_on = Severity.parse(options.fail_on) if options.fail_on else after.config.fail_on
    found = Check(after, fail_on, before, changed_only=options.changed_only)
    if before is None or options.mode == "lint":
        return found
    return replace(found, impact=assess(before, after, usage, found.failing))


def exit_code(found: Check, *, detailed: bool = False) -> Exit:
    """The worst of what there is to say."""
    if found.report.policy_is_broken:
        return Exit.USAGE
    codes = [Exit.FINDINGS] * bool(found.failing)
    codes += [Exit.HELD] * (found.outcome == "needs-approval")
    if found.impact:
        codes += [Exit.UNAVAILABLE] * bool(found.impact.unreadable)
        codes += [Exit.CHANGES] * bool(found.impact.changes and detailed)
    return worst(codes)
