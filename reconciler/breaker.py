"""The circuit breaker of a target. Pure.

Each resource backs off by itself; that does not help where it is the target that is ill. When writes of several
resources fail one after another, and none succeeds between them, only observing goes on. After a pause one write is
let through; while that fails, too, the pauses grow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.resources import Json

FAILURES = 5  # failed writes in a row …
RESOURCES = 3  # … of at least so many resources …
WITHIN = 600.0  # … within so many seconds open it
FIRST_PAUSE = 60.0  # seconds until the first write is tried again
LONGEST_PAUSE = 1800.0  # seconds


@dataclass(frozen=True, slots=True)
class Breaker:
    """How writing to a target goes."""

    failed: tuple[tuple[str, float], ...] = ()  # resource and time of the last writes, all of which failed
    opened: float | None = None  # seconds since 1970; None: closed
    probe_at: float = 0.0  # when one write may be tried
    pause: float = 0.0  # seconds that it last waited
    last_error: str = ""

    @property
    def is_open(self) -> bool:
        return self.opened is not None

    @property
    def suspects(self) -> frozenset[str]:
        """Resources whose writes failed: another one is the better probe."""
        return frozenset(resource for resource, _ in self.failed)

    def may_probe(self, now: float) -> bool:
        """Whether one write may be tried."""
        return self.is_open and not 0 < self.probe_at - now <= LONGEST_PAUSE  # longer: the clock was put back

    def to_json(self) -> dict[str, Json]:
        return {
            "failed": [[resource, at] for resource, at in self.failed],
            "opened": self.opened,
            "probe_at": self.probe_at,
            "pause": self.pause,
            "last_error": self.last_error,
        }


CLOSED = Breaker()


def breaker_of(stored: Mapping[str, Any]) -> Breaker:
    """The breaker that `to_json` wrote down."""
    failed = tuple((str(resource), float(at)) for resource, at in stored["failed"])
    return Breaker(failed, stored["opened"], stored["probe_at"], stored["pause"], stored["last_error"])


def noted(before: Breaker, ends: Iterable[tuple[str, str | None]], now: float) -> Breaker:
    """The breaker after writes ended, in this order: the resource of each, and its error (None: it succeeded)."""
    after = before
    for resource, error in ends:
        after = CLOSED if error is None else _failed(after, resource, error, now)
    return after


def _failed(before: Breaker, resource: str, error: str, now: float) -> Breaker:
    recent = [entry for entry in before.failed if before.is_open or entry[1] > now - WITHIN]
    failed = (*recent, (resource, now))[-2 * FAILURES :]
    after = dataclasses.replace(before, failed=failed, last_error=error)
    if before.is_open and now < before.probe_at:  # what was sent before it opened
        return after
    if not before.is_open and (len(failed) < FAILURES or len({name for name, _ in failed}) < RESOURCES):
        return after
    pause = min(LONGEST_PAUSE, 2.0 * before.pause) if before.is_open else FIRST_PAUSE
    opened = before.opened if before.is_open else now
    return dataclasses.replace(after, opened=opened, probe_at=now + pause, pause=pause)
