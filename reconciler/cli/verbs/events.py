"""`holdfast events`: what happened."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from reconciler.cli import daemon_client, words
from reconciler.cli.exits import Exit
from reconciler.cli.options import add_output, add_target, limit
from reconciler.cli.screen import show, show_json

HELP = "show what happened, newest last"
EXAMPLES = """\
examples:
  holdfast events
  holdfast events --target node-1 --limit 20

exit codes: 0 shown, 2 usage or a broken configuration, 3 the daemon is
unreachable, or there is no such target"""


def configure(parser: ArgumentParser) -> None:
    daemon_client.configure(parser)
    add_target(parser)
    parser.add_argument("--limit", metavar="N", type=limit, default=50, help="how many, up to 1000 (default 50)")
    add_output(parser)


def run(arguments: Namespace) -> Exit:
    config = daemon_client.configuration(arguments)
    events = daemon_client.ask(config, "/events", target=arguments.target, limit=str(arguments.limit))["events"]
    if not events:
        daemon_client.require_target(config, arguments.target)
    if arguments.output == "json":
        show_json("EventList", items=events)
    else:
        show(f"{words.events_text(events)}\n")
    return Exit.CLEAN
