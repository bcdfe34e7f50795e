"""`holdfast approve`: let exactly the named held changes through."""

from __future__ import annotations

import getpass
from argparse import ArgumentParser, Namespace
from urllib.parse import quote

from reconciler.cli import daemon_client
from reconciler.cli.exits import Exit

HELP = "let held changes through, once; the id is in `holdfast plan`"
EXAMPLES = "example:\n  holdfast approve A-3f9c2b1d0e4a"


def configure(parser: ArgumentParser) -> None:
    daemon_client.configure(parser)
    parser.add_argument("id", metavar="ID", help="names the held changes; another set of changes has another id")


def run(arguments: Namespace) -> Exit:
    config = daemon_client.configuration(arguments)
    daemon_client.ask(config, f"/approve/{quote(arguments.id, safe='')}", method="POST", by=getpass.getuser())
    print(f"approved {arguments.id}; it holds for 24 hours and is used once")
    return Exit.CLEAN
