"""`holdfast lint`: what is wrong with the manifests of a directory, a file or a revision."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.accepting import judged
from reconciler.cli.exits import Exit, UsageError
from reconciler.cli.options import add_cache, day
from reconciler.cli.outputs import Output, add_outputs, write
from reconciler.cli.reading import left_aside, place_in_repository, reading, snapshot_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from analyzer.authority.history import History
    from analyzer.graph import ResourceGraph
    from analyzer.report import Report
    from analyzer.snapshot import Snapshot

HELP = "say what is wrong with the manifests, and where"
FORMATS = ("text", "json", "sarif", "github", "markdown", "junit", "rdjson")
IN_REPOSITORY = frozenset({"sarif", "github", "markdown"})  # read where paths begin at the root of the repository
SHOW_ASIDE = frozenset({"sarif", "junit"})
EXAMPLES = """\
examples:
  holdfast lint                              the manifests below this folder
  holdfast lint pools.yaml                   one file as if it were alone
  holdfast lint --base main                  also the changes since main
  holdfast lint --repo storage.git --rev v2  a revision, without a work tree
  holdfast lint -o text -o sarif=lint.sarif  for people, and for code scanning
  holdfast lint --write-baseline known.json  what there is, to be passed over

exit codes: 0 clean, 1 findings, 2 usage or a broken .holdfast.yaml,
3 something cannot be read"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", nargs="?", metavar="PATH", help="folder or file; inside the repository with --repo")
    parser.add_argument("--repo", type=Path, metavar="REPO", help="read a Git repository instead of files")
    parser.add_argument("--rev", metavar="REV", help="the revision to read (default HEAD)")
    parser.add_argument("--base", metavar="REV", help="an earlier revision, to judge the changes since")
    add_outputs(parser, FORMATS)
    parser.add_argument("--changed-only", action="store_true", help="with --base: what was there before does not count")
    parser.add_argument("--baseline", metavar="FILE", help="findings that this file knows do not count")
    parser.add_argument("--write-baseline", metavar="FILE", help="write such a file of all that counts now")
    parser.add_argument("--show-suppressed", action="store_true", help="show also what does not count, and why")
    parser.add_argument("--fail-on", choices=("error", "warning", "info"), help="overrides failOn of .holdfast.yaml")
    parser.add_argument("--as-of", type=day, metavar="DATE", help="the day by which dates count (default today)")
    add_cache(parser)


def run(arguments: argparse.Namespace) -> Exit:
    from analyzer.finding import Severity  # noqa: PLC0415  # a verb's imports happen inside it

    if arguments.changed_only and arguments.base is None:
        raise UsageError("--changed-only needs --base REV: changed since when?")
    if arguments.write_baseline and arguments.base is not None:
        raise UsageError("--write-baseline holds what a revision has, not what a change does; leave out --base")
    with reading():
        report = _report(arguments)
    if arguments.fail_on:
        report = replace(report, config=replace(report.config, fail_on=Severity.parse(arguments.fail_on)))
    write(arguments.output, lambda output: _rendered(report, output, arguments))
    _warn_of_the_rest(arguments)
    if report.policy_is_broken:
        return Exit.USAGE
    return Exit.FINDINGS if report.blocks else Exit.CLEAN


def _warn_of_the_rest(arguments: argparse.Namespace) -> None:
    """Who stands in a folder of a repository may take what it says of that folder for what it says of the whole."""
    path = Path(arguments.path or ".")
    files = arguments.repo is None and arguments.rev is None
    if files and (whole := left_aside(path)):
        sys.stderr.write(
            f"holdfast lint: {path} is read as if it were alone: the policy of {whole} and what else is there do not "
            f"count; holdfast lint {os.path.relpath(whole)} reads all of it\n"
        )


def _report(arguments: argparse.Namespace) -> Report:
    from analyzer.analyze import analyze  # noqa: PLC0415  # see above
    from reconciler.clock import today  # noqa: PLC0415  # see above

    as_of = arguments.as_of or today()
    accepted = partial(judged, baseline=arguments.baseline, written=arguments.write_baseline)
    if not (arguments.repo is None and arguments.rev is None) and not arguments.no_cache:
        return _warm(arguments, as_of, accepted)
    snapshot = snapshot_of(arguments)
    if arguments.base is None:
        return accepted(analyze(snapshot, as_of=as_of))
    base, history_of = _base(arguments)
    before = analyze(base, as_of=as_of, keep=True)
    found = accepted(analyze(snapshot, as_of=as_of, base=before, history=history_of(before.graph)))
    return found.since(before) if arguments.changed_only else found


def _warm(arguments: argparse.Namespace, as_of: date, accepted: Callable[[Report], Report]) -> Report:
    """Of a revision, from what earlier runs have kept."""
    from analyzer.git import departure  # noqa: PLC0415  # see above
    from reconciler.cli.cache import default_folder  # noqa: PLC0415  # see above
    from reconciler.cli.warm import Warm  # noqa: PLC0415  # see above

    repository, root, head = arguments.repo or Path(), arguments.path or "", arguments.rev or "HEAD"
    warm = Warm(repository, root, as_of, arguments.cache or default_folder())
    if arguments.base is None:
        return accepted(warm.alone(head))
    from reconciler.lineage import proposal_of  # noqa: PLC0415  # see above

    left = departure(repository, arguments.base, head)
    history = partial(proposal_of, repository, arguments.base, head, root, left)
    before, report = warm.compared(left, head, history)
    return accepted(report).since(before) if arguments.changed_only else accepted(report)


def _base(arguments: argparse.Namespace) -> tuple[Snapshot, Callable[[ResourceGraph], History]]:
    """Where the revision left --base, and what tells of the commits since. What is not committed yet is nobody's."""
    from analyzer.git import departure, find_repository, read_snapshot  # noqa: PLC0415  # see above
    from reconciler.lineage import proposal_of  # noqa: PLC0415  # see above

    if arguments.repo is None and arguments.rev is None:
        repository, root = find_repository(Path(arguments.path or "."))
    else:
        repository, root = arguments.repo or Path(), arguments.path or ""
    head = arguments.rev or "HEAD"
    left = departure(repository, arguments.base, head)
    return read_snapshot(repository, left, root), partial(proposal_of, repository, arguments.base, head, root, left)


def _rendered(report: Report, output: Output, arguments: argparse.Namespace) -> str:
    form = output.format
    if form == "text":
        from analyzer.render import text  # noqa: PLC0415  # see above

        return text.render(report, colour=output.colour, aside=arguments.show_suppressed)
    renderer = importlib.import_module(f"analyzer.render.{form}")
    files = arguments.repo is None and arguments.rev is None
    if form in IN_REPOSITORY and files:
        report = replace(report, root=place_in_repository(Path(arguments.path or "."), report.root))
    options = {"aside": arguments.show_suppressed} if form in SHOW_ASIDE else {}
    return str(renderer.render(report, **options))
