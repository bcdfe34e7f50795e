"""Snapshots by the clock: what is due is taken once, what a schedule took and does not retain is pruned.

The ledger remembers of each schedule what `retain` was in force and up to which moment each volume has been served.
Retention consents to destroy snapshots of this schedule, and of no one else; what a stricter one would destroy beyond
that waits for approval. What something lies on, or is exported, or cannot go without harm, stays and is told.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from backends.objects import Lvol
from reconciler.dates import iso
from reconciler.desired import ScheduleWish, SnapshotWish, VolumeWish, Wish
from reconciler.moments import Moment, moment_of
from reconciler.plan import (
    Cause,
    Difference,
    Drift,
    DriftClass,
    Hazard,
    Memory,
    Phase,
    Record,
    ScheduleState,
    Served,
    deleted,
)
from reconciler.planner.draft import Draft, Ground, Proposal, Standing
from reconciler.planner.leftovers import obstacle, still_unused
from reconciler.planner.snapshots import kin, plan_snapshot
from reconciler.planner.view import View
from reconciler.recovery import lies_on
from reconciler.retention import kept
from schemas.resources import JsonObject, ResourceKey

LATE = 300.0  # seconds after which a run counts as late
COUNTED = 1000  # missed runs that are counted

Standings = Mapping[ResourceKey, Standing]
Snapshots = Mapping[float, Record]  # by their moments


def plan_schedules(view: View, draft: Draft, pools: Standings, volumes: Standings) -> None:
    """Take what is due and prune what is not retained, of every schedule of the target."""
    gone = view.owned.schedules.keys() - {wish.wish.key for wish in view.target.schedules}
    draft.memories |= dict.fromkeys(sorted(gone))
    for wish in view.target.schedules:
        _Schedule(view, draft, wish, pools, volumes).plan()


@dataclass
class _Schedule:
    """One schedule on one target."""

    view: View
    draft: Draft
    wish: ScheduleWish
    pools: Standings
    volumes: Standings
    served: dict[str, Served] = field(default_factory=dict)
    taken: list[float] = field(default_factory=list)  # moments of all snapshots that are there
    due: float | None = None  # the last moment at which it was to run
    late: dict[str, str] = field(default_factory=dict)  # what is made up for, in words → an example
    asked: set[ResourceKey] = field(default_factory=set)  # moments that are looked after already
    stuck: list[str] = field(default_factory=list)  # why snapshots stay that are not retained

    def plan(self) -> None:
        key = self.wish.wish.key
        before = self.view.owned.schedules.get(key)
        self.due = self.wish.calendar.latest(self.view.now)
        for volume in self.wish.volumes:
            self._serve(volume, before.volumes.get(volume.wish.key.name) if before else None)
        last = max([*self.taken, *([before.last] if before else [])], default=0.0)
        memory = Memory(self.served, last)
        if memory != before:
            self.draft.memories[key] = memory
        self._tell(last)

    def _tell(self, last: float) -> None:
        key, view = self.wish.wish.key, self.view
        upcoming = self.wish.calendar.next(view.now)
        self.draft.schedules.append(ScheduleState(key, len(self.wish.volumes), len(self.taken), last or None, upcoming))
        for words in sorted(self.late):
            self.draft.remark(key, "RunsMissed", words, ready=True)
        if self.stuck:
            more = f", and {len(self.stuck) - 1} more" if len(self.stuck) > 1 else ""
            message = f"beyond what is retained, yet kept: {self.stuck[0]}{more}"
            self.draft.remark(key, "KeptBeyondRetention", message, ready=True)
        failed = [m for m in view.owned.not_before if (found := moment_of(m)) and found.schedule == key]
        if failed:
            self.draft.remark(key, "RunFailed", f"{failed[0].name} could not be taken or pruned; it is tried again")

    # --- one volume

    def _serve(self, volume: VolumeWish, before: Served | None) -> None:
        """Take what is due; else prune. A stricter retention is in force once nothing is left that it would cost."""
        view, standing = self.view, self.volumes.get(volume.wish.key, Standing())
        snapshots = self._snapshots(volume)
        self.taken += snapshots
        if not isinstance(standing.live, Lvol) or view.recovering:  # who knows what there is of it
            known = dataclasses.replace(before, retain=None) if before and view.recovering else before
            self.served |= {volume.wish.key.name: known} if known else {}
            message = f"{volume.wish.key} is left alone: {standing.why or 'it is not there yet'}"
            self.draft.remark(self.wish.wish.key, "SourceNotReady", message, ready=True)
            return
        uid, since = standing.live.uuid or "", self._since(standing.live, snapshots, before)
        self._settle(snapshots, since)
        same = before is not None and since == before.since
        upto = min(before.upto, view.now) if before and same else view.now  # what is new has missed nothing
        upto = max([upto, *(at for at in snapshots if at <= view.now)])
        own = frozenset(at for at in snapshots if since < at <= view.now)  # a clock that went wrong names later ones
        surplus = own - kept(own, self.wish.retain)
        in_force = before.retain if before else None
        costs = surplus & (kept(own, in_force) if in_force else own)
        self.served[volume.wish.key.name] = Served(upto, in_force if costs else self.wish.retain, uid, since)
        if self.due is not None and self.due > upto:
            self._take(volume, upto, self.due)
        else:
            self._prune({at: snapshots[at] for at in surplus}, costs)

    def _since(self, live: Lvol, snapshots: Snapshots, before: Served | None) -> float:
        """The moment up to which snapshots are of bytes that the volume had before: they may be all that is left."""
        if before and before.uid in ("", live.uuid):
            return before.since
        if before:
            return self.view.now
        own = {lvol.uuid for lvol in lies_on(self.view.observed, live)}
        strange = (at for at, record in snapshots.items() if record.uid not in own and at <= self.view.now)
        return max(strange, default=0.0)

    def _settle(self, snapshots: Snapshots, since: float) -> None:
        """What is of earlier bytes is retained, and goes by a Removal only; the rest is the schedule's again."""
        for at, record in snapshots.items():
            if at <= since:
                self.draft.former.add(record.key)
                self.stuck.append(f"{record.resource.name}: it holds what the volume was before it was made anew")
            elif applied := _as_seen(record, self.view.lvols.get(record.uid)):
                self.draft.keep(record, phase=Phase.CREATED, applied=applied)

    def _snapshots(self, volume: VolumeWish) -> dict[float, Record]:
        """What this schedule took of the volume, by its moment, as the ledger says and nobody disproves."""
        found: dict[float, Record] = {}
        for moment, record in self._records(volume):
            if record.phase is Phase.CREATING:
                self._unheard(volume, moment, record)
            elif record.uid in self.view.lvols or self._is_unread(record):
                found[moment.at] = record
            elif record.phase is not Phase.DESTROYED:
                self._lost(record)
        return found

    def _records(self, volume: VolumeWish) -> Iterator[tuple[Moment, Record]]:
        for name in (volume.wish.key, *volume.wish.aliases):
            for at, record in self.view.moments.get((self.wish.wish.key, name), ()):
                if self.draft.records.get(record.key, record).resource == record.resource:  # else another takes it over
                    yield Moment(name, self.wish.wish.key, at), record

    def _unheard(self, volume: VolumeWish, moment: Moment, record: Record) -> None:
        """A request that we never heard the end of: ours if it came about; asked once more while it may yet come."""
        if record.key in self.view.owned.quarantined or isinstance(self.view.live.get(record.key), Lvol):
            self._plan_snapshot(volume, moment, f"the run of {iso(moment.at)}, asked once more")
        elif moment.at != self.due and not self._is_unread(record):
            self.draft.forget.add(record.key)

    def _is_unread(self, record: Record) -> bool:
        return not self.view.tells_lvols(record.key.name.partition("/")[0])

    def _lost(self, record: Record) -> None:
        """Somebody else destroyed it; nothing is to be done about that but to say so, once."""
        missing = Difference("spec", record.uid, "absent")
        drift = Drift(record.key, self.wish.wish.key, DriftClass.DATA_MISSING, (missing,), "Warned")
        self.draft.drifts.append(drift)
        self.draft.forget.add(record.key)

    # --- taking

    def _take(self, volume: VolumeWish, served: float, due: float) -> None:
        missed = len(self.wish.calendar.between(served, due, COUNTED)) - 1
        words = f"the run of {iso(due)}"
        if missed > 0 or self.view.now - due > LATE:
            also = f"; {missed} run(s) before it were missed" if missed > 0 else ""
            words = f"{words}, late{also}"
            self.late.setdefault(words, volume.wish.key.name)
        moment = Moment(volume.wish.key, self.wish.wish.key, due)
        self._plan_snapshot(volume, moment, words)

    def _plan_snapshot(self, volume: VolumeWish, moment: Moment, reason: str) -> None:
        wish = SnapshotWish(
            Wish(moment.key, self.wish.wish.drift_policy, reclaim="Retain"),
            volume.pool,
            moment.lvol_name(self.view.owned.site),
            volume,
            schedule=self.wish.wish.key,
            reason=reason,
        )
        pool, standing = self.pools.get(volume.pool.wish.key), self.volumes.get(volume.wish.key)
        if pool and moment.key not in self.asked:
            self.asked.add(moment.key)
            plan_snapshot(self.view, self.draft, wish, Ground(pool, standing))

    # --- pruning

    def _prune(self, surplus: Snapshots, costs: AbstractSet[float]) -> None:
        """From the oldest on, each once the one before it is gone: what lies between merges into the next."""
        previous: Proposal | None = None
        for at in sorted(surplus):
            proposal = self._pruning(surplus[at], previous) if surplus[at].uid in self.view.lvols else None
            if proposal and at in costs:
                message = f"{self.wish.wish.key} retained it before spec.retain was made stricter"
                doubt = ("RetentionTightened", message)
                proposal = dataclasses.replace(proposal, hazard=Hazard.DATA_LOSS, doubt=doubt)
            if proposal:
                self.draft.propose(proposal)
                previous = proposal

    def _pruning(self, record: Record, previous: Proposal | None) -> Proposal | None:
        view, live = self.view, self.view.lvols[record.uid]
        taken = live.snapshot and record.applied.get("snapshot_of") and live.key == record.key
        found = obstacle(view, self.draft, live) if taken else ("NotAdoptable", "it is not as it was taken")
        if found:
            self.stuck.append(f"{record.resource.name}: {found[1]}")
            return None
        return Proposal(
            deleted(live),
            record.resource,
            Cause.SCHEDULE,
            f"{self.wish.wish.key} does not retain it",
            guards=still_unused(view, live),
            gone=(previous.change.key,) if previous else (),
            touches=kin(view, live),
            subject=f"{record.resource} {record.uid}",
        )


def _as_seen(record: Record, live: Lvol | None) -> JsonObject | None:
    """What the ledger is to say of a snapshot: also the image that it lies on, which is kept for it."""
    image = live.image if live else None
    told = {"image": image} if image else {}
    applied = {**record.applied, **told}
    return applied if record.phase is not Phase.CREATED or applied != record.applied else None
