"""`holdfast events`: what happened."""

from __future__ import annotations

import json
from argparse import ArgumentParser, ArgumentTypeError, Namespace

from reconciler.cli import daemon_client, words
from reconciler.cli.exits import Exit
from reconciler.cli.reading import show

LARGEST = 1000
HELP = "show what happened, newest last"
EXAMPLES = "examples:\n  holdfast events\n  holdfast events --target node-1 --limit 20"


def configure(parser: ArgumentParser) -> None:
    daemon_client.configure(parser)
    parser.add_argument("--target", metavar="NAME", default="", help="only this target")
    parser.add_argument("--limit", metavar="N", type=_limit, default=50, help="how many, up to 1000 (default: 50)")
    parser.add_argument("--output", choices=("text", "json"), default="text", help="default: text")


def run(arguments: Namespace) -> Exit:
    config = daemon_client.configuration(arguments)
    events = daemon_client.ask(config, "/events", target=arguments.target, limit=str(arguments.limit))["events"]
    if arguments.output == "json":
        print(json.dumps({"items": events}, indent=2))
    else:
        show(f"{words.events_text(events)}\n")
    return Exit.CLEAN


def _limit(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:5]) <= LARGEST:
        raise ArgumentTypeError(f"{text!r} is not a number from 1 to {LARGEST}")
    return int(text)
