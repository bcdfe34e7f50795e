"""`holdfast run`: the daemon."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from reconciler.cli import daemon_client
from reconciler.cli.exits import Exit

HELP = "follow the repository and keep every target as it says"
EXAMPLES = "example:\n  holdfast run --config /etc/holdfast/holdfast.toml"


def configure(parser: ArgumentParser) -> None:
    daemon_client.configure(parser)


def run(arguments: Namespace) -> Exit:
    from reconciler import app  # noqa: PLC0415  # quick --help

    app.run(daemon_client.configuration(arguments))
    return Exit.CLEAN
