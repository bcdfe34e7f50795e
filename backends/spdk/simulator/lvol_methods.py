"""bdev_lvol_*: volumes.

Refusals found at once carry -errno, those that blobstore reports later -32602 with the same text (deleting: -32603).
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Final

from backends.spdk.simulator import volumes
from backends.spdk.simulator.errors import INTERNAL_ERROR, INVALID_PARAMS, RpcError, failed
from backends.spdk.simulator.lvol_operations import (
    busy,
    check_clear_method,
    check_loaded,
    find_lvol,
    find_store,
    find_volume,
    make_lvol,
)
from backends.spdk.simulator.lvols import MIB, Lvol, Store, cut
from backends.spdk.simulator.steps import Handler, Pause, Steps
from backends.spdk.simulator.target import Target
from schemas.resources import Json


def create(  # noqa: PLR0913  # the method's parameters
    target: Target,
    *,
    lvol_name: str,
    size_in_mib: int,
    thin_provision: bool = False,
    uuid: str | None = None,
    lvs_name: str | None = None,
    clear_method: str = "unmap",
) -> Steps:
    store = find_store(target, uuid, lvs_name)
    check_clear_method(clear_method, "Invalid clean_method option")
    clusters = store.clusters_for(_bytes(size_in_mib))
    writes = 1 if thin_provision or not clusters else 2  # the extent pages of a thick volume are one more
    return make_lvol(
        target,
        store,
        lvol_name,
        lambda: store.add(lvol_name, target.mint(), target.mint(), clusters, thin=thin_provision),
        code=None,
        writes=writes,
    )


def _bytes(size_in_mib: int) -> int:
    """Observed: the multiplication wraps at 64 bits, and 2^44 + 5 MiB made a volume of 5 MiB."""
    return (size_in_mib * MIB) & (2**64 - 1)


def get_lvols(target: Target, **which: str | None) -> Json:
    stores = [find_store(target, which.get("lvs_uuid"), which.get("lvs_name"))] if which else target.stores
    return [_dump(store, lvol) for store in stores for lvol in store.lvols.values()]


def _dump(store: Store, lvol: Lvol) -> Json:
    return {
        "alias": f"{store.name}/{lvol.name}",
        "uuid": lvol.uuid,
        "name": lvol.name,
        "is_thin_provisioned": lvol.thin,
        "is_snapshot": lvol.was_parent,
        "is_clone": lvol.parent is not None,
        "is_esnap_clone": lvol.esnap is not None,
        "is_degraded": lvol.is_degraded,
        "num_allocated_clusters": lvol.allocated,
        "lvs": {"name": store.name, "uuid": store.uuid},
    }


def resize(target: Target, *, name: str, size_in_mib: int) -> Steps:
    """Shrinks in silence. Under an open device the data goes, too; only the device keeps its size, with EBUSY."""
    bdev = target.bdevs.get(name, "lvol")
    store, lvol = target.volumes[bdev]
    clusters = store.clusters_for(_bytes(size_in_mib))
    if lvol.read_only:
        raise failed(errno.EPERM, INVALID_PARAMS)
    with busy(lvol):
        yield Pause.IO
        check_loaded(target, store, lvol)
        if clusters < lvol.clusters:
            lvol.content = target.mint()
        store.resize(lvol, clusters)
        store.commit(lvol)
    try:
        target.bdevs.resize(bdev, clusters * store.geometry.cluster_size // bdev.block_size)
    except RpcError:
        raise failed(errno.EBUSY, INVALID_PARAMS) from None
    return True


def rename(target: Target, *, old_name: str, new_name: str) -> Steps:
    """Observed: the alias changes first, so that a read-only volume answers EPERM and has got a new alias."""
    bdev = target.bdevs.get(old_name, "lvol")
    store, lvol = target.volumes[bdev]
    try:
        target.bdevs.rename_alias(bdev, bdev.aliases[-1], f"{store.name}/{new_name}")
    except RpcError:
        raise failed(errno.EEXIST, INVALID_PARAMS) from None
    cut_name = cut(new_name)
    if cut_name == lvol.name:
        return True
    if cut_name in store.names:
        raise failed(errno.EEXIST, INVALID_PARAMS)
    if lvol.read_only:
        raise failed(errno.EPERM, INVALID_PARAMS)
    yield Pause.IO
    check_loaded(target, store, lvol)
    store.names[cut_name] = store.names.pop(lvol.name)
    lvol.name = cut_name
    store.commit(lvol)
    return True


def set_read_only(target: Target, *, name: str) -> Steps:
    """Observed: its device says that it can be written to until it is loaded again."""
    store, lvol = find_volume(target, name)
    yield Pause.IO
    check_loaded(target, store, lvol)
    lvol.read_only = True
    store.commit(lvol)
    return True


def delete(target: Target, *, name: str) -> Steps:
    """In use or not. Observed: while something else is done with it, EBUSY, and it is gone until the next restart."""
    store, lvol = find_lvol(target, name)
    volumes.find_base(target, lvol)
    if len(lvol.clones) > 1:
        raise failed(errno.EPERM, INTERNAL_ERROR)
    if lvol.is_busy or any(clone.is_busy for clone in lvol.clones):
        volumes.hide(target, lvol)
        store.forget(lvol)
        raise failed(errno.EBUSY, INTERNAL_ERROR)
    with busy(lvol, *lvol.clones):
        yield Pause.IO
    if store not in target.stores or store.lvols.get(lvol.page) is not lvol:
        raise failed(errno.ENODEV, INTERNAL_ERROR)
    heirs = list(lvol.clones)
    volumes.hide(target, lvol)
    store.remove(lvol)
    store.commit(*heirs, gone=lvol)
    for heir in heirs:
        volumes.hand_base(target, lvol, heir)
    return True


HANDLERS: Final[Mapping[str, Handler]] = {
    "bdev_lvol_create": create,
    "bdev_lvol_get_lvols": get_lvols,
    "bdev_lvol_resize": resize,
    "bdev_lvol_rename": rename,
    "bdev_lvol_set_read_only": set_read_only,
    "bdev_lvol_delete": delete,
}
