from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit


def check(_: Case, schedule: Manifest) -> Iterator[Hit]:
    if not any(schedule.spec["retain"].values()):
        message = f"{schedule.key} retains nothing: every snapshot would be pruned as soon as it is taken"
        yield hit(schedule, ("spec", "retain"), message, "say how many to keep: last, hourly, daily, weekly, monthly")


RULE = ResourceRule("retention-keeps-nothing", Severity.ERROR, ("SnapshotSchedule",), check)
