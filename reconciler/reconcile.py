"""One tick: move one target one plan closer to the repository. Safe to call at any time, any number of times."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from backends.contract import (
    Action,
    Backend,
    BackendError,
    Interest,
    LvolStore,
    ObjectKey,
    ObjectKind,
    Observed,
    Terminal,
    fields_of,
)
from reconciler.backoff import delay
from reconciler.breaker import CLOSED, noted
from reconciler.clock import Clock
from reconciler.corrections import changes, corrections
from reconciler.desired import DesiredState, Secret, TargetWish, Wish
from reconciler.digests import Digests
from reconciler.executor import Executor
from reconciler.history import Event, History
from reconciler.journal import Entry, Journal, Patience, is_seen, settle
from reconciler.ledger import Ledger
from reconciler.ledger.attempts import Failure
from reconciler.ledger.identities import seals
from reconciler.lives import Life, Lives
from reconciler.moments import moment_of
from reconciler.plan import Cause, Execution, Hazard, Outcome, Phase, Plan, Record, Step, StepResult
from reconciler.planner import BEARS_DATA, Doubt, Owned, View, plan, unproven, unproven_keys
from reconciler.planner.inuse import told
from reconciler.planner.keys import wanted_keys
from reconciler.planner.showing import identities
from reconciler.planner.usage import only_usage_changed
from reconciler.planner.view import Digest
from reconciler.policy import DAY
from reconciler.recovery import recovered
from reconciler.secrets import SecretError, Vault
from reconciler.status import conditions, unreachable
from reconciler.store import Store
from schemas.resources import ResourceKey

T = TypeVar("T")

TOLD = 3  # steps that an event names; the others are counted
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
        return self.verdict is Verdict.CONVERGED and not self.plan.strayed


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
    digests: Digests

    @classmethod
    def open(cls, site: str, store: Store, clock: Clock, vault: Vault | None = None) -> House:
        ledger = Ledger(store)
        return cls(site, store, ledger, Journal(store), History(store), clock, vault or Vault(site), Digests(ledger))


Paths: TypeAlias = "Mapping[str, Mapping[str, Mapping[str, frozenset[str]] | None]]"  # as View.peers


def _unknown(_: TargetWish, __: str) -> bool:
    """Nothing is known of other places."""
    return False


def _nobody(_: DesiredState, __: Collection[str]) -> Paths:
    """No other target exports the same."""
    return {}


class Keeper:
    """Keeps one target. Used by one thread at a time."""

    def __init__(  # noqa: PLR0913  # what it cannot know by itself is given to it
        self,
        target: str,
        backend: Backend,
        house: House,
        log: Callable[..., None] = lambda *_, **__: None,
        deserted: Callable[[TargetWish, str], bool] = _unknown,
        *,
        peers: Callable[[DesiredState, Collection[str]], Paths] = _nobody,
    ) -> None:
        self.target, self.backend, self.house, self._log = target, backend, house, log
        self._peers = peers
        self._executor = Executor(target, backend, house.store, house.ledger, house.journal, house.clock)
        self._lives = Lives(target, house.site, house.ledger, house.journal, house.clock, deserted)
        self._patience = Patience()
        self._late: tuple[StepResult, ...] = ()  # ends of steps of earlier ticks that no tick has told yet
        self._clean: float | None = None  # last observation without drift
        self._down = ""  # why the target could not be reached the last time
        self._failures = 0
        self._troubles: list[str] = []  # with key files, as told the last time
        self._idle: tuple[View, Plan] | None = None  # of the last tick, when it left everything as it was

    # --- the tick

    def tick(self, desired: DesiredState) -> Tick:
        """Observe, plan, execute, and write down what happened."""
        try:
            found = self.look(desired)
        except BackendError as error:
            return self._unreachable(desired, error)
        view, todo = found
        self._reached(view.observed)
        self._keep_key_files(view)
        if self._idle and view is self._idle[0]:
            self._clean = self.house.clock.now()
            return Tick(_verdict(todo, Execution()), todo, observed=view.observed)
        self._vouched(view, todo)
        self._record(view, todo)
        owner = view.owned.marker
        reclaim = {wish.key: wish.reclaim for wish in _wishes(view.target)}
        execution = Execution((*self._late, *self._executor.execute(todo, owner, reclaim).results))
        self._after(view, todo, execution)
        self._late = ()
        self._idle = None if execution.results or not todo.is_timeless or view.owned.quarantined else (view, todo)
        return Tick(_verdict(todo, execution), todo, execution, observed=view.observed)

    def preview(self, desired: DesiredState) -> Plan:
        """The plan of the next tick. Raises BackendError when the target cannot be read."""
        return self.look(desired)[1]

    def look(self, desired: DesiredState) -> tuple[View, Plan]:
        """Observe and plan; nothing is sent to the target but questions."""
        self._late += self._executor.collect()
        wish = desired.targets[self.target]
        asked = Interest(ana=frozenset(s.subsystem.nqn for s in wish.subsystems if s.subsystem.ana_reporting))
        observed = self.backend.observe(asked)
        life = self._lives.meet(wish, desired.targets.keys(), observed)
        if life.news:
            self.house.ledger.set_breaker(self.target, CLOSED)  # another process may do better
            self._emit(life.news)
        entries = self._settled(observed) if life.is_certain else self.house.journal.open(self.target)
        if life.is_certain and not any(gap.kind is ObjectKind.LVOL_STORE for gap in observed.gaps):
            self.house.ledger.note_stores(self.target, _stores(observed), self.house.clock.now())
        owned = self._owned(life, desired, entries, observed)
        view = View(wish, desired, observed, owned, self.house.clock.now())
        if self._idle and not self._late and _still_idle(*self._idle, view):
            self._idle = view, self._idle[1]
            return self._idle
        wanted = dataclasses.replace(asked, blank=unproven(view), keyed=unproven_keys(view))
        for _ in range(PLANS):
            if wanted != asked:
                peers = self._peers(desired, wanted.connections) if wanted.connections else {}
                view = dataclasses.replace(view, observed=self.backend.observe(wanted), peers=peers)
            todo = plan(view)
            if not todo.questions:
                break
            wanted = dataclasses.replace(wanted, connections=wanted.connections | todo.questions)
        if not life.is_certain:  # what is there says nothing about what the ledger has
            todo = dataclasses.replace(todo, records=(), forget=(), memories={})
        return view, todo

    # --- what the ledger and the journal say

    def _settled(self, observed: Observed) -> tuple[Entry, ...]:
        """The requests whose end is not known, once those are put away that are over."""
        journal, flying, clock = self.house.journal, self._executor.flying, self.house.clock
        waiting = [entry for entry in journal.open(self.target) if entry.key not in flying]
        waited = self._patience.waited(waiting, clock.monotonic())
        self._patience.note_progress(waiting, observed, clock.monotonic())
        over = settle(waiting, observed, waited)
        with self.house.store.writing():
            journal.end(over, clock.now())
            self._note_destroyed([entry.key for entry in waiting if over.get(entry.ids[-1]) == "seen"], observed)
        return journal.open(self.target)

    def _note_destroyed(self, seen: Iterable[ObjectKey], observed: Observed) -> None:
        """Bytes whose destruction was never answered, and that are gone: the consent to it is spent."""
        ledger, now = self.house.ledger, self.house.clock.now()
        records = [ledger.record(self.target, key) for key in seen if key.kind in BEARS_DATA]
        for record in records:
            if record is None or record.key in observed.objects or not _could_be_seen(record, observed):
                continue
            ledger.spend_removal(record.uid, record.resource, now, record.revision)
            ledger.write(self.target, [dataclasses.replace(record, phase=Phase.DESTROYED)])

    def _doubt(self, entry: Entry, observed: Observed) -> Doubt:
        flying = entry.key in self._executor.flying
        again = entry.repeatable and not flying and self._patience.is_over(entry, self.house.clock.monotonic())
        landed = entry.twice_bears_data and not flying and is_seen(entry, observed)
        touches = entry.touches
        return Doubt(entry.action, entry.after, entry.sent, flying=flying, again=again, landed=landed, touches=touches)

    def _owned(self, life: Life, desired: DesiredState, entries: Iterable[Entry], observed: Observed) -> Owned:
        ledger, now = self.house.ledger, self.house.clock.now()
        records = ledger.records(self.target)
        wish = desired.targets[self.target]
        sources = {thing.key_from for part in (wish.devices, wish.volumes) for thing in part} - {""}
        keys, lost_keys = self._keys({source: source for source in sources | ledger.key_sources(self.target)}, "cipher")
        secrets = {secret: secret.source for host in wish.hosts for secret in host.secrets}
        host_keys, lost_host_keys = self._keys(secrets)
        files = self.house.vault.files
        pinned = (volume.uid for volume in wish.volumes)
        return Owned(
            site=self.house.site,
            records=tuple(map(_lost, records)) if life.moved_from else records,
            writer=life.writer,
            recovering=life.recovering,
            marker=life.session.owner,
            alive_since=life.session.since,
            quarantined={entry.key: self._doubt(entry, observed) for entry in entries},
            not_before=self._not_before(desired.targets[self.target]),
            corrections=ledger.corrections(self.target, now - desired.policy.contested_within),
            elsewhere=ledger.elsewhere(self.target),
            opened=ledger.opened(self.target, life.session.address),
            split=ledger.split(self.target),
            twin=life.twin,
            moved_from=life.moved_from,
            spent=ledger.spent(self.target, now - 30 * DAY),
            approvals=ledger.approvals(now),
            held_under=ledger.held_under(self.target),
            removals_spent=ledger.removals_spent(),
            keys=keys,
            lost_keys=lost_keys,
            host_keys=host_keys,
            lost_host_keys=lost_host_keys,
            key_folder=str(files.place(self.target)),
            unread_keys=files.obstacle(self.target, observed.user) if secrets else "",
            sealed=ledger.sealed(),
            paths_taken=ledger.paths_taken(),
            breaker=ledger.breaker(self.target),
            closed=ledger.closed(self.target),
            exported_elsewhere=ledger.exported_elsewhere(self.target, filter(None, pinned)),
            births=ledger.births(self.target),
            shown=ledger.shown(),
            schedules=ledger.schedules(self.target),
            digests=self._digests(desired.targets[self.target], observed),
            tombstones=ledger.tombstones(),
            siblings=ledger.siblings(self.target, [s.subsystem.nqn for s in desired.targets[self.target].subsystems]),
            policy=ledger.policy_in_force(),
        )

    def _not_before(self, wish: TargetWish) -> dict[ResourceKey, float]:
        """Back-off of each resource; none for one that somebody asks a run for."""
        asked = self._asked_for(wish)
        failures = self.house.ledger.failures(self.target)
        return {key: not_before for key, (_, not_before) in failures.items() if key not in asked}

    def _asked_for(self, wish: TargetWish) -> dict[ResourceKey, str]:
        """Resources whose manifest asks for a run (holdfast.dev/requestedAt) that has not been made."""
        handled = self.house.ledger.handled(self.target) if wish.requests else {}
        return {key: asked for key, asked in wish.requests.items() if handled.get(key) != asked}

    def _keys(self, wanted: Mapping[T, str], form: str = "") -> tuple[dict[T, str], dict[T, str]]:
        """Fingerprints of keys, each named by where it is, and why those that cannot be had cannot."""
        found: dict[T, str] = {}
        lost: dict[T, str] = {}
        for name, source in wanted.items():
            try:
                asked = name.form if isinstance(name, Secret) else form
                found[name] = self.house.vault.fingerprint(source, asked)
            except SecretError as error:
                lost[name] = str(error)
        return found, lost

    def _keep_key_files(self, view: View) -> None:
        """Files of keys in the ring stay whole, because the target reads them when hosts connect; others go."""
        if not view.owned.key_folder or view.unread(ObjectKind.KEY):
            return
        vault, ring = self.house.vault, {key.name for key in view.ring}
        wanted = [*wanted_keys(view)]
        problems = []
        try:
            vault.files.tidy(self.target, {*ring, *(key.name for key in wanted)})
            for key in wanted:
                if key.name in ring:
                    vault.deposit(key)
        except (OSError, Terminal) as error:
            problems.append(str(error))
        if problems and problems != self._troubles:
            self._emit(Event("KeyFileLost", problems[0], warning=True))
        self._troubles = problems

    def _digests(self, wish: TargetWish, observed: Observed) -> dict[str, Digest]:
        """Of the files of images that say theirs; another machine's cannot be read."""
        paths = sorted({image.bdev.path for image in wish.images if image.sha256 and image.bdev.path})
        if observed.user is None:
            far = Digest(why="the target is not seen to run on this machine, so its file cannot be read from here")
            return dict.fromkeys(paths, far)
        return {path: self.house.digests.of(path) for path in paths}

    # --- writing down

    def _vouched(self, view: View, todo: Plan) -> None:
        """An approval that lets steps through although another process may be alive says that it is gone."""
        if not any(step.released_by for step in todo.steps):
            return
        if view.owned.moved_from:
            self._emit(self._lives.take_over(view.target, view.observed, view.owned.marker))
        for other in set(view.owned.split.values()) - view.desired.targets.keys():
            self.house.ledger.note_stores(other, (), view.now)

    def _record(self, view: View, todo: Plan) -> None:
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
        rebound = (_rebound(before.get(record.key), record) for record in todo.records)
        self._emit(*(dataclasses.replace(event, revision=todo.revision) for event in rebound if event))

    def _after(self, view: View, todo: Plan, execution: Execution) -> None:
        house, now = self.house, self.house.clock.now()
        house.history.note_drifts(self.target, todo.drifts, self._clean, view.now, todo.revision)
        self._close_drifts(todo, execution)
        if not todo.strayed:
            self._clean = view.now
        self._note_failures(execution, now)
        house.ledger.handle(self.target, self._asked_for(view.target))
        house.ledger.corrected(self.target, _corrected(todo, execution), now)
        names = [wish.key for wish in _wishes(view.target)]
        house.history.note_conditions(self.target, conditions(names, todo, execution), now, todo.revision)
        self._emit(*(dataclasses.replace(event, revision=todo.revision) for event in _step_events(execution)))

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

    def _note_failures(self, execution: Execution, now: float) -> None:
        ledger = self.house.ledger
        known = ledger.failures(self.target)
        failed = {result.step.resource for result in execution.of(Outcome.FAILED)}
        for resource in sorted(failed):
            count = known.get(resource, (0, 0.0))[0] + 1
            ledger.failed(self.target, resource, count, now + delay(count))
        ledger.note_failures(self.target, _told_failures(execution, now))
        fine = {result.step.resource for result in execution.of(Outcome.OK)} - failed
        ledger.succeeded(self.target, fine & known.keys())
        self._note_circuit(execution, now)

    def _note_circuit(self, execution: Execution, now: float) -> None:
        before = self.house.ledger.breaker(self.target)
        after = noted(before, _ends(execution), now)
        if after == before:
            return
        self.house.ledger.set_breaker(self.target, after)
        if after.is_open and not before.is_open:
            message = f"{len(after.failed)} writes in a row failed: only observing goes on; {after.last_error}"
            self._emit(Event("CircuitOpen", message, warning=True))
        if before.is_open and not after.is_open:
            self._emit(Event("CircuitClosed", "a write succeeded: the target is written to again"))

    def _unreachable(self, desired: DesiredState, error: BackendError) -> Tick:
        message = str(error)
        wish = desired.targets[self.target]
        now = self.house.clock.now()
        names = [item.key for item in _wishes(wish)]
        self.house.history.note_conditions(self.target, unreachable(names, message), now, desired.revision)
        if self._down != message:
            self._emit(Event("TargetUnreachable", message, warning=True, revision=desired.revision))
        self._lives.note_absence(wish)
        self._down, self._failures, self._idle = message, self._failures + 1, None
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

    def _emit(self, *events: Event) -> None:
        told = [dataclasses.replace(event, target=self.target) for event in events]
        self.house.history.emit(told, self.house.clock.now())
        for e in told:
            self._log(e.reason, message=e.message, target=e.target, resource=e.resource, revision=e.revision)

    # --- after the ledger was lost

    def confirm(self, desired: DesiredState) -> list[Record]:
        """Take the lvols and stores that carry this site's names into the ledger again, because a person says so."""
        wish = desired.targets[self.target]
        observed = self.backend.observe(Interest())
        known = self.house.ledger.records(self.target)
        records = recovered(self.house.site, wish, observed, known, desired)
        with self.house.store.writing():
            self.house.ledger.write(self.target, records)
            self.house.ledger.seal(seals(record.applied for record in records))
            self.house.ledger.set(f"recovering/{self.target}", "false")
        self._emit(
            Event("Recovered", f"{len(records)} object(s) taken into the ledger again", revision=desired.revision)
        )
        return records


