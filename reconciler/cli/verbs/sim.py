"""`holdfast sim`: a simulated target in the foreground."""

from __future__ import annotations

import argparse
from pathlib import Path

from reconciler import app
from reconciler.app import HttpAccess
from reconciler.cli.exits import Exit, UsageError
from reconciler.cli.options import endpoint, seconds

HELP = "run a simulated target, which answers as SPDK v26.05 does"
EXAMPLES = """\
examples:
  holdfast sim --socket target.sock
  holdfast sim --socket target.sock --wait-for-rpc
  holdfast sim --socket target.sock \\
    --http 9009 --user admin --password-from password.txt
  holdfast sim --socket target.sock \\
    --fault 'bdev_lvol_create 3 drop-after' --fault '* 100 restart-before 2'

WHEN counts the calls of METHOD (* is any): 3, 2-4, 5+. WHAT is drop-before,
drop-after, error CODE MESSAGE, deny CODE MESSAGE, pretend JSON, delay SECONDS,
late SECONDS, hang, restart-before [SECONDS] or restart-after [SECONDS].

lvol stores and arrays with a superblock live inside their files and outlive
the process; everything else ends with it. Nobody is asked who he is on the
socket or on --tcp, so both belong on this machine alone.

exit codes: 0 ended by Ctrl-C or SIGTERM, 2 usage, 3 it could not start, or died
as a live target would"""


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
        help="made if absent; nothing needs to be kept there",
    )
    parser.add_argument("--wait-for-rpc", action="store_true", help="do not initialise before framework_start_init")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="PLAN",
        help="a mishap to order: METHOD WHEN WHAT, or @FILE with one a line; may be repeated",
    )
    parser.add_argument(
        "--examine", type=seconds, default=0.0, metavar="SECONDS", help="time to look at what is on a new device"
    )
    parser.add_argument("--rpcs-allowed", metavar="METHODS", help="permit these methods only, separated by commas")
    parser.add_argument(
        "--poll-interval", type=seconds, metavar="SECONDS", help="look at the socket only so often (live: 0.004)"
    )


def run(arguments: argparse.Namespace) -> Exit:
    app.serve_simulator(
        arguments.socket,
        tcp=arguments.tcp,
        http=_http(arguments),
        state_dir=arguments.state,
        wait_for_rpc=arguments.wait_for_rpc,
        poll_interval=arguments.poll_interval,
        examine=arguments.examine,
        faults="\n".join(_plan(text) for text in arguments.fault),
        allowed=frozenset(arguments.rpcs_allowed.split(",")) if arguments.rpcs_allowed else None,
    )
    return Exit.CLEAN


def _plan(text: str) -> str:
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--fault: {text[1:]}: {error}") from error


def _http(arguments: argparse.Namespace) -> HttpAccess | None:
    if arguments.http is None:
        return None
    if not arguments.user or arguments.password_from is None:
        raise UsageError("--http needs --user and --password-from")
    try:
        password = arguments.password_from.read_text().partition("\n")[0]
    except OSError as error:
        raise UsageError(f"--password-from: {arguments.password_from}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"--password-from: {arguments.password_from}: not UTF-8") from error
    if not password:
        raise UsageError(f"--password-from: {arguments.password_from}: the first line is empty")
    return HttpAccess(arguments.http, arguments.user, password)
