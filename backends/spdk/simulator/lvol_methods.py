"""bdev_lvol_*: stores, volumes, snapshots, clones.

Refusals found at once carry -errno, those that blobstore reports later -32602 with the same text (deleting: -32603).
"""

from __future__ import annotations

import errno
import os
import uuid as uuids
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from backends.spdk.simulator import lvols, volumes
from backends.spdk.simulator.bdevs import SHARED
from backends.spdk.simulator.errors import INTERNAL_ERROR, INVALID_PARAMS, RpcError, TargetCrashed, failed
from backends.spdk.simulator.lvols import DEFAULT_CLUSTER, MIB, NAME_BYTES, PAGE, Geometry, Lvol, Store, cut
from backends.spdk.simulator.params import parse_uuid
from backends.spdk.simulator.steps import Handler, Pause, Steps
from backends.spdk.simulator.target import Target
from schemas.resources import Json

CLEAR_METHODS: Final = frozenset({"none", "unmap", "write_zeroes"})
MAX_PAGE: Final = 65_536


# Stores


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
    _check_clear_method(clear_method, "Invalid clear_method parameter")
    _check_name(lvs_name)
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


def _check_clear_method(method: str, message: str) -> None:
    if method.lower() not in CLEAR_METHODS:
        raise RpcError(-errno.EINVAL, message)


def _check_name(name: str) -> None:
    if not 1 <= len(name.encode()) <= NAME_BYTES:
        raise failed(errno.EINVAL)


def _store(target: Target, uuid: str | None, name: str | None) -> Store:
    """By UUID or by name; both or none is EINVAL, a UUID that is none is just not found."""
    if (uuid is None) == (name is None):
        raise failed(errno.EINVAL)
    wanted = parse_uuid(uuid) if uuid is not None else None
    for store in target.stores:
        if store.name == name or (wanted is not None and store.uuid == wanted):
            return store
    raise failed(errno.ENODEV)


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
    store = _store(target, uuid, lvs_name)
    yield Pause.IO
    store.grow(store.base.size)
    store.commit_self()
    return True


def delete_lvstore(target: Target, *, uuid: str | None = None, lvs_name: str | None = None) -> Steps:
    """Takes all volumes along, exported or not. Observed: with a volume being made in the store, the target dies."""
    store = _store(target, uuid, lvs_name)
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
    stores = [_store(target, which.get("uuid"), which.get("lvs_name"))] if which else target.stores
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


