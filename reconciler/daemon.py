"""The daemon: follows the repository and keeps every target of the accepted revision."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from analyzer.snapshot import SnapshotError
from backends.contract import Backend, BackendError, ObjectKind, Provisioning
from reconciler.address import connection_of
from reconciler.config import Config
from reconciler.dates import iso
from reconciler.desired import DesiredState, TargetWish
from reconciler.gate import APPROVAL_LASTS, Gate
from reconciler.history import Event
from reconciler.peers import paths_elsewhere, target_usage
from reconciler.plan import Plan, Record, held_json, plan_json, result_json
from reconciler.policy import DAY
from reconciler.reconcile import House, Keeper, Tick, Verdict
from reconciler.scheduler import Scheduler
from reconciler.source import GitSource, SourceError
from reconciler.tasks import DONE_FOR, schedule_json, tasks_json
from reconciler.telemetry import Log, span
from schemas.resources import Json, canonical

SOON = 1.0  # seconds until something that goes on by itself is looked at again
MISSED = 3  # intervals without an answer, after which what was seen last no longer counts
GRACE = 10.0  # seconds that a look may take by itself
BUSY_LIMIT = 20  # ticks in a row that may each find something to do, before it is called a storm
POLL = "poll"
PATIENCE = 5.0  # seconds that a question of a person waits for a tick that is going on
KEPT = 90 * DAY  # how long spent safety and ended requests are remembered


class Occupied(Exception):
    """A target is at work for longer than whoever asks would wait. What is asked may be asked again."""


class NotReady(Exception):
    """There is no accepted revision yet (perhaps because what there is was `rejected`), or no such target."""

    def __init__(self, message: str, *, rejected: bool = False) -> None:
        super().__init__(message)
        self.rejected = rejected


@dataclass
class _Kept:
    """A target that is being kept."""

    keeper: Keeper
    connection: str
    lock: threading.Lock  # of the target's name: one keeper at a time, also while one takes over from another
    last: Tick | None = None
    last_seen: float | None = None
    busy: int = 0  # ticks in a row that had something to do
    waits: int = 0  # ticks in a row that waited for something


@dataclass(frozen=True)
class _Leaving:
    """A target, or a connection to it, that is let go as soon as nobody is at it."""

    name: str
    kept: _Kept
    farewell: Callable[[], None]


@dataclass
class SourceState:
    """How the last look at the repository went."""

    head: str = ""
    at: float | None = None
    error: str = ""


class Daemon:
    """All of it, without HTTP. Methods may be called from any thread."""

    def __init__(
        self, config: Config, house: House, source: GitSource, connect: Callable[[TargetWish], Backend], log: Log
    ) -> None:
        self.config, self.house, self.log = config, house, log
        self.gate = Gate(source, house)
        self.source_state = SourceState()
        self._source, self._connect = source, connect
        self._scheduler = Scheduler(house.clock)
        self._targets: dict[str, _Kept] = {}
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._leaving: list[_Leaving] = []
        self._polling = threading.Lock()
        self._tidied = 0.0

    # --- life

    def resume(self) -> None:
        """Go on with the last good revision."""
        try:
            self.gate.resume()
        except SnapshotError as error:
            self._emit(Event("SourceUnreadable", str(error), warning=True))
        self._adopt_targets()

    def start(self) -> None:
        """Go on with the last good revision, then follow the repository."""
        self.resume()
        self._scheduler.add(POLL, self._poll_job)
        self._scheduler.start()

    def stop(self) -> None:
        self._scheduler.stop()
        for kept in (*self._targets.values(), *(leaving.kept for leaving in self._leaving)):
            kept.keeper.backend.close()

    # --- the repository

    def poll(self) -> bool:
        """Look at the repository now; whether a new revision is enforced."""
        with self._polling, span("holdfast.source.fetch"):
            try:
                head = self._source.fetch()
                news = self.gate.consider(head)
            except (SourceError, SnapshotError) as error:
                self._source_down(str(error))
                return False
            self._source_up(head)
            self._adopt_targets()
            if news:
                self.reconcile()
            return news

    def hurry(self) -> None:
        """A webhook came: look at the repository soon."""
        self._scheduler.hurry(POLL)

    def reconcile(self) -> None:
        """Somebody asks: look at every target soon."""
        for name in self.targets:
            self._scheduler.hurry(name)

    def _poll_job(self) -> float:
        try:
            self.poll()
            self._tidy()
        except Exception as error:  # noqa: BLE001  # the same rim as a tick's: a defect must not stop the polling
            self._defect("", error)
        return self.house.clock.jitter(self.config.source.interval)

    def _tidy(self) -> None:
        """Once a day, forget what can no longer matter."""
        now = self.house.clock.now()
        if now - self._tidied > DAY:
            self._tidied = now
            self.house.journal.forget_before(now - KEPT, self.targets)
            self.house.ledger.prune(now - KEPT)
            self.house.history.prune()

    def _source_down(self, message: str) -> None:
        if self.source_state.error != message:
            meanwhile = "the last good revision goes on" if self.gate.desired else "no revision is enforced yet"
            self._emit(Event("SourceUnreachable", f"{message}; {meanwhile}", warning=True))
        self.source_state.error = message

    def _source_up(self, head: str) -> None:
        if self.source_state.error:
            self._emit(Event("SourceReachable", "the repository answers again"))
        self.source_state = SourceState(head, self.house.clock.now())

    # --- targets

    def _adopt_targets(self) -> None:
        """Keep the targets that the accepted revision declares, each through its own connection."""
        wanted = self.gate.desired.targets if self.gate.desired else {}
        self._see_off()
        for name in self._targets.keys() - wanted.keys():
            self._release(name, partial(self._farewell, name))
        for name, wish in wanted.items():
            connection = canonical(dict(wish.connection))
            known = self._targets.get(name)
            if known and known.connection == connection:
                continue
            if known:
                self._release(name, lambda: None)
            peers = partial(paths_elsewhere, self._connect, name)
            keeper = Keeper(name, self._connect(wish), self.house, self.log.info, self._is_deserted, peers=peers)
            self._targets[name] = _Kept(keeper, connection, self._locks[name])
            self._scheduler.add(name, partial(self._tick_job, name))
            self._scheduler.add(f"watch {name}", partial(self._watch_job, name))

    def _release(self, name: str, farewell: Callable[[], None]) -> None:
        """Let it go without waiting for a tick that may be going on: whoever is at it does the rest."""
        self._scheduler.remove(name)
        self._scheduler.remove(f"watch {name}")
        self._leaving.append(_Leaving(name, self._targets.pop(name), farewell))
        self._see_off()

    def _see_off(self) -> None:
        """Close what was released and is no longer at work."""
        for leaving in list(self._leaving):
            if leaving.kept.lock.acquire(blocking=False):
                try:
                    if leaving in self._leaving:
                        self._leaving.remove(leaving)
                        leaving.kept.keeper.backend.close()
                        leaving.farewell()
                finally:
                    leaving.kept.lock.release()

    def _farewell(self, name: str) -> None:
        if name not in self._targets:  # else it is declared again meanwhile
            self.house.history.forget_target(name, self.house.clock.now())
            self._emit(_let_go(name, self.house.ledger.records(name)))

    def _is_deserted(self, wish: TargetWish, address: str) -> bool:
        """Whether the process that a target was once kept at is certainly gone."""
        try:
            backend = self._connect(replace(wish, connection=connection_of(address)))
        except BackendError:
            return False
        try:
            return backend.deserted()
        finally:
            backend.close()

    def tick(self, name: str, patience: float | None = None) -> Tick:
        """One tick of one target, once nobody else is at it. Raises NotReady, Occupied."""
        with (
            self._turn(name, patience) as (desired, kept),
            span("holdfast.reconcile", target=name, revision=desired.revision),
        ):
            tick = kept.keeper.tick(desired)
            before, kept.last = kept.last, tick
            if tick.observed:
                kept.last_seen = self.house.clock.now()
        self._note_convergence(desired)
        if before is None or _looks(before) != _looks(tick):
            self.house.history.tell()
        return tick

    def _tick_job(self, name: str) -> float:
        try:
            return self._pause(name, self.tick(name))
        except NotReady:  # it was let go before its turn came
            return self.config.resync
        except Exception as error:  # noqa: BLE001  # one of the two rims: a defect in one tick must not stop the daemon
            self._defect(name, error)
            return self.config.resync

    def _pause(self, name: str, tick: Tick) -> float:
        """Seconds until the next tick. Raises NotReady."""
        _, kept = self._ready(name)
        kept.busy = kept.busy + 1 if tick.verdict is Verdict.BUSY else 0
        kept.waits = kept.waits if tick.verdict is Verdict.WAITING else 0
        match tick.verdict:
            case Verdict.BUSY if kept.busy < BUSY_LIMIT:
                return 0.0
            case Verdict.BUSY:
                self._emit(Event("NotSettling", f"{kept.busy} ticks in a row had something to do", name, warning=True))
                kept.busy = 0
            case Verdict.WAITING:
                kept.waits += 1
                return min(SOON * 2.0 ** min(kept.waits - 1, 10), self.config.resync)
            case Verdict.UNREACHABLE:
                return min(kept.keeper.retry_after, self.config.resync)
        pause = self.house.clock.jitter(self.config.resync)
        until = tick.plan.until
        return min(pause, max(SOON / 10, until - self.house.clock.now())) if until else pause

    def _watch_job(self, name: str) -> float:
        """A cheap look: has a bdev come or gone since the last tick?"""
        kept = self._targets.get(name)
        if kept and kept.last and kept.last.observed and kept.lock.acquire(blocking=False):
            try:
                if kept.keeper.news(kept.last.observed.last_notification):
                    self._scheduler.hurry(name)
            finally:
                kept.lock.release()
                self._see_off()
        return self.config.watch

    def _note_convergence(self, desired: DesiredState) -> None:
        ticks = {name: kept.last for name, kept in self._targets.copy().items()}
        settled = [tick and tick.settled and tick.plan.revision == desired.revision for tick in ticks.values()]
        if (
            ticks.keys() == desired.targets.keys()
            and all(settled)
            and (self.house.ledger.converge(desired.revision, self.house.clock.now()))
        ):
            self._emit(
                Event("Converged", f"every target is as {desired.revision[:12]} declares", revision=desired.revision)
            )

    def _defect(self, name: str, error: Exception) -> None:
        self.log.error("defect", target=name, exc_info=error)
        self._emit(Event("Defect", f"{type(error).__name__}: {error}; please report it", name, warning=True))

    def _ready(self, name: str) -> tuple[DesiredState, _Kept]:
        desired, kept = self.gate.desired, self._targets.get(name)
        if desired is None:
            raise self.nothing_accepted()
        if kept is None or name not in desired.targets:
            known = ", ".join(sorted(desired.targets)) or "none"
            raise NotReady(f"there is no target {name} in revision {desired.revision[:12]}; there are: {known}")
        return desired, kept

    @contextmanager
    def _turn(self, name: str, patience: float | None = None) -> Iterator[tuple[DesiredState, _Kept]]:
        """A target for oneself, with what is wanted of it once one's turn has come. Raises NotReady, Occupied."""
        _, awaited = self._ready(name)
        if not awaited.lock.acquire(timeout=-1 if patience is None else patience):
            raise Occupied(f"target {name} has been at work for {patience:g} s or longer; ask again later")
        try:
            desired, kept = self._ready(name)
            if kept is not awaited:
                raise NotReady(f"the connection of {name} has changed meanwhile; ask again")
            yield desired, kept
        finally:
            awaited.lock.release()
            self._see_off()

    # --- what people ask

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(sorted(self._targets.copy()))

    def preview(self, name: str, patience: float | None = None) -> Plan:
        """What the next tick would do. Raises NotReady, Occupied, BackendError."""
        with self._turn(name, patience) as (desired, kept):
            return kept.keeper.preview(desired)

    def nothing_accepted(self) -> NotReady:
        """Why no revision is enforced yet."""
        rejected = self.gate.rejected
        because = f"{rejected.reason}: {rejected.message}" if rejected else self.source_state.error
        return NotReady(
            f"no revision is accepted yet: {because or 'the repository has not been read'}", rejected=bool(rejected)
        )

    def trouble(self) -> dict[str, Json]:
        """Why what is enforced may not be what the repository says now, as JSON: nothing of it when all is well."""
        rejected = self.gate.rejected
        return {"error": self.source_state.error or None, "rejected": rejected.to_json() if rejected else None}

    def approve(self, name: str, by: str) -> None:
        """Let held changes through, as the plan names them.

        Raises NotReady when no plan names them so, Occupied when one that may could not be asked for.
        """
        if not self._waits_for(name):
            raise NotReady(f"nothing waits for approval {name}; `holdfast plan` shows what does, and its id")
        now = self.house.clock.now()
        self.house.ledger.approve(name, by, now, now + APPROVAL_LASTS)
        self._emit(Event("Approved", f"{name} by {by}, for {APPROVAL_LASTS / 3600:.0f} h"))
        self.reconcile()

    def _waits_for(self, approval: str) -> bool:
        """Whether a target's last plan, or the one it would make now, asks for an approval."""
        last = (kept.last for kept in self._targets.copy().values())
        if any(tick is not None and tick.plan.approval_id == approval for tick in last):
            return True
        occupied: Occupied | None = None
        for target in self.targets:
            try:
                if self.preview(target, PATIENCE).approval_id == approval:
                    return True
            except Occupied as error:
                occupied = error
            except (NotReady, BackendError):
                continue
        if occupied:
            raise occupied
        return False

    def confirm(self) -> dict[str, int]:
        """After the ledger was lost: take what carries our names into it again.

        Raises NotReady, Occupied, BackendError.
        """
        if self.gate.desired is None:
            raise self.nothing_accepted()
        found: dict[str, int] = {}
        for name in self.targets:
            with self._turn(name, PATIENCE) as (desired, kept):
                found[name] = len(kept.keeper.confirm(desired))
        self.gate.resolve_again()
        self.reconcile()
        return found

    def usage(self, nqns: Collection[str] = ()) -> dict[str, Any]:
        """Connected hosts with their paths, asked for now, and bytes allocated as last seen; of these subsystems, or
        of all. Raises NotReady.
        """
        desired = self.gate.desired
        if desired is None:
            raise self.nothing_accepted()
        kept = self._targets.copy()
        seen = {name: each.last.observed for name, each in kept.items() if each.last and each.last.observed}
        targets = [
            target_usage(wish, self._connect, seen.get(name), self.house.ledger.records(name), nqns)
            for name, wish in sorted(desired.targets.items())
        ]
        return {"time": iso(self.house.clock.now()), "targets": targets}

    def status(self, *, resources: bool = True) -> dict[str, Any]:
        """Everything that is so, as JSON; `resources` False leaves out the long part."""
        accepted, rejected = self.house.ledger.accepted(), self.gate.rejected
        converged, at = self.house.ledger.converged()
        source = self.source_state
        return {
            "site": self.house.site,
            "source": {
                "url": self.config.source.url,
                "head": source.head,
                "lastFetch": iso(source.at) if source.at else None,
                "error": source.error or None,
                "stale": self._is_old(source.at, self.config.source.interval),
            },
            "revision": {
                "accepted": accepted,
                "subject": self.house.ledger.subject(accepted),
                "converged": converged or None,
                "convergedAt": iso(at) if at else None,
                "rejected": rejected.to_json() if rejected else None,
            },
            "targets": [
                self._target_status(*named, resources=resources) for named in sorted(self._targets.copy().items())
            ],
        }

    def _target_status(self, name: str, kept: _Kept, *, resources: bool) -> dict[str, Any]:
        tick = kept.last
        status: dict[str, Any] = {
            "name": name,
            "verdict": tick.verdict.value if tick else "unknown",
            "settled": tick.settled if tick else False,
            "message": tick.message if tick else "",
            "lastSeen": iso(kept.last_seen) if kept.last_seen else None,
            "stale": self._is_old(kept.last_seen, self.config.resync),
            "revision": tick.plan.revision if tick else "",
            "version": tick.observed.version if tick and tick.observed else "",
            "approvalID": tick.plan.approval_id if tick else "",
            "held": [held_json(held) for held in tick.plan.held] if tick else [],
            "openDrifts": self.house.history.open_drifts(name),
            **self._tasks(name, tick),
        }
        return status | {"resources": self._resources(name)} if resources else status

    def _tasks(self, target: str, tick: Tick | None) -> dict[str, Json]:
        """What takes long, and what runs by the clock."""
        house = self.house
        failures = house.ledger.last_failures(target)
        done = house.journal.done(target, ObjectKind.PROVISIONING, house.clock.now() - DONE_FOR)
        owners = {Provisioning(r.key.name).key: r.resource for r in house.ledger.records(target)} if done else {}
        states = tick.plan.schedules if tick else ()
        return {
            "tasks": [*tasks_json(tick.plan.tasks if tick else (), done, failures, owners)],
            "schedules": [schedule_json(state, failures.get(state.key)) for state in states],
        }

    def _resources(self, target: str) -> list[dict[str, Json]]:
        handled = self.house.ledger.handled(target)
        uids = {record.resource: record.uid for record in self.house.ledger.records(target) if record.uid}
        return [
            {
                **key.to_json(),
                "uid": uids.get(key, ""),
                "lastHandledReconcileAt": handled.get(key),
                "conditions": [condition.to_json() for condition in value],
            }
            for key, value in sorted(self.house.history.conditions(target).items())
        ]

    def _is_old(self, seen: float | None, interval: float) -> bool:
        """Whether the last look is so long ago that another should have come since."""
        return seen is not None and self.house.clock.now() - seen > MISSED * interval + GRACE

    def _emit(self, event: Event) -> None:
        self.house.history.emit([event], self.house.clock.now())
        write = self.log.warning if event.warning else self.log.info
        write(event.reason, message=event.message, target=event.target, revision=event.revision)


def _let_go(name: str, left: Sequence[Record]) -> Event:
    """A Target's manifest is gone: what stands on it goes on as it is, without us."""
    kinds = Counter(record.resource.kind for record in left if not record.key.name.partition("#")[1])
    what = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "nothing of ours"
    message = f"no longer declared: nothing on it changes any more, not even drift; there stays {what}"
    return Event("TargetReleased", message, name, warning=bool(left))


def _looks(tick: Tick) -> tuple[object, ...]:
    """What a person would see of a tick; when it changes, they want to know."""
    return (tick.verdict, tick.message, tick.plan.revision, tick.plan.held, tick.plan.drifts, tick.plan.remarks)


def tick_json(name: str, tick: Tick) -> dict[str, Json]:
    """One tick of one target, as JSON."""
    return {
        "target": name,
        "verdict": tick.verdict.value,
        "message": tick.message,
        "plan": plan_json(tick.plan),
        "results": [result_json(result) for result in tick.execution.results],
    }
