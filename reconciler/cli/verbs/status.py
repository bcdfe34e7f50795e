"""`holdfast status`: what is so."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from reconciler.cli import daemon_client, words
from reconciler.cli.exits import Exit, trouble_codes, worst
from reconciler.cli.options import add_output
from reconciler.cli.screen import show, show_json

HELP = "show what is enforced, and how every resource is"
EXAMPLES = """\
examples:
  holdfast status
  holdfast status -o json  for programs

exit codes: 0 all is well, 1 the newest revision does not pass, 2 usage or a
broken configuration, 3 something is unreachable, 4 held for a person"""


def configure(parser: ArgumentParser) -> None:
    daemon_client.configure(parser)
    add_output(parser)


def run(arguments: Namespace) -> Exit:
    status = daemon_client.ask(daemon_client.configuration(arguments), "/status")
    if arguments.output == "json":
        show_json("Status", **status)
    else:
        show(f"{words.status_text(status)}\n")
    verdicts = {target["verdict"] for target in status["targets"]}
    codes = trouble_codes({"error": status["source"]["error"], "rejected": status["revision"]["rejected"]})
    codes += [Exit.UNAVAILABLE] if verdicts & {"unreachable", "stalled"} else []
    codes += [Exit.HELD] if "held" in verdicts else []
    return worst(codes)
