"""Why a proposal does not go ahead."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hold:
    """A reason not to go ahead."""

    reason: str
    message: str
    approvable: bool = False
    waiting: bool = False
