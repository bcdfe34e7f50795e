"""`holdfast init`: mint the site id."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from reconciler.cli import daemon_client
from reconciler.cli.exits import CommandError, Exit
from reconciler.cli.options import add_output
from reconciler.cli.screen import show, show_json

HELP = "make the state directory of a site and mint its id"
EXAMPLES = """\
examples:
  holdfast init                                       with ./holdfast.toml
  holdfast init --config /etc/holdfast/holdfast.toml

A site keeps its id: once there is one, it is only shown.

exit codes: 0 there is an id, 2 usage or a broken configuration,
3 the directory cannot be used"""


def configure(parser: ArgumentParser) -> None:
    daemon_client.configure(parser)
    add_output(parser)


def run(arguments: Namespace) -> Exit:
    from reconciler.clock import mint_uuid  # noqa: PLC0415  # quick --help
    from reconciler.state import init  # noqa: PLC0415
    from reconciler.store import StateError  # noqa: PLC0415

    config = daemon_client.configuration(arguments)
    try:
        site = init(config.state, mint_uuid())
    except StateError as error:
        raise CommandError(str(error)) from error
    if arguments.output == "json":
        show_json("Site", site=site, state=str(config.state))
    else:
        show(f"site {site} in {config.state}\n")
    return Exit.CLEAN
