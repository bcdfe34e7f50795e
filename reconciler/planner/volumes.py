"""Volumes: created at most once, grown in place, never shrunk, never made again in place of lost bytes."""

from __future__ import annotations

import dataclasses

from backends.contract import Guard
from backends.objects import Bdev, LiveObject, Lvol, LvolStore, ObjectKey, ObjectKind
from reconciler.desired import VolumeWish
from reconciler.plan import Cause, Difference, Drift, DriftClass, Phase, Record, created, updated
from reconciler.planner.adoption import cloned_of, owner_of
from reconciler.planner.draft import Draft, Ground, Proposal, Standing
from reconciler.planner.encryption import kept_sealed, secured, with_key
from reconciler.planner.pools import closed
from reconciler.planner.provisioning import as_copied, copying, plan_copying, plan_copying_later, waits_for_copying
from reconciler.planner.snapshots import kin, other_site, whose
from reconciler.planner.view import View
from reconciler.recovery import adoptable, unknown_uid
from schemas.quantity import format_bytes

MIB = 1 << 20


def plan_volume(view: View, draft: Draft, wish: VolumeWish, ground: Ground) -> Standing:
    """How a volume stands."""
    record = view.record_of(wish.wish, ObjectKind.LVOL)
    if record is None or _unborn(view, wish, record):
        return _new_volume(view, draft, wish, record, ground)
    if record.uid in view.lvols and record.phase is not Phase.DESTROYED:
        return _known_volume(view, draft, wish, record, ground.pool)
    return _absent_volume(view, draft, wish, record, ground)


def _unborn(view: View, wish: VolumeWish, record: Record) -> bool:
    """Whether a record stands for bytes that nobody has seen yet, and that may be made or taken over."""
    if record.uid == unknown_uid(view.owned.site, record.resource):
        return bool(wish.wish.adopt)
    return record.phase is Phase.CREATING and record.uid in ("", wish.recreate)


def _new_volume(  # noqa: PLR0911  # one return for each way in which it stands
    view: View, draft: Draft, wish: VolumeWish, record: Record | None, ground: Ground
) -> Standing:
    pool = ground.pool
    if not pool.usable:
        return _wait(draft, wish, "PoolNotLoaded", f"waits for {wish.pool.wish.key}: {pool.why}")
    wanted = _wanted(wish, pool)
    if why := view.unread(ObjectKind.LVOL, wanted.store):
        return _wait(draft, wish, "Unknown", f"the pool's volumes could not be read: {why}")
    if wish.wish.adopt:
        return _adopt(view, draft, wish, wanted)
    live = view.live.get(wanted.key)
    if strangers := view.foreign_sites.get(wanted.store):
        return _stop(draft, wish, "ForeignSite", other_site(wanted.store, strangers))
    if wish.wish.key in view.owned.elsewhere:
        where = view.owned.elsewhere[wish.wish.key]
        return _wait(draft, wish, "RecordedElsewhere", f"this volume's bytes are on target {where}; it never has two")
    if isinstance(live, Lvol) and record:  # the create that we never heard the end of
        begun = as_copied(wish, record, _with_origin(wanted, record), live)
        draft.own(_as_applied(begun, live, begun.size), wish.wish, uid=live.uuid or "")
        return Standing(live=live)
    if live:
        return _wait(draft, wish, *whose(view, wanted.key))
    return _create(view, draft, wish, wanted, ground)


def _adopt(view: View, draft: Draft, wish: VolumeWish, wanted: Lvol) -> Standing:
    """Take over the lvol that is named, or has the volume's own name; what is to be adopted is never created."""
    live = adoptable(view.observed, wish, wanted.store)
    if live is None:
        by_name = f"{wanted.store}/{wish.wish.key.name}"
        named = by_name if wish.wish.adopt == "true" else f"{wish.wish.adopt} in store {wanted.store}"
        return _wait(draft, wish, "NothingToAdopt", f"there is no lvol {named} to adopt")
    if other := owner_of(view, draft, live, wish.wish.key):
        return _stop(draft, wish, "NotAdoptable", f"lvol {live.alias} belongs to {other}; bytes have one owner")
    below = cloned_of(view, live, wish.wish.key)
    applied = dataclasses.replace(_as_applied(wanted, live, wanted.size), clone_of=below, image=live.image)
    draft.own(applied, wish.wish, uid=live.uuid or "")
    return Standing(live=live)


