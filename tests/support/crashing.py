"""A daemon that is killed at a chosen change, and what comes of it afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from world import World

from reconciler.reconcile import Tick


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


def tick_until_the_target_dies(site: World, at: int) -> None:
    """One tick, in which the target of `n1` ends at its n-th write; then there is another process."""
    simulator, seen = site.simulators["n1"], 0

    def ended(method: str, _: Any) -> None:
        nonlocal seen
        seen += "_get_" not in method
        if seen == at:
            simulator.end()

    simulator.before("*", ended)
    site.tick()
    simulator.forget_hooks()
    site.restart_target()


def settle(site: World) -> Tick:
    """Ticks until nothing is left to do, with a person's help where only a person can help.

    A request that may run for hours and was never answered is ended by a restart of the target; a device whose process
    is a new one to the test (the simulator lives in this process) is vouched for.
    """
    last = site.converge(limit=25)
    if "OutcomeUnknown" in site.reasons(last):
        site.restart_target()
        last = site.converge(limit=25)
    if "BlankUnproven" in site.reasons(last):
        site.house.ledger.approve(last.plan.approval_id, "test", site.clock.now(), site.clock.now() + 60)
        last = site.converge(limit=25)
    return last
