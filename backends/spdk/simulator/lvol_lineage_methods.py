"""bdev_lvol_snapshot and what stands on it: clones, inflating, other parents, shallow copies."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from backends.spdk.simulator import volumes
from backends.spdk.simulator.bdevs import SHARED
from backends.spdk.simulator.errors import INVALID_PARAMS, RpcError, TargetCrashed, failed
from backends.spdk.simulator.lvol_operations import busy, check_loaded, find_volume, make_lvol
from backends.spdk.simulator.lvols import Lvol, Store
from backends.spdk.simulator.steps import Handler, Pause, Steps
from backends.spdk.simulator.target import Target
from schemas.resources import Json


def snapshot(target: Target, *, lvol_name: str, snapshot_name: str) -> Steps:
    store, lvol = find_volume(target, lvol_name)

    def make() -> Lvol:
        if lvol.read_only:
            raise failed(errno.EINVAL, INVALID_PARAMS)
        taken = store.snapshot(lvol, snapshot_name, target.mint())
        volumes.hand_base(target, lvol, taken)
        return taken

    return make_lvol(target, store, snapshot_name, make, lvol)


def clone(target: Target, *, snapshot_name: str, clone_name: str) -> Steps:
    """Of anything read-only, snapshot or not."""
    store, lvol = find_volume(target, snapshot_name)

    def make() -> Lvol:
        if not lvol.read_only:
            raise failed(errno.EINVAL, INVALID_PARAMS)
        if not store.pages.free:
            raise TargetCrashed  # observed; a volume or a snapshot is only refused
        return store.clone(lvol, clone_name, target.mint())

    return make_lvol(target, store, clone_name, make, lvol)


def clone_bdev(target: Target, *, bdev: str, lvs_name: str, clone_name: str) -> Steps:
    """A clone of a device outside the store, which remembers it by UUID and claims it against writers."""
    store = next((store for store in target.stores if store.name == lvs_name), None)
    if store is None:
        raise RpcError(INVALID_PARAMS, "lvs does not exist")
    base = target.bdevs.find(bdev)
    if base is None:
        raise RpcError(INVALID_PARAMS, "bdev does not exist")
    if base in target.volumes and target.volumes[base][0] is store:
        raise RpcError(INVALID_PARAMS, "bdev is an lvol in same lvs as clone; use bdev_lvol_clone instead")
    if clone_name not in store.names and base.size % store.geometry.cluster_size:
        raise failed(errno.EINVAL, INVALID_PARAMS)

    def make() -> Lvol:
        if base.claim not in (None, SHARED):
            raise failed(errno.EPERM, INVALID_PARAMS)
        made = store.add(clone_name, target.mint(), target.mint(), store.clusters_for(base.size), thin=True)
        made.esnap = base.uuid
        if not volumes.fits(base, store):
            _leak(store, made)
            raise failed(errno.EINVAL, INVALID_PARAMS)
        volumes.hand_base(target, made, made)
        return made

    return make_lvol(target, store, clone_name, make)


def _leak(store: Store, lvol: Lvol) -> None:
    """Observed: what could not be opened stays on the device and is listed, degraded, after the next load."""
    store.commit(lvol)
    store.forget(lvol)


def inflate(target: Target, *, name: str) -> Steps:
    """All clusters become the volume's own; it has no parent any more."""
    store, lvol = find_volume(target, name)
    return _copy_up(target, store, lvol, lambda: lvol.clusters, thin=False)


def decouple_parent(target: Target, *, name: str) -> Steps:
    """What the parent holds becomes the volume's own, the grandparent its parent. A device below is copied whole."""
    store, lvol = find_volume(target, name)
    if lvol.esnap is not None:
        return _copy_up(target, store, lvol, lambda: lvol.clusters, thin=False)
    if lvol.parent is None:
        raise failed(errno.EINVAL, INVALID_PARAMS)
    parent = lvol.parent
    return _copy_up(target, store, lvol, lambda: min(parent.allocated, lvol.clusters), thin=True)


def _copy_up(target: Target, store: Store, lvol: Lvol, wanted: Callable[[], int], *, thin: bool) -> Steps:
    with busy(lvol):
        yield Pause.IO
        if target.pace.copy:
            copied = max(0, wanted() - lvol.allocated) * store.geometry.cluster_size
            yield from target.takes(copied / target.pace.copy)
        check_loaded(target, store, lvol)
        if lvol.thin:
            _take_over(target, store, lvol, wanted(), thin=thin)
    return True


def _take_over(target: Target, store: Store, lvol: Lvol, allocated: int, *, thin: bool) -> None:
    store.fill(lvol, allocated)
    parent = lvol.parent
    lvol.orphan()
    if thin and parent is not None and parent.parent is not None:
        parent.parent.adopt(lvol)
    elif thin and parent is not None:
        lvol.esnap = parent.esnap
        volumes.hand_base(target, lvol, lvol)
    else:
        volumes.let_base_go(target, lvol)
        lvol.esnap = None
    lvol.thin = thin
    store.commit(lvol)


