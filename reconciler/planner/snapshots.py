"""Snapshots: taken at most once, never again under the same name, and kept when their volume is no longer declared."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from backends.contract import Guard
from backends.objects import Lvol, LvolStore, ObjectKey, ObjectKind
from reconciler.dates import iso
from reconciler.desired import SnapshotWish
from reconciler.moments import Moment
from reconciler.plan import Cause, Difference, Drift, DriftClass, Phase, Record, created
from reconciler.planner.adoption import owner_of
from reconciler.planner.draft import Draft, Ground, Proposal, Standing
from reconciler.planner.encryption import sealing, with_key
from reconciler.planner.pools import closed
from reconciler.planner.view import View
from reconciler.recovery import adoptable, unknown_uid


def plan_snapshot(view: View, draft: Draft, wish: SnapshotWish, ground: Ground, *, needed: bool = True) -> Standing:
    """How a snapshot stands. `needed` False: it has served its purpose, and is neither taken nor missed."""
    record = view.record_of(wish.wish, ObjectKind.LVOL)
    if record is None or record.phase is Phase.CREATING:
        return _new_snapshot(view, draft, wish, record, ground) if needed or record else Standing()
    live = view.lvols.get(record.uid)
    if live is None or record.phase is Phase.DESTROYED:
        return _absent_snapshot(view, draft, wish, record, ground.pool) if needed else Standing()
    if needed and (other := _of_another(view, wish, record)):
        volume = wish.volume.wish.key if wish.volume else ""
        return _stop(draft, wish, "TargetIdentityMismatch", f"this snapshot is one of {other}, not of {volume}")
    return _own(draft, wish, record, live)


def _of_another(view: View, wish: SnapshotWish, record: Record) -> str:
    """The resource that a snapshot was really taken of, when that is another one than is declared."""
    of = view.records.get(ObjectKey(ObjectKind.LVOL, str(record.applied.get("snapshot_of"))))
    names = (wish.volume.wish.key, *wish.volume.wish.aliases) if wish.volume else ()
    return str(of.resource) if of and names and of.resource not in names else ""


def _new_snapshot(  # noqa: PLR0911  # one return for each way in which it stands
    view: View, draft: Draft, wish: SnapshotWish, record: Record | None, ground: Ground
) -> Standing:
    key, pool = wish.wish.key, ground.pool
    if wish.taken:
        return _take_over(view, draft, wish, wish.taken)
    if not pool.usable:
        return _wait(draft, wish, "PoolNotLoaded", f"waits for {wish.pool.wish.key}: {pool.why}")
    store = pool.live or pool.making
    wanted = Lvol(store.name if isinstance(store, LvolStore) else wish.pool.name, wish.name)
    if why := view.unread(ObjectKind.LVOL, wanted.store):
        return _wait(draft, wish, "Unknown", f"the pool's volumes could not be read: {why}")
    if strangers := view.foreign_sites.get(wanted.store):
        return _stop(draft, wish, "ForeignSite", other_site(wanted.store, strangers))
    if key in view.owned.elsewhere:
        where = view.owned.elsewhere[key]
        return _wait(draft, wish, "RecordedElsewhere", f"this snapshot is on target {where}; it is never taken twice")
    if wish.wish.adopt:
        return _adopt(view, draft, wish, wanted.store)
    live = view.live.get(wanted.key)
    if isinstance(live, Lvol) and record:  # the request that we never heard the end of
        return _own(draft, wish, record, live)
    if live:
        return _wait(draft, wish, *whose(view, wanted.key))
    return _take(view, draft, wish, wanted, ground)


def _adopt(view: View, draft: Draft, wish: SnapshotWish, store: str) -> Standing:
    """Take over the lvol that is named; what is to be adopted is never taken."""
    live = adoptable(view.observed, wish, store)
    if live is None:
        return _wait(draft, wish, "NothingToAdopt", f"there is no lvol {wish.wish.adopt} in store {store} to adopt")
    if other := owner_of(view, draft, live, wish.wish.key):
        return _stop(draft, wish, "NotAdoptable", f"lvol {live.alias} belongs to {other}; bytes have one owner")
    if not live.read_only:
        return _stop(draft, wish, "NotAdoptable", f"lvol {live.alias} can be written: it is no snapshot")
    volume = adoptable(view.observed, wish.volume, store) if wish.volume else None
    applied = Lvol(live.store, live.name, live.uuid, live.size, snapshot_of=volume.alias if volume else None)
    draft.own(applied, wish.wish, uid=live.uuid or "")
    return Standing(live=live)


def whose(view: View, key: ObjectKey) -> tuple[str, str]:
    """Why an lvol that has the name of something new is not that."""
    record = view.records.get(key)
    if record is None:
        return "Recovering", f"{key} is ours by its name, but the ledger does not know it"
    return "NameTaken", f"{key} is what {record.resource} is kept in, which had this name before; choose another"


def _take_over(view: View, draft: Draft, wish: SnapshotWish, taken: Moment) -> Standing:
    """What a schedule took is this resource's from now on."""
    names = (taken.volume, *(wish.volume.wish.aliases if wish.volume else ()))
    for at, record in (known for name in names for known in view.moments.get((taken.schedule, name), ())):
        live = view.lvols.get(record.uid)
        if live and at == taken.at:
            return _own(draft, wish, record, live)
    missing = f"{taken.schedule} has no snapshot of {taken.volume} of {iso(taken.at)}"
    return _stop(draft, wish, "NothingToAdopt", f"{missing}; one that is gone cannot be had again")


