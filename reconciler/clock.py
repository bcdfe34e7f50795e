"""Time and chance: the one place where they are asked for, so that tests can hold both still."""

from __future__ import annotations

import os
import random
import time
import uuid
from datetime import date
from typing import Protocol

from reconciler.dates import day_of


class Clock(Protocol):
    """What the reconciler may know of time and chance."""

    def now(self) -> float:
        """Seconds since 1970, UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    def mint(self) -> bytes:
        """Sixteen bytes that nobody else has."""

    def jitter(self, seconds: float) -> float:
        """A duration of up to a tenth more."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def mint(self) -> bytes:
        return os.urandom(16)

    def jitter(self, seconds: float) -> float:
        return seconds * random.uniform(1.0, 1.1)  # noqa: S311  # spreads load, hides nothing


def today() -> date:
    """The day it is, UTC."""
    return day_of(SystemClock().now())


def mint_uuid() -> str:
    """A new random uuid."""
    return str(uuid.UUID(bytes=SystemClock().mint(), version=4))