def set_parent(target: Target, *, lvol_name: str, parent_name: str) -> Steps:
    """The bytes are taken to be equal; nobody checks. The parent is known by its page, in whatever store it is."""
    store, lvol = find_volume(target, lvol_name)
    page = find_volume(target, parent_name)[1].page
    yield Pause.IO
    check_loaded(target, store, lvol)
    parent = _parent_to_be(store, lvol, page)
    if lvol.is_busy or parent.is_busy:
        raise failed(errno.EBUSY, INVALID_PARAMS)
    if lvol in _ancestors(parent):
        raise TargetCrashed  # observed: answered well, and whoever follows the ring of parents never comes back
    volumes.let_base_go(target, lvol)
    lvol.esnap = None
    lvol.orphan()
    parent.adopt(lvol)
    store.commit(lvol)
    return True


def _ancestors(lvol: Lvol) -> Iterator[Lvol]:
    above = lvol.parent
    while above is not None:
        yield above
        above = above.parent


def _parent_to_be(store: Store, lvol: Lvol, page: int) -> Lvol:
    if lvol.parent is not None and lvol.parent.page == page:
        raise failed(errno.EEXIST, INVALID_PARAMS)
    if lvol.page == page or not lvol.thin:
        raise failed(errno.EINVAL, INVALID_PARAMS)
    parent = store.lvols.get(page)
    if parent is None:
        raise failed(errno.ENOENT, INVALID_PARAMS)
    if not parent.was_parent or parent.clusters != lvol.clusters:
        raise failed(errno.EINVAL, INVALID_PARAMS)
    return parent


def set_parent_bdev(target: Target, *, lvol_name: str, parent_name: str) -> Steps:
    """As clone_bdev, for a volume that is there; again nobody compares the bytes."""
    store, lvol = find_volume(target, lvol_name)
    base = target.bdevs.find(parent_name)
    if base is None:
        raise failed(errno.ENODEV, INVALID_PARAMS)
    if base is lvol.bdev or base.size % store.geometry.cluster_size:
        raise failed(errno.EINVAL, INVALID_PARAMS)
    if base.claim not in (None, SHARED):
        raise failed(errno.EPERM, INVALID_PARAMS)
    yield Pause.IO
    check_loaded(target, store, lvol)
    if lvol.esnap == base.uuid:
        raise failed(errno.EEXIST, INVALID_PARAMS)
    if not lvol.thin or not volumes.fits(base, store):
        raise failed(errno.EINVAL, INVALID_PARAMS)
    volumes.let_base_go(target, lvol)
    lvol.orphan()
    lvol.esnap = base.uuid
    volumes.hand_base(target, lvol, lvol)
    store.commit(lvol)
    return True


# Shallow copies


def start_shallow_copy(target: Target, *, src_lvol_name: str, dst_bdev_name: str) -> Json:
    """Answers well also when it must fail; what became of it is told once, by the check."""
    bdev = target.bdevs.get(src_lvol_name, "lvol")
    _, lvol = target.volumes[bdev]
    target.copies_started += 1
    into = target.bdevs.find(dst_bdev_name)
    if into is None or into.claim is not None:
        raise failed(errno.ENODEV if into is None else errno.EPERM, INVALID_PARAMS)
    number = 0
    if not lvol.read_only:
        number = errno.EPERM
    elif bdev.size > into.size or bdev.block_size % into.block_size:
        number = errno.EINVAL
    status: dict[str, int | str] = {
        "copied_clusters": 0 if number else lvol.allocated,
        "total_clusters": lvol.allocated,
        "state": "error" if number else "complete",
    }
    target.copies[target.copies_started] = status | ({"error": os.strerror(number)} if number else {})
    return {"operation_id": target.copies_started}


def check_shallow_copy(target: Target, *, operation_id: int) -> Json:
    if operation_id not in target.copies:
        raise failed(errno.ENODEV)
    return {**target.copies.pop(operation_id)}


HANDLERS: Final[Mapping[str, Handler]] = {
    "bdev_lvol_snapshot": snapshot,
    "bdev_lvol_clone": clone,
    "bdev_lvol_clone_bdev": clone_bdev,
    "bdev_lvol_inflate": inflate,
    "bdev_lvol_decouple_parent": decouple_parent,
    "bdev_lvol_set_parent": set_parent,
    "bdev_lvol_set_parent_bdev": set_parent_bdev,
    "bdev_lvol_start_shallow_copy": start_shallow_copy,
    "bdev_lvol_check_shallow_copy": check_shallow_copy,
}
