from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.rule import Case, Hit, Rule, hit
from schemas.limits import selects


def check(case: Case) -> Iterator[Hit]:
    volumes = [*case.graph.sound("Volume")]
    for schedule in case.graph.sound("SnapshotSchedule"):
        near = [v for v in volumes if v.key.namespace == schedule.key.namespace]
        selector = schedule.spec["selector"]
        if not case.graph.unread and not any(selects(selector, v.resource.labels) for v in near):
            wanted = ", ".join(f"{name}: {value}" for name, value in selector["matchLabels"].items())
            message = f"{schedule.key} takes no snapshots: no volume of its namespace has {wanted}"
            path = ("spec", "selector", "matchLabels")
            yield hit(schedule, path, message, "label the volumes in their metadata, or correct the selector")


RULE = Rule("schedule-selects-nothing", Severity.WARNING, check)
