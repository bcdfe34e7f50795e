"""Standard output, where answers go. Messages go to standard error."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from reconciler.cli.exits import CommandError

API_VERSION = "holdfast.dev/v1alpha1"


def show(text: str) -> None:
    """Print to whatever encoding the terminal has; what it lacks is shown as an escape.

    A reader who left early (`holdfast … | head`) misses the rest, and the exit code is the same. Raises CommandError.
    """
    if sys.stdout is None:  # closed by whoever started us
        return
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_stdout()
    except OSError as error:
        _forget_stdout()
        raise CommandError(f"standard output: {error.strerror}") from error


def show_json(kind: str, **fields: Any) -> None:  # noqa: ANN401  # JSON
    """One JSON document, of a versioned kind, and nothing else."""
    show(json.dumps({"apiVersion": API_VERSION, "kind": kind, **fields}, indent=2, sort_keys=True) + "\n")


def use_colour() -> bool:
    """Only for a person at a terminal who did not refuse it."""
    return sys.stdout is not None and sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _forget_stdout() -> None:
    """What is left in its buffer would fail once more when Python ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