def _wishes(target: TargetWish) -> Iterable[Wish]:
    return (target.wish, *target.wishes)


def _could_be_seen(record: Record, observed: Observed) -> bool:
    """Whether a store would be there if it had not been destroyed: its device is. (Of lvols, the journal knows.)"""
    device = ObjectKey(ObjectKind.BDEV, str(record.applied.get("bdev")))
    return record.key.kind is not ObjectKind.LVOL_STORE or device in observed.objects


def _stores(observed: Observed) -> list[str]:
    """Uuids of the lvol stores that are open."""
    return [thing.uuid for thing in observed.objects.values() if isinstance(thing, LvolStore) and thing.uuid]


def _lost(record: Record) -> Record:
    """What died with the process that was kept, if that is gone."""
    return record if record.key.kind in BEARS_DATA else dataclasses.replace(record, replay=True)


def _still_idle(before: View, todo: Plan, now: View) -> bool:
    """Whether the planner would find nothing to do again: nothing happened but that time passed, or tenants wrote."""
    return (
        before.desired is now.desired
        and before.target is now.target
        and before.owned == now.owned
        and before.is_suspended == now.is_suspended
        and now.now >= before.now  # else a clock was put back, and what was to be later is later still
        and not (todo.until is not None and now.now >= todo.until)
        and (before.observed is now.observed or only_usage_changed(before, todo, now))
    )


