"""Baselines on the command line: the findings that a file knows, and a file of those that there are."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.exits import CommandError, UsageError
from reconciler.cli.outputs import write_file

if TYPE_CHECKING:
    from analyzer.baseline import Baseline
    from analyzer.finding import Finding, Location
    from analyzer.report import Report


def judged(report: Report, *, baseline: str | None, written: str | None) -> Report:
    """The report without what a baseline knows: the one that is given, or the one that is written now."""
    if written is not None:
        report = _write(report, written)
    return report.against(_known(baseline)) if baseline is not None else report


def _known(file: str) -> Baseline:
    from analyzer.baseline import read_baseline  # noqa: PLC0415  # a verb's imports happen inside it

    try:
        known, problems = read_baseline(Path(file).read_bytes(), file)
    except OSError as error:
        raise CommandError(f"--baseline {file}: {error.strerror}") from error
    for place, message in problems:
        raise UsageError(f"--baseline {place}: {message}")
    return known


def _write(report: Report, file: str) -> Report:
    """Write what counts and what the repository's own baseline knows, so that writing it anew forgets only the rest."""
    from analyzer.baseline import baseline_of, read_baseline  # noqa: PLC0415  # see above
    from analyzer.snapshot import POLICY_FILE  # noqa: PLC0415  # see above

    known = [aside.finding for aside in report.aside if aside.by == "baseline"]
    if any(place.path == POLICY_FILE for place in _broken(report)):
        raise UsageError(f"--write-baseline {file}: mend {POLICY_FILE} first: what counts is not known without it")
    text = baseline_of((*report.findings, *known))
    read_again, problems = read_baseline(text.encode(), file)
    for _, message in problems:  # too much for a file that is read like all others
        raise UsageError(f"--write-baseline {file}: {message}; write one for each folder")
    write_file(f"--write-baseline {file}", file, text)
    _remark([finding for finding in report.findings if finding.fixed])
    left = tuple(aside for aside in report.aside if aside.by != "baseline")
    whole = replace(report, findings=tuple(sorted((*report.findings, *known))), aside=left, resolved=())
    return whole.against(read_again)


def _broken(report: Report) -> list[Location]:
    from analyzer.report import BROKEN_POLICY  # noqa: PLC0415  # see above

    return [finding.location for finding in report.findings if finding.rule == BROKEN_POLICY]


def _remark(fixed: list[Finding]) -> None:
    if fixed:
        rules = ", ".join(sorted({finding.rule for finding in fixed}))
        sys.stderr.write(f"no baseline holds what nothing could be applied with ({len(fixed)}): {rules}\n")
