"""`holdfast import --confirm`: after the ledger was lost."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from reconciler.cli import daemon_client
from reconciler.cli.exits import Exit, UsageError
from reconciler.cli.options import add_output
from reconciler.cli.screen import show, show_json

HELP = "after the ledger was lost, take what is ours into it again"
EXAMPLES = """\
example:
  holdfast import --confirm

It takes the volumes and pools on every target that carry this site's names.

exit codes: 0 taken, 1 no revision passes, 2 usage or a broken configuration,
3 something is unreachable"""


def configure(parser: ArgumentParser) -> None:
    daemon_client.configure(parser)
    parser.add_argument("--confirm", action="store_true", help="I have seen what `holdfast status` shows; it is ours")
    add_output(parser)


def run(arguments: Namespace) -> Exit:
    if not arguments.confirm:
        raise UsageError("look at `holdfast status` and `holdfast plan` first, then say --confirm")
    found = daemon_client.ask(daemon_client.configuration(arguments), "/confirm", method="POST")["recovered"]
    if arguments.output == "json":
        show_json("Recovery", recovered=found)
    else:
        lines = [f"{target}: {count} object(s) taken into the ledger" for target, count in sorted(found.items())]
        show("\n".join(lines or ["no targets are declared"]) + "\n")
    return Exit.CLEAN
