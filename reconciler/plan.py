"""The plan: what will be done, what is held back, and why. Data only: it can be printed, saved, compared, approved."""

from __future__ import annotations

import enum
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backends.contract import Action, Change, Guard
from backends.fields import fields_of
from backends.objects import LiveObject, ObjectKey, ObjectKind
from reconciler.retention import Retain
from schemas.resources import Json, JsonObject, ResourceKey, digest
from schemas.values import value


class Hazard(enum.StrEnum):
    """What a step can cost, worst last."""

    SAFE = "safe"
    DISRUPTIVE = "disruptive"
    DATA_LOSS = "data-loss"


class Cause(enum.StrEnum):
    """Why a step is needed."""

    CHANGE = "change"  # the repository asks for something new
    DRIFT = "drift"  # somebody changed what we had applied
    RESTART = "restart"  # the target process is a new one
    REMOVAL = "removal"  # a Removal consents
    SCHEDULE = "schedule"  # its time has come, or it is no longer retained
    CLAIM = "claim"  # we say that we are the writer


class DriftClass(enum.StrEnum):
    MISSING = "Missing"
    MODIFIED = "Modified"
    EXTRA = "Extra"
    DATA_MISSING = "DataMissing"
    TARGET_RESTART = "TargetRestart"
    CONTESTED = "Contested"  # somebody keeps changing back what is corrected
    FOREIGN = "Foreign"  # not ours; shown, never changed, and no reason not to be settled


@value(frozen=True, slots=True)
class Difference:
    """One field that is not as it should be. `path` is where a manifest declares it."""

    path: str
    want: Json
    have: Json


@value(frozen=True, slots=True)
class Drift:
    """Live state that differs from what was applied."""

    key: ObjectKey
    resource: ResourceKey
    kind: DriftClass
    differences: tuple[Difference, ...]
    action: str  # Corrected | Held | Warned | Ignored | LeftAlone


@dataclass(frozen=True, slots=True)
class AtStake:
    """A connected host, what it loses with a step, and its other ways to the same: `[TARGET/]TCP:ADDRESS:PORT`."""

    host: str  # NQN
    loses: tuple[str, ...]
    keeps: tuple[str, ...] = ()
    paths: int = 0  # how many it has to the subsystem, on all targets

    @property
    def in_words(self) -> str:
        what = ", ".join(self.loses)
        if self.keeps:
            return f"{what}, and keeps {', '.join(self.keeps)}"
        return f"{what}, which is all it has" if len(self.loses) > 1 or ":" in what else what

    def to_json(self) -> dict[str, Json]:
        return {"host": self.host, "loses": [*self.loses], "keeps": [*self.keeps], "paths": self.paths}


@value(frozen=True, slots=True)
class Step:
    """One act of the plan."""

    change: Change
    resource: ResourceKey
    cause: Cause
    hazard: Hazard
    reason: str
    needs: tuple[str, ...] = ()  # ids of steps that must have succeeded
    after: tuple[str, ...] = ()  # ids of steps that must have ended, well or not
    guards: tuple[Guard, ...] = ()
    serial: str = ""  # steps with the same value go out one at a time
    touches: tuple[ObjectKey, ...] = ()  # other objects that it works on: none of them meets another step meanwhile
    subject: str = ""  # what the budget counts: the subsystem, or the object that bears data
    bears_data: bool = False
    released_by: str = ""  # id of the approval that let it through
    hosts: tuple[AtStake, ...] = ()  # who was seen connected, and loses something
    path_seen: float | None = None  # when a path of the subsystem was taken last, as the plan knew it; None: no matter
    id: str = field(init=False, repr=False, compare=False)  # what is done to which object

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", self.change.action + " " + str(self.change.key))

    @property
    def takes_long(self) -> bool:
        """Whether it copies a whole volume: no tick waits for that."""
        return self.change.key.kind is ObjectKind.PROVISIONING


@dataclass(frozen=True, slots=True)
class Held:
    """A change that is not made now, and why."""

    change: Change
    resource: ResourceKey
    hazard: Hazard
    reason: str  # CamelCase code
    message: str
    cause: Cause = Cause.CHANGE
    approvable: bool = False
    waiting: bool = False  # it goes on by itself; nobody needs to act
    hosts: tuple[AtStake, ...] = ()  # who is connected, and would lose something


class Phase(enum.StrEnum):
    """How far a recorded object is."""

    CREATING = "creating"  # a create was sent or is about to be
    CREATED = "created"
    RETAINED = "retained"  # no longer declared; bytes kept
    DESTROYED = "destroyed"  # bytes gone, by consent; remembered so that no blank disk takes the place


