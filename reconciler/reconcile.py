"""One tick: move one target one plan closer to the repository. Safe to call at any time, any number of times."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from backends.contract import Backend, BackendError, Interest, Observed, Terminal
from backends.objects import LvolStore, ObjectKind
from reconciler.backoff import delay
from reconciler.bookkeeping import Bookkeeper
from reconciler.breaker import CLOSED
from reconciler.desired import DesiredState, TargetWish
from reconciler.executor import Executor
from reconciler.garbage import uncollected
from reconciler.history import Event
from reconciler.house import House
from reconciler.ledger.identities import seals
from reconciler.lives import Lives
from reconciler.owning import Owning
from reconciler.plan import Execution, Outcome, Phase, Plan, Record, StepResult
from reconciler.planner import plan, unproven
from reconciler.planner.keys import wanted_keys
from reconciler.planner.stacks import unproven_keys
from reconciler.planner.usage import only_usage_changed
from reconciler.planner.view import View
from reconciler.recovery import placeholders, recovered
from reconciler.status import unreachable

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
        self.target, self.backend, self.house = target, backend, house
        self._peers = peers
        self._executor = Executor(target, backend, house.store, house.ledger, house.journal, house.clock)
        self._lives = Lives(target, house.site, house.ledger, house.journal, house.clock, deserted)
        self._owning = Owning(target, house, self._executor)
        self._books = Bookkeeper(backend, house, self._owning, log)
        self._late: tuple[StepResult, ...] = ()  # ends of steps of earlier ticks that no tick has told yet
        self._down = ""  # why the target could not be reached the last time
        self._failures = 0
        self._troubles: list[str] = []  # with key files, as told the last time
        self._open: tuple[Observed, list[str]] | None = None  # stores as they were seen last
        self._idle: tuple[View, Plan] | None = None  # of the last tick, when it left everything as it was

    # --- the tick

    def tick(self, desired: DesiredState) -> Tick:
        """Observe, plan, execute, and write down what happened."""
        with uncollected():
            return self._tick(desired)

    def _tick(self, desired: DesiredState) -> Tick:
        try:
            found = self.look(desired)
        except BackendError as error:
            return self._unreachable(desired, error)
        view, todo = found
        self._reached(view.observed)
        self._keep_key_files(view)
        if self._idle and view is self._idle[0]:
            self._books.note_clean()
            return Tick(_verdict(todo, Execution()), todo, observed=view.observed)
        self._vouched(view, todo)
        self._books.record(view, todo)
        owner = view.owned.marker
        reclaim = {wish.key: wish.reclaim for wish in view.wishes.values()}
        execution = Execution((*self._late, *self._executor.execute(todo, owner, reclaim).results))
        self._books.after(view, todo, execution)
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
            self._books.emit(life.news)
        entries = self._owning.settled(observed) if life.is_certain else self.house.journal.open(self.target)
        if life.is_certain and not any(gap.kind is ObjectKind.LVOL_STORE for gap in observed.gaps):
            if self._open is None or self._open[0] is not observed:
                self._open = observed, _stores(observed)
            self.house.ledger.note_stores(self.target, self._open[1], self.house.clock.now())
        owned = self._owning.owned(life, desired, entries, observed)
        view = View(wish, desired, observed, owned, self.house.clock.now())
        if self._idle and not self._late and _still_idle(*self._idle, view):
            if view.observed is not self._idle[0].observed:
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
            self._books.emit(Event("KeyFileLost", problems[0], warning=True))
        self._troubles = problems

    # --- around it

    def _vouched(self, view: View, todo: Plan) -> None:
        """An approval that lets steps through although another process may be alive says that it is gone."""
        if not any(step.released_by for step in todo.steps):
            return
        if view.owned.moved_from:
            self._books.emit(self._lives.take_over(view.target, view.observed, view.owned.marker))
        for other in set(view.owned.split.values()) - view.desired.targets.keys():
            self.house.ledger.note_stores(other, (), view.now)

    def _unreachable(self, desired: DesiredState, error: BackendError) -> Tick:
        message = str(error)
        wish = desired.targets[self.target]
        now = self.house.clock.now()
        names = [item.key for item in (wish.wish, *wish.wishes)]
        self.house.history.note_conditions(self.target, unreachable(names, message), now, desired.revision)
        if self._down != message:
            self._books.emit(Event("TargetUnreachable", message, warning=True, revision=desired.revision))
        self._lives.note_absence(wish)
        self._down, self._failures, self._idle = message, self._failures + 1, None
        verdict = Verdict.STALLED if isinstance(error, Terminal) else Verdict.UNREACHABLE
        return Tick(verdict, Plan(self.target, desired.revision), message=message)

    def _reached(self, observed: Observed) -> None:
        if self._down:
            self._books.emit(Event("TargetReachable", f"answers again ({observed.version})"))
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

    # --- after the ledger was lost

    def confirm(self, desired: DesiredState) -> list[Record]:
        """Take the lvols and stores that carry this site's names into the ledger again, because a person says so."""
        wish = desired.targets[self.target]
        observed = self.backend.observe(Interest())
        ledger, site = self.house.ledger, self.house.site
        others = {name: ledger.records(name) for name in sorted(desired.targets) if name != self.target}
        unseen = {name: placeholders(site, records) for name, records in others.items()}
        seen = {r.resource for name, records in others.items() for r in records if r not in unseen[name]}
        records = recovered(site, wish, observed, ledger.records(self.target), desired, elsewhere=seen)
        found = {record.resource for record in records}
        with self.house.store.writing():
            ledger.write(self.target, records)
            for name, waiting in unseen.items():
                ledger.write(name, (), [record.key for record in waiting if record.resource in found])
            self.house.ledger.seal(seals(record.applied for record in records))
            self.house.ledger.set(f"recovering/{self.target}", "false")
        self._books.emit(
            Event("Recovered", f"{len(records)} object(s) taken into the ledger again", revision=desired.revision)
        )
        return records


def _stores(observed: Observed) -> list[str]:
    """Uuids of the lvol stores that are open."""
    return [thing.uuid for thing in observed.objects.values() if isinstance(thing, LvolStore) and thing.uuid]


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
