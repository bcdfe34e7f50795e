"""One tick: move one target one plan closer to the repository. Safe to call at any time, any number of times."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from backends.contract import (
    Action,
    Backend,
    BackendError,
    Interest,
    Lvol,
    LvolStore,
    ObjectKey,
    ObjectKind,
    Observed,
    Terminal,
    fields_of,
)
from reconciler import identity
from reconciler.backoff import delay
from reconciler.clock import Clock
from reconciler.desired import DesiredState, TargetWish, Wish
from reconciler.executor import Executor
from reconciler.history import Event, History
from reconciler.journal import Journal, settle
from reconciler.ledger import Ledger, Session, seals
from reconciler.plan import Cause, Execution, Hazard, Outcome, Phase, Plan, Record, StepResult
from reconciler.planner import Owned, View, Writer, plan, unproven
from reconciler.policy import DAY
from reconciler.secrets import SecretError, Vault
from reconciler.status import conditions, unreachable
from reconciler.store import Store
from schemas.resources import ResourceKey

PLANS = 3  # a plan may ask for connected hosts before it is final


class Verdict(enum.StrEnum):
    """What comes next."""

    CONVERGED = "converged"  # look again after the resync interval
    BUSY = "busy"  # something was done: look again at once
    WAITING = "waiting"  # something goes on by itself
    HELD = "held"  # somebody must act
    UNREACHABLE = "unreachable"  # try again after a while
    STALLED = "stalled"  # nothing helps until the configuration changes


@dataclass(frozen=True)
class Tick:
    """What one tick found and did."""

    verdict: Verdict
    plan: Plan
    execution: Execution = field(default_factory=Execution)
    message: str = ""
    observed: Observed | None = None

    @property
    def settled(self) -> bool:
        """Everything is as declared: nothing to do, nothing held, nothing in doubt, no drift that is only watched."""
        return self.verdict is Verdict.CONVERGED and not self.plan.drifts


@dataclass(frozen=True)
class House:
    """What all targets of a site share."""

    site: str
    store: Store
    ledger: Ledger
    journal: Journal
    history: History
    clock: Clock
    vault: Vault

    @classmethod
    def open(cls, site: str, store: Store, clock: Clock) -> House:
        return cls(site, store, Ledger(store), Journal(store), History(store), clock, Vault(site))


@dataclass(frozen=True, slots=True)
class Life:
    """The life of a target process that was met, and what we may do to it."""

    session: Session
    writer: Writer
    recovering: bool


class Keeper:
    """Keeps one target. Used by one thread at a time."""

    def __init__(
        self, target: str, backend: Backend, house: House, log: Callable[..., None] = lambda *_, **__: None
    ) -> None:
        self.target, self.backend, self.house, self._log = target, backend, house, log
        self._executor = Executor(target, backend, house.store, house.ledger, house.journal, house.clock)
        self._clean: float | None = None  # last observation without drift
        self._down = ""  # why the target could not be reached the last time
        self._failures = 0

    # --- the tick

    def tick(self, desired: DesiredState) -> Tick:
        """Observe, plan, execute, and write down what happened."""
        try:
            found = self.look(desired)
        except BackendError as error:
            return self._unreachable(desired, error)
        view, todo, late = found
        self._reached(view.observed)
        self._record(view, todo)
        owner = view.owned.marker
        reclaim = {wish.key: wish.reclaim for wish in _wishes(view.target)}
        execution = Execution((*late, *self._executor.execute(todo, owner, reclaim).results))
        self._after(view, todo, execution)
        return Tick(_verdict(todo, execution), todo, execution, observed=view.observed)

    def preview(self, desired: DesiredState) -> Plan:
        """The plan of the next tick. Raises BackendError when the target cannot be read."""
        return self.look(desired)[1]

    def look(self, desired: DesiredState) -> tuple[View, Plan, tuple[StepResult, ...]]:
        """Observe and plan; nothing is sent to the target but questions."""
        late = self._executor.collect()
        wish = desired.targets[self.target]
        observed = self.backend.observe(Interest())
        life = self._meet(observed)
        self._settle(observed)
        view = View(wish, desired, observed, self._owned(life, desired, wish), self.house.clock.now())
        wanted = Interest(blank=unproven(view))
        for _ in range(PLANS):
            if wanted != Interest():
                view = dataclasses.replace(view, observed=self.backend.observe(wanted))
            todo = plan(view)
            if not todo.questions:
                break
            wanted = Interest(wanted.blank, wanted.connections | todo.questions)
        return view, todo, late

    # --- which life of the target, and who writes

    def _meet(self, observed: Observed) -> Life:
        ledger, house = self.house.ledger, self.house
        known, marker, now = ledger.session(self.target), observed.incarnation.owner, house.clock.now()
        recovering = ledger.get(f"recovering/{self.target}") == "true"
        if marker is None:
            return Life(self._new_life(known, observed), Writer.UNCLAIMED, recovering)
        if known and marker == known.owner:
            if not known.claimed:
                ledger.claimed(self.target)
            return Life(known, Writer.OURS, recovering)
        session = Session(marker, observed.incarnation.pid, now, claimed=True)
        if identity.is_owner_of(house.site, marker):  # an incarnation that this ledger does not remember
            ledger.begin_session(self.target, session)
            ledger.set(f"recovering/{self.target}", "true")
            return Life(session, Writer.OURS, recovering=True)
        return Life(session, Writer.FOREIGN, recovering)

    def _new_life(self, known: Session | None, observed: Observed) -> Session:
        """No marker: a new process (or the first contact). What was asked of the former one died with it."""
        pid = observed.incarnation.pid
        if known and not known.claimed and known.pid == pid:
            return known
        now = self.house.clock.now()
        session = Session(identity.owner_uuid(self.house.site, self.house.clock.mint()), pid, now)
        self.house.ledger.begin_session(self.target, session)
        if known and self._died(known, observed):
            self.house.journal.bury(self.target, now)
        if known:
            self._emit(
                Event(
                    "TargetRestarted",
                    f"a new process (pid {pid}); everything but lvol stores is made again",
                    warning=True,
                )
            )
        return session

    def _died(self, known: Session, observed: Observed) -> bool:
        """Whether the former process is certainly gone: another pid, or a transport is missing (none is ever removed).

        In a container every process has the same pid; and somebody may have deleted the marker of one that lives on.
        """
        if None not in (known.pid, observed.incarnation.pid) and known.pid != observed.incarnation.pid:
            return True
        made = (r.key for r in self.house.ledger.records(self.target) if r.phase is Phase.CREATED)
        return any(key.kind is ObjectKind.TRANSPORT and key not in observed.objects for key in made)

    def _settle(self, observed: Observed) -> None:
        entries = self.house.journal.open(self.target)
        flying = self._executor.flying
        waiting = [entry for entry in entries if entry.key not in flying]
        self.house.journal.end(settle(waiting, observed, self.house.clock.now()), self.house.clock.now())

    def _owned(self, life: Life, desired: DesiredState, wish: TargetWish) -> Owned:
        ledger, now = self.house.ledger, self.house.clock.now()
        keys, lost_keys = self._keys(wish)
        return Owned(
            site=self.house.site,
            records=ledger.records(self.target),
            writer=life.writer,
            recovering=life.recovering,
            marker=life.session.owner,
            alive_since=life.session.since,
            quarantined={
                key: entry.sent for entry in self.house.journal.open(self.target) for key in (entry.key, *entry.touches)
            },
            not_before={key: not_before for key, (_, not_before) in ledger.failures(self.target).items()},
            corrections=ledger.corrections(self.target, now - desired.policy.contested_within),
            elsewhere=ledger.elsewhere(self.target),
            spent=ledger.spent(self.target, now - 30 * DAY),
            approvals=ledger.approvals(now),
            held_under=ledger.held_under(self.target),
            removals_spent=ledger.removals_spent(),
            keys=keys,
            lost_keys=lost_keys,
            sealed=ledger.sealed(),
            shown=ledger.shown(),
            policy=ledger.policy_in_force(),
        )

    def _keys(self, wish: TargetWish) -> tuple[dict[str, str], dict[str, str]]:
        """Fingerprints of the keys that the target's devices name, and why those that cannot be read cannot."""
        found: dict[str, str] = {}
        lost: dict[str, str] = {}
        for source in sorted({device.key_from for device in wish.devices} - {""}):
            try:
                found[source] = self.house.vault.fingerprint(source)
            except SecretError as error:
                lost[source] = str(error)
        return found, lost

    # --- writing down

    def _record(self, view: View, todo: Plan) -> None:
        """What the plan knows without asking the target, and the policy under which things are first held."""
        ledger = self.house.ledger
        before = {record.key: record for record in ledger.records(self.target)}
        ledger.write(self.target, todo.records, todo.forget)
        ledger.seal(seals(record.applied for record in todo.records))
        risky = [f"{held.change.action} {held.change.key}" for held in todo.held if held.approvable]
        ledger.remember_held(self.target, risky, ledger.policy_in_force(), view.now)
        for record in todo.records:
            if event := _rebound(before.get(record.key), record):
                self._emit(dataclasses.replace(event, revision=todo.revision))

    def _after(self, view: View, todo: Plan, execution: Execution) -> None:
        house, now = self.house, self.house.clock.now()
        house.history.note_drifts(self.target, todo.drifts, self._clean, view.now, todo.revision)
        if not todo.drifts:
            self._clean = view.now
        self._note_failures(execution, now)
        house.ledger.corrected(self.target, _corrected(todo, execution), now)
        names = [wish.key for wish in _wishes(view.target)]
        house.history.note_conditions(self.target, conditions(names, todo, execution), now, todo.revision)
        for event in _step_events(execution):
            self._emit(dataclasses.replace(event, revision=todo.revision))

    def _note_failures(self, execution: Execution, now: float) -> None:
        ledger = self.house.ledger
        known = ledger.failures(self.target)
        failed = {result.step.resource for result in execution.of(Outcome.FAILED)}
        for resource in sorted(failed):
            count = known.get(resource, (0, 0.0))[0] + 1
            ledger.failed(self.target, resource, count, now + delay(count))
        fine = {result.step.resource for result in execution.of(Outcome.OK)} - failed
        ledger.succeeded(self.target, fine & known.keys())

    def _unreachable(self, desired: DesiredState, error: BackendError) -> Tick:
        message = str(error)
        wish = desired.targets[self.target]
        now = self.house.clock.now()
        names = [item.key for item in _wishes(wish)]
        self.house.history.note_conditions(self.target, unreachable(names, message), now, desired.revision)
        if self._down != message:
            self._emit(Event("TargetUnreachable", message, warning=True, revision=desired.revision))
        self._down, self._failures = message, self._failures + 1
        verdict = Verdict.STALLED if isinstance(error, Terminal) else Verdict.UNREACHABLE
        return Tick(verdict, Plan(self.target, desired.revision), message=message)

    def _reached(self, observed: Observed) -> None:
        if self._down:
            self._emit(Event("TargetReachable", f"answers again ({observed.version})"))
        self._down, self._failures = "", 0

    def news(self, since: int) -> bool:
        """Whether a device came or went since a notification; an unreachable target is no news, the next tick tells."""
        try:
            return self.backend.hurry(since)[1]
        except BackendError:
            return not self._down

    @property
    def retry_after(self) -> float:
        """Seconds until an unreachable target is tried again."""
        return min(30.0, delay(self._failures))

    def _emit(self, event: Event) -> None:
        event = dataclasses.replace(event, target=self.target)
        self.house.history.emit([event], self.house.clock.now())
        self._log(
            event.reason, message=event.message, target=event.target, resource=event.resource, revision=event.revision
        )

    # --- after the ledger was lost

    def confirm(self, desired: DesiredState) -> list[Record]:
        """Take the lvols and stores that carry this site's names into the ledger again, because a person says so."""
        wish = desired.targets[self.target]
        observed = self.backend.observe(Interest())
        known = {record.key for record in self.house.ledger.records(self.target)}
        records = [r for r in _recovered(self.house.site, wish, observed, desired.revision) if r.key not in known]
        with self.house.store.writing():
            self.house.ledger.write(self.target, records)
            self.house.ledger.set(f"recovering/{self.target}", "false")
        self._emit(
            Event("Recovered", f"{len(records)} object(s) taken into the ledger again", revision=desired.revision)
        )
        return records