@value(frozen=True, slots=True)
class Record:
    """What the ledger knows of one object that is ours."""

    key: ObjectKey
    resource: ResourceKey
    phase: Phase
    uid: str = ""
    applied: JsonObject = field(default_factory=dict)
    reclaim: str = ""  # reclaimPolicy of the last applied spec
    revision: str = ""
    replay: bool = False  # it died with a former life of the target and has not been made again


@dataclass(frozen=True, slots=True)
class Remark:
    """Something to say about a resource. `ready` False makes it not Ready; `stalled`: only a person can mend it."""

    resource: ResourceKey
    reason: str
    message: str
    ready: bool = True
    stalled: bool = False


@dataclass(frozen=True)
class Plan:
    """What the next tick does to one target."""

    target: str
    revision: str
    steps: tuple[Step, ...] = ()
    held: tuple[Held, ...] = ()
    drifts: tuple[Drift, ...] = ()
    remarks: tuple[Remark, ...] = ()
    records: tuple[Record, ...] = ()  # ledger entries to write without asking the target
    forget: tuple[ObjectKey, ...] = ()  # ledger entries to drop
    tasks: tuple[Task, ...] = ()  # what takes long
    schedules: tuple[ScheduleState, ...] = ()
    memories: Mapping[ResourceKey, Memory | None] = field(default_factory=dict)  # to be remembered, or forgotten
    until: float | None = None  # when the clock asks for another plan, seconds since 1970
    questions: frozenset[str] = frozenset()  # NQNs whose connected hosts must be known to decide
    closed: frozenset[str] = frozenset()  # NQNs on which sessions of hosts that are not listed may be left

    @property
    def id(self) -> str:
        """Digest of the content: the same inputs give the same id."""
        return digest([self.target, [step_json(step) for step in self.steps], [held_json(item) for item in self.held]])[
            :16
        ]

    @property
    def is_timeless(self) -> bool:
        """Whether it asks for nothing and waits for nothing: the same inputs give the same plan at any later time.

        What is not ready may get worse with age, as a request without an answer does, so it has to be looked at again.
        """
        waits = any(remark.stalled or not remark.ready for remark in self.remarks)
        told = self.held or self.strayed or self.records or self.forget or self.questions or self.tasks
        return not (waits or self.steps or told or self.memories)

    @property
    def strayed(self) -> tuple[Drift, ...]:
        """The drifts of what is ours."""
        return tuple(drift for drift in self.drifts if drift.kind is not DriftClass.FOREIGN)

    @functools.cached_property
    def approval_id(self) -> str:
        """Names exactly the held changes that a person may let through; empty when there are none."""
        return approval_id(self.target, [item for item in self.held if item.approvable])


@dataclass(frozen=True, slots=True)
class Served:
    """What the ledger remembers of a volume that a schedule selects."""

    upto: float  # the moment up to which it has been served, seconds since 1970
    retain: Retain | None  # in force; None: not known, so nothing goes without approval
    uid: str = ""  # of the bytes that the volume had then
    since: float = 0.0  # what was taken up to this moment is of bytes that the volume had before those


@dataclass(frozen=True)
class Memory:
    """What the ledger remembers of a schedule on one target."""

    volumes: Mapping[str, Served]  # by name
    last: float = 0.0  # the last moment of which there was a snapshot

    def to_json(self) -> dict[str, Json]:
        told: dict[str, Json] = {
            n: [v.upto, dict(v.retain.to_json()) if v.retain else None, v.uid, v.since] for n, v in self.volumes.items()
        }
        return {"volumes": told, "last": self.last}

    @classmethod
    def of_json(cls, told: Mapping[str, Any]) -> Memory:
        volumes = {n: Served(u, Retain.of_json(r) if r else None, *of) for n, (u, r, *of) in told["volumes"].items()}
        return cls(volumes, told["last"])


@dataclass(frozen=True, slots=True)
class ScheduleState:
    """How a schedule stands on one target."""

    key: ResourceKey
    volumes: int  # that it selects
    snapshots: int  # of its own that are there
    last: float | None  # moment of the newest, seconds since 1970
    next: float | None  # when it runs next


