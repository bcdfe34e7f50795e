"""Waiting: look often, give up at a deadline, and say what was waited for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from reconciler.cli.exits import CommandError

POLL = 0.05  # seconds between two looks
LIMIT = 20.0  # seconds that anything may take

T = TypeVar("T")


def until(look: Callable[[], T], what: str | Callable[[], str], limit: float = LIMIT) -> T:
    """The first answer of `look` that is true. Raises CommandError, naming `what`, when there is none in time."""
    deadline = time.monotonic() + limit
    while True:
        if found := look():
            return found
        if time.monotonic() > deadline:
            raise CommandError(f"waited {limit:.0f} s for {what if isinstance(what, str) else what()}")
        time.sleep(POLL)
