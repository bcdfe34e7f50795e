"""`holdfast import --confirm`: after the ledger was lost."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from reconciler.cli import daemon_client
from reconciler.cli.exits import Exit, UsageError

HELP = "take what carries this site's names into the ledger again, after the ledger was lost"
EXAMPLES = "example:\n  holdfast import --confirm"


def configure(parser: ArgumentParser) -> None:
    daemon_client.configure(parser)
    parser.add_argument("--confirm", action="store_true", help="I have seen what `holdfast status` shows; it is ours")


def run(arguments: Namespace) -> Exit:
    if not arguments.confirm:
        raise UsageError("look at `holdfast status` and `holdfast plan` first, then say --confirm")
    found = daemon_client.ask(daemon_client.configuration(arguments), "/confirm", method="POST")["recovered"]
    for target, count in sorted(found.items()):
        print(f"{target}: {count} object(s) taken into the ledger")
    return Exit.CLEAN
