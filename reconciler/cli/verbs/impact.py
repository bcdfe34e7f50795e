"""`holdfast impact`: what a change does, and to whom."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.comparing import LIVE, Range, asked, reports, reverted, usage_at
from reconciler.cli.exits import Exit, UsageError
from reconciler.cli.options import add_cache, add_output
from reconciler.cli.reading import reading
from reconciler.cli.screen import show, use_colour

if TYPE_CHECKING:
    from analyzer.impact.difference import Impact
    from analyzer.report import Report

HELP = "say what a change does, worst first, and whom it reaches"
EXAMPLES = """\
examples:
  holdfast impact main..HEAD                 this branch since it left main
  holdfast impact HEAD..HEAD~1               going back by one commit
  holdfast impact --revert v2                what reverting a commit would do
  holdfast impact --revert v1..v2            the same of all since v1
  holdfast impact v1..v2 --repo storage.git  two tags of another repository
  holdfast impact main..HEAD --live usage.json

exit codes: 0 it passes, 2 usage or a broken .holdfast.yaml, 3 something
cannot be read, 4 it needs approval or is blocked, 10 it passes and changes
something (with --detailed-exitcode)"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="*", metavar="BASE..HEAD PATH", help="two revisions, and a folder inside them")
    parser.add_argument("--base", metavar="REV", help="compare HEAD with where it left REV, as REV..HEAD does")
    parser.add_argument("--revert", metavar="SHA", help="what it would do to revert a commit, or OLDER..NEWER, on HEAD")
    parser.add_argument("--repo", type=Path, default=Path(), metavar="REPO", help="the Git repository (default here)")
    parser.add_argument("--live", metavar="FILE|URL", help=LIVE)
    add_output(parser)
    add_cache(parser)
    parser.add_argument("--detailed-exitcode", action="store_true", help="exit 10 when it passes and changes something")


def run(arguments: argparse.Namespace) -> Exit:
    from analyzer.incremental.table import Damaged  # noqa: PLC0415  # a verb's imports happen inside it
    from reconciler.cli.cache import default_folder  # noqa: PLC0415  # see above

    with reading():
        try:
            before, after, found = _assessed(
                arguments, None if arguments.no_cache else arguments.cache or default_folder()
            )
        except Damaged:  # of what was kept; told only when it is read
            before, after, found = _assessed(arguments, None)
    show(_rendered(found, arguments.output))
    if before.policy_is_broken or after.policy_is_broken:
        return Exit.USAGE
    return _exit(found, detailed=arguments.detailed_exitcode)


def _assessed(arguments: argparse.Namespace, cache: Path | None) -> tuple[Report, Report, Impact]:
    from analyzer.impact.assess import assess  # noqa: PLC0415  # see above

    before, after = _reports(arguments, cache)
    usage = usage_at(arguments.live, after.revision) if arguments.live else None
    return before, after, assess(before, after, usage)


def _reports(arguments: argparse.Namespace, cache: Path | None) -> tuple[Report, Report]:
    revisions, path = asked(arguments.words)
    if path and not (revisions or arguments.base or arguments.revert):
        raise UsageError(f"{path!r} is not a range; write BASE..HEAD, such as main..HEAD")
    if sum(map(bool, (revisions, arguments.base, arguments.revert))) != 1:
        raise UsageError("say what to compare: BASE..HEAD such as main..HEAD, --base REV, or --revert SHA; one of them")
    if arguments.revert:
        return reverted(arguments.repo, arguments.revert, path)
    return reports(arguments.repo, revisions or Range(arguments.base), path, cache=cache)


def _exit(found: Impact, *, detailed: bool) -> Exit:
    if found.unreadable:
        return Exit.UNAVAILABLE
    if found.verdict and found.verdict.outcome != "pass":
        return Exit.HELD
    return Exit.CHANGES if detailed and found.changes else Exit.CLEAN


def _rendered(found: Impact, output: str) -> str:
    from analyzer.render import impact as text  # noqa: PLC0415  # see above
    from analyzer.render import json as machine  # noqa: PLC0415  # see above

    return machine.render_impact(found) if output == "json" else text.render(found, colour=use_colour())