def _create(view: View, draft: Draft, wish: VolumeWish, wanted: Lvol, ground: Ground) -> Standing:
    gone = wish.recreate if view.record_of(wish.wish, ObjectKind.LVOL) else ""
    source = ground.source
    origin = (source.live or source.making) if source else None
    if source and (refusal := _unfit(origin, wanted, source)):
        return _wait(draft, wish, *refusal)
    found = secured(view, draft, wish, _cloned(wanted, origin), origin)
    if not isinstance(found, Lvol):
        return _wait(draft, wish, *found)
    wanted = found
    reason = f"new bytes in place of lost {gone}, as spec.recreate says" if gone else "the volume is new"
    proposal = Proposal(
        created(wanted),
        wish.wish.key,
        Cause.CHANGE,
        reason,
        guards=_as_seen(origin),
        requires=(_store_of(wanted).key, *((origin.key,) if origin else ())),
        touches=_touched(view, origin),
        subject=str(wish.wish.key),
        doubt=None if gone else _perhaps_renamed(view, wish),
    )
    if proposal.doubt:
        draft.remark(wish.wish.key, *proposal.doubt, stalled=True)
    if (wish.thin or wanted.thin) and (message := closed(wish.pool, ground.pool.live)):
        message = f"{message}: no thin volume is created"
        draft.hold(proposal, "PoolLow", message)
        return _wait(draft, wish, "PoolLow", message)
    draft.propose(proposal)
    return Standing(making=wanted)


def _perhaps_renamed(view: View, wish: VolumeWish) -> tuple[str, str] | None:
    """That a volume whose former name nobody knows would begin blank, while bytes that it may mean have lost theirs.

    Of two renames that were pushed together, only the second is ever seen.
    """
    if not wish.wish.aliases:
        return None
    key = wish.wish.key
    left = [
        str(record.resource)
        for record in view.owned.records
        if record.key.kind is ObjectKind.LVOL
        and record.phase in (Phase.CREATED, Phase.RETAINED)
        and (record.resource.kind, record.resource.namespace) == (key.kind, key.namespace)
        and record.resource not in view.desired.declared
    ]
    if not left:
        return None
    former = ", ".join(map(str, wish.wish.aliases))
    message = f"nothing is known of {former}, so it would begin blank; if it was {left[0]}, say renamed-from that"
    return "RenamedFromNothing", f"{message}; otherwise take the annotation out, or approve"


def _unfit(origin: LiveObject | None, wanted: Lvol, source: Standing) -> tuple[str, str] | None:
    """Why the volume cannot be cloned now."""
    if not isinstance(origin, (Lvol, Bdev)):
        return "SourceNotReady", f"waits for what it is cloned from: {source.why}"
    if isinstance(origin, Lvol) and origin.store != wanted.store:
        return "SourceUnfit", f"{origin.alias} is in another pool; a clone lies in the pool of its source"
    return None


def _cloned(wanted: Lvol, origin: LiveObject | None) -> Lvol:
    """A clone begins with the size of its source, and grows afterwards."""
    match origin:
        case Lvol():
            return dataclasses.replace(wanted, size=None, thin=True, clear_method=None, clone_of=origin.alias)
        case Bdev():
            return dataclasses.replace(wanted, size=None, thin=True, clear_method=None, image=origin.uuid)
    return wanted


def _as_seen(origin: LiveObject | None) -> tuple[Guard, ...]:
    known = isinstance(origin, (Lvol, Bdev)) and origin.uuid
    return (Guard(origin.key, {"uuid": known}),) if origin and known else ()


def _touched(view: View, origin: LiveObject | None) -> tuple[ObjectKey, ...]:
    return kin(view, origin) if isinstance(origin, Lvol) else (origin.key,) if origin else ()