def _verdict(todo: Plan, execution: Execution) -> Verdict:
    retained = any(record.phase is Phase.RETAINED for record in todo.records)  # which a Removal may be about
    if execution.of(Outcome.OK) or retained:
        return Verdict.BUSY
    if any(not held.waiting for held in todo.held) or any(remark.stalled for remark in todo.remarks):
        return Verdict.HELD
    stuck = (Outcome.FAILED, Outcome.DROPPED, Outcome.UNKNOWN, Outcome.RUNNING, Outcome.SKIPPED)
    waits = todo.held or any(task.is_ours for task in todo.tasks) or any(not remark.ready for remark in todo.remarks)
    if waits or any(result.outcome in stuck for result in execution.results):
        return Verdict.WAITING
    return Verdict.CONVERGED


def _ends(execution: Execution) -> Iterator[tuple[str, str | None]]:
    """How writes ended, for the circuit breaker: resource, and the error of one that failed or was never answered.

    One lost connection leaves many without an answer, and is one failure all the same.
    """
    lost = execution.of(Outcome.UNKNOWN)[:1]
    for result in execution.results:
        if result.outcome in (Outcome.OK, Outcome.FAILED) or result in lost:
            yield result.step.resource.text, None if result.outcome is Outcome.OK else result.message


def _told_failures(execution: Execution, now: float) -> dict[ResourceKey, Failure]:
    """How runs of schedules and tasks failed, by the schedule or volume that status tells of."""
    found: dict[ResourceKey, Failure] = {}
    for result in execution.of(Outcome.FAILED):
        moment = moment_of(result.step.resource)
        if moment or result.step.takes_long:
            found[moment.schedule if moment else result.step.resource] = Failure(now, result.message)
    return found


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
    told = [r for r in done if r.step.bears_data or r.step.takes_long or r.step.hazard is not Hazard.SAFE]
    events = [_step_event(result) for result in told]
    if done:
        events.append(Event("Applied", _summary([result.step for result in done])))
    failed = execution.of(Outcome.FAILED)
    return [
        *events,
        *(
            Event("StepFailed", f"{r.step.id}: {r.message}", resource=str(r.step.resource), warning=True)
            for r in failed
        ),
    ]