# Volumes


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
    store = _store(target, uuid, lvs_name)
    _check_clear_method(clear_method, "Invalid clean_method option")
    clusters = store.clusters_for(_bytes(size_in_mib))
    writes = 1 if thin_provision or not clusters else 2  # the extent pages of a thick volume are one more
    return _make(
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


def _make(  # noqa: PLR0913  # one shape for volumes, snapshots and clones
    target: Target,
    store: Store,
    name: str,
    make: Callable[[], Lvol],
    *involved: Lvol,
    code: int | None = INVALID_PARAMS,
    writes: int = 1,
) -> Steps:
    """A new volume appears: its name is taken at once, itself is there when the device has been written."""
    if not 1 <= len(name.encode()) <= NAME_BYTES:
        raise failed(errno.EINVAL, code)
    if name in store.names:
        raise failed(errno.EEXIST, code)
    with store.reserved(name), store.operation(), _busy(*involved):
        for _ in range(writes):
            yield Pause.IO
        _check_loaded(target, store, *involved)
        lvol = make()
        store.commit(lvol, *involved)
    try:
        volumes.show(target, store, lvol)
    except RpcError:  # its alias is another's, which a refused renaming can bring about
        _undo(target, store, lvol)
        raise failed(errno.EEXIST, INVALID_PARAMS) from None
    return lvol.uuid


def _undo(target: Target, store: Store, lvol: Lvol) -> None:
    heirs = list(lvol.clones)
    volumes.let_base_go(target, lvol)
    store.remove(lvol)
    store.commit(*heirs, gone=lvol)
    for heir in heirs:
        volumes.hand_base(target, lvol, heir)


def _check_loaded(target: Target, store: Store, *involved: Lvol) -> None:
    """A store or a volume may have gone while the device was being written."""
    if store not in target.stores or any(store.lvols.get(lvol.page) is not lvol for lvol in involved):
        raise failed(errno.ENODEV, INVALID_PARAMS)


@contextmanager
def _busy(*involved: Lvol) -> Iterator[None]:
    """Blobstore does one thing at a time with a volume; the second answers EBUSY."""
    if any(lvol.is_busy for lvol in involved):
        raise failed(errno.EBUSY, INVALID_PARAMS)
    for lvol in involved:
        lvol.is_busy = True
    try:
        yield
    finally:
        for lvol in involved:
            lvol.is_busy = False


def _volume(target: Target, name: str) -> tuple[Store, Lvol]:
    return target.volumes[target.bdevs.get(name, "lvol")]


def get_lvols(target: Target, **which: str | None) -> Json:
    stores = [_store(target, which.get("lvs_uuid"), which.get("lvs_name"))] if which else target.stores
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
    with _busy(lvol):
        yield Pause.IO
        _check_loaded(target, store, lvol)
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
    _check_loaded(target, store, lvol)
    store.names[cut_name] = store.names.pop(lvol.name)
    lvol.name = cut_name
    store.commit(lvol)
    return True


def set_read_only(target: Target, *, name: str) -> Steps:
    """Observed: its device says that it can be written to until it is loaded again."""
    store, lvol = _volume(target, name)
    yield Pause.IO
    _check_loaded(target, store, lvol)
    lvol.read_only = True
    store.commit(lvol)
    return True


def delete(target: Target, *, name: str) -> Steps:
    """In use or not. Observed: while something else is done with it, EBUSY, and it is gone until the next restart."""
    store, lvol = _find(target, name)
    volumes.find_base(target, lvol)
    if len(lvol.clones) > 1:
        raise failed(errno.EPERM, INTERNAL_ERROR)
    if lvol.is_busy or any(clone.is_busy for clone in lvol.clones):
        volumes.hide(target, lvol)
        store.forget(lvol)
        raise failed(errno.EBUSY, INTERNAL_ERROR)
    with _busy(lvol, *lvol.clones):
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


def _find(target: Target, name: str) -> tuple[Store, Lvol]:
    """A degraded volume has no device and is found by its UUID or by both names."""
    bdev = target.bdevs.find(name)
    if bdev in target.volumes:
        return target.volumes[bdev]
    uuid = parse_uuid(name)
    for store in target.stores:
        for lvol in store.lvols.values():
            if lvol.uuid == uuid or name == f"{store.name}/{lvol.name}":
                return store, lvol
    raise failed(errno.ENODEV)


# Snapshots and clones


def snapshot(target: Target, *, lvol_name: str, snapshot_name: str) -> Steps:
    store, lvol = _volume(target, lvol_name)

    def make() -> Lvol:
        if lvol.read_only:
            raise failed(errno.EINVAL, INVALID_PARAMS)
        taken = store.snapshot(lvol, snapshot_name, target.mint())
        volumes.hand_base(target, lvol, taken)
        return taken

    return _make(target, store, snapshot_name, make, lvol)


def clone(target: Target, *, snapshot_name: str, clone_name: str) -> Steps:
    """Of anything read-only, snapshot or not."""
    store, lvol = _volume(target, snapshot_name)

    def make() -> Lvol:
        if not lvol.read_only:
            raise failed(errno.EINVAL, INVALID_PARAMS)
        if not store.pages.free:
            raise TargetCrashed  # observed; a volume or a snapshot is only refused
        return store.clone(lvol, clone_name, target.mint())

    return _make(target, store, clone_name, make, lvol)


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

    return _make(target, store, clone_name, make)


def _leak(store: Store, lvol: Lvol) -> None:
    """Observed: what could not be opened stays on the device and is listed, degraded, after the next load."""
    store.commit(lvol)
    store.forget(lvol)


def inflate(target: Target, *, name: str) -> Steps:
    """All clusters become the volume's own; it has no parent any more."""
    store, lvol = _volume(target, name)
    return _copy_up(target, store, lvol, lambda: lvol.clusters, thin=False)


def decouple_parent(target: Target, *, name: str) -> Steps:
    """What the parent holds becomes the volume's own, the grandparent its parent. A device below is copied whole."""
    store, lvol = _volume(target, name)
    if lvol.esnap is not None:
        return _copy_up(target, store, lvol, lambda: lvol.clusters, thin=False)
    if lvol.parent is None:
        raise failed(errno.EINVAL, INVALID_PARAMS)
    parent = lvol.parent
    return _copy_up(target, store, lvol, lambda: min(parent.allocated, lvol.clusters), thin=True)


def _copy_up(target: Target, store: Store, lvol: Lvol, wanted: Callable[[], int], *, thin: bool) -> Steps:
    with _busy(lvol):
        yield Pause.IO
        if target.pace.copy:
            copied = max(0, wanted() - lvol.allocated) * store.geometry.cluster_size
            yield from target.takes(copied / target.pace.copy)
        _check_loaded(target, store, lvol)
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
    store, lvol = _volume(target, lvol_name)
    page = _volume(target, parent_name)[1].page
    yield Pause.IO
    _check_loaded(target, store, lvol)
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
    store, lvol = _volume(target, lvol_name)
    base = target.bdevs.find(parent_name)
    if base is None:
        raise failed(errno.ENODEV, INVALID_PARAMS)
    if base is lvol.bdev or base.size % store.geometry.cluster_size:
        raise failed(errno.EINVAL, INVALID_PARAMS)
    if base.claim not in (None, SHARED):
        raise failed(errno.EPERM, INVALID_PARAMS)
    yield Pause.IO
    _check_loaded(target, store, lvol)
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
    "bdev_lvol_create_lvstore": create_lvstore,
    "bdev_lvol_rename_lvstore": rename_lvstore,
    "bdev_lvol_grow_lvstore": grow_lvstore,
    "bdev_lvol_delete_lvstore": delete_lvstore,
    "bdev_lvol_get_lvstores": get_lvstores,
    "bdev_lvol_create": create,
    "bdev_lvol_get_lvols": get_lvols,
    "bdev_lvol_resize": resize,
    "bdev_lvol_rename": rename,
    "bdev_lvol_set_read_only": set_read_only,
    "bdev_lvol_delete": delete,
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
