"""The command `holdfast`. One module per verb under verbs/.

A verb's heavy imports happen inside it, so that `--help` stays quick.

A verb module offers HELP (one line), EXAMPLES (with its exit codes), configure(parser) and run(arguments) -> Exit.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

from reconciler.cli.exits import CommandError, Exit
from reconciler.cli.screen import show

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

INTERRUPTED = 130  # as shells say that Ctrl-C ended something
VERBS: dict[str, str] = {
    "lint": "lint",
    "impact": "impact",
    "check": "check",
    "graph": "graph",
    "explain": "explain",
    "init": "init",
    "run": "run",
    "plan": "plan",
    "apply": "apply",
    "status": "status",
    "events": "events",
    "drift": "drift",
    "usage": "usage",
    "approve": "approve",
    "import": "import_",
    "allowlist": "allowlist",
    "sim": "sim",
    "sim-rpc": "sim_rpc",
    "demo": "demo",
}  # verb → its module under verbs/, in the order of --help


EPILOG = """\
examples:
  holdfast VERB --help      what a verb does, with examples
  holdfast demo             the whole story on this machine

exit codes: 0 clean, 1 findings, 2 usage or a broken configuration,
3 something is unreachable, 4 held for a person, 10 changes or drift"""


class _Version(argparse.Action):
    """Says which version this is, and ends. Who does not ask need not look it up."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib import metadata  # noqa: PLC0415  # 20 ms that most need not pay

        show(f"holdfast {metadata.version('holdfast')}\n")
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; every error that a person can mend ends in one message and its exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        arguments = build_parser(words).parse_args(words)
        code: Exit = arguments.run(arguments)
    except CommandError as error:
        print(f"holdfast {words[0]}: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception:  # noqa: BLE001  # one of the two rims: Python would end with 1, which means findings
        traceback.print_exc()
        print("holdfast: this is a defect in Holdfast; please report it", file=sys.stderr)
        return Exit.UNAVAILABLE
    return code


class _Parser(argparse.ArgumentParser):
    """One whose help is an answer like others: what reads it may leave early."""

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        if file is not None and file is sys.stdout:
            show(message)
        else:
            super()._print_message(message, file)


class _Overview(argparse.RawDescriptionHelpFormatter):
    """Room for the longest verb beside its line: argparse forgets by how much it indents them."""

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        self._action_max_length = max(self._action_max_length, 4 + max(map(len, VERBS)))


def build_parser(words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The whole command line; of the verbs only the one that is used, where `words` begin with one."""
    parser = _Parser(prog="holdfast", description="GitOps for SPDK NVMe-oF storage.", epilog=EPILOG)
    parser.formatter_class = _Overview
    parser.add_argument("--version", action=_Version, nargs=0, help="show program's version number and exit")
    verbs = parser.add_subparsers(title="verbs", dest="verb", metavar="VERB", required=True)
    if words and not words[0].startswith("-") and words[0] not in VERBS:
        parser.error(f"there is no verb {words[0]!r}{_did_you_mean(words[0])}")
    used = {verb: name for verb, name in VERBS.items() if words and words[0] == verb} or VERBS
    for verb, name in used.items():
        module = importlib.import_module(f"reconciler.cli.verbs.{name}")
        child = verbs.add_parser(
            verb,
            help=module.HELP,
            description=f"{module.HELP[0].upper()}{module.HELP[1:]}.",
            epilog=module.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.configure(child)
        child.set_defaults(run=module.run)
    return parser


def _did_you_mean(word: str) -> str:
    from schemas.validation import did_you_mean  # noqa: PLC0415  # 30 ms that other commands need not pay

    return did_you_mean(word, VERBS) or "; `holdfast --help` lists them"