def _wishes(target: TargetWish) -> Iterable[Wish]:
    return (target.wish, *target.wishes)


def _verdict(todo: Plan, execution: Execution) -> Verdict:
    retained = any(record.phase is Phase.RETAINED for record in todo.records)  # which a Removal may be about
    if execution.of(Outcome.OK) or retained:
        return Verdict.BUSY
    if any(not held.waiting for held in todo.held) or any(remark.stalled for remark in todo.remarks):
        return Verdict.HELD
    stuck = (Outcome.FAILED, Outcome.DROPPED, Outcome.UNKNOWN, Outcome.RUNNING, Outcome.SKIPPED)
    waits = todo.held or any(not remark.ready for remark in todo.remarks)
    if waits or any(result.outcome in stuck for result in execution.results):
        return Verdict.WAITING
    return Verdict.CONVERGED


def _corrected(todo: Plan, execution: Execution) -> list[tuple[ObjectKey, str]]:
    """The fields that this tick put right."""
    done = {result.step.change.key for result in execution.of(Outcome.OK) if result.step.cause is Cause.DRIFT}
    return [
        (drift.key, difference.path) for drift in todo.drifts if drift.key in done for difference in drift.differences
    ]


def _rebound(before: Record | None, after: Record) -> Event | None:
    """Bytes that left the manifests, or came back to them."""
    was = before.phase if before else None
    if after.phase is Phase.RETAINED and was is not Phase.RETAINED:
        return Event(
            "Retained", f"no longer declared; its bytes are kept under uid {after.uid}", resource=str(after.resource)
        )
    if after.phase is Phase.CREATED and was is Phase.RETAINED:
        return Event("Rebound", f"declared again; its bytes are back, uid {after.uid}", resource=str(after.resource))
    return None


