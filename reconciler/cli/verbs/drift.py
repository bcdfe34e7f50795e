"""`holdfast drift`: where live state left the repository, and how it came back."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from reconciler.cli import daemon_client, words
from reconciler.cli.exits import Exit
from reconciler.cli.reading import show

HELP = "show drift: open ones, and those that were closed"
EXAMPLES = "examples:\n  holdfast drift\n  holdfast drift --open --detailed-exitcode"


def configure(parser: ArgumentParser) -> None:
    daemon_client.configure(parser)
    parser.add_argument("--target", metavar="NAME", default="", help="only this target")
    parser.add_argument("--open", action="store_true", help="only drift that is not closed")
    parser.add_argument("--detailed-exitcode", action="store_true", help="exit 10 when drift is open")
    parser.add_argument("--output", choices=("text", "json"), default="text", help="default: text")


def run(arguments: Namespace) -> Exit:
    config = daemon_client.configuration(arguments)
    only_open = "true" if arguments.open else ""
    drifts = daemon_client.ask(config, "/drift", target=arguments.target, open=only_open)["drifts"]
    if arguments.output == "json":
        print(json.dumps({"items": drifts}, indent=2))
    else:
        show(f"{words.drift_text(drifts)}\n")
    still_open = any(not drift["closed"] for drift in drifts)
    return Exit.CHANGES if arguments.detailed_exitcode and still_open else Exit.CLEAN
