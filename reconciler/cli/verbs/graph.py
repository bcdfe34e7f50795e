"""`holdfast graph`: who names whom, drawn."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.comparing import range_of, reports
from reconciler.cli.exits import CommandError, Exit, UsageError
from reconciler.cli.options import limit
from reconciler.cli.reading import reading, snapshot_of
from reconciler.cli.screen import show

if TYPE_CHECKING:
    from analyzer.graph import ResourceGraph
    from analyzer.picture import Picture

HELP = "draw who names whom, what is around a resource, or a change"
MOST = 200  # resources that a picture shows if nothing else is said
EXAMPLES = """\
examples:
  holdfast graph                             for dot -Tsvg: all manifests here
  holdfast graph --around Volume/team-a/db   what it needs, and who needs it
  holdfast graph --impact main..HEAD         what a change does, by colour
  holdfast graph --format mermaid            for a Markdown fence on GitHub
  holdfast graph --format json --limit 1000  for programs

Colours of a change: red loses data, orange disturbs, green is safe, grey is
refused, yellow is reached. Dashed is what goes, or is not declared here.

exit codes: 0 drawn, 2 usage, or no such resource, 3 something cannot be read"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", nargs="?", metavar="PATH", help="folder or file; inside the repository with --repo")
    parser.add_argument("--repo", type=Path, metavar="REPO", help="read a Git repository instead of files")
    parser.add_argument("--rev", metavar="REV", help="the revision to read (default HEAD)")
    forms, told = ("dot", "mermaid", "json"), "dot (default), mermaid or json"
    parser.add_argument(
        "-o", "--output", "--format", dest="format", default="dot", choices=forms, metavar="FORM", help=told
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--around", metavar="RESOURCE", help="only what is near it: Volume/team-a/db, vol/db, team-a/db")
    what.add_argument("--impact", metavar="BASE..HEAD", help="only what a change touches, coloured by what it costs")
    parser.add_argument("--depth", type=limit, metavar="N", default=2, help="steps each way around it (default 2)")
    parser.add_argument("--limit", type=limit, metavar="N", default=MOST, help=f"resources shown (default {MOST})")


def run(arguments: argparse.Namespace) -> Exit:
    with reading():
        picture = _change(arguments) if arguments.impact else _revision(arguments)
    show(_rendered(picture, arguments.format))
    from analyzer.render.drawing import omission  # noqa: PLC0415  # a verb's imports happen inside it

    if left_out := omission(picture):
        narrower = "narrow it with --around or --impact, or raise --limit"
        print(f"holdfast graph: {left_out}; {narrower}", file=sys.stderr)
    return Exit.CLEAN


def _revision(arguments: argparse.Namespace) -> Picture:
    from analyzer import picture  # noqa: PLC0415  # see above
    from analyzer.analyze import analyze  # noqa: PLC0415  # see above
    from reconciler.clock import today  # noqa: PLC0415  # see above

    graph = analyze(snapshot_of(arguments), as_of=today()).graph
    _warn(graph)
    if arguments.around is None:
        return picture.whole(graph, arguments.limit, _most(arguments.format))
    try:
        centre = picture.find(graph, arguments.around)
    except picture.NoSuchResource as error:
        raise UsageError(f"--around: {error}") from error
    return picture.around(graph, centre, arguments.depth, arguments.limit, _most(arguments.format))


def _change(arguments: argparse.Namespace) -> Picture:
    from analyzer.impact.difference import impact  # noqa: PLC0415  # see above
    from analyzer.picture import touched  # noqa: PLC0415  # see above

    if arguments.rev:
        raise UsageError("--impact names its revisions itself; leave out --rev")
    before, after = reports(arguments.repo or Path(), range_of(arguments.impact), arguments.path or "")
    found = impact(before.graph, after.graph)
    if found.unreadable:
        place = found.unreadable[0]
        raise CommandError(f"the {place.side} cannot be made out: {place.location}: {place.because}")
    return touched(found, before.graph, after.graph, arguments.limit, _most(arguments.format))


def _most(form: str) -> int | None:
    """How many references there may be."""
    from analyzer.render.mermaid import MOST_EDGES  # noqa: PLC0415  # see above

    return MOST_EDGES if form == "mermaid" else None


def _warn(graph: ResourceGraph) -> None:
    """What could not be made out is not drawn, and that is said."""
    for location, because in graph.unread[:1]:
        more = f" (and {len(graph.unread) - 1} more)" if len(graph.unread) > 1 else ""
        print(f"holdfast graph: not drawn: {location}: {because}{more}; holdfast lint says more", file=sys.stderr)


def _rendered(picture: Picture, form: str) -> str:
    from analyzer.render import dot, json, mermaid  # noqa: PLC0415  # see above

    if form == "json":
        return json.render_picture(picture)
    return mermaid.render(picture) if form == "mermaid" else dot.render(picture)
