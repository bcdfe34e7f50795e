"""Conditions in Kubernetes form: what is so of each resource, and what a person can do about it. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.plan import Drift, Execution, Held, Outcome, Plan, Remark, StepResult, Task
from schemas.resources import Json, ResourceKey

UNKNOWN = frozenset({"Unknown", "OutcomeUnknown", "PoolNotLoaded", "TargetUnreachable"})


@dataclass(frozen=True, slots=True)
class Condition:
    """One statement about a resource."""

    type: str  # Ready | Synced | Reconciling | Stalled
    status: str  # True | False | Unknown
    reason: str
    message: str

    def to_json(self) -> dict[str, Json]:
        return {"type": self.type, "status": self.status, "reason": self.reason, "message": self.message}


Conditions = tuple[Condition, ...]


@dataclass
class _About:
    """Everything that this tick has to say about one resource."""

    held: list[Held]
    failed: list[StepResult]
    moving: list[StepResult]
    remarks: list[Remark]
    drifts: list[Drift]
    tasks: list[Task]


def conditions(resources: Iterable[ResourceKey], plan: Plan, execution: Execution) -> Mapping[ResourceKey, Conditions]:
    """The conditions of every resource of a target after a tick."""
    about: defaultdict[ResourceKey, _About] = defaultdict(lambda: _About([], [], [], [], [], []))
    for held in plan.held:
        about[held.resource].held.append(held)
    for remark in plan.remarks:
        about[remark.resource].remarks.append(remark)
    for drift in plan.strayed:
        about[drift.resource].drifts.append(drift)
    for task in (task for task in plan.tasks if task.is_ours):
        about[task.resource].tasks.append(task)
    for result in execution.results:
        moving = result.outcome in (Outcome.OK, Outcome.RUNNING)
        (about[result.step.resource].moving if moving else about[result.step.resource].failed).append(result)
    names = sorted({*resources, *about})
    return {name: _conditions(about[name]) if name in about else CONVERGED for name in names}


def unreachable(resources: Iterable[ResourceKey], message: str) -> Mapping[ResourceKey, Conditions]:
    """What can be said when the target does not answer: nothing is known, which is not the same as wrong."""
    conditions = tuple(
        Condition(kind, "True" if kind == "Reconciling" else "Unknown", "TargetUnreachable", message)
        for kind in ("Ready", "Synced", "Reconciling")
    )
    return dict.fromkeys(resources, (*conditions, Condition("Stalled", "False", "TargetUnreachable", "")))


CONVERGED: Conditions = (
    Condition("Ready", "True", "Converged", "as declared"),
    Condition("Synced", "True", "Converged", "as declared"),
    Condition("Reconciling", "False", "Converged", ""),
    Condition("Stalled", "False", "Converged", ""),
)


def _conditions(about: _About) -> Conditions:
    ready = _ready(about)
    synced = _synced(about)
    waits = [held for held in about.held if held.waiting]
    moving = bool(about.moving or waits or about.failed or about.tasks)
    return (
        ready,
        synced,
        Condition("Reconciling", _bool(moving), "Progressing" if moving else ready.reason, ""),
        _stalled(about),
    )


def _ready(about: _About) -> Condition:
    for held in sorted(about.held, key=lambda held: held.waiting):
        return Condition("Ready", _doubt(held.reason), held.reason, held.message)
    for result in about.failed:
        reason = "OutcomeUnknown" if result.outcome is Outcome.UNKNOWN else "StepFailed"
        return Condition("Ready", _doubt(reason), reason, f"{result.step.id}: {result.message}")
    for remark in about.remarks:
        if not remark.ready:
            return Condition("Ready", _doubt(remark.reason), remark.reason, remark.message)
    if about.moving:
        return Condition("Ready", "False", "Progressing", about.moving[-1].step.reason)
    for remark in about.remarks:
        return Condition("Ready", "True", remark.reason, remark.message)
    return CONVERGED[0]


def _synced(about: _About) -> Condition:
    if about.held or about.failed or about.moving:
        return Condition("Synced", "False", "Pending", f"{len(about.held)} held, {len(about.failed)} failed")
    for task in about.tasks:
        return Condition("Synced", "False", "Progressing", task.message)
    for drift in about.drifts:
        fields = ", ".join(difference.path for difference in drift.differences)
        return Condition("Synced", "False", f"Drift{drift.action}", f"{drift.kind}: {fields}")
    for remark in about.remarks:
        if not remark.ready:
            return Condition("Synced", _doubt(remark.reason), remark.reason, remark.message)
    return CONVERGED[1]


def _stalled(about: _About) -> Condition:
    """Only a person can go on from here."""
    for held in about.held:
        if not held.waiting:
            return Condition("Stalled", "True", held.reason, held.message)
    for remark in about.remarks:
        if remark.stalled:
            return Condition("Stalled", "True", remark.reason, remark.message)
    return CONVERGED[3]


def _doubt(reason: str) -> str:
    return "Unknown" if reason in UNKNOWN else "False"


def _bool(value: object) -> str:
    return "True" if value else "False"
