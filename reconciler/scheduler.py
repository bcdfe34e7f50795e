"""When things run: one job at a time for each name, at an interval, or at once when something hurries it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler

from reconciler.clock import Clock

WORKERS = 64
AFTER_DEFECT = 30.0  # seconds until a job that raised is run again


@dataclass
class _Job:
    """`act` returns the seconds until it wants to run again."""

    act: Callable[[], float]
    hurried: threading.Event = field(default_factory=threading.Event)
    running: threading.Lock = field(default_factory=threading.Lock)


class Scheduler:
    """Runs named jobs in threads. A job that is hurried while it runs, runs once more right after."""

    def __init__(self, clock: Clock) -> None:
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._clock = clock
        self._jobs: dict[str, _Job] = {}
        self._workers = ThreadPoolExecutor(WORKERS)
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": self._workers},
            # One at a time is our own lock's business. APScheduler would count a job that has just planned its next
            # run as still running, and forget that run for good.
            job_defaults={"max_instances": WORKERS, "coalesce": True, "misfire_grace_time": None},
        )

    def add(self, name: str, act: Callable[[], float]) -> None:
        """Run `act` now, and again after as many seconds as it returns."""
        self._jobs[name] = _Job(act)
        self._plan(name, 0.0)

    def remove(self, name: str) -> None:
        self._jobs.pop(name, None)
        try:
            self._scheduler.remove_job(name)
        except JobLookupError:
            return

    def hurry(self, name: str) -> None:
        job = self._jobs.get(name)
        if job:
            job.hurried.set()
            self._plan(name, 0.0)

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        """Let running jobs end.

        Left to itself, APScheduler would wait for them with a lock in its hand that a job needs to plan its next run,
        and its own thread would stumble over jobs that vanish while it looks at them.
        """
        self._jobs.clear()
        if self._scheduler.running:
            self._scheduler.pause()
            self._scheduler.get_jobs()  # comes back when its thread has put the jobs down
            self._scheduler.shutdown(wait=False)
            self._workers.shutdown(wait=True)

    def _plan(self, name: str, seconds: float) -> None:
        at = datetime.fromtimestamp(self._clock.now(), UTC) + timedelta(seconds=seconds)
        self._scheduler.add_job(self._run, "date", run_date=at, args=[name], id=name, replace_existing=True)

    def _run(self, name: str) -> None:
        job = self._jobs.get(name)
        if job is None or not job.running.acquire(blocking=False):
            return  # whoever runs it sees that it was hurried
        wait = AFTER_DEFECT
        try:
            wait = self._rounds(job)
        finally:
            job.running.release()
            if name in self._jobs:
                self._plan(name, 0.0 if job.hurried.is_set() else wait)

    def _rounds(self, job: _Job) -> float:
        while True:
            job.hurried.clear()
            wait = job.act()
            if not job.hurried.is_set():
                return wait
