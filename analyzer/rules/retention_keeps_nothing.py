from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.rule import Case, Hit, Rule, hit


def check(case: Case) -> Iterator[Hit]:
    for schedule in case.graph.sound("SnapshotSchedule"):
        if not any(schedule.spec["retain"].values()):
            message = f"{schedule.key} retains nothing: every snapshot would be pruned as soon as it is taken"
            yield hit(
                schedule, ("spec", "retain"), message, "say how many to keep: last, hourly, daily, weekly, monthly"
            )


RULE = Rule("retention-keeps-nothing", Severity.ERROR, check)
