"""`holdfast usage`: which hosts are connected, and what is allocated."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from reconciler.cli import daemon_client, words
from reconciler.cli.exits import Exit
from reconciler.cli.options import add_output
from reconciler.cli.screen import show, show_json

HELP = "show which hosts are connected through which paths, and bytes in use"
EXAMPLES = """\
examples:
  holdfast usage
  holdfast usage -o json      redirected to a file: for holdfast impact --live
  holdfast usage -o json --revision 1f3870be274f6c49b3e31a0c6728957f2c8e9a05

The targets are asked now, which pauses I/O of each subsystem for a moment.

exit codes: 0 shown, 2 usage or a broken configuration, 3 the daemon or a
target is unreachable"""


def configure(parser: ArgumentParser) -> None:
    daemon_client.configure(parser)
    parser.add_argument("--revision", metavar="SHA", default="", help="also what would wait for approval in a commit")
    add_output(parser)


def run(arguments: Namespace) -> Exit:
    found = daemon_client.ask(daemon_client.configuration(arguments), "/usage", revision=arguments.revision)
    if arguments.output == "json":
        show_json("Usage", **found)
    else:
        show(words.usage_text(found) + words.rehearsal_text(found.get("rehearsal")))
    return Exit.UNAVAILABLE if any(target["error"] for target in found["targets"]) else Exit.CLEAN
