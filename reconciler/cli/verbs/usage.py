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

The targets are asked now, which pauses I/O of each subsystem for a moment.

exit codes: 0 shown, 2 usage or a broken configuration, 3 the daemon or a
target is unreachable"""


def configure(parser: ArgumentParser) -> None:
    daemon_client.configure(parser)
    add_output(parser)


def run(arguments: Namespace) -> Exit:
    found = daemon_client.ask(daemon_client.configuration(arguments), "/usage")
    if arguments.output == "json":
        show_json("Usage", **found)
    else:
        show(words.usage_text(found))
    return Exit.UNAVAILABLE if any(target["error"] for target in found["targets"]) else Exit.CLEAN
