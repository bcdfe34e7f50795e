"""Several outputs of one run: `--output sarif=out.sarif --output text`."""

from __future__ import annotations

import contextlib
import os
import re
from argparse import Action, ArgumentParser, Namespace
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.cli.exits import CommandError
from reconciler.cli.screen import show, use_colour

STDOUT = "-"
_COMMAND = re.compile(r"##\[|^[^\S\n]*::(?=[^:\s])", re.MULTILINE)  # the old form counts anywhere in a line
WHOLE = frozenset({"json", "sarif", "junit", "rdjson"})  # formats that nothing else may stand beside


@dataclass(frozen=True, slots=True)
class Output:
    """A format, and the file that it goes to."""

    format: str
    file: str = STDOUT

    @property
    def colour(self) -> bool:
        """Whether a person at a terminal reads it."""
        return self.file == STDOUT and use_colour()


def add_outputs(parser: ArgumentParser, formats: Sequence[str]) -> None:
    parser.add_argument(
        "-o",
        "--output",
        action=_Collect,
        formats=formats,
        default=(Output("text"),),
        metavar="FORMAT[=FILE]",
        help=f"{', '.join(formats)} (default text); without FILE to standard output; may be given several times",
    )


def write(outputs: Sequence[Output], rendered: Callable[[Output], str]) -> None:
    """Every output; a file is complete, or as it was. Raises CommandError."""
    for output in outputs:
        text = _inert(rendered(output)) if output.format == "text" else rendered(output)
        if output.file == STDOUT:
            show(text)
        else:
            write_file(f"--output {output.format}={output.file}", output.file, text)


def _inert(text: str) -> str:
    """The text with nothing in it that a runner of GitHub would carry out, did this become part of a job's log."""
    return _COMMAND.sub(lambda found: f"{found[0][:-1]}\\x{ord(found[0][-1]):02x}", text)


class _Collect(Action):
    """Adds one output, and says what cannot be."""

    def __init__(self, formats: Sequence[str], **options: Any) -> None:  # noqa: ANN401  # argparse's own
        super().__init__(**options)
        self.formats = formats

    def __call__(self, parser: ArgumentParser, namespace: Namespace, values: Any, _: str | None = None) -> None:  # noqa: ANN401
        name, given, file = str(values).partition("=")
        if name not in self.formats:
            parser.error(f"argument -o/--output: {_unknown(name, self.formats)}")
        if given and not file:
            parser.error(f"argument -o/--output: {values!r} names no file")
        before = getattr(namespace, self.dest)
        chosen = (*(() if before is self.default else before), Output(name, file or STDOUT))
        _check(parser, chosen)
        setattr(namespace, self.dest, chosen)


def _unknown(name: str, formats: Sequence[str]) -> str:
    from schemas.validation import did_you_mean  # noqa: PLC0415  # 30 ms that other commands need not pay

    return f"there is no format {name!r} ({', '.join(formats)}){did_you_mean(name, formats)}"


def _check(parser: ArgumentParser, chosen: Sequence[Output]) -> None:
    twice = [file for file, count in Counter(output.file for output in chosen).items() if count > 1 and file != STDOUT]
    if twice:
        parser.error(f"argument -o/--output: {twice[0]} is named twice")
    shown = [output.format for output in chosen if output.file == STDOUT]
    if len(shown) > 1 and WHOLE.intersection(shown):
        parser.error(f"argument -o/--output: {' and '.join(shown)} on standard output; give one of them a file")


def write_file(asked: str, file: str, text: str) -> None:
    """A whole file, or the one that was there; `asked` is what names it. Raises CommandError."""
    target, data = Path(os.path.realpath(file)), text.encode(errors="backslashreplace")
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(data)  # a pipe or a device cannot be replaced
            return
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
        with fresh.open("xb") as stream:
            stream.write(data)
        fresh.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise CommandError(f"{asked}: {error.strerror}") from error
