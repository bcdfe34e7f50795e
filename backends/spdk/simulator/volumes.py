"""Lvol stores as the rest of a target meets them: loaded from a device, shown as devices, gone with their device."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from backends.spdk.simulator import lvols
from backends.spdk.simulator.bdevs import OWN, SHARED, Bdev
from backends.spdk.simulator.errors import RpcError, TargetCrashed
from backends.spdk.simulator.lvols import Lvol, Store
from backends.spdk.simulator.steps import Pause, Steps
from backends.spdk.simulator.target import Target
from schemas.resources import Json

WRITABLE_IO = ("read", "write", "unmap", "reset", "write_zeroes", "seek_hole", "seek_data")
READ_ONLY_IO = ("read", "reset", "seek_hole", "seek_data")


def load(target: Target, bdev: Bdev) -> Steps:
    """A store on a new device comes up. One whose name or UUID is loaded already is ignored silently.

    Observed: volumes of 512-byte blocks on a device of 4,096-byte blocks are shown, and their examination never ends.
    """
    store = None if bdev.claim else lvols.load(bdev)
    if store is None:
        return None
    if any(store.uuid == other.uuid or store.name == other.name for other in target.stores):
        return None
    _drop_unfit(target, store)
    attach(target, store)
    ready = [lvol for lvol in store.lvols.values() if _has_base(target, store, lvol)]
    entered = list(_return(target, [(store, lvol) for lvol in _by_arrival(ready)]))
    for device in reversed(entered):  # observed: announced the other way round
        target.settle(device)
    if entered and store.block_size * 8 <= bdev.block_size:
        yield Pause.NEVER
    return None


def _has_base(target: Target, store: Store, lvol: Lvol) -> bool:
    """A clone whose external snapshot is not there is degraded, as is all above it: listed, without a device."""
    bottom = lvol
    while bottom.parent is not None:
        bottom = bottom.parent
    if bottom.esnap is None:
        return True
    base = find_base(target, bottom)
    if _hold_base(target, lvol) if bottom is lvol else base is not None and base.claim in (None, SHARED):
        return True
    target.degraded.setdefault(bottom.esnap, []).append((store, lvol))
    return False


def _return(target: Target, lvols: Iterable[tuple[Store, Lvol]]) -> Iterator[Bdev]:
    """Volumes that come back have devices again, but for the namesake of one that has."""
    for store, lvol in lvols:
        try:
            yield _enter(target, store, lvol)
        except RpcError:
            let_base_go(target, lvol)
            store.forget(lvol)


def _by_arrival(lvols: Iterable[Lvol]) -> Iterator[Lvol]:
    """Observed: all are opened at once, and those that need fewer reads are there first."""
    there: set[Lvol] = set()
    turns = deque((lvol, _opening(lvol, there)) for lvol in lvols)
    while turns:
        lvol, reads = turns.popleft()
        if next(reads, None) is None:
            yield lvol
        else:
            turns.append((lvol, reads))


def _opening(lvol: Lvol, there: set[Lvol]) -> Iterator[int]:
    """Read by read: the volume's pages, then those of what it lies on, as far as that is not there yet."""
    below: Lvol | None = lvol
    opened = []
    while below is not None and below not in there:
        yield from (below.page, *below.extents)
        opened.append(below)
        below = below.parent
    there.update(opened)


def attach(target: Target, store: Store) -> None:
    """The store takes its device; when that goes, the store goes with it."""
    store.base.take(store, lambda: unload(target, store), OWN)
    target.stores.append(store)


def unload(target: Target, store: Store) -> None:
    """The volumes are no longer there; what is on the device stays."""
    for lvol in list(store.lvols.values()):
        hide(target, lvol)
    target.stores.remove(store)
    store.base.close(store)


def show(target: Target, store: Store, lvol: Lvol) -> None:
    """The volume appears as a device."""
    target.settle(_enter(target, store, lvol))


def _enter(target: Target, store: Store, lvol: Lvol) -> Bdev:
    """The volume's device: named by its UUID, with the readable name as an alias."""
    block_size = store.block_size
    bdev = Bdev(
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
    target.bdevs.register(bdev, f"{store.name}/{lvol.name}")
    target.volumes[bdev] = (store, lvol)
    bdev.domains = bdev.shown_domains = lambda: _domains(target, store, lvol)
    lvol.bdev = bdev
    return bdev


def _domains(target: Target, store: Store, lvol: Lvol) -> list[str]:
    """Those of the store's device, and of the external snapshot's."""
    below = target.bdevs.find(lvol.esnap) if lvol.esnap else None
    return store.base.domains() + (below.domains() if below else [])


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
    """The device under an external-snapshot clone. Deleting a clone after its base kills the target."""
    if lvol.esnap is None:
        return None
    if target.bdevs.is_going(lvol.esnap):
        raise TargetCrashed
    return target.bdevs.find(lvol.esnap)


def fits(base: Bdev, store: Store) -> bool:
    """Whole blocks of the base make up a block of the store."""
    return store.block_size % base.block_size == 0


def _drop_unfit(target: Target, store: Store) -> None:
    """What is lost, and what a refused clone of an unfit device left behind, cannot be opened."""
    for lvol in list(store.lvols.values()):
        if lvol.is_lost:
            store.forget(lvol)
            continue
        base = find_base(target, lvol)
        if base is not None and not fits(base, store):
            store.forget(lvol)


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


def revive(target: Target, bdev: Bdev) -> Iterable[Bdev]:
    """Clones that lacked this very device come up with it; the last one is announced first."""
    back = [
        (store, lvol)
        for store, lvol in target.degraded.pop(bdev.uuid, ())
        if store in target.stores and store.lvols.get(lvol.page) is lvol and _has_base(target, store, lvol)
    ]
    return reversed(list(_return(target, back)))
