"""`holdfast import`: manifests of a target that was configured by hand, or the ledger again after it was lost."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path

from reconciler.cli import daemon_client
from reconciler.cli.exits import CommandError, Exit, UsageError
from reconciler.cli.manuscript import manuscripts
from reconciler.cli.options import add_output, address
from reconciler.cli.screen import show, show_json

HELP = "write the manifests of a target that was configured by hand"
EXAMPLES = """\
examples:
  holdfast import --target node-1 --socket /var/tmp/spdk.sock --to site/
  holdfast import --target node-2 --tcp 127.0.0.1:5260
  holdfast import --saved-config spdk.json --name node-3 --to site/
  holdfast import --confirm

With --target, nothing on the target changes; without --to the manifests are
printed. What no manifest can say is named on stderr and at the head of the
Target's file, and stays as it is. Files that exist are never overwritten. A
configuration does not tell what is on the disks: pools, volumes and snapshots
come from a live target only. Keys are never written, only where to put them.
With --confirm, after the ledger was lost, the volumes, snapshots and pools on
every target that carry this site's names are taken into it again, and the
devices and subsystems that are declared.

exit codes: 0 written or taken, 1 no revision passes, 2 usage or a broken
configuration, 3 something is unreachable"""


def configure(parser: ArgumentParser) -> None:
    daemon_client.configure(parser)
    parser.add_argument("--target", "--name", metavar="NAME", help="name of the Target to write")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--socket", metavar="PATH", type=Path, help="the target's RPC socket")
    where.add_argument("--tcp", metavar="HOST:PORT", type=address, help="address of a forwarded RPC socket")
    parser.add_argument(
        "--saved-config", metavar="FILE", type=Path, help="what `rpc.py save_config` wrote, without a target"
    )
    parser.add_argument("--namespace", metavar="NAME", default="default", help="tenant of what is found")
    parser.add_argument("--to", metavar="DIR", type=Path, help="folder of the repository to write to")
    parser.add_argument("--confirm", action="store_true", help="I have seen what `holdfast status` shows; it is ours")
    add_output(parser)


def run(arguments: Namespace) -> Exit:
    if arguments.confirm:
        return _confirm(arguments)
    if not arguments.target or not (arguments.socket or arguments.tcp or arguments.saved_config):
        raise UsageError(
            "say which target, and where: --target NAME with --socket PATH, --tcp HOST:PORT or --saved-config FILE; "
            "or, after the ledger was lost, look at `holdfast status` and `holdfast plan` first, then say --confirm"
        )
    return _import(arguments)


def _confirm(arguments: Namespace) -> Exit:
    found = daemon_client.ask(daemon_client.configuration(arguments), "/confirm", method="POST")["recovered"]
    if arguments.output == "json":
        show_json("Recovery", recovered=found)
    else:
        lines = [f"{target}: {count} object(s) taken into the ledger" for target, count in sorted(found.items())]
        show("\n".join(lines or ["no targets are declared"]) + "\n")
    return Exit.CLEAN


def _import(arguments: Namespace) -> Exit:
    from reconciler import app  # noqa: PLC0415  # quick --help

    connection = {"tcp": arguments.tcp} if arguments.tcp else {"unixSocket": str(_socket(arguments))}
    if arguments.saved_config:
        found = app.import_saved(arguments.saved_config, arguments.target, connection, arguments.namespace)
    else:
        found = app.import_live(arguments.target, connection, arguments.namespace)
    texts = {Path(path): text for path, text in manuscripts(found, arguments.target).items()}
    written = _write(arguments.to, texts) if arguments.to else []
    if arguments.output == "json":
        files = {str(path): text for path, text in texts.items()}
        show_json("Import", files=files, written=written, leftOut=[*found.left_out])
        return Exit.CLEAN
    show("".join(f"{path}\n" for path in written) if arguments.to else "---\n".join(texts.values()))
    for line in found.left_out:
        print(f"left out: {line}", file=sys.stderr)
    return Exit.CLEAN


def _socket(arguments: Namespace) -> Path:
    socket: Path = arguments.socket or Path("/var/tmp/spdk.sock")  # noqa: S108  # where SPDK listens unless told
    return socket.absolute()


def _write(folder: Path, texts: Mapping[Path, str]) -> list[str]:
    """Paths of the files that were written. Raises CommandError."""
    present = [str(folder / path) for path in texts if (folder / path).exists()]
    if present:
        raise CommandError(f"{', '.join(present)}: there already, and never overwritten; name another folder")
    try:
        for path, text in texts.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
    except OSError as error:
        raise CommandError(f"cannot write: {error}") from error
    return [str(folder / path) for path in texts]
