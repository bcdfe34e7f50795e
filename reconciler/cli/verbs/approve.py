"""`holdfast approve`: let exactly the named held changes through."""

from __future__ import annotations

import os
import pwd
import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace

from reconciler.cli import daemon_client
from reconciler.cli.exits import Exit
from reconciler.cli.options import add_output
from reconciler.cli.screen import show, show_json

HELP = "let held changes through, once"
EXAMPLES = """\
example:
  holdfast approve A-3f9c2b1d0e4a7c58b6d1f2e390a4c7d5  the id that a plan shows

exit codes: 0 approved, 2 usage or a broken configuration, 3 the daemon is
unreachable, or nothing waits for it"""


def configure(parser: ArgumentParser) -> None:
    daemon_client.configure(parser)
    parser.add_argument("id", metavar="ID", type=_id, help="names the held changes; others have another id")
    add_output(parser)


def run(arguments: Namespace) -> Exit:
    config = daemon_client.configuration(arguments)
    daemon_client.ask(config, f"/approve/{arguments.id}", method="POST", by=_user())
    if arguments.output == "json":
        show_json("Approval", id=arguments.id)
    else:
        show(f"approved {arguments.id}; it holds for 24 hours and is used once\n")
    return Exit.CLEAN


def _id(text: str) -> str:
    if not re.fullmatch(r"A-[0-9a-f]{32}", text):
        raise ArgumentTypeError(f"{text!r} is no approval id; one looks like A-3f9c2b1d0e4a7c58b6d1f2e390a4c7d5")
    return text


def _user() -> str:
    """Who asks; the number of a user that has no name here."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"user {os.getuid()}"
