"""`holdfast sim`: a simulated target in the foreground."""

from __future__ import annotations

import argparse
from pathlib import Path

from reconciler import app
from reconciler.app import HttpAccess
from reconciler.cli.exits import Exit, UsageError

HELP = "Run a simulated SPDK target: a JSON-RPC server that answers as a live v26.05 target does."
EXAMPLES = """\
examples:
  holdfast sim --socket target.sock
  holdfast sim --socket target.sock --http 9009 --user admin --password-from password.txt
  holdfast sim --socket target.sock --wait-for-rpc

lvol stores live inside their AIO files and outlive the process; everything else ends with it.
Nobody is asked who he is on the socket or on --tcp, so both belong on this machine alone."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--socket", type=Path, required=True, metavar="PATH", help="UNIX socket to listen on")
    parser.add_argument(
        "--tcp", type=endpoint, metavar="[HOST:]PORT", help="listen there, too (default host 127.0.0.1)"
    )
    parser.add_argument(
        "--http",
        type=endpoint,
        metavar="[HOST:]PORT",
        help="serve HTTP as rpc_http_proxy does (default host 127.0.0.1)",
    )
    parser.add_argument("--user", help="who may use --http")
    parser.add_argument(
        "--password-from", type=Path, metavar="FILE", help="file whose first line is that user's password"
    )
    parser.add_argument(
        "--state",
        type=Path,
        metavar="DIR",
        help="made if absent; nothing needs to be kept there (stores are in their files)",
    )
    parser.add_argument("--wait-for-rpc", action="store_true", help="do not initialise before framework_start_init")
    parser.add_argument(
        "--poll-interval", type=float, metavar="SECONDS", help="look at the socket only so often; a live target: 0.004"
    )


def endpoint(text: str) -> tuple[str, int]:
    """HOST:PORT, or a port of this machine alone."""
    host, _, port = text.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no [HOST:]PORT")
    return host.strip("[]") or "127.0.0.1", int(port)


def run(arguments: argparse.Namespace) -> Exit:
    app.serve_simulator(
        arguments.socket,
        tcp=arguments.tcp,
        http=_http(arguments),
        state_dir=arguments.state,
        wait_for_rpc=arguments.wait_for_rpc,
        poll_interval=arguments.poll_interval,
    )
    return Exit.CLEAN


def _http(arguments: argparse.Namespace) -> HttpAccess | None:
    if arguments.http is None:
        return None
    if not arguments.user or arguments.password_from is None:
        raise UsageError("--http needs --user and --password-from")
    try:
        password = arguments.password_from.read_text().partition("\n")[0]
    except OSError as error:
        raise UsageError(f"--password-from: {error}") from error
    return HttpAccess(arguments.http, arguments.user, password)
