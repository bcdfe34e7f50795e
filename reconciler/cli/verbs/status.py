"""`holdfast status`: what is so."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from reconciler.cli import daemon_client, words
from reconciler.cli.exits import Exit, worst

HELP = "show what is enforced, and how every resource is"
EXAMPLES = "examples:\n  holdfast status\n  holdfast status --output json"


def configure(parser: ArgumentParser) -> None:
    daemon_client.configure(parser)
    parser.add_argument("--output", choices=("text", "json"), default="text", help="default: text")


def run(arguments: Namespace) -> Exit:
    status = daemon_client.ask(daemon_client.configuration(arguments), "/status")
    print(json.dumps(status, indent=2) if arguments.output == "json" else words.status_text(status))
    verdicts = {target["verdict"] for target in status["targets"]}
    codes = [Exit.UNAVAILABLE] if verdicts & {"unreachable", "stalled"} or status["source"]["error"] else []
    codes += [Exit.HELD] if "held" in verdicts else []
    codes += [Exit.FINDINGS] if status["revision"]["rejected"] else []
    return worst(codes)
