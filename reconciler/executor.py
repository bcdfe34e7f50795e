"""Carry out a plan. It makes no choices: a step goes out, once, when its own needs are met.

Nothing is sent before the journal and the ledger say so on disk. What takes long is left in flight and collected by a
later tick.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from backends.contract import Action, Applied, Backend, BackendError, GuardMismatch, Transient, Unknown, Unsent
from backends.fields import fields_of
from backends.objects import Bdev, Namespace, ObjectKey, ObjectKind
from reconciler.clock import Clock
from reconciler.journal import Journal
from reconciler.ledger import Ledger
from reconciler.ledger.identities import seals
from reconciler.plan import Cause, Execution, Hazard, Outcome, Phase, Plan, Record, Step, StepResult
from reconciler.planner.order import serial_of
from reconciler.planner.showing import identities
from reconciler.planner.view import PathTaken, Spending
from reconciler.store import Store
from schemas.resources import ResourceKey
from schemas.values import value

IN_FLIGHT = 256  # calls at once; a store fails from 512 on (observed on v26.05)
TOGETHER = 128  # steps that are written down and sent together, while the target works on those before
PATIENCE = 5.0  # seconds without any answer before the rest is left to a later tick
SEND_OFF = 0.1  # seconds for what takes long to be on its way, or to be refused


@value(frozen=True, slots=True)
class _Sent:
    step: Step
    entry: int  # in the journal
    revision: str
    before: Record | None  # what the ledger said before
    after: Record | None  # what it is to say once the step succeeded


@dataclass(frozen=True, slots=True)
class _Page:
    """What is to be written down about steps that ended together."""

    outcomes: dict[int, str] = field(default_factory=dict)  # journal entry → outcome
    records: dict[ObjectKey, Record | None] = field(default_factory=dict)  # None: dropped from the ledger


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
            return tuple(self._settle([(self._flying.pop(applied.ticket), applied) for applied in ended]))

    def execute(self, plan: Plan, owner: str, reclaim: Mapping[ResourceKey, str]) -> Execution:
        """Send every step whose needs are met until none is left that could go.

        `owner` is the uuid of our marker on this life of the target; `reclaim` what each resource declares.
        """
        run = _Run(plan.steps, {serial for sent in self._flying.values() for serial in _serials(sent.step)})
        unsent: list[tuple[_Sent, Applied]] = []
        more = False  # steps may be left that can go at once
        while True:
            ended = self.backend.wait(0.0 if more or unsent else self._patience()) if self._flying else ()
            with self.store.writing():
                run.note(self._settle([*((self._flying.pop(a.ticket), a) for a in ended), *unsent]))
                batch = run.ready(min(TOGETHER, IN_FLIGHT - len(self._flying)))
                prepared = self._prepare(plan, batch, owner, reclaim)
            idle = not (ended or unsent or batch or more)
            more = len(batch) == TOGETHER
            unsent = self._send(prepared)
            if idle:
                break
        return Execution((*run.results, *run.rest()))

    def _patience(self) -> float:
        """Seconds that the next answer is waited for: not for what copies whole volumes."""
        quick = any(not sent.step.takes_long for sent in self._flying.values())
        return self.patience if quick else min(self.patience, SEND_OFF)

    # --- before

    def _prepare(
        self, plan: Plan, batch: Sequence[Step], owner: str, reclaim: Mapping[ResourceKey, str]
    ) -> list[_Sent]:
        """Write down what is about to be sent, and what it spends."""
        if not batch:
            return []
        now = self.clock.now()
        touches = [step.touches for step in batch]
        entries = self.journal.begin(self.target, owner, [step.change for step in batch], now, touches)
        sent = [self._about(plan, step, entry, reclaim) for step, entry in zip(batch, entries, strict=True)]
        self.ledger.write(self.target, [_creating(s.after, s.before) for s in sent if s.after and _is_create(s.step)])
        made = [step.change.after for step in batch]
        self.ledger.seal(seals(fields_of(thing) for thing in made if isinstance(thing, Bdev)))
        self.ledger.show({n.uuid: n.bdev for n in made if isinstance(n, Namespace) and n.uuid and n.uuid != n.bdev})
        self.ledger.show(identities(fields_of(thing) for thing in made if isinstance(thing, Bdev)))
        self.ledger.bear(self.target, {uuid: self.clock.mint().hex() for uuid in _memory(batch)})
        self.ledger.spend(self.target, plan.revision, [_spending(step, now) for step in batch if _counts(step)])
        for name in sorted({step.released_by for step in batch} - {""}):
            self.ledger.spend_approval(name, now)
        return sent

    def _about(self, plan: Plan, step: Step, entry: int, reclaim: Mapping[ResourceKey, str]) -> _Sent:
        before = self.ledger.record(self.target, step.change.key)
        return _Sent(step, entry, plan.revision, before, _after(plan, step, before, reclaim.get(step.resource, "")))

    def _send(self, prepared: Sequence[_Sent]) -> list[tuple[_Sent, Applied]]:
        """Start them; those that never left, with the reason."""
        unsent: list[tuple[_Sent, Applied]] = []
        for sent in prepared:
            if not self._may_take(sent.step):
                unsent.append((sent, Applied(0, GuardMismatch("another path of this subsystem was taken meanwhile"))))
                continue
            try:
                self._flying[self.backend.begin(sent.step.change, sent.step.guards)] = sent
            except Transient as error:
                unsent.append((sent, Applied(0, error)))
        return unsent

    def _may_take(self, step: Step) -> bool:
        """Whether a path may go from connected hosts now: no other path of the subsystem went since the plan."""
        if step.path_seen is None or not step.hosts:
            return True
        hosts = {host.host: host.paths for host in step.hosts}
        return self.ledger.take_path(step.subject, PathTaken(self.target, self.clock.now(), hosts), step.path_seen)

    # --- after

    def _settle(self, ended: Sequence[tuple[_Sent, Applied]]) -> list[StepResult]:
        """Write down how steps ended."""
        page = _Page()
        results = [self._note(page, sent, applied) for sent, applied in ended]
        self.journal.end(page.outcomes, self.clock.now())
        put = [record for record in page.records.values() if record]
        self.ledger.write(self.target, put, [key for key, record in page.records.items() if not record])
        return results

    def _note(self, page: _Page, sent: _Sent, applied: Applied) -> StepResult:
        step, outcome = sent.step, _outcome(applied.error)
        if outcome is not Outcome.UNKNOWN:
            page.outcomes[sent.entry] = outcome.value
            if outcome is not Outcome.OK:
                _restore(page, sent)
            elif sent.after:
                page.records[step.change.key] = _identified(sent.after, applied.uid)
            elif step.change.action is Action.DELETE:
                self._deleted(page, sent)
        return StepResult(step, outcome, str(applied.error or ""), applied.uid or "")

    def _deleted(self, page: _Page, sent: _Sent) -> None:
        step, key, before = sent.step, sent.step.change.key, sent.before
        if step.hazard is Hazard.DATA_LOSS and before and step.cause is not Cause.SCHEDULE:
            uid = str(fields_of(step.change.before).get("uuid", before.uid))
            self.ledger.spend_removal(uid, step.resource, self.clock.now(), sent.revision)
            page.records[key] = dataclasses.replace(before, phase=Phase.DESTROYED, uid=uid, revision=sent.revision)
            return
        inside = self.ledger.inside(self.target, key) if key.kind is ObjectKind.SUBSYSTEM else ()
        page.records.update(dict.fromkeys((key, *inside)))


class _Run:
    """Which steps of one plan have ended and which may go. Every step and every need is looked at once."""

    def __init__(self, steps: Sequence[Step], busy: Collection[str]) -> None:
        self.results: list[StepResult] = []
        self._steps = {step.id: step for step in steps}
        self._left = {
            name: {n for n in (*step.needs, *step.after) if n in self._steps} for name, step in self._steps.items()
        }
        self._dependents: defaultdict[str, list[str]] = defaultdict(list)
        for name, needs in self._left.items():
            for need in needs:
                self._dependents[need].append(name)
        self._ready = deque(name for name, needs in self._left.items() if not needs)
        self._serials = {step.id: _serials(step) for step in steps}
        self._parked: defaultdict[str, deque[str]] = defaultdict(deque)  # serial → steps that wait for it
        self._busy = set(busy)  # serials of what is in flight, also from an earlier tick
        self._begun: set[str] = set()
        self._ended: set[str] = set()

    def ready(self, room: int) -> list[Step]:
        """Steps that may go now: at most `room`, and one at a time for each serial."""
        found: list[Step] = []
        while self._ready and len(found) < room:
            name = self._ready.popleft()
            step = self._steps[name]
            if name in self._ended:
                continue
            serials = self._serials[name]
            if busy := next((serial for serial in serials if serial in self._busy), ""):
                self._parked[busy].append(name)
                self._release(serial for serial in serials if serial not in self._busy)
                continue
            self._busy.update(serials)
            self._begun.add(name)
            found.append(step)
        return found

    def note(self, results: Iterable[StepResult]) -> None:
        for result in results:
            self.results.append(result)
            serials = _serials(result.step)
            self._busy.difference_update(serials)
            self._release(serials)
            self._end(result.step.id, result.outcome)

    def _release(self, serials: Iterable[str]) -> None:
        """Let one step look again for each serial that is free."""
        for serial in serials:
            if self._parked[serial]:
                self._ready.append(self._parked[serial].popleft())

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


def _serials(step: Step) -> tuple[str, ...]:
    """All that a step wants for itself."""
    return tuple(dict.fromkeys(filter(None, (step.serial, *map(serial_of, step.touches)))))


def _outcome(error: BackendError | None) -> Outcome:
    match error:
        case None:
            return Outcome.OK
        case Unknown():
            return Outcome.UNKNOWN
        case GuardMismatch() | Unsent():
            return Outcome.DROPPED
    return Outcome.FAILED


def _is_create(step: Step) -> bool:
    return step.change.action is Action.CREATE


def _after(plan: Plan, step: Step, before: Record | None, reclaim: str) -> Record | None:
    """The record of an object as the step leaves it.

    The owner marker has a table of its own; what is copied is known from the record of its lvol.
    """
    if step.change.after is None or step.cause is Cause.CLAIM or step.takes_long:
        return None
    return Record(
        key=step.change.key,
        resource=step.resource,
        phase=Phase.CREATED,
        uid=before.uid if before and not _is_create(step) else "",
        applied=fields_of(step.change.after),
        reclaim=reclaim or (before.reclaim if before else ""),
        revision=plan.revision,
    )


def _creating(after: Record, before: Record | None) -> Record:
    """The record of an object that is about to be made: what was known of it, and what is asked for now."""
    former = before or Record(after.key, after.resource, Phase.CREATING)
    return Record(
        after.key,
        after.resource,
        Phase.CREATING,
        former.uid,
        after.applied,
        former.reclaim,
        after.revision,
        former.replay,
    )


def _identified(record: Record, uid: str | None) -> Record:
    return dataclasses.replace(record, uid=uid) if uid else record


def _restore(page: _Page, sent: _Sent) -> None:
    """Back to what the ledger said: nothing came of it."""
    if sent.after and _is_create(sent.step):
        page.records[sent.step.change.key] = sent.before


def _memory(batch: Iterable[Step]) -> list[str]:
    """Uuids of devices in memory that are about to be made: blank, whatever was under that uuid before."""
    made = (step.change.after for step in batch if _is_create(step))
    return [b.uuid for b in made if isinstance(b, Bdev) and b.driver == "malloc" and b.uuid]


def _counts(step: Step) -> bool:
    return step.hazard is not Hazard.SAFE and step.cause is not Cause.RESTART


def _spending(step: Step, now: float) -> Spending:
    return Spending(now, step.hazard.value, step.subject, step.cause.value)
