"""`holdfast sim-rpc`: one raw call to a target, simulated or not."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reconciler import app
from reconciler.cli.exits import Exit, UsageError
from reconciler.cli.options import address, seconds
from reconciler.cli.screen import show

HELP = "make one raw JSON-RPC call to a target, and print its answer"
EXAMPLES = """\
examples:
  holdfast sim-rpc --socket target.sock bdev_get_bdevs
  holdfast sim-rpc --socket target.sock bdev_malloc_create \\
    name=M0 num_blocks=8192 block_size=4096
  holdfast sim-rpc --socket target.sock bdev_lvol_delete \\
    '{"name": "pool/volume"}'

A value that is JSON is taken as such, anything else as a string:
trsvcid='"4420"' is a string, trsvcid=4420 a number.

exit codes: 0 a result, 1 an error of the target, 2 usage, 3 it cannot be
reached"""


def configure(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--socket", type=Path, metavar="PATH", help="UNIX socket of the target")
    where.add_argument("--tcp", metavar="HOST:PORT", type=address, help="address of a forwarded socket")
    parser.add_argument(
        "--timeout", type=seconds, default=60.0, metavar="SECONDS", help="to wait for the answer (default 60)"
    )
    parser.add_argument("method", metavar="METHOD")
    parser.add_argument(
        "params", nargs="*", metavar="JSON-PARAMS|key=value", help="parameters, as one object or one by one"
    )


def run(arguments: argparse.Namespace) -> Exit:
    try:
        answer = app.call_raw(
            arguments.socket or arguments.tcp, arguments.method, params_of(arguments.params), arguments.timeout
        )
    except app.RawError as error:
        show(_json({"error": {"code": error.code, "message": error.message}}))
        return Exit.FINDINGS
    show(_json(answer))
    return Exit.CLEAN


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


def params_of(words: Sequence[str]) -> dict[str, Any] | None:
    """One JSON object, or key=value words; None when nothing was given, which is not the same as {}."""
    if not words:
        return None
    if len(words) == 1 and words[0].lstrip().startswith("{"):
        return _object(words[0])
    pairs = [word.partition("=") for word in words]
    if any(not separator for _, separator, _ in pairs):
        raise UsageError("parameters are one JSON object, or key=value words")
    return {key: _value(text) for key, _, text in pairs}


def _object(text: str) -> dict[str, Any]:
    try:
        params = json.loads(text)
    except ValueError as error:
        raise UsageError(f"parameters are no JSON: {error}") from error
    return dict(params)


def _value(text: str) -> Any:  # noqa: ANN401  # any JSON
    try:
        return json.loads(text)
    except ValueError:
        return text
