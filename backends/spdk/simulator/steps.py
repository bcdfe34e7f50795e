"""How a method takes time: a handler that is a generator gives way at each `yield`, and its return value is the answer.

A live target runs everything on one thread, by turns. What a method does after waiting happens in a later turn, which
is all that makes pipelined requests meet each other half done.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Generator
from typing import TypeAlias

from schemas.resources import Json


class Pause(enum.Enum):
    """What a handler waits for."""

    MESSAGE = enum.auto()  # its turn on the thread, behind every message that was sent before
    IO = enum.auto()  # the device; slower than any message
    POLL = enum.auto()  # some milliseconds
    NEVER = enum.auto()  # what does not come


Steps: TypeAlias = "Generator[Pause, None, Json]"
Handler: TypeAlias = "Callable[..., Json | Steps]"
