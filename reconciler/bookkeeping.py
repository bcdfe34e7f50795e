"""What a tick writes down: records, drifts, conditions, failures, events."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from backends.contract import Backend, BackendError
from reconciler.backoff import delay
from reconciler.breaker import noted
from reconciler.corrections import changes, corrections
from reconciler.history import Event
from reconciler.house import House
from reconciler.ledger.attempts import Setback
from reconciler.ledger.identities import seals
from reconciler.owning import Owning
from reconciler.plan import Execution, Outcome, Plan
from reconciler.planner.showing import identities
from reconciler.planner.view import View
from reconciler.status import conditions
from reconciler.telling import corrected, ends, rebound, step_events, told_failures


class Bookkeeper:
    """Writes about one target. Used by one thread at a time."""

    def __init__(self, backend: Backend, house: House, owning: Owning, log: Callable[..., None]) -> None:
        self.target, self.backend, self.house = owning.target, backend, house
        self._owning, self._log = owning, log
        self._clean: float | None = None  # last observation without drift

    def note_clean(self) -> None:
        """Everything is still as it was when there was no drift."""
        self._clean = self.house.clock.now()

    def record(self, view: View, todo: Plan) -> None:
        """What the plan knows without asking the target, and the policy under which things are first held."""
        ledger = self.house.ledger
        before = {record.key: record for record in ledger.records(self.target)}
        ledger.write(self.target, todo.records, todo.forget)
        ledger.set_closed(self.target, todo.closed)
        ledger.seal(seals(record.applied for record in todo.records))
        ledger.remember_schedules(self.target, todo.memories)
        ledger.show(identities(record.applied for record in todo.records))
        risky = [f"{held.change.action} {held.change.key}" for held in todo.held if held.approvable]
        ledger.remember_held(self.target, risky, ledger.policy_in_force(), view.now)
        found = (rebound(before.get(record.key), record) for record in todo.records)
        self.emit(*(dataclasses.replace(event, revision=todo.revision) for event in found if event))

    def after(self, view: View, todo: Plan, execution: Execution) -> None:
        """What came of it: which drifts are closed, what failed, the conditions of every resource."""
        house, now = self.house, self.house.clock.now()
        house.history.note_drifts(self.target, todo.drifts, self._clean, view.now, todo.revision)
        self._close_drifts(todo, execution)
        if not todo.strayed:
            self._clean = view.now
        self._note_failures(execution, now, todo.revision)
        house.ledger.handle(self.target, self._owning.asked_for(view.target))
        house.ledger.corrected(self.target, corrected(todo, execution), now)
        house.history.note_conditions(self.target, conditions([*view.wishes], todo, execution), now, todo.revision)
        self.emit(*(dataclasses.replace(event, revision=todo.revision) for event in step_events(execution)))

    def _close_drifts(self, todo: Plan, execution: Execution) -> None:
        """Look at what was put right, rather than wait for the next observation. A drift that stays is met by that."""
        done = corrections(todo.drifts, execution)
        if not done:
            return
        try:
            seen = self.backend.seen(changes(done))
        except BackendError:
            return  # the next tick tells
        closed = [correction.drift for correction in done if correction.is_among(seen)]
        self.house.history.close_drifts(self.target, closed, self.house.clock.now())

    def _note_failures(self, execution: Execution, now: float, revision: str) -> None:
        ledger = self.house.ledger
        known = ledger.failures(self.target)
        failed = {result.step.resource: result.message for result in execution.of(Outcome.FAILED)}
        for resource, message in sorted(failed.items()):
            count = known.get(resource, (0, 0.0))[0] + 1
            ledger.failed(self.target, resource, count, now + delay(count), Setback(message, revision))
        ledger.note_failures(self.target, told_failures(execution, now))
        fine = {result.step.resource for result in execution.of(Outcome.OK)} - failed.keys()
        ledger.succeeded(self.target, fine & known.keys())
        self._note_circuit(execution, now)

    def _note_circuit(self, execution: Execution, now: float) -> None:
        before = self.house.ledger.breaker(self.target)
        after = noted(before, ends(execution), now)
        if after == before:
            return
        self.house.ledger.set_breaker(self.target, after)
        if after.is_open and not before.is_open:
            message = f"{len(after.failed)} writes in a row failed: only observing goes on; {after.last_error}"
            self.emit(Event("CircuitOpen", message, warning=True))
        if before.is_open and not after.is_open:
            self.emit(Event("CircuitClosed", "a write succeeded: the target is written to again"))

    def emit(self, *events: Event) -> None:
        told = [dataclasses.replace(event, target=self.target) for event in events]
        self.house.history.emit(told, self.house.clock.now())
        for e in told:
            self._log(e.reason, message=e.message, target=e.target, resource=e.resource, revision=e.revision)
