"""Carry out a plan. It makes no choices: a step goes out, once, when its own needs are met.

Nothing is sent before the journal and the ledger say so on disk. What takes long is left in flight and collected by a
later tick.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from backends.contract import (
    Action,
    Applied,
    Backend,
    BackendError,
    GuardMismatch,
    Namespace,
    ObjectKey,
    ObjectKind,
    Transient,
    Unknown,
    fields_of,
)
from reconciler.clock import Clock
from reconciler.journal import Journal
from reconciler.ledger import Ledger
from reconciler.plan import Cause, Execution, Hazard, Outcome, Phase, Plan, Record, Step, StepResult
from reconciler.planner.view import Spending
from reconciler.store import Store
from schemas.resources import ResourceKey

IN_FLIGHT = 256  # calls at once; a store fails from 512 on (observed on v26.05)
PATIENCE = 5.0  # seconds without any answer before the rest is left to a later tick


@dataclass(frozen=True, slots=True)
class _Sent:
    step: Step
    entry: int  # in the journal
    before: Record | None  # what the ledger said before


@dataclass
class Executor:
    """Sends the steps of one target's plans. Keeps what is still in flight from one tick to the next."""

    target: str
    backend: Backend
    store: Store
    ledger: Ledger
    journal: Journal
    clock: Clock
    patience: float = PATIENCE
    _flying: dict[int, _Sent] = field(default_factory=dict)  # ticket → what was sent

    @property
    def flying(self) -> frozenset[ObjectKey]:
        """Objects with a request in flight."""
        return frozenset(sent.step.change.key for sent in self._flying.values())

    def collect(self) -> tuple[StepResult, ...]:
        """What ended since the last tick."""
        if not self._flying:
            return ()
        ended = self.backend.wait(0.0)
        with self.store.writing():
            return tuple(self._settle(self._flying.pop(applied.ticket), applied) for applied in ended)

    def execute(self, plan: Plan, owner: str, reclaim: Mapping[ResourceKey, str]) -> Execution:
        """Send every step whose needs are met until none is left that could go.

        `owner` is the uuid of our marker on this life of the target; `reclaim` what each resource declares.
        """
        run = _Run(plan.steps)
        unsent: list[tuple[_Sent, Applied]] = []
        while True:
            ended = self.backend.wait(self.patience) if self._flying and not unsent else ()
            with self.store.writing():
                run.note(self._settle(self._flying.pop(a.ticket), a, plan, reclaim) for a in ended)
                run.note(self._settle(sent, applied, plan) for sent, applied in unsent)
                batch = run.ready(IN_FLIGHT - len(self._flying))
                prepared = self._prepare(plan, batch, owner)
            idle = not (ended or unsent or batch)
            unsent = self._send(prepared)
            if idle:
                break
        return Execution((*run.results, *run.rest()))

    # --- before

    def _prepare(self, plan: Plan, batch: Sequence[Step], owner: str) -> list[_Sent]:
        """Write down what is about to be sent, and what it spends."""
        if not batch:
            return []
        now = self.clock.now()
        entries = self.journal.begin(self.target, owner, [step.change for step in batch], now)
        sent = [
            _Sent(step, entry, self.ledger.record(self.target, step.change.key))
            for step, entry in zip(batch, entries, strict=True)
        ]
        self.ledger.write(self.target, [_creating(plan, s.step, s.before) for s in sent if _is_recorded(s.step)])
        made = [step.change.after for step in batch]
        self.ledger.show({n.uuid: n.bdev for n in made if isinstance(n, Namespace) and n.uuid and n.uuid != n.bdev})
        self.ledger.spend(self.target, plan.revision, [_spending(step, now) for step in batch if _counts(step)])
        for name in sorted({step.released_by for step in batch} - {""}):
            self.ledger.spend_approval(name, now)
        return sent

    def _send(self, prepared: Sequence[_Sent]) -> list[tuple[_Sent, Applied]]:
        """Start them; those that never left, with the reason."""
        unsent: list[tuple[_Sent, Applied]] = []
        for sent in prepared:
            try:
                self._flying[self.backend.begin(sent.step.change, sent.step.guards)] = sent
            except Transient as error:
                unsent.append((sent, Applied(0, error)))
        return unsent

    # --- after

    def _settle(
        self, sent: _Sent, applied: Applied, plan: Plan | None = None, reclaim: Mapping[ResourceKey, str] | None = None
    ) -> StepResult:
        """Write down how a step ended."""
        step, now = sent.step, self.clock.now()
        outcome = _outcome(applied.error)
        if outcome is Outcome.UNKNOWN:
            return StepResult(step, outcome, str(applied.error))
        self.journal.end({sent.entry: outcome.value}, now)
        if outcome is not Outcome.OK:
            self._restore(step, sent.before)
        elif step.change.action is Action.DELETE:
            self._deleted(step, sent.before, plan.revision if plan else "")
        elif step.cause is not Cause.CLAIM:
            record = _made(step, sent.before, applied.uid or "", (reclaim or {}).get(step.resource, ""))
            self.ledger.write(self.target, [dataclasses.replace(record, revision=plan.revision if plan else "")])
        return StepResult(step, outcome, str(applied.error or ""), applied.uid or "")

    def _deleted(self, step: Step, before: Record | None, revision: str) -> None:
        key = step.change.key
        if step.hazard is Hazard.DATA_LOSS and before:
            uid = str(fields_of(step.change.before).get("uuid", before.uid))
            self.ledger.spend_removal(uid, step.resource, self.clock.now(), revision)
            gone = dataclasses.replace(before, phase=Phase.DESTROYED, uid=uid, revision=revision or before.revision)
            self.ledger.write(self.target, [gone])
            return
        inside = _inside(key, self.ledger.records(self.target)) if key.kind is ObjectKind.SUBSYSTEM else ()
        self.ledger.write(self.target, (), (key, *inside))

    def _restore(self, step: Step, before: Record | None) -> None:
        """Back to what the ledger said: nothing came of it."""
        if _is_recorded(step):
            self.ledger.write(self.target, [before] if before else [], () if before else (step.change.key,))


