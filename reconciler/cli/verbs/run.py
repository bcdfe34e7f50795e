"""`holdfast run`: the daemon."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from reconciler.cli import daemon_client
from reconciler.cli.exits import Exit

HELP = "follow the repository and keep every target as it says"
EXAMPLES = """\
examples:
  holdfast run                                       with ./holdfast.toml
  holdfast run --config /etc/holdfast/holdfast.toml

It logs to stderr and ends with Ctrl-C or SIGTERM, after what it is doing; a
second one does not wait.

exit codes: 0 ended when asked to, 2 usage or a broken configuration,
3 it could not start"""


def configure(parser: ArgumentParser) -> None:
    daemon_client.configure(parser)


def run(arguments: Namespace) -> Exit:
    from reconciler import app  # noqa: PLC0415  # quick --help

    app.run(daemon_client.configuration(arguments))
    return Exit.CLEAN
