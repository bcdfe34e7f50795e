"""Jobs go on for ever: none is lost because of when it ended, or how."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from reconciler import scheduler
from reconciler.clock import SystemClock
from reconciler.scheduler import Scheduler

RUNS = 20
PATIENCE = 10.0  # seconds


def test_a_job_that_wants_to_run_at_once_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread may be slow to end after it has planned its next run; that run must take place all the same."""
    planned = Scheduler._plan

    def slowly(self: Scheduler, name: str, seconds: float) -> None:
        planned(self, name, seconds)
        time.sleep(0.01)  # the thread rests here, as it may under load

    monkeypatch.setattr(Scheduler, "_plan", slowly)
    assert runs_to_the_end(raising=False)


def test_a_job_that_raises_is_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect in one run does not end the job: a daemon that has stopped polling looks healthy and is not."""
    monkeypatch.setattr(scheduler, "AFTER_DEFECT", 0.0)
    logging.getLogger("apscheduler").addHandler(logging.NullHandler())
    assert runs_to_the_end(raising=True)


def test_stopping_waits_for_a_job_that_plans_its_next_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The job ends, `stop` returns, and nothing runs afterwards: neither waits for the other for ever."""
    planned, planning = Scheduler._plan, threading.Event()

    def slowly(self: Scheduler, name: str, seconds: float) -> None:
        if runs:
            planning.set()
            time.sleep(0.1)  # `stop` begins here
        planned(self, name, seconds)

    runs: list[float] = []
    monkeypatch.setattr(Scheduler, "_plan", slowly)
    jobs = Scheduler(SystemClock())
    jobs.add("job", lambda: runs.append(0.0) or 0.0)
    jobs.start()
    assert planning.wait(PATIENCE)
    stopping = threading.Thread(target=jobs.stop, daemon=True)
    stopping.start()
    stopping.join(PATIENCE)
    assert not stopping.is_alive()
    assert len(runs) == 1


def runs_to_the_end(*, raising: bool) -> bool:
    done, runs = threading.Event(), 0

    def act() -> float:
        nonlocal runs
        runs += 1
        if runs == RUNS:
            done.set()
        if raising:
            raise ValueError("a defect")
        return 0.0

    jobs = Scheduler(SystemClock())
    jobs.add("job", act)
    jobs.start()
    try:
        return done.wait(PATIENCE)
    finally:
        jobs.stop()
