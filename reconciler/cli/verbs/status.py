"""`holdfast status`: what is so."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from reconciler.cli import daemon_client, words
from reconciler.cli.exits import Exit, trouble_codes, worst
from reconciler.cli.reading import show

HELP = "show what is enforced, and how every resource is"
EXAMPLES = "examples:\n  holdfast status\n  holdfast status --output json"


def configure(parser: ArgumentParser) -> None:
    daemon_client.configure(parser)
    parser.add_argument("--output", choices=("text", "json"), default="text", help="default: text")


def run(arguments: Namespace) -> Exit:
    status = daemon_client.ask(daemon_client.configuration(arguments), "/status")
    if arguments.output == "json":
        print(json.dumps(status, indent=2))
    else:
        show(f"{words.status_text(status)}\n")
    verdicts = {target["verdict"] for target in status["targets"]}
    codes = trouble_codes({"error": status["source"]["error"], "rejected": status["revision"]["rejected"]})
    codes += [Exit.UNAVAILABLE] if verdicts & {"unreachable", "stalled"} else []
    codes += [Exit.HELD] if "held" in verdicts else []
    return worst(codes)