def _with_origin(wanted: Lvol, record: Record) -> Lvol:
    """With what the ledger says of its key and of what it was made from; a clone's size is what it has, until it is
    grown.
    """
    wanted = with_key(wanted, record)
    made_from, image = record.applied.get("clone_of"), record.applied.get("image")
    if not (made_from or image):
        return wanted
    size = record.applied.get("size")
    return dataclasses.replace(
        wanted,
        size=size if isinstance(size, int) else None,
        clone_of=str(made_from) if made_from else None,
        image=str(image) if image else None,
    )


def _known_volume(view: View, draft: Draft, wish: VolumeWish, record: Record, pool: Standing) -> Standing:
    lvol = view.lvols[record.uid]
    if isinstance(pool.live, LvolStore) and lvol.store != pool.live.name:
        message = f"lvol {record.uid} is in store {lvol.store}, not in {wish.pool.wish.key}"
        draft.remark(wish.wish.key, "TargetIdentityMismatch", message, stalled=True)
        return Standing(why=message)
    if lvol.size is None:
        below = "the image that it is cloned from" if lvol.degraded else "its bdev"
        return _wait(draft, wish, "Unknown", f"lvol {record.uid} is listed but {below} is not there yet")
    wanted, work = _wanted(wish, pool), copying(view, wish, record, lvol)
    grows = wanted.size is not None and wanted.size > lvol.size
    copied_first = waits_for_copying(work, lvol)
    if work and grows and not copied_first:
        plan_copying_later(draft, wish, work)
    elif work:
        plan_copying(view, draft, wish, lvol, work)
    if grows and copied_first:
        draft.remark(wish.wish.key, "GrowsLater", "it grows once it has been copied")
    else:
        _plan_size(draft, wish, record, lvol, wanted.size)
    if lvol.read_only:
        draft.remark(wish.wish.key, "ReadOnly", "somebody made it read-only, which SPDK cannot undo", stalled=True)
        blocked = Difference("spec", "writable", "read-only")
        draft.drifts.append(Drift(lvol.key, wish.wish.key, DriftClass.MODIFIED, (blocked,), "Held"))
    elif lvol.thin != wish.thin and not work and not _thinned(view, lvol) and not wish.wish.ignores("spec.thin"):
        difference = Difference("spec.thin", wish.thin, lvol.thin)
        draft.drifts.append(Drift(lvol.key, wish.wish.key, DriftClass.MODIFIED, (difference,), "Held"))
    applied = kept_sealed(view, wish, as_copied(wish, record, _with_origin(wanted, record), lvol), lvol)
    draft.own(_as_applied(applied, lvol, _applied_size(record, wanted, lvol)), wish.wish, uid=record.uid)
    return Standing(live=lvol)


def _plan_size(draft: Draft, wish: VolumeWish, record: Record, lvol: Lvol, wanted: int | None) -> None:
    """Grow a volume, or say that it is kept larger."""
    have = lvol.size or 0
    if wanted is None or wanted == have:
        return
    if wanted > have:
        draft.propose(_growth(wish, record, lvol, wanted))
        return
    message = f"declared {format_bytes(wanted)}, kept at {format_bytes(have)}: a volume never shrinks"
    draft.remark(wish.wish.key, "KeptLarger", message, ready=True)
    if record.applied.get("size") == wanted:  # not a reverted grow: somebody else made it larger
        grown = Difference("spec.size", wanted, have)
        draft.drifts.append(Drift(lvol.key, wish.wish.key, DriftClass.MODIFIED, (grown,), "Held"))


def _thinned(view: View, lvol: Lvol) -> bool:
    """Whether a snapshot of ours made a thick volume thin, which it stays when the snapshot goes."""
    snapshots = (record.applied.get("snapshot_of") for record in view.owned.records)
    return lvol.thin is True and (lvol.parent is not None or lvol.alias in snapshots)


