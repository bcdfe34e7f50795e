from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time

from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.calendar import Calendar


def check(case: Case, schedule: Manifest) -> Iterator[Hit]:
    now = datetime.combine(case.as_of, time(), UTC).timestamp()
    if Calendar(schedule.spec["cron"], schedule.spec["timeZone"]).next(now) is None:
        message = f"{schedule.key} never runs: no day is as {schedule.spec['cron']} says"
        yield hit(schedule, ("spec", "cron"), message, "name a day that there is, or `L` for the last of a month")


RULE = ResourceRule("schedule-never-runs", Severity.ERROR, ("SnapshotSchedule",), check)
