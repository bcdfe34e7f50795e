"""What a step tells its runner: outputs, the job summary, and messages. Large text goes through files."""

from __future__ import annotations

import os
from pathlib import Path

from reconciler.cli.exits import CommandError
from reconciler.cli.screen import show
from reconciler.github.inputs import Run

SUMMARY = 1_048_576  # bytes; over it, all of the summary is lost
_LEVELS = ("error", "warning", "notice")


def say(level: str, message: str) -> None:
    """A message on the page of the run, whatever it holds."""
    assert level in _LEVELS  # noqa: S101  # ours
    show(f"::{level} title=Holdfast::{escaped(message)}\n")


def escaped(message: str) -> str:
    """As data of a workflow command, where line breaks end it."""
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def set_output(run: Run, name: str, value: str) -> None:
    """An output of the step. The end is marked by a word that nobody can know beforehand."""
    if run.output_file:
        end = f"holdfast-{os.urandom(16).hex()}"
        _append(run.output_file, f"{name}<<{end}\n{value}\n{end}\n")


def room_for_summary(run: Run) -> int:
    """Bytes that this step's summary may still take."""
    try:
        taken = Path(run.summary_file).stat().st_size if run.summary_file else 0
    except OSError:
        taken = 0
    return max(0, SUMMARY - taken - 1024)


def add_summary(run: Run, text: str) -> None:
    if run.summary_file:
        _append(run.summary_file, text)


def _append(file: str, text: str) -> None:
    try:
        with Path(file).open("a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from error
