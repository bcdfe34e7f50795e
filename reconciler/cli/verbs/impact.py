"""`holdfast impact`: what a change does, and to whom."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.exits import CommandError, Exit, UsageError
from reconciler.cli.options import add_output
from reconciler.cli.reading import reading
from reconciler.cli.screen import show, use_colour

if TYPE_CHECKING:
    from analyzer.impact import Impact
    from analyzer.report import Report
    from analyzer.usage import Usage

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
    parser.add_argument(
        "--live",
        metavar="FILE|URL",
        help="also say which connected hosts lose what: a file that `holdfast usage -o json` wrote, or the daemon at "
        "http://127.0.0.1:PORT or unix:PATH",
    )
    add_output(parser)
    parser.add_argument("--detailed-exitcode", action="store_true", help="exit 10 when it passes and changes something")


def run(arguments: argparse.Namespace) -> Exit:
    from analyzer.assess import assess  # noqa: PLC0415  # a verb's imports happen inside it

    base, head = _range(arguments.range)
    with reading():
        before, after = _reports(arguments.repo, base, head, arguments.path)
    usage = _usage(arguments.live) if arguments.live else None
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


def _range(text: str) -> tuple[str, str]:
    base, dots, head = text.partition("..")
    if not dots:
        raise UsageError(f"{text!r} is not a range; write BASE..HEAD, such as main..HEAD")
    return base or "HEAD", head.removeprefix(".") or "HEAD"


def _reports(repository: Path, base: str, head: str, path: str) -> tuple[Report, Report]:
    from analyzer.analyze import analyze  # noqa: PLC0415  # see above
    from analyzer.git import departure, read_snapshot  # noqa: PLC0415  # see above
    from reconciler.clock import today  # noqa: PLC0415  # see above

    before = read_snapshot(repository, departure(repository, base, head), path)
    after = read_snapshot(repository, head, path)
    judged = analyze(before, as_of=today())
    return judged, analyze(after, as_of=today(), base=judged)


def _usage(place: str) -> Usage:
    """What a file or the daemon tells of connected hosts. Raises CommandError."""
    from analyzer.usage import UsageError as NoUsage  # noqa: PLC0415  # see above
    from analyzer.usage import usage_of  # noqa: PLC0415  # see above

    try:
        return usage_of(_document(place))
    except NoUsage as error:
        raise CommandError(f"--live {place}: {error}") from error


def _document(place: str) -> object:
    from reconciler.cli import daemon_client  # noqa: PLC0415  # see above

    if place.startswith(("http://", "unix:")):
        listen = place.removeprefix("http://").rstrip("/")
        return {"kind": "Usage", **daemon_client.ask_at(listen, "/usage")}
    if place.startswith("https://"):
        raise UsageError(f"--live {place}: the daemon speaks plain HTTP, on loopback or a UNIX socket only")
    try:
        return json.loads(Path(place).read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"--live {place}: {error.strerror}") from error
    except ValueError as error:
        raise CommandError(f"--live {place}: not JSON: {error}") from error


def _rendered(found: Impact, output: str) -> str:
    from analyzer.render import impact as text  # noqa: PLC0415  # see above
    from analyzer.render import json as machine  # noqa: PLC0415  # see above

    return machine.render_impact(found) if output == "json" else text.render(found, colour=use_colour())