def _summary(done: Sequence[Step]) -> str:
    """What was done, in one sentence: the first steps in words, the others as a number."""
    words = [f"{step.resource}: {step.reason}" for step in done[:TOLD]]
    more = [f"and {len(done) - TOLD} more"] if len(done) > TOLD else []
    return f"{len(done)} {'step' if len(done) == 1 else 'steps'}: {'; '.join([*words, *more])}"


def _felt_by(step: Step) -> str:
    """Who was connected and lost something."""
    return f"; {told(step.hosts)}" if step.hosts else ""


def _step_event(result: StepResult) -> Event:
    step = result.step
    verb = {Action.CREATE: "Created", Action.UPDATE: "Updated", Action.DELETE: "Removed"}[step.change.action]
    named = result.uid or str(fields_of(step.change.before).get("uuid", ""))
    uid = f" (uid {named})" if named else ""
    reason = "DataDestroyed" if step.hazard is Hazard.DATA_LOSS and verb == "Removed" else verb
    if step.cause is Cause.SCHEDULE:
        reason = "SnapshotTaken" if step.change.action is Action.CREATE else "SnapshotPruned"
    if step.takes_long:
        reason = "Copied"
    return Event(
        reason,
        f"{step.change.key}{uid}: {step.reason}{_felt_by(step)}",
        resource=str(step.resource),
        warning=step.hazard is not Hazard.SAFE,
    )
