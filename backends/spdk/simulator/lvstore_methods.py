"""bdev_lvol_*_lvstore: stores."""

from __future__ import annotations

import errno
import uuid as uuids
from collections.abc import Mapping
from typing import Final

from backends.spdk.simulator import lvols, volumes
from backends.spdk.simulator.errors import INVALID_PARAMS, RpcError, TargetCrashed, failed
from backends.spdk.simulator.lvol_operations import check_clear_method, check_name, find_store
from backends.spdk.simulator.lvols import DEFAULT_CLUSTER, PAGE, Geometry, Store, cut
from backends.spdk.simulator.steps import Handler, Pause, Steps
from backends.spdk.simulator.target import Target
from schemas.resources import Json

MAX_PAGE: Final = 65_536


def create_lvstore(  # noqa: PLR0913  # the method's parameters
    target: Target,
    *,
    bdev_name: str,
    lvs_name: str,
    cluster_sz: int = 0,
    clear_method: str = "unmap",
    num_md_pages_per_cluster_ratio: int = 0,
    md_page_size: int = 0,
) -> Steps:
    """Overwrites a store that is on the device but not loaded, without a word."""
    check_clear_method(clear_method, "Invalid clear_method parameter")
    check_name(lvs_name)
    if md_page_size and (not PAGE <= md_page_size <= MAX_PAGE or md_page_size & (md_page_size - 1)):
        raise failed(errno.EINVAL)
    base = target.bdevs.get(bdev_name)
    cluster = cluster_sz or DEFAULT_CLUSTER
    if base.claim is not None:
        raise failed(errno.EPERM)
    if cluster < base.block_size or cluster % base.block_size:
        raise failed(errno.EINVAL)
    if any(store.name == lvs_name for store in target.stores):
        raise failed(errno.EEXIST)
    page = max(PAGE, base.block_size, md_page_size)
    yield Pause.IO
    geometry = Geometry.of(base.size, cluster, num_md_pages_per_cluster_ratio or 100, page)
    if target.bdevs.find(base.name) is not base or base.claim is not None:
        raise failed(errno.EPERM, INVALID_PARAMS)
    if base.is_void:
        raise failed(errno.EINVAL, INVALID_PARAMS)
    store = lvols.create(base, target.mint(), lvs_name, geometry, lambda: uuids.UUID(target.mint()).int)
    volumes.attach(target, store)
    return store.uuid


def rename_lvstore(target: Target, *, old_name: str, new_name: str) -> Steps:
    store = next((store for store in target.stores if store.name == old_name), None)
    if store is None:
        raise RpcError(-errno.ENOENT, f"Lvol store {old_name} not found")
    if new_name == old_name:
        _name_again(target, store)
        return True
    if not new_name or any(other.name == cut(new_name) for other in target.stores):
        raise failed(errno.EEXIST, INVALID_PARAMS)
    yield Pause.IO
    store.name = cut(new_name)
    store.commit_self()
    _name_again(target, store)
    return True


def _name_again(target: Target, store: Store) -> None:
    """Every alias is what it should be, also one that a refused renaming left behind."""
    for lvol in store.lvols.values():
        alias = f"{store.name}/{lvol.name}"
        if lvol.bdev is None:
            raise TargetCrashed  # observed: a clone whose base is missing has no device to be named
        if lvol.bdev.aliases[-1] != alias:
            target.bdevs.rename_alias(lvol.bdev, lvol.bdev.aliases[-1], alias)


def grow_lvstore(target: Target, *, uuid: str | None = None, lvs_name: str | None = None) -> Steps:
    store = find_store(target, uuid, lvs_name)
    yield Pause.IO
    store.grow(store.base.size)
    store.commit_self()
    return True


def delete_lvstore(target: Target, *, uuid: str | None = None, lvs_name: str | None = None) -> Steps:
    """Takes all volumes along, exported or not. Observed: with a volume being made in the store, the target dies."""
    store = find_store(target, uuid, lvs_name)
    for _ in range(2):
        if store.operations:
            raise TargetCrashed
        yield Pause.IO
    while lvol := next((lvol for lvol in store.lvols.values() if not lvol.clones), None):
        volumes.hide(target, lvol)
        store.remove(lvol)
    store.erase()
    volumes.unload(target, store)
    return True


def get_lvstores(target: Target, **which: str | None) -> Json:
    stores = [find_store(target, which.get("uuid"), which.get("lvs_name"))] if which else target.stores
    return [_dump_store(store) for store in stores]


def _dump_store(store: Store) -> Json:
    return {
        "uuid": store.uuid,
        "name": store.name,
        "base_bdev": store.base.name,
        "total_data_clusters": store.data_clusters,
        "free_clusters": store.free_clusters,
        "block_size": store.block_size,
        "cluster_size": store.geometry.cluster_size,
        "max_growable_size": store.geometry.max_growable_size,
    }


HANDLERS: Final[Mapping[str, Handler]] = {
    "bdev_lvol_create_lvstore": create_lvstore,
    "bdev_lvol_rename_lvstore": rename_lvstore,
    "bdev_lvol_grow_lvstore": grow_lvstore,
    "bdev_lvol_delete_lvstore": delete_lvstore,
    "bdev_lvol_get_lvstores": get_lvstores,
}
