"""`holdfast impact`: what a change does, and to whom."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.comparing import LIVE, range_of, reports, usage_at
from reconciler.cli.exits import Exit
from reconciler.cli.options import add_output
from reconciler.cli.reading import reading
from reconciler.cli.screen import show, use_colour

if TYPE_CHECKING:
    from analyzer.impact import Impact

HELP = "say what a change does, worst first, and whom it reaches"
EXAMPLES = """\
examples:
  holdfast impact main..HEAD                 this branch since it left main
  holdfast impact HEAD..HEAD~1               going back by one commit
  holdfast impact v1..v2 --repo storage.git  two tags of another repository
  holdfast impact main..HEAD --live usage.json

exit codes: 0 it passes, 2 usage or a broken .holdfast.yaml, 3 something
cannot be read, 4 it needs approval or is blocked, 10 it passes and changes
something (with --detailed-exitcode)"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("range", metavar="BASE..HEAD", help="the two revisions")
    parser.add_argument("path", nargs="?", metavar="PATH", default="", help="folder inside the repository")
    parser.add_argument("--repo", type=Path, default=Path(), metavar="REPO", help="the Git repository (default here)")
    parser.add_argument("--live", metavar="FILE|URL", help=LIVE)
    add_output(parser)
    parser.add_argument("--detailed-exitcode", action="store_true", help="exit 10 when it passes and changes something")


def run(arguments: argparse.Namespace) -> Exit:
    from analyzer.assess import assess  # noqa: PLC0415  # a verb's imports happen inside it

    revisions = range_of(arguments.range)
    with reading():
        before, after = reports(arguments.repo, revisions, arguments.path)
    usage = usage_at(arguments.live) if arguments.live else None
    found = assess(before, after, usage)
    show(_rendered(found, arguments.output))
    if before.policy_is_broken or after.policy_is_broken:
        return Exit.USAGE
    return _exit(found, detailed=arguments.detailed_exitcode)


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
