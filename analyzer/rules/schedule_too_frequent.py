from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time
from itertools import pairwise

from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.calendar import DAY, Calendar

SHORTEST = 300.0  # seconds between two runs
LOOKED_AT = 2000  # runs


def check(case: Case, schedule: Manifest) -> Iterator[Hit]:
    now = datetime.combine(case.as_of, time(), UTC).timestamp()
    runs = Calendar(schedule.spec["cron"], schedule.spec["timeZone"]).between(now, now + 8 * DAY, LOOKED_AT)
    gap = min((later - earlier for earlier, later in pairwise(runs)), default=DAY)
    if gap < SHORTEST:
        message = f"{schedule.key} runs every {gap / 60:.0f} min at times; 5 min is the least that is sensible"
        advice = "run it less often: every snapshot holds up the volume's I/O and adds a level to read through"
        yield hit(schedule, ("spec", "cron"), message, advice)


RULE = ResourceRule("schedule-too-frequent", Severity.WARNING, ("SnapshotSchedule",), check)
