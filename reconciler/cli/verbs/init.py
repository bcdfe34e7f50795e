"""`holdfast init`: mint the site id."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from reconciler.cli import daemon_client
from reconciler.cli.exits import CommandError, Exit

HELP = "make the state directory of a site and mint its id"
EXAMPLES = "example:\n  holdfast init --config /etc/holdfast/holdfast.toml"


def configure(parser: ArgumentParser) -> None:
    daemon_client.configure(parser)


def run(arguments: Namespace) -> Exit:
    from reconciler.clock import mint_uuid  # noqa: PLC0415  # quick --help
    from reconciler.state import init  # noqa: PLC0415
    from reconciler.store import StateError  # noqa: PLC0415

    config = daemon_client.configuration(arguments)
    try:
        site = init(config.state, mint_uuid())
    except StateError as error:
        raise CommandError(str(error)) from error
    print(f"site {site} in {config.state}")
    return Exit.CLEAN
