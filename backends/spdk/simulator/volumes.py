"""Lvol stores as the rest of a target meets them: loaded from a device, shown as devices, gone with their device."""

from __future__ import annotations

from backends.spdk.simulator import lvols
from backends.spdk.simulator.bdevs import SHARED, Bdev
from backends.spdk.simulator.errors import RpcError, TargetCrashed
from backends.spdk.simulator.lvols import Lvol, Store
from backends.spdk.simulator.target import Target
from schemas.resources import Json

WRITABLE_IO = ("read", "write", "unmap", "reset", "write_zeroes", "seek_hole", "seek_data")
READ_ONLY_IO = ("read", "reset", "seek_hole", "seek_data")


def load(target: Target, bdev: Bdev) -> None:
    """A store on a new device comes up. One whose name or UUID is loaded already is ignored silently."""
    store = None if bdev.claim else lvols.load(bdev)
    if store is None:
        return
    if any(store.uuid == other.uuid or store.name == other.name for other in target.stores):
        assert store.journal is not None
        store.journal.close()
        return
    attach(target, store)
    for lvol in store.lvols.values():
        if lvol.esnap is None or _hold_base(target, lvol):
            show(target, store, lvol)


def attach(target: Target, store: Store) -> None:
    """The store takes its device; when that goes, the store goes with it."""
    store.base.take(store, lambda: unload(target, store))
    target.stores.append(store)


def unload(target: Target, store: Store) -> None:
    """The volumes are no longer there; what is on the device stays."""
    for lvol in list(store.lvols.values()):
        hide(target, lvol)
    if store.journal is not None:
        store.journal.close()
    target.stores.remove(store)
    store.base.close(store)


def show(target: Target, store: Store, lvol: Lvol) -> None:
    """The volume's device: named by its UUID, with the readable name as an alias."""
    block_size = store.base.block_size
    lvol.bdev = Bdev(
        lvol.uuid,
        "Logical Volume",
        "lvol",
        block_size,
        lvol.clusters * store.geometry.cluster_size // block_size,
        lvol.uuid,
        READ_ONLY_IO if lvol.read_only else WRITABLE_IO,
        lambda: {"lvol": describe(store, lvol)},
        numa_id=store.base.numa_id,
    )
    target.volumes[lvol.bdev] = (store, lvol)
    target.register(lvol.bdev, f"{store.name}/{lvol.name}")


def hide(target: Target, lvol: Lvol) -> None:
    """Take the volume's device away, from under whoever has it open."""
    if lvol.bdev is not None:
        target.bdevs.remove(lvol.bdev)
        del target.volumes[lvol.bdev]
        lvol.bdev = None
    let_base_go(target, lvol)


def describe(store: Store, lvol: Lvol) -> Json:
    shown: dict[str, Json] = {
        "lvol_store_uuid": store.uuid,
        "base_bdev": store.base.name,
        "thin_provision": lvol.thin,
        "num_allocated_clusters": lvol.allocated,
        "snapshot": lvol.was_parent,
        "clone": lvol.parent is not None,
    }
    if lvol.parent is not None:
        shown["base_snapshot"] = lvol.parent.name
    if lvol.clones:
        shown["clones"] = [clone.name for clone in lvol.clones]
    shown["esnap_clone"] = lvol.esnap is not None
    if lvol.esnap is not None:
        shown["external_snapshot_name"] = lvol.esnap
    return shown


# External snapshots


def find_base(target: Target, lvol: Lvol) -> Bdev | None:
    """The device under an external-snapshot clone. Touching a clone whose base was deleted under it kills the target."""
    if lvol.esnap is None:
        return None
    if target.bdevs.is_going(lvol.esnap):
        raise TargetCrashed
    return target.bdevs.find(lvol.esnap)


def _hold_base(target: Target, lvol: Lvol) -> bool:
    """Claim the base of a clone; False when it is not there or another's, which leaves the clone degraded."""
    base = find_base(target, lvol)
    if base is None:
        return False
    try:
        base.take(lvol, lambda: None, SHARED)
    except RpcError:
        return False
    return True


def hand_base(target: Target, old: Lvol, new: Lvol) -> None:
    """A snapshot of a clone, or a clone whose snapshot was merged into it, lies on the base from now on."""
    base = find_base(target, new)
    if base is not None:
        base.close(old)
        base.take(new, lambda: None, SHARED)


def let_base_go(target: Target, lvol: Lvol) -> None:
    base = target.bdevs.find(lvol.esnap) if lvol.esnap else None
    if base is not None:
        base.close(lvol)


def revive(target: Target, bdev: Bdev) -> None:
    """Clones that lacked this very device come up with it."""
    for store in target.stores:
        for lvol in store.lvols.values():
            if lvol.is_degraded and lvol.esnap == bdev.uuid and _hold_base(target, lvol):
                show(target, store, lvol)
