"""`holdfast events`: what happened."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from reconciler.cli import daemon_client, words
from reconciler.cli.exits import Exit

HELP = "show what happened, newest last"
EXAMPLES = "examples:\n  holdfast events\n  holdfast events --target node-1 --limit 20"


def configure(parser: ArgumentParser) -> None:
    daemon_client.configure(parser)
    parser.add_argument("--target", metavar="NAME", default="", help="only this target")
    parser.add_argument("--limit", type=int, default=50, help="how many (default: 50)")
    parser.add_argument("--output", choices=("text", "json"), default="text", help="default: text")


def run(arguments: Namespace) -> Exit:
    config = daemon_client.configuration(arguments)
    events = daemon_client.ask(config, "/events", target=arguments.target, limit=str(arguments.limit))["events"]
    print(json.dumps({"items": events}, indent=2) if arguments.output == "json" else words.events_text(events))
    return Exit.CLEAN
