"""The command `holdfast`. One module per verb under verbs/.

A verb's heavy imports happen inside it, so that `--help` stays quick.

A verb module offers HELP (one line), EXAMPLES, configure(parser) and run(arguments) -> Exit.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from importlib import metadata

from reconciler.cli.exits import CommandError, Exit

VERBS: dict[str, str] = {
    "lint": "lint",
    "impact": "impact",
    "explain": "explain",
    "init": "init",
    "run": "run",
    "plan": "plan",
    "apply": "apply",
    "status": "status",
    "events": "events",
    "drift": "drift",
    "approve": "approve",
    "import": "import_",
    "sim": "sim",
    "sim-rpc": "sim_rpc",
    "demo": "demo",
}  # verb → its module under verbs/, in the order of --help


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; every error that a person can mend ends in one message and its exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    arguments = build_parser(words).parse_args(words)
    try:
        code: Exit = arguments.run(arguments)
        sys.stdout.flush()
    except CommandError as error:
        print(f"holdfast {arguments.verb}: {error}", file=sys.stderr)
        return error.code
    except BrokenPipeError:  # `holdfast … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.CLEAN
    except KeyboardInterrupt:
        return 130
    return code


def build_parser(words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The whole command line; of the verbs only the one that is used, where `words` begin with one."""
    parser = argparse.ArgumentParser(prog="holdfast", description="GitOps for SPDK NVMe-oF storage.")
    parser.add_argument("--version", action="version", version=f"holdfast {metadata.version('holdfast')}")
    verbs = parser.add_subparsers(title="verbs", dest="verb", metavar="VERB", required=True)
    used = {verb: name for verb, name in VERBS.items() if words and words[0] == verb} or VERBS
    for verb, name in used.items():
        module = importlib.import_module(f"reconciler.cli.verbs.{name}")
        child = verbs.add_parser(
            verb,
            help=module.HELP,
            description=module.HELP,
            epilog=module.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.configure(child)
        child.set_defaults(run=module.run)
    return parser