def _applied_size(record: Record, wanted: Lvol, lvol: Lvol) -> int | None:
    """A size is applied by a step, not by declaring it: while the two differ, what was applied last stands."""
    last = record.applied.get("size")
    return last if isinstance(last, int) and wanted.size != lvol.size else lvol.size


def _growth(wish: VolumeWish, record: Record, lvol: Lvol, size: int) -> Proposal:
    behind_our_back = record.applied.get("size") == size
    difference = Difference("spec.size", size, lvol.size)
    drift = Drift(lvol.key, wish.wish.key, DriftClass.MODIFIED, (difference,), "Corrected") if behind_our_back else None
    return Proposal(
        updated(lvol, dataclasses.replace(_with_origin(lvol, record), size=size)),
        wish.wish.key,
        Cause.DRIFT if behind_our_back else Cause.CHANGE,
        f"growing {format_bytes(lvol.size or 0)} → {format_bytes(size)}",
        guards=(Guard(lvol.key, {"uuid": lvol.uuid, "size": lvol.size}),),
        drift=drift,
    )


def _absent_volume(view: View, draft: Draft, wish: VolumeWish, record: Record, ground: Ground) -> Standing:
    pool = ground.pool
    why = view.unread(ObjectKind.LVOL, record.key.name.partition("/")[0])
    if not isinstance(pool.live, LvolStore) or why:
        return _wait(draft, wish, "PoolNotLoaded", f"waits for {wish.pool.wish.key}: {why or pool.why}")
    if wish.recreate == record.uid:
        return _recreate(view, draft, wish, _wanted(wish, pool), ground)
    destroyed = record.phase is Phase.DESTROYED
    if record.uid == unknown_uid(view.owned.site, record.resource):
        message = (
            "the ledger was lost, and no lvol carries this volume's name; if it never had bytes, declare "
            f"spec.recreate: {record.uid}"
        )
        return _stop(draft, wish, "DataMissing", message)
    how = "were destroyed, as a Removal consented" if destroyed else "are gone from the pool"
    message = (
        f"the bytes with uid {record.uid} {how}; for a blank volume in their place declare spec.recreate: {record.uid}"
    )
    draft.remark(wish.wish.key, "DataMissing", message, stalled=True)
    if not destroyed:
        missing = Difference("spec", record.uid, "absent")
        draft.drifts.append(Drift(record.key, wish.wish.key, DriftClass.DATA_MISSING, (missing,), "Held"))
    return Standing(why=message)


def _recreate(view: View, draft: Draft, wish: VolumeWish, wanted: Lvol, ground: Ground) -> Standing:
    if wanted.key in view.live:
        message = f"lvol {wanted.alias} is there, but it is not the one that was lost; rename or delete it first"
        draft.remark(wish.wish.key, "NameTaken", message, stalled=True)
        return Standing(why=message)
    return _create(view, draft, wish, wanted, ground)


def _wanted(wish: VolumeWish, pool: Standing) -> Lvol:
    store = pool.live or pool.making
    cluster = store.cluster_size if isinstance(store, LvolStore) and store.cluster_size else wish.pool.cluster_size
    name = store.name if isinstance(store, LvolStore) else wish.pool.name
    asked = -(-wish.size // MIB) * MIB  # the target is asked in MiB, and rounds that up to clusters
    size = -(-asked // cluster) * cluster
    return Lvol(name, wish.name, None, size, wish.thin, wish.pool.clear_method)


def _as_applied(wanted: Lvol, live: Lvol, size: int | None) -> Lvol:
    """What the ledger remembers: the declared values under the live object's own names."""
    return dataclasses.replace(wanted, store=live.store, name=live.name, uuid=live.uuid, size=size)


def _store_of(lvol: Lvol) -> LvolStore:
    return LvolStore(lvol.store, "")


def _stop(draft: Draft, wish: VolumeWish, reason: str, message: str) -> Standing:
    draft.remark(wish.wish.key, reason, message, stalled=True)
    return Standing(why=message)


def _wait(draft: Draft, wish: VolumeWish, reason: str, message: str) -> Standing:
    draft.remark(wish.wish.key, reason, message)
    return Standing(why=message)
