"""A plan in the making: proposals, before anything is withheld or put in order."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from backends.contract import Action, Change, Guard
from backends.fields import fields_of
from backends.objects import Bdev, LiveObject, ObjectKey, ObjectKind
from reconciler.desired import Wish
from reconciler.plan import (
    AtStake,
    Cause,
    Difference,
    Drift,
    DriftClass,
    Hazard,
    Held,
    Memory,
    Phase,
    Record,
    Remark,
    ScheduleState,
    Task,
)
from schemas.resources import Json, ResourceKey
from schemas.values import value

TOLERATED = {"warn": "Warned", "ignore": "Ignored"}  # drift policy → what is done about drift that is not corrected
BEARS_DATA = frozenset({ObjectKind.LVOL, ObjectKind.LVOL_STORE})


@value(frozen=True, slots=True)
class Proposal:
    """A change that would bring the target closer to its wish."""

    change: Change
    resource: ResourceKey
    cause: Cause
    reason: str
    hazard: Hazard = Hazard.SAFE
    guards: tuple[Guard, ...] = ()
    requires: tuple[ObjectKey, ...] = ()  # objects that must be there by then
    waits_for: tuple[ObjectKey, ...] = ()  # creations that must have ended first, well or not
    gone: tuple[ObjectKey, ...] = ()  # objects that must have been deleted by then, where the plan deletes them
    touches: tuple[ObjectKey, ...] = ()  # other objects that it works on, so that nothing else may meanwhile
    settled: tuple[ObjectKey, ...] = ()  # objects that this plan must have changed by then
    subject: str = ""
    drift: Drift | None = None
    doubt: tuple[str, str] | None = None  # (reason, message): goes ahead only when a person approves it
    released_by: str = ""  # the approval that let it through
    hosts: tuple[AtStake, ...] = ()  # who is connected, and loses something
    path_seen: float | None = None  # when a path of the subsystem was taken last; None: it does not matter
    id: str = field(init=False, repr=False, compare=False)  # of the step that it may become

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", self.change.action + " " + str(self.change.key))

    @property
    def bears_data(self) -> bool:
        """Whether it makes or destroys something that bears bytes."""
        thing = self.change.after or self.change.before
        volatile = self.change.key.kind is ObjectKind.BDEV and (
            self.hazard is Hazard.DATA_LOSS or _writes_superblock(self.change.after)
        )
        return thing is not None and self.change.action is not Action.UPDATE and (thing.kind in BEARS_DATA or volatile)


def _writes_superblock(wanted: LiveObject | None) -> bool:
    return isinstance(wanted, Bdev) and bool(wanted.superblock)


@value(frozen=True, slots=True)
class Standing:
    """How something that others build on stands: there, being made by this plan, or absent (and why)."""

    live: LiveObject | None = None
    making: LiveObject | None = None
    why: str = ""
    shows: str = ""  # uid of the bytes, where it is an encrypting device on them

    @property
    def usable(self) -> bool:
        return self.live is not None or self.making is not None


@dataclass(frozen=True, slots=True)
class Ground:
    """What something is made in and from: its pool, and its source (None: it begins blank, or there is none)."""

    pool: Standing
    source: Standing | None = None


@dataclass
class Draft:
    """Collects what the parts of the planner find."""

    revision: str
    known: Mapping[ObjectKey, Record]
    proposals: dict[ObjectKey, list[Proposal]] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)
    drifts: list[Drift] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    records: dict[ObjectKey, Record] = field(default_factory=dict)
    forget: set[ObjectKey] = field(default_factory=set)
    former: set[ObjectKey] = field(default_factory=set)  # snapshots by the clock that are of earlier bytes of a volume
    closed: set[str] = field(default_factory=set)  # NQNs on which sessions of hosts that are not listed may be left
    tasks: list[Task] = field(default_factory=list)
    schedules: list[ScheduleState] = field(default_factory=list)
    memories: dict[ResourceKey, Memory | None] = field(default_factory=dict)
    copies: dict[ObjectKey, int] = field(default_factory=dict)  # what is being copied → clusters that it may still take
    shown: dict[str, str] = field(default_factory=dict)  # namespace uuid → uuid of the bdev that it shows in this plan

    @cached_property
    def _with_uid(self) -> Mapping[str, list[Record]]:
        found: dict[str, list[Record]] = defaultdict(list)
        for record in self.known.values():
            found[record.uid].append(record)
        return found

    def propose(self, proposal: Proposal) -> None:
        self.proposals.setdefault(proposal.change.key, []).append(proposal)

    def await_first(self, key: ObjectKey, first: ObjectKey) -> None:
        """Let what is proposed for one object wait until another has been made."""
        late = (dataclasses.replace(p, waits_for=(*p.waits_for, first)) for p in self.proposals.get(key, ()))
        if found := [*late]:
            self.proposals[key] = found

    def __iter__(self) -> Iterator[Proposal]:
        return (proposal for group in self.proposals.values() for proposal in group)

    def hold(  # noqa: PLR0913  # the fields of a Held
        self,
        proposal: Proposal,
        reason: str,
        message: str,
        *,
        approvable: bool = False,
        waiting: bool = False,
        hosts: tuple[AtStake, ...] = (),
    ) -> None:
        self.held.append(
            Held(
                proposal.change,
                proposal.resource,
                proposal.hazard,
                reason,
                message,
                cause=proposal.cause,
                approvable=approvable,
                waiting=waiting,
                hosts=hosts,
            )
        )

    def remark(
        self, resource: ResourceKey, reason: str, message: str, *, ready: bool = False, stalled: bool = False
    ) -> None:
        self.remarks.append(Remark(resource, reason, message, ready=ready, stalled=stalled))

    def keep(self, record: Record, **changes: object) -> None:
        """Have the ledger say so, without asking the target."""
        self.records[record.key] = dataclasses.replace(record, **changes)  # type: ignore[arg-type]

    def overlook(
        self, wanted: LiveObject, live: LiveObject, paths: dict[str, str], wish: Wish, record: Record | None
    ) -> None:
        """Say which fields somebody else has changed that are left so, because the manifest ignores their drift."""
        found = differences(wanted, live, paths)
        minded = differences(wanted, live, paths, wish, record) if found else ()
        if ignored := tuple(difference for difference in found if difference not in minded):
            self.drifts.append(Drift(wanted.key, wish.key, DriftClass.MODIFIED, ignored, TOLERATED["ignore"]))

    def own(self, thing: LiveObject, wish: Wish, *, uid: str = "") -> None:
        """Record something that is there as wanted and is ours; nothing where the ledger says so already."""
        key, applied = thing.key, fields_of(thing)
        if uid:
            self.forget.update(other.key for other in self._with_uid.get(uid, ()) if other.key != key)
        known = self.known.get(key)
        if not known or (known.resource, known.phase, known.uid, known.applied, known.reclaim, known.replay) != (
            wish.key, Phase.CREATED, uid, applied, wish.reclaim, False,
        ):  # fmt: skip
            self.records[key] = Record(key, wish.key, Phase.CREATED, uid, applied, wish.reclaim, self.revision)


def differences(
    wanted: LiveObject, live: LiveObject, paths: dict[str, str], wish: Wish | None = None, record: Record | None = None
) -> tuple[Difference, ...]:
    """Declared fields that can be read back and are not as wanted; `paths` says where each is declared.

    A field whose drift the wish ignores is left out, unless the manifest asks for another value than was applied.
    """
    if wanted == live:
        return ()
    have = fields_of(live)
    applied = record.applied if record else fields_of(wanted)
    return tuple(
        Difference(path, value, have[name])
        for name, value in fields_of(wanted).items()
        if name in have
        and have[name] != value
        and not ((path := paths.get(name, name)) and wish and wish.ignores(path) and applied.get(name) == value)
    )


def changing(found: Difference) -> str:
    """A difference in words, from what is to what will be."""
    return f"{found.path}: {found.have} → {'what SPDK takes by itself' if found.want is None else found.want}"


def withdrawn(
    wanted: LiveObject, live: LiveObject, paths: dict[str, str], record: Record | None
) -> tuple[Difference, ...]:
    """Fields that are no longer declared and still are as they were applied; what stands there then is up to SPDK."""
    have, declared = fields_of(live), fields_of(wanted)
    applied = record.applied.items() if record else ()
    gone = ((name, value) for name, value in applied if name in paths and name not in declared)
    return tuple(Difference(paths[name], None, value) for name, value in gone if have.get(name) == value)


def drifted(applied: dict[str, Json], wanted: LiveObject, found: tuple[Difference, ...], paths: dict[str, str]) -> bool:
    """Whether every difference is in a field that we had applied just so: then somebody else changed it."""
    names = {paths.get(name, name): name for name in fields_of(wanted)}
    return bool(found) and all(applied.get(names[difference.path]) == difference.want for difference in found)


def surplus(key: ObjectKey, resource: ResourceKey, path: str, *, recorded: bool) -> tuple[Cause, Drift | None]:
    """Why something goes that is not declared: it was withdrawn, or somebody else put it there, which is a drift."""
    if recorded:
        return Cause.CHANGE, None
    found = Difference(path, "absent", "present")
    return Cause.DRIFT, Drift(key, resource, DriftClass.EXTRA, (found,), "Corrected")


def missing_drift(proposal_key: ObjectKey, resource: ResourceKey, cause: Cause, path: str) -> Drift | None:
    """The drift that an absent object is; None when it was never there."""
    if cause not in (Cause.DRIFT, Cause.RESTART):
        return None
    kind = DriftClass.TARGET_RESTART if cause is Cause.RESTART else DriftClass.MISSING
    return Drift(proposal_key, resource, kind, (Difference(path, "present", "absent"),), "Corrected")


def absent(what: str, cause: Cause) -> str:
    """Why something is made, in words."""
    return f"{what} is new" if cause is Cause.CHANGE else f"{what} is missing"
