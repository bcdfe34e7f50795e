"""What takes long and what runs by the clock, told as JSON: for status, command line and page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from backends.objects import ObjectKey
from reconciler.dates import iso
from reconciler.ledger.attempts import Failure
from reconciler.plan import ScheduleState, Task, TaskState
from schemas.resources import Json, ResourceKey

DONE_FOR = 86400.0  # seconds for which a task that is done is told of
Failures = Mapping[ResourceKey, Failure]


def tasks_json(
    tasks: Iterable[Task], done: Iterable[tuple[ObjectKey, Mapping[str, Any], float, float]], failures: Failures,
    owners: Mapping[ObjectKey, ResourceKey],
) -> list[dict[str, Json]]:  # fmt: skip
    """Tasks that are asked for or under way, then those that were done lately.

    `done`: object, what was asked for, when it was sent and when it ended; `owners`: the resource of each object.
    """
    found = [_task(task, failures.get(task.resource)) for task in tasks]
    busy = {task.key for task in tasks}
    for key, asked, sent, ended in done:
        if key in owners and key not in busy:
            kind = "decouple" if asked.get("alone") else "inflate"
            found.append(_task(Task(kind, owners[key], key, TaskState.DONE, "", 100, sent), None, ended))
    return found


def schedule_json(state: ScheduleState, failure: Failure | None) -> dict[str, Json]:
    return {
        "resource": state.key.to_json(),
        "volumes": state.volumes,
        "snapshots": state.snapshots,
        "last": iso(state.last) if state.last else None,
        "next": iso(state.next) if state.next else None,
        "lastFailure": {"at": iso(failure.at), "message": failure.message} if failure else None,
    }


def _task(task: Task, failure: Failure | None, ended: float | None = None) -> dict[str, Json]:
    told = f"{failure.message}; {task.message}" if failure and task.state is TaskState.FAILED else task.message
    return {
        "kind": task.kind,
        "resource": task.resource.to_json(),
        "object": task.key.name,
        "state": task.state.value,
        "percent": task.percent,
        "message": told,
        "since": iso(task.since) if task.since else None,
        "ended": iso(ended) if ended else None,
    }