class _Run:
    """Which steps of one plan have ended and which may go. Every step and every need is looked at once."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.results: list[StepResult] = []
        self._steps = {step.id: step for step in steps}
        self._left = {step.id: {n for n in (*step.needs, *step.after) if n in self._steps} for step in steps}
        self._dependents: defaultdict[str, list[str]] = defaultdict(list)
        for name, needs in self._left.items():
            for need in needs:
                self._dependents[need].append(name)
        self._ready = deque(name for name, needs in self._left.items() if not needs)
        self._parked: defaultdict[str, deque[str]] = defaultdict(deque)  # serial → steps that wait for it
        self._busy: set[str] = set()
        self._begun: set[str] = set()
        self._ended: set[str] = set()

    def ready(self, room: int) -> list[Step]:
        """Steps that may go now: at most `room`, and one at a time for each serial."""
        found: list[Step] = []
        while self._ready and len(found) < room:
            step = self._steps[self._ready.popleft()]
            if step.id in self._ended:
                continue
            if step.serial and step.serial in self._busy:
                self._parked[step.serial].append(step.id)
                continue
            self._busy.add(step.serial)
            self._begun.add(step.id)
            found.append(step)
        return found

    def note(self, results: Iterable[StepResult]) -> None:
        for result in results:
            self.results.append(result)
            serial = result.step.serial
            self._busy.discard(serial)
            if self._parked[serial]:
                self._ready.append(self._parked[serial].popleft())
            self._end(result.step.id, result.outcome)

    def rest(self) -> list[StepResult]:
        """Steps that did not end in this tick."""
        return [
            StepResult(step, Outcome.RUNNING, "still at work in the target")
            if name in self._begun
            else StepResult(step, Outcome.SKIPPED, "waits for a step that is still at work")
            for name, step in self._steps.items()
            if name not in self._ended
        ]

    def _end(self, name: str, outcome: Outcome) -> None:
        """Let dependents know; one that needed a step which did not succeed is skipped, and its dependents likewise."""
        endings = [(name, outcome)]
        while endings:
            name, outcome = endings.pop()
            self._ended.add(name)
            for other in self._dependents[name]:
                step = self._steps[other]
                self._left[other].discard(name)
                if other in self._ended or other in self._begun:
                    continue
                if name in step.needs and outcome is not Outcome.OK:
                    self.results.append(StepResult(step, Outcome.SKIPPED, f"needs “{name}”, which did not succeed"))
                    endings.append((other, Outcome.SKIPPED))
                elif not self._left[other]:
                    self._ready.append(other)


def _outcome(error: BackendError | None) -> Outcome:
    match error:
        case None:
            return Outcome.OK
        case Unknown():
            return Outcome.UNKNOWN
        case GuardMismatch():
            return Outcome.DROPPED
    return Outcome.FAILED


def _is_recorded(step: Step) -> bool:
    """Whether making it is recorded before it is sent. The owner marker has a table of its own."""
    return step.change.action is Action.CREATE and step.cause is not Cause.CLAIM


def _creating(plan: Plan, step: Step, before: Record | None) -> Record:
    made = _made(step, before, before.uid if before else "", "")
    return dataclasses.replace(
        made, phase=Phase.CREATING, revision=plan.revision, replay=before.replay if before else False
    )


def _made(step: Step, before: Record | None, uid: str, reclaim: str) -> Record:
    """The record of an object as the step leaves it."""
    kept = before.uid if before and step.change.action is Action.UPDATE else ""
    return Record(
        step.change.key,
        step.resource,
        Phase.CREATED,
        uid or kept,
        fields_of(step.change.after),
        reclaim or (before.reclaim if before else ""),
    )


def _counts(step: Step) -> bool:
    return step.hazard is not Hazard.SAFE and step.cause is not Cause.RESTART


def _spending(step: Step, now: float) -> Spending:
    return Spending(now, step.hazard.value, step.subject, step.cause.value)


def _inside(key: ObjectKey, records: Iterable[Record]) -> tuple[ObjectKey, ...]:
    """What went with a deleted subsystem."""
    return tuple(record.key for record in records if record.key.name.startswith(f"{key.name}#"))