def other_site(store: str, names: Sequence[str]) -> str:
    """That nothing is made beside what another site made, in words."""
    found = f"store {store} holds what another site made: {', '.join(names[:3])}"
    return f"{found}; if this site has lost its state, restore the site id; else adopt or delete them first"


def _take(view: View, draft: Draft, wish: SnapshotWish, wanted: Lvol, ground: Ground) -> Standing:
    volume = ground.source
    source = (volume.live or volume.making) if volume else None
    if not isinstance(source, Lvol):
        why = volume.why if volume else "it is not declared"
        return _wait(draft, wish, "SourceNotReady", f"waits for the volume that it is a snapshot of: {why}")
    if source.read_only or source.store != wanted.store:
        wrong = "cannot be written" if source.read_only else f"is in store {source.store}, not in {wanted.store}"
        return _stop(draft, wish, "SourceUnfit", f"lvol {source.alias} {wrong}")
    known = sealing(view, draft, source)
    wanted = dataclasses.replace(wanted, snapshot_of=source.alias, key_from=known.key_from, sealed=known.sealed)
    proposal = Proposal(
        created(wanted),
        wish.wish.key,
        Cause.SCHEDULE if wish.schedule else Cause.CHANGE,
        wish.reason,
        guards=_as_seen(source),
        requires=(LvolStore(wanted.store, "").key, source.key),
        touches=kin(view, source),
        subject=str(wish.wish.key),
    )
    if message := closed(wish.pool, ground.pool.live):
        draft.hold(proposal, "PoolLow", f"{message}: no snapshot is taken")
        return _wait(draft, wish, "PoolLow", f"{message}: no snapshot is taken")
    draft.propose(proposal)
    return Standing(making=wanted)


def _as_seen(source: Lvol) -> tuple[Guard, ...]:
    return (Guard(source.key, {"uuid": source.uuid}),) if source.uuid else ()


def kin(view: View, lvol: Lvol) -> tuple[ObjectKey, ...]:
    """An lvol with what it lies on and what lies on it: an operation on one of them works on all."""
    names = (lvol.name, *filter(None, (lvol.parent,)), *lvol.clones)
    image = view.devices.get(lvol.image or "")
    below = (image.key,) if image else ()
    return (*(ObjectKey(ObjectKind.LVOL, f"{lvol.store}/{name}") for name in names), *below)


def _absent_snapshot(view: View, draft: Draft, wish: SnapshotWish, record: Record, pool: Standing) -> Standing:
    why = view.unread(ObjectKind.LVOL, record.key.name.partition("/")[0])
    if not isinstance(pool.live, LvolStore) or why:
        return _wait(draft, wish, "PoolNotLoaded", f"waits for {wish.pool.wish.key}: {why or pool.why}")
    another = "declare a snapshot of another name"
    if record.uid == unknown_uid(view.owned.site, record.resource):
        lost = "the ledger was lost, and no lvol carries this snapshot's name; what it may have held is gone"
        return _stop(draft, wish, "DataMissing", f"{lost}: {another}")
    destroyed = record.phase is Phase.DESTROYED
    how = "was destroyed, as a Removal consented" if destroyed else "is gone from the pool"
    message = f"the snapshot with uid {record.uid} {how}; what it held is gone: {another}"
    draft.remark(wish.wish.key, "DataMissing", message, stalled=True)
    if not destroyed:
        missing = Difference("spec", record.uid, "absent")
        draft.drifts.append(Drift(record.key, wish.wish.key, DriftClass.DATA_MISSING, (missing,), "Held"))
    return Standing(why=message)


def _own(draft: Draft, wish: SnapshotWish, record: Record, live: Lvol) -> Standing:
    of = record.applied.get("snapshot_of")
    image = live.image or record.applied.get("image")  # of a clone's snapshot; one that is degraded does not tell
    applied = Lvol(live.store, live.name, live.uuid, live.size, snapshot_of=str(of) if of else None)
    applied = dataclasses.replace(applied, image=str(image) if image else None)
    draft.own(with_key(applied, record), wish.wish, uid=live.uuid or "")
    return Standing(live=live)


def _stop(draft: Draft, wish: SnapshotWish, reason: str, message: str) -> Standing:
    draft.remark(wish.schedule or wish.wish.key, reason, message, stalled=True)
    return Standing(why=message)


def _wait(draft: Draft, wish: SnapshotWish, reason: str, message: str) -> Standing:
    draft.remark(wish.schedule or wish.wish.key, reason, message)
    return Standing(why=message)
