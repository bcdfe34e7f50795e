"""Storage pools: imported by uuid or initialised once, never blindly created.

SPDK overwrites a populated store without asking (observed on v26.05), so creating needs every one of: consent in the
manifest, no record of this pool or device, an unclaimed device as described, and proof that it is blank.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from backends.contract import Guard
from backends.objects import Bdev, LiveObject, LvolStore, ObjectKind
from reconciler import identity
from reconciler.dates import day_of
from reconciler.desired import Initialize, PoolWish
from reconciler.plan import Cause, Difference, Drift, DriftClass, Hazard, Phase, Record, created, updated
from reconciler.planner.draft import Draft, Proposal, Standing
from reconciler.planner.showing import shown_memory
from reconciler.planner.view import View
from schemas.quantity import format_bytes
from schemas.resources import Json, ResourceKey


def plan_pools(view: View, draft: Draft, devices: Mapping[ResourceKey, Standing]) -> Mapping[ResourceKey, Standing]:
    """How each pool of the target stands."""
    return {wish.wish.key: _plan_pool(view, draft, wish, devices[wish.device.wish.key]) for wish in view.target.pools}


def unproven_pools(view: View) -> frozenset[str]:
    """Names of devices whose blankness decides whether a pool may be created."""
    return frozenset(
        wish.device.bdev.name
        for wish in view.target.pools
        if wish.initialize
        and not wish.lvstore_uuid
        and not _known_uuid(wish, view.record_of(wish.wish, ObjectKind.LVOL_STORE))
    )


def _plan_pool(view: View, draft: Draft, wish: PoolWish, device: Standing) -> Standing:
    record = view.record_of(wish.wish, ObjectKind.LVOL_STORE)
    if why := view.unread(ObjectKind.LVOL_STORE):
        return Standing(why=f"the lvol stores could not be read: {why}")
    uuid = _known_uuid(wish, record)
    if record and record.uid and wish.lvstore_uuid not in ("", record.uid):
        return _stop(
            draft,
            wish,
            "TargetIdentityMismatch",
            f"this pool is recorded as store {record.uid}, not {wish.lvstore_uuid}",
        )
    return _known_pool(view, draft, wish, uuid, device) if uuid else _new_pool(view, draft, wish, record, device)


def _known_uuid(wish: PoolWish, record: Record | None) -> str:
    recorded = record.uid if record and record.phase in (Phase.CREATED, Phase.RETAINED) else ""
    return wish.lvstore_uuid or recorded


def _known_pool(view: View, draft: Draft, wish: PoolWish, uuid: str, device: Standing) -> Standing:
    store = view.stores.get(uuid)
    if store is None:
        return _absent_pool(view, draft, wish, uuid, device)
    if store.bdev != wish.device.bdev.name:
        message = f"store {uuid} is on bdev {store.bdev}, not on {wish.device.wish.key} ({wish.device.bdev.name})"
        return _stop(draft, wish, "TargetIdentityMismatch", message)
    if store.cluster_size != wish.cluster_size:
        message = f"the store has clusters of {store.cluster_size} bytes, fixed at creation, not of {wish.cluster_size}"
        draft.remark(wish.wish.key, "ClusterSizeDiffers", message, ready=True)
    if damage := damaged(store):
        draft.remark(wish.wish.key, "PoolDamaged", damage)
    record = view.record_of(wish.wish, ObjectKind.LVOL_STORE)
    spans = record.applied.get("size") if record else None
    grown = spans if isinstance(spans, int) else None
    if not _plan_growth(draft, wish, store, grown, device):
        draft.own(LvolStore(store.name, store.bdev, store.uuid, store.cluster_size, size=grown), wish.wish, uid=uuid)
    return Standing(live=store)


def _plan_growth(draft: Draft, wish: PoolWish, store: LvolStore, spans: int | None, device: Standing) -> bool:
    """Whether the store is to take in what its device has grown by. First the device is read again, where needed."""
    live = device.live
    if wish.size <= (spans or 0) or not isinstance(live, Bdev) or live.size is None:
        return False
    grown = f"growing to {format_bytes(wish.size)}"
    if store.max_size is not None and wish.size > store.max_size:
        limit = f"a store that was made so can span {format_bytes(store.max_size)} at most"
        draft.remark(wish.wish.key, "CannotGrow", f"{grown}: {limit}", stalled=True)
        return False
    if live.size >= wish.size:
        after = dataclasses.replace(store, size=wish.size)
        guards = (Guard(store.key, {"uuid": store.uuid}), Guard(live.key, {"size": live.size}))
        before = dataclasses.replace(store, size=spans)
        draft.propose(Proposal(updated(before, after), wish.wish.key, Cause.CHANGE, grown, guards=guards))
        return True
    if live.driver != "aio":
        message = f"{grown}: the device has {format_bytes(live.size)}, and SPDK reads only files and disks (aio) again"
        draft.remark(wish.wish.key, "CannotGrow", message, stalled=True)
        return False
    after_scan = dataclasses.replace(live, size=wish.size)
    same = (Guard(live.key, {"uuid": live.uuid}),)
    why = f"{grown}: the device is read again"
    draft.propose(Proposal(updated(live, after_scan), wish.device.wish.key, Cause.CHANGE, why, guards=same))
    return True


def closed(wish: PoolWish, store: LiveObject | None) -> str:
    """Why nothing that takes room as it is written to is put into a pool; empty when it may be."""
    damage = damaged(store) if isinstance(store, LvolStore) else ""
    return f"{wish.wish.key}: {damage}" if damage else low(wish, store)


def damaged(store: LvolStore) -> str:
    """What SPDK v26.05 comes to when a store finds no room for its own metadata, as on a sparse file (observed)."""
    if not store.shared_clusters:
        return ""
    return (
        f"{store.shared_clusters} clusters of its volumes are not the store's to give: they are shared, and what is "
        "written to one place overwrites another. The store may not be loaded again after a restart of the target"
    )


def low(wish: PoolWish, store: LiveObject | None) -> str:
    """That a pool is below its reserve, in words; empty when it is not."""
    if not isinstance(store, LvolStore) or store.free_clusters >= wish.reserve * store.total_clusters:
        return ""
    free = 100 * store.free_clusters // max(store.total_clusters, 1)
    return f"{wish.wish.key} has {free} % free, below its reserve of {wish.reserve:.0%}"


def _absent_pool(view: View, draft: Draft, wish: PoolWish, uuid: str, device: Standing) -> Standing:
    if not device.live:
        message = f"store {uuid} cannot be loaded before its device is there"
        draft.remark(wish.wish.key, "PoolNotLoaded", message)
        return Standing(why=message)
    other = _store_on(view, wish)
    if other:
        found = Difference("spec.lvstoreUUID", uuid, other.uuid)
        draft.drifts.append(Drift(other.key, wish.wish.key, DriftClass.MODIFIED, (found,), "Held"))
        return _stop(draft, wish, "TargetIdentityMismatch", f"the device carries store {other.uuid}, not {uuid}")
    message = f"store {uuid} is not loaded from {wish.device.wish.key}: wrong device, damaged, or still being examined"
    draft.remark(wish.wish.key, "PoolNotFound", message)
    return Standing(why=message)


def _new_pool(view: View, draft: Draft, wish: PoolWish, record: Record | None, device: Standing) -> Standing:
    consent = wish.initialize
    if consent is None:  # the schema asks for one of the two
        return _stop(draft, wish, "PoolNotFound", "neither lvstoreUUID nor initialize is declared")
    existing = _store_on(view, wish)
    if existing and record and record.phase is Phase.CREATING and existing.name == wish.name:
        draft.own(
            LvolStore(existing.name, existing.bdev, existing.uuid, existing.cluster_size),
            wish.wish,
            uid=existing.uuid or "",
        )
        return Standing(live=existing)
    refusal = _refusal(view, wish, consent, record, existing)
    if refusal:
        return _stop(draft, wish, *refusal)
    if not device.usable:
        message = f"waits for {wish.device.wish.key}: {device.why}"
        draft.remark(wish.wish.key, "DeviceNotReady", message)
        return Standing(why=message)
    return _propose(view, draft, wish, device)


def _refusal(
    view: View, wish: PoolWish, consent: Initialize, record: Record | None, existing: LvolStore | None
) -> tuple[str, str] | None:
    """Why the pool may not be created at all."""
    if existing:
        found = f"store {existing.uuid} ({existing.name})"
        lost = identity.site_of(existing.name) == identity.site_mark(view.owned.site)
        way = (
            "if the ledger was lost, `holdfast import --confirm`"
            if lost
            else f"to use it, declare lvstoreUUID: {existing.uuid}"
        )
        return "DeviceCarriesPool", f"the device carries {found}; {way}"
    if wish.wish.key in view.owned.elsewhere:
        return "RecordedElsewhere", f"this pool was created on target {view.owned.elsewhere[wish.wish.key]}"
    former = record if record and record.phase is not Phase.CREATING else _record_of_device(view, wish)
    if former:
        once = "a pool is initialised once; declare a new BlockDevice and StoragePool"
        return "PoolRecordExists", f"a pool was created on this device before (store {former.uid}); {once}"
    if consent.expires < day_of(view.now):
        return "ConsentExpired", f"spec.initialize expired on {consent.expires}; nothing is created without consent"
    return _mismatch(view.live.get(wish.device.bdev.key), wish, consent)


def _mismatch(live: LiveObject | None, wish: PoolWish, consent: Initialize) -> tuple[str, str] | None:
    """How the device differs from the one that the consent names."""
    declared = wish.device.bdev.uuid
    if consent.device_uuid != declared:
        named = f"spec.initialize names device {consent.device_uuid}"
        return "DeviceMismatch", f"{named}, but {wish.device.wish.key} is {declared}"
    if isinstance(live, Bdev) and live.size != consent.size:
        return "DeviceMismatch", f"spec.initialize expects {consent.size} bytes, the device has {live.size}"
    if isinstance(live, Bdev) and live.claimed:
        return "DeviceInUse", f"bdev {live.name} is in use by something else"
    return None


def _propose(view: View, draft: Draft, wish: PoolWish, device: Standing) -> Standing:
    bdev = wish.device.bdev
    wanted = LvolStore(wish.name, bdev.name, None, wish.cluster_size, wish.clear_method)
    facts: dict[str, Json] = {
        "uuid": bdev.uuid,
        "claimed": False,
        "size": wish.initialize.size if wish.initialize else None,
    }
    blank = view.observed.blank.get(bdev.name) if device.live else None
    certain = blank is True or _fresh_memory(view, wish)
    if certain or device.making:
        if not wish.device.volatile:
            facts["blank"] = True
        draft.propose(_creation(wish, wanted, facts))
        return Standing(making=wanted)
    message = (
        "the first or last MiB of the device is not zero: something may be on it; wipe it if it is really free"
        if blank is False
        else "the daemon cannot read this device, so it cannot prove that it is blank; approve if you know that it is"
    )
    proposal = dataclasses.replace(
        _creation(wish, wanted, facts), hazard=Hazard.DATA_LOSS, doubt=("BlankUnproven", message)
    )
    if blank is None:
        draft.propose(proposal)
        draft.remark(wish.wish.key, "BlankUnproven", message)
        return Standing(making=wanted)
    draft.hold(proposal, "BlankUnproven", message)
    return _stop(draft, wish, "BlankUnproven", message)


def _creation(wish: PoolWish, wanted: LvolStore, facts: Mapping[str, Json]) -> Proposal:
    return Proposal(
        created(wanted),
        wish.wish.key,
        Cause.CHANGE,
        "the pool is initialised, once",
        guards=(Guard(wish.device.bdev.key, facts),),
        requires=(wish.device.bdev.key,),
        subject=str(wish.wish.key),
    )


def _fresh_memory(view: View, wish: PoolWish) -> bool:
    """A memory device of this life of the target that has carried nothing yet: SPDK hands it out zeroed."""
    record = view.records.get(wish.device.bdev.key)
    device = view.live.get(wish.device.bdev.key)
    fresh = record is not None and record.phase is Phase.CREATED and not record.replay
    blank = fresh and shown_memory(view, wish.device) not in view.owned.shown  # no host ever wrote to it
    return wish.device.volatile and blank and isinstance(device, Bdev) and not device.claimed


def _store_on(view: View, wish: PoolWish) -> LvolStore | None:
    return next((store for store in view.stores.values() if store.bdev == wish.device.bdev.name), None)


def _record_of_device(view: View, wish: PoolWish) -> Record | None:
    """Any pool ever recorded on this device, under whatever name."""
    bdev = wish.device.bdev.name
    return next(
        (
            record
            for record in view.owned.records
            if record.key.kind is ObjectKind.LVOL_STORE
            and record.applied.get("bdev") == bdev
            and record.phase is not Phase.CREATING
        ),
        None,
    )


def _stop(draft: Draft, wish: PoolWish, reason: str, message: str) -> Standing:
    draft.remark(wish.wish.key, reason, message, stalled=True)
    return Standing(why=message)
