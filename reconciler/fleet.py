"""The targets that are being kept: which they are, whose turn it is at each, and when each is looked at again."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from backends.contract import Backend, BackendError
from reconciler.address import connection_of
from reconciler.announcer import Announcer
from reconciler.config import Config
from reconciler.desired import DesiredState, TargetWish
from reconciler.gate import Gate, NotReady
from reconciler.history import Event
from reconciler.house import House
from reconciler.peers import paths_elsewhere
from reconciler.plan import Plan, Record
from reconciler.reconcile import Keeper, Tick, Verdict
from reconciler.scheduler import Scheduler
from reconciler.telemetry import Log, span
from schemas.resources import canonical

SOON = 1.0  # seconds until something that goes on by itself is looked at again
BUSY_LIMIT = 20  # ticks in a row that may each find something to do, before it is called a storm


class Occupied(Exception):
    """A target is at work for longer than whoever asks would wait. What is asked may be asked again."""


@dataclass
class Kept:
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
    kept: Kept
    farewell: Callable[[], None]


class Fleet:
    """Every target of the accepted revision, each with its keeper. Methods may be called from any thread."""

    def __init__(  # noqa: PLR0913  # what it cannot know by itself is given to it
        self,
        config: Config,
        house: House,
        gate: Gate,
        connect: Callable[[TargetWish], Backend],
        *,
        scheduler: Scheduler,
        log: Log,
    ) -> None:
        self.config, self.house = config, house
        self._gate, self._scheduler, self._connect, self._log = gate, scheduler, connect, log
        self._announcer = Announcer(house, log)
        self._targets: dict[str, Kept] = {}
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._leaving: list[_Leaving] = []

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(sorted(self._targets.copy()))

    def kept(self) -> dict[str, Kept]:
        """Those that are kept now."""
        return self._targets.copy()

    def close(self) -> None:
        for kept in (*self._targets.values(), *(leaving.kept for leaving in self._leaving)):
            kept.keeper.backend.close()

    def hurry(self) -> None:
        """Look at every target soon."""
        for name in self.targets:
            self._scheduler.hurry(name)

    # --- who is kept

    def adopt(self) -> None:
        """Keep the targets that the accepted revision declares, each through its own connection."""
        wanted = self._gate.desired.targets if self._gate.desired else {}
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
            keeper = Keeper(name, self._connect(wish), self.house, self._log.info, self._is_deserted, peers=peers)
            self._targets[name] = Kept(keeper, connection, self._locks[name])
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
            self._announcer.emit(_let_go(name, self.house.ledger.records(name)))

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

    # --- one at a time

    @contextmanager
    def turn(self, name: str, patience: float | None = None) -> Iterator[tuple[DesiredState, Kept]]:
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

    def _ready(self, name: str) -> tuple[DesiredState, Kept]:
        desired, kept = self._gate.desired, self._targets.get(name)
        if desired is None:
            raise self._gate.nothing_accepted()
        if kept is None or name not in desired.targets:
            known = ", ".join(sorted(desired.targets)) or "none"
            raise NotReady(f"there is no target {name} in revision {desired.revision[:12]}; there are: {known}")
        return desired, kept

    # --- when each is looked at

    def tick(self, name: str, patience: float | None = None) -> Tick:
        """One tick of one target, once nobody else is at it. Raises NotReady, Occupied."""
        with (
            self.turn(name, patience) as (desired, kept),
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

    def preview(self, name: str, patience: float | None = None) -> Plan:
        """What the next tick would do. Raises NotReady, Occupied, BackendError."""
        with self.turn(name, patience) as (desired, kept):
            return kept.keeper.preview(desired)

    def rehearse(self, name: str, wanted: DesiredState, patience: float | None = None) -> Plan:
        """What would be done were this wanted of it. Raises NotReady, Occupied, BackendError."""
        with self.turn(name, patience) as (desired, kept):
            known = {target: wish.connection for target, wish in desired.targets.items()}
            if any(known.get(target) != wish.connection for target, wish in wanted.targets.items()):
                raise NotReady(
                    "it names a target, or a place to ask one, that no accepted revision has: nobody is asked"
                )
            return kept.keeper.preview(wanted)

    def _tick_job(self, name: str) -> float:
        try:
            return self._pause(name, self.tick(name))
        except NotReady:  # it was let go before its turn came
            return self.config.resync
        except Exception as error:  # noqa: BLE001  # one of the two rims: a defect in one tick must not stop the daemon
            self._announcer.defect(name, error)
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
                self._announcer.emit(
                    Event("NotSettling", f"{kept.busy} ticks in a row had something to do", name, warning=True)
                )
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
        ticks = {name: kept.last for name, kept in self.kept().items()}
        settled = [tick and tick.settled and tick.plan.revision == desired.revision for tick in ticks.values()]
        if (
            ticks.keys() == desired.targets.keys()
            and all(settled)
            and (self.house.ledger.converge(desired.revision, self.house.clock.now()))
        ):
            self._announcer.emit(
                Event("Converged", f"every target is as {desired.revision[:12]} declares", revision=desired.revision)
            )


def _let_go(name: str, left: Sequence[Record]) -> Event:
    """A Target's manifest is gone: what stands on it goes on as it is, without us."""
    kinds = Counter(record.resource.kind for record in left if not record.key.name.partition("#")[1])
    what = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "nothing of ours"
    message = f"no longer declared: nothing on it changes any more, not even drift; there stays {what}"
    return Event("TargetReleased", message, name, warning=bool(left))


def _looks(tick: Tick) -> tuple[object, ...]:
    """What a person would see of a tick; when it changes, they want to know."""
    return (tick.verdict, tick.message, tick.plan.revision, tick.plan.held, tick.plan.drifts, tick.plan.remarks)
