"""Options that verbs share, and values as they stand on a command line."""

from __future__ import annotations

import math
from argparse import ArgumentParser, ArgumentTypeError
from datetime import date
from pathlib import Path

LARGEST_PORT = 65535
EARLIEST, LATEST = date(1970, 1, 1), date(2999, 12, 31)


def add_output(parser: ArgumentParser) -> None:
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="format (default text)")


def add_cache(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="where what is known of a revision is kept for the next run (default ~/.cache/holdfast)",
    )
    parser.add_argument("--no-cache", action="store_true", help="read everything, and keep nothing")


def add_target(parser: ArgumentParser) -> None:
    parser.add_argument("--target", metavar="NAME", default="", help="only this target")


def add_standalone(parser: ArgumentParser) -> None:
    parser.add_argument("--standalone", action="store_true", help="without a daemon: takes the lock of the state")


def day(text: str) -> date:
    """A date of these times: of schedules, what comes in years is looked at as well."""
    try:
        when = date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a date (write 2026-12-31)") from None
    if not EARLIEST <= when <= LATEST:
        raise ArgumentTypeError(f"{text!r} is not a date from {EARLIEST} to {LATEST}")
    return when


def seconds(text: str) -> float:
    """A span of time, longer than none."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value


def port(text: str) -> int:
    """A port to listen on; 0 is any that is free."""
    return _whole(text, 0, LARGEST_PORT, "a port")


def limit(text: str) -> int:
    """How many things to show."""
    return _whole(text, 1, 1000, "a number")


def endpoint(text: str) -> tuple[str, int]:
    """[HOST:]PORT; a port alone is one of this machine."""
    host, _, number = text.rpartition(":")
    try:
        return host.strip("[]") or "127.0.0.1", port(number)
    except ArgumentTypeError:
        raise ArgumentTypeError(f"{text!r} is no [HOST:]PORT") from None


def address(text: str) -> str:
    """HOST:PORT to connect to."""
    host, _, number = text.rpartition(":")
    try:
        known = bool(host) and port(number) > 0
    except ArgumentTypeError:
        known = False
    if not known:
        raise ArgumentTypeError(f"{text!r} is no HOST:PORT")
    return text


def _whole(text: str, least: int, most: int, what: str) -> int:
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(most))
    if not is_number or not least <= int(text) <= most:
        raise ArgumentTypeError(f"{text!r} is not {what} from {least} to {most}")
    return int(text)
