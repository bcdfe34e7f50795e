"""What bdev_lvol_* methods share: finding stores and volumes, and what each operation on them checks and makes."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from backends.spdk.simulator import volumes
from backends.spdk.simulator.errors import INVALID_PARAMS, RpcError, failed
from backends.spdk.simulator.lvols import NAME_BYTES, Lvol, Store
from backends.spdk.simulator.params import parse_uuid
from backends.spdk.simulator.steps import Pause, Steps
from backends.spdk.simulator.target import Target

CLEAR_METHODS: Final = frozenset({"none", "unmap", "write_zeroes"})


def check_clear_method(method: str, message: str) -> None:
    if method.lower() not in CLEAR_METHODS:
        raise RpcError(-errno.EINVAL, message)


def check_name(name: str) -> None:
    if not 1 <= len(name.encode()) <= NAME_BYTES:
        raise failed(errno.EINVAL)


def find_store(target: Target, uuid: str | None, name: str | None) -> Store:
    """By UUID or by name; both or none is EINVAL, a UUID that is none is just not found."""
    if (uuid is None) == (name is None):
        raise failed(errno.EINVAL)
    wanted = parse_uuid(uuid) if uuid is not None else None
    for store in target.stores:
        if store.name == name or (wanted is not None and store.uuid == wanted):
            return store
    raise failed(errno.ENODEV)


def make_lvol(  # noqa: PLR0913  # one shape for volumes, snapshots and clones
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
    with store.reserved(name), store.operation(), busy(*involved):
        for _ in range(writes):
            yield Pause.IO
        check_loaded(target, store, *involved)
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


def check_loaded(target: Target, store: Store, *involved: Lvol) -> None:
    """A store or a volume may have gone while the device was being written."""
    if store not in target.stores or any(store.lvols.get(lvol.page) is not lvol for lvol in involved):
        raise failed(errno.ENODEV, INVALID_PARAMS)


@contextmanager
def busy(*involved: Lvol) -> Iterator[None]:
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


def find_volume(target: Target, name: str) -> tuple[Store, Lvol]:
    return target.volumes[target.bdevs.get(name, "lvol")]


def find_lvol(target: Target, name: str) -> tuple[Store, Lvol]:
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
