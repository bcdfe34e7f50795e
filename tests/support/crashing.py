"""A daemon that is killed at a chosen change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from world import World


class Crash(BaseException):
    """Killed here."""


@contextmanager
def crashing(site: World, at: int, where: str) -> Iterator[None]:
    """Kill the daemon before the n-th change is sent, after it was sent, or before its answer is written down."""
    backend = site.keepers["n1"].backend
    begin, wait, count = backend.begin, backend.wait, 0

    def counted(change: Any, guards: Any) -> int:
        nonlocal count
        count += 1
        if count == at and where == "before":
            raise Crash
        ticket = begin(change, guards)
        if count == at and where == "after":
            backend._client()._flush()
            raise Crash
        return ticket

    def waited(timeout: float) -> Any:
        ended = wait(timeout)
        if count >= at and where == "answered":
            raise Crash
        return ended

    backend.begin, backend.wait = counted, waited
    with suppress(Crash):
        yield
    site.die()
    site.wake()
