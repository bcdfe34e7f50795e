from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit


def check(case: Case, schedule: Manifest) -> Iterator[Hit]:
    selected = (case.graph[reference.source] for reference in case.graph.incoming_to(schedule.key))
    if not any(volume.sound for volume in selected) and not case.graph.unread:
        wanted = ", ".join(f"{name}: {value}" for name, value in schedule.spec["selector"]["matchLabels"].items())
        message = f"{schedule.key} takes no snapshots: no volume of its namespace has {wanted}"
        path = ("spec", "selector", "matchLabels")
        yield hit(schedule, path, message, "label the volumes in their metadata, or correct the selector")


RULE = ResourceRule("schedule-without-volumes", Severity.WARNING, ("SnapshotSchedule",), check)
