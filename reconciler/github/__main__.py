"""`python -P -m reconciler.github check|comment`: the steps of action.yml. Their words arrive as variables."""

from __future__ import annotations

import os
import sys
import traceback

from reconciler.cli.exits import CommandError, Exit
from reconciler.github.commands import say, set_output
from reconciler.github.inputs import Run, inputs_of, run_of


def main(words: list[str]) -> int:
    """One step. The check itself ends well, so that its comment is written; `exit-code` is for the last step."""
    try:
        _STEPS[words[0]](run_of(os.environ))
    except CommandError as error:
        say("error", str(error))
        return error.code
    except Exception:  # noqa: BLE001  # the rim: Python would end with 1, which means findings
        traceback.print_exc()
        say("error", "this is a defect in Holdfast; please report it")
        return Exit.UNAVAILABLE
    return Exit.CLEAN


def _check(run: Run) -> None:
    from reconciler.github.checking import check  # noqa: PLC0415  # a step's imports happen inside it

    set_output(run, "exit-code", str(int(check(inputs_of(os.environ), run))))


def _comment(run: Run) -> None:
    from reconciler.github.commenting import comment  # noqa: PLC0415  # see above

    comment(run, os.environ)


_STEPS = {"check": _check, "comment": _comment}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
