"""`holdfast demo`: the whole story on this machine."""

from __future__ import annotations

import json
import os
import signal
import sys
from argparse import ArgumentParser, Namespace
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.exits import Exit, UsageError
from reconciler.cli.options import port
from reconciler.cli.screen import show

if TYPE_CHECKING:
    from reconciler.demo.tour import Result

HELP = "play the whole story on this machine: Git, targets, daemon, page"
EXAMPLES = """\
examples:
  holdfast demo                                 with simulated targets
  holdfast demo --dir demo --port 9000          in a folder that is kept
  holdfast demo --tour                          without a person
  holdfast demo --tour --json                   one JSON object for each stage
  holdfast demo --tour --spdk-tgt bin/nvmf_tgt  on two live targets

exit codes: 0 ended well, 1 a stage of the tour failed, 2 usage, 3 it could not
begin"""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("--dir", type=Path, metavar="DIR", help="empty or new folder to work in; it is kept")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder")
    parser.add_argument("--port", type=port, metavar="PORT", help="of the page (default 8770, or any that is free)")
    parser.add_argument("--tour", action="store_true", help="play it without a person, and check every stage")
    parser.add_argument("--json", action="store_true", help="one JSON object for each stage of the tour")
    parser.add_argument(
        "--spdk-tgt",
        type=Path,
        metavar="PATH",
        default=os.environ.get("SPDK_TGT") or None,
        help="live targets: this nvmf_tgt (default: $SPDK_TGT, else simulated ones)",
    )


def run(arguments: Namespace) -> Exit:
    from reconciler.demo.playground import working_folder  # noqa: PLC0415  # quick --help

    if arguments.json and not arguments.tour:
        raise UsageError("--json is for --tour")
    nvmf_tgt = _program(arguments.spdk_tgt)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # each ends it in good order
    with working_folder(arguments.dir, keep=arguments.keep) as folder:
        if arguments.tour:
            code = _tour(folder, nvmf_tgt, as_json=arguments.json)
        else:
            code = _demo(folder, nvmf_tgt, arguments.port)
    _say_where(folder, code)
    return code


def _say_where(folder: Path, code: Exit) -> None:
    """Where the logs are, for somebody who may want them."""
    if folder.exists():
        print(f"kept: {folder}", file=sys.stderr)
    elif code:
        print("to read the logs, run it again with --keep", file=sys.stderr)


def _program(path: Path | str | None) -> Path | None:
    if path is None:
        return None
    if not os.access(path, os.X_OK) or Path(path).is_dir():
        raise UsageError(f"--spdk-tgt: {path} is not a program")
    return Path(path).absolute()


def _tour(folder: Path, nvmf_tgt: Path | None, *, as_json: bool) -> Exit:
    from reconciler.demo.tour import tour  # noqa: PLC0415  # quick --help

    ok = True
    with closing(tour(folder, nvmf_tgt)) as results:
        for result in results:
            show(f"{json.dumps(result.to_json()) if as_json else _line(result)}\n")
            ok = ok and result.ok
    return Exit.CLEAN if ok else Exit.FINDINGS


def _line(result: Result) -> str:
    return f"{'ok' if result.ok else 'NO':<3}{result.stage:<19}{result.seconds:>5.1f} s  {result.detail}"


def _demo(folder: Path, nvmf_tgt: Path | None, port: int | None) -> Exit:
    from reconciler.demo.show import running, watch, welcome  # noqa: PLC0415  # quick --help

    try:
        with running(folder, nvmf_tgt, port) as playground:
            show(f"{welcome(playground, live=nvmf_tgt is not None)}\n")
            for news in watch(playground):
                show(f"{news}\n")
    except KeyboardInterrupt:
        show("\nended\n")
    return Exit.CLEAN
