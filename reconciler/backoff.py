"""How long to wait after failures. Pure."""

from __future__ import annotations

FIRST = 1.0  # seconds
LONGEST = 300.0  # seconds


def delay(failures: int) -> float:
    """Seconds until the next attempt after so many failures in a row: 1, 2, 4 … 300."""
    return min(LONGEST, FIRST * 2.0 ** max(0, min(failures, 20) - 1))