def _step_events(execution: Execution) -> list[Event]:
    """One event for everything that touched bytes or hosts, one summary for the rest."""
    done = execution.of(Outcome.OK)
    told = [r for r in done if r.step.bears_data or r.step.hazard is not Hazard.SAFE]
    events = [_step_event(result) for result in told]
    if done:
        drift = sum(result.step.cause is Cause.DRIFT for result in done)
        events.append(Event("Applied", f"{len(done)} step(s) applied, {drift} of them to correct drift"))
    failed = execution.of(Outcome.FAILED)
    return [
        *events,
        *(
            Event("StepFailed", f"{r.step.id}: {r.message}", resource=str(r.step.resource), warning=True)
            for r in failed
        ),
    ]


def _step_event(result: StepResult) -> Event:
    step = result.step
    verb = {Action.CREATE: "Created", Action.UPDATE: "Updated", Action.DELETE: "Removed"}[step.change.action]
    named = result.uid or str(fields_of(step.change.before).get("uuid", ""))
    uid = f" (uid {named})" if named else ""
    reason = "DataDestroyed" if step.hazard is Hazard.DATA_LOSS and verb == "Removed" else verb
    return Event(
        reason,
        f"{step.change.key}{uid}: {step.reason}",
        resource=str(step.resource),
        warning=step.hazard is not Hazard.SAFE,
    )


def _recovered(site: str, wish: TargetWish, observed: Observed, revision: str) -> Iterable[Record]:
    """Records for what carries this site's names: declared again under their resource, the rest retained."""
    ours = identity.site_mark(site)
    named: dict[str, Wish] = {pool.name: pool.wish for pool in wish.pools}
    named |= {volume.name: volume.wish for volume in wish.volumes}
    named |= {snapshot.name: snapshot.wish for snapshot in wish.snapshots}
    imported = {pool.lvstore_uuid: pool.wish for pool in wish.pools if pool.lvstore_uuid}
    for thing in observed.objects.values():
        if not isinstance(thing, (Lvol, LvolStore)):
            continue
        owner = imported.get(thing.uuid or "") or named.get(thing.name)
        if owner or identity.site_of(thing.name) == ours:
            kind = "Volume" if thing.kind is ObjectKind.LVOL else "StoragePool"
            resource = owner.key if owner else ResourceKey(kind, "unknown" if kind == "Volume" else "", thing.name)
            phase = Phase.CREATED if owner else Phase.RETAINED
            yield Record(
                thing.key, resource, phase, thing.uuid or "", fields_of(thing), owner.reclaim if owner else "", revision
            )
