"""`holdfast check`: what a pull request is told. The findings of its head, which of them it brings, what it does."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.checking import Options, checked, exit_code
from reconciler.cli.comparing import LIVE, Range, asked, commit_of, usage_at
from reconciler.cli.exits import Exit, UsageError
from reconciler.cli.options import add_cache, day
from reconciler.cli.outputs import Output, add_outputs, write
from reconciler.cli.reading import reading

if TYPE_CHECKING:
    from analyzer.check import Check

HELP = "judge a pull request: what is wrong with it, and what it does"
USUAL_BASE = "origin/HEAD"
FORMATS = ("text", "json", "sarif", "github", "markdown", "junit", "rdjson")
EXAMPLES = """\
examples:
  holdfast check                              HEAD since it left origin/HEAD
  holdfast check main..HEAD                   this branch since it left main
  holdfast check main..HEAD -o markdown       as a reviewer reads it
  holdfast check -o text -o sarif=out.sarif   and for code scanning
  holdfast check --base v1 --changed-only     only what is new fails it

exit codes: 0 clean, 1 findings, 2 usage or a broken .holdfast.yaml,
3 something cannot be read, 4 it needs approval, 10 it passes and changes
something (with --detailed-exitcode)"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="*", metavar="BASE..HEAD PATH", help="two revisions, and a folder inside them")
    parser.add_argument("--base", metavar="REV", help=f"compare HEAD with where it left REV (default {USUAL_BASE})")
    parser.add_argument("--repo", type=Path, default=Path(), metavar="REPO", help="the Git repository (default here)")
    parser.add_argument("--live", metavar="FILE|URL", help=LIVE)
    add_outputs(parser, FORMATS)
    parser.add_argument("--baseline", metavar="FILE", help="findings that this file knows do not count")
    parser.add_argument("--fail-on", choices=("error", "warning", "info"), help="overrides failOn of .holdfast.yaml")
    parser.add_argument("--changed-only", action="store_true", help="findings that were there before do not count")
    parser.add_argument("--detailed-exitcode", action="store_true", help="end with 10 when anything changes")
    add_cache(parser)
    parser.add_argument("--as-of", type=day, metavar="DATE", help="the day by which dates count (default today)")


def run(arguments: argparse.Namespace) -> Exit:
    from reconciler.cli.cache import default_folder  # noqa: PLC0415  # a verb's imports happen inside it

    revisions, path = _asked(arguments)
    options = Options(
        fail_on=arguments.fail_on or "",
        changed_only=arguments.changed_only,
        baseline=arguments.baseline or "",
        as_of=arguments.as_of,
        cache=None if arguments.no_cache else arguments.cache or default_folder(),
    )
    with reading():
        usage = usage_at(arguments.live, commit_of(arguments.repo, revisions.head)) if arguments.live else None
        found = checked(arguments.repo, revisions, path, options, usage)
    write(arguments.output, lambda output: _rendered(found, output))
    return exit_code(found, detailed=arguments.detailed_exitcode)


def _asked(arguments: argparse.Namespace) -> tuple[Range, str]:
    """The revisions and the folder that the words name."""
    revisions, path = asked(arguments.words)
    if revisions and arguments.base:
        raise UsageError(f"{revisions.base}..{revisions.head} names a base already; leave out --base")
    return revisions or Range(arguments.base or _usual_base(arguments.repo)), path


def _usual_base(repository: Path) -> str:
    from analyzer.git import NoCommitError, resolve  # noqa: PLC0415  # a verb's imports happen inside it

    with reading():
        try:
            return resolve(repository, USUAL_BASE)
        except NoCommitError as error:
            message = f"there is no {USUAL_BASE} here; say what to compare with: BASE..HEAD, or --base REV"
            raise UsageError(message) from error


def _rendered(found: Check, output: Output) -> str:
    from analyzer.render import check, json, pull_request  # noqa: PLC0415  # a verb's imports happen inside it

    form = output.format
    if form == "json":
        return json.render_check(found)
    if form == "markdown":
        return pull_request.render(found, budget=pull_request.SUMMARY)
    if form == "text":
        return check.render(found, colour=output.colour)
    return str(importlib.import_module(f"analyzer.render.{form}").render(found.report))
