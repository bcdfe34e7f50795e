"""The daemon: follows the repository, keeps every target of the accepted revision, and answers people."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import Any

from analyzer.snapshot import SnapshotError
from backends.contract import Backend, BackendError
from reconciler.announcer import Announcer
from reconciler.config import Config
from reconciler.dates import iso
from reconciler.desired import DesiredState, TargetWish
from reconciler.fleet import Fleet, Occupied
from reconciler.gate import APPROVAL_LASTS, Gate, NotReady, SourceState
from reconciler.history import Event
from reconciler.house import House
from reconciler.overview import Overview
from reconciler.peers import target_usage
from reconciler.plan import Plan, held_json
from reconciler.policy import DAY
from reconciler.reconcile import Tick
from reconciler.scheduler import Scheduler
from reconciler.source import GitSource, SourceError
from reconciler.telemetry import Log, span

POLL = "poll"
PATIENCE = 5.0  # seconds that a question of a person waits for a tick that is going on
KEPT = 90 * DAY  # how long spent safety and ended requests are remembered


class Daemon:
    """All of it, without HTTP. Methods may be called from any thread."""

    def __init__(
        self, config: Config, house: House, source: GitSource, connect: Callable[[TargetWish], Backend], log: Log
    ) -> None:
        self.config, self.house, self.log = config, house, log
        self.gate = Gate(source, house)
        self._scheduler = Scheduler(house.clock)
        self.fleet = Fleet(config, house, self.gate, connect, scheduler=self._scheduler, log=log)
        self._overview = Overview(config, house, self.gate, self.fleet)
        self._announcer = Announcer(house, log)
        self._source, self._connect = source, connect
        self._polling = threading.Lock()
        self._tidied = 0.0

    # --- life

    def resume(self) -> None:
        """Go on with the last good revision."""
        try:
            self.gate.resume()
        except SnapshotError as error:
            self._announcer.emit(Event("SourceUnreadable", str(error), warning=True))
        self.fleet.adopt()

    def start(self) -> None:
        """Go on with the last good revision, then follow the repository."""
        self.resume()
        self._scheduler.add(POLL, self._poll_job)
        self._scheduler.start()

    def stop(self) -> None:
        self._scheduler.stop()
        self.fleet.close()

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
            self.fleet.adopt()
            if news:
                self.reconcile()
            return news

    def hurry(self) -> None:
        """A webhook came: look at the repository soon."""
        self._scheduler.hurry(POLL)

    def _poll_job(self) -> float:
        try:
            self.poll()
            self._tidy()
        except Exception as error:  # noqa: BLE001  # the same rim as a tick's: a defect must not stop the polling
            self._announcer.defect("", error)
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
        if self.gate.source_state.error != message:
            meanwhile = "the last good revision goes on" if self.gate.desired else "no revision is enforced yet"
            self._announcer.emit(Event("SourceUnreachable", f"{message}; {meanwhile}", warning=True))
        self.gate.source_state.error = message

    def _source_up(self, head: str) -> None:
        if self.gate.source_state.error:
            self._announcer.emit(Event("SourceReachable", "the repository answers again"))
        self.gate.source_state = SourceState(head, self.house.clock.now())

    # --- what people ask

    @property
    def targets(self) -> tuple[str, ...]:
        return self.fleet.targets

    def tick(self, name: str, patience: float | None = None) -> Tick:
        """One tick of one target, once nobody else is at it. Raises NotReady, Occupied."""
        return self.fleet.tick(name, patience)

    def preview(self, name: str, patience: float | None = None) -> Plan:
        """What the next tick would do. Raises NotReady, Occupied, BackendError."""
        return self.fleet.preview(name, patience)

    def reconcile(self) -> None:
        """Somebody asks: look at every target soon."""
        self.fleet.hurry()

    def approve(self, name: str, by: str) -> None:
        """Let held changes through, as the plan names them.

        Raises NotReady when no plan names them so, Occupied when one that may could not be asked for.
        """
        if not self._waits_for(name):
            raise NotReady(f"nothing waits for approval {name}; `holdfast plan` shows what does, and its id")
        now = self.house.clock.now()
        self.house.ledger.approve(name, by, now, now + APPROVAL_LASTS)
        self._announcer.emit(Event("Approved", f"{name} by {by}, for {APPROVAL_LASTS / 3600:.0f} h"))
        self.reconcile()

    def _waits_for(self, approval: str) -> bool:
        """Whether a target's last plan, or the one it would make now, asks for an approval."""
        last = (kept.last for kept in self.fleet.kept().values())
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
            raise self.gate.nothing_accepted()
        found: dict[str, int] = {}
        for name in self.targets:
            with self.fleet.turn(name, PATIENCE) as (desired, kept):
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
            raise self.gate.nothing_accepted()
        kept = self.fleet.kept()
        seen = {name: each.last.observed for name, each in kept.items() if each.last and each.last.observed}
        targets = [
            target_usage(wish, self._connect, seen.get(name), self.house.ledger.records(name), nqns)
            for name, wish in sorted(desired.targets.items())
        ]
        return {"time": iso(self.house.clock.now()), "targets": targets}

    def rehearsal(self, revision: str) -> dict[str, Any]:
        """What would be held were a revision accepted that the remote has, and the ids that let it through."""
        try:
            with self._polling:
                wanted = self.gate.rehearse(revision)
        except (NotReady, SnapshotError, SourceError) as error:
            return {"revision": revision, "error": str(error), "plans": []}
        plans = [self._rehearsed(name, wanted) for name in self.targets if name in wanted.targets]
        return {"revision": revision, "error": None, "plans": plans}

    def _rehearsed(self, name: str, wanted: DesiredState) -> dict[str, Any]:
        try:
            plan = self.fleet.rehearse(name, wanted, PATIENCE)
        except (NotReady, Occupied, BackendError) as error:
            return {"target": name, "error": str(error), "approvalID": "", "held": []}
        held = [held_json(item) for item in plan.held if item.approvable]
        return {"target": name, "error": None, "approvalID": plan.approval_id, "held": held}

    def status(self, *, resources: bool = True) -> dict[str, Any]:
        """Everything that is so, as JSON; `resources` False leaves out the long part."""
        return self._overview.status(resources=resources)