class TaskState(enum.StrEnum):
    """How far something is that takes long."""

    QUEUED = "queued"  # asked for; others go first
    HELD = "held"  # asked for, and not begun; the message says why
    RUNNING = "running"
    FAILED = "failed"  # tried, and tried again after a pause
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Task:
    """Something that takes long on a target: of ours (inflate, decouple), or only watched (rebuild)."""

    kind: str  # inflate | decouple | rebuild
    resource: ResourceKey
    key: ObjectKey
    state: TaskState
    message: str
    percent: int | None = None
    since: float | None = None  # when it was sent, seconds since 1970

    @property
    def is_ours(self) -> bool:
        """Whether it was asked for; what the target does by itself is only watched."""
        return self.kind != "rebuild"


class Outcome(enum.StrEnum):
    OK = "ok"
    FAILED = "failed"
    DROPPED = "dropped"  # a guard no longer held, or the connection was gone before it was sent
    SKIPPED = "skipped"  # something it needs did not succeed
    UNKNOWN = "unknown"  # sent, no answer
    RUNNING = "running"  # sent, still at work


@value(frozen=True, slots=True)
class StepResult:
    step: Step
    outcome: Outcome
    message: str = ""
    uid: str = ""


@dataclass(frozen=True)
class Execution:
    """What happened to the steps of a plan, in the order in which they ended."""

    results: tuple[StepResult, ...] = ()

    def of(self, outcome: Outcome) -> tuple[StepResult, ...]:
        return tuple(result for result in self.results if result.outcome is outcome)


APPROVAL_DIGITS = 32  # hex digits


def approval_id(target: str, held: Sequence[Held]) -> str:
    """Digest of the held changes, on which target and for which reason, without revision, time or counters.

    So long that nobody who writes manifests finds two sets of changes, one to be approved and one to happen.
    """
    named = sorted(
        [str(change.key), change.action, item.hazard, _object_json(change.before), _object_json(change.after), reason]
        for item in held
        for change, reason in [(item.change, item.reason)]
    )
    return f"A-{digest([target, *named])[:APPROVAL_DIGITS]}" if named else ""


def step_json(step: Step) -> dict[str, Json]:
    return {
        "id": step.id,
        "action": step.change.action.value,
        "object": str(step.change.key),
        "resource": step.resource.to_json(),
        "cause": step.cause.value,
        "hazard": step.hazard.value,
        "reason": step.reason,
        "before": _object_json(step.change.before),
        "after": _object_json(step.change.after),
        "needs": [*step.needs],
        "afterSteps": [*step.after],
        "guards": [{"object": str(guard.key), "facts": dict(guard.facts)} for guard in step.guards],
        "hosts": [host.to_json() for host in step.hosts],
    }


def result_json(result: StepResult) -> dict[str, Json]:
    return {
        "step": result.step.id,
        "resource": str(result.step.resource),
        "outcome": result.outcome.value,
        "message": result.message,
        "uid": result.uid,
    }


def held_json(held: Held) -> dict[str, Json]:
    return {
        "action": held.change.action.value,
        "object": str(held.change.key),
        "resource": held.resource.to_json(),
        "hazard": held.hazard.value,
        "reason": held.reason,
        "message": held.message,
        "approvable": held.approvable,
        "waiting": held.waiting,
        "hosts": [host.to_json() for host in held.hosts],
    }


def drift_json(drift: Drift) -> dict[str, Json]:
    return {
        "object": str(drift.key),
        "resource": drift.resource.to_json(),
        "class": drift.kind.value,
        "action": drift.action,
        "fields": [{"path": d.path, "want": d.want, "have": d.have} for d in drift.differences],
    }


def plan_json(plan: Plan) -> dict[str, Json]:
    """The versioned machine form of a plan."""
    return {
        "apiVersion": "holdfast.dev/v1alpha1",
        "kind": "Plan",
        "id": plan.id,
        "target": plan.target,
        "revision": plan.revision,
        "approvalID": plan.approval_id,
        "steps": [step_json(step) for step in plan.steps],
        "held": [held_json(item) for item in plan.held],
        "drift": [drift_json(item) for item in plan.drifts],
        "remarks": [
            {
                "resource": r.resource.to_json(),
                "reason": r.reason,
                "message": r.message,
                "ready": r.ready,
                "stalled": r.stalled,
            }
            for r in plan.remarks
        ],
    }


def _object_json(thing: LiveObject | None) -> Json:
    return fields_of(thing) if thing is not None else None


def created(thing: LiveObject) -> Change:
    return Change(Action.CREATE, thing.key, None, thing)


def updated(before: LiveObject, after: LiveObject) -> Change:
    return Change(Action.UPDATE, before.key, before, after)


def deleted(thing: LiveObject) -> Change:
    return Change(Action.DELETE, thing.key, thing, None)
