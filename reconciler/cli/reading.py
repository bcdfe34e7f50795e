"""What the verbs that read manifests share: arguments, errors as messages, and when to use colour."""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from datetime import date

from reconciler.cli.exits import CommandError


def day(text: str) -> date:
    """A date on the command line."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date (write 2026-12-31)") from None


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Around everything that reads: what cannot be read ends the command with one message.

    The garbage collector rests meanwhile. All that is read is kept until the command ends, so it would find nothing.
    """
    from analyzer.snapshot import SnapshotError  # noqa: PLC0415  # a verb's imports happen inside it

    gc.disable()
    try:
        yield
    except SnapshotError as error:
        raise CommandError(str(error)) from error
    finally:
        gc.enable()


def show(text: str) -> None:
    """Print to whatever encoding the terminal has; what it lacks is shown as an escape."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))


def use_colour() -> bool:
    """Only for a person at a terminal who did not refuse it."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
