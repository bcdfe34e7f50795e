"""Why a proposal does not go ahead."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.plan import AtStake


@dataclass(frozen=True, slots=True)
class Hold:
    """A reason not to go ahead."""

    reason: str
    message: str
    approvable: bool = False
    waiting: bool = False
    hosts: tuple[AtStake, ...] = ()  # who is connected, and what they would lose
