"""bdev_*: malloc, null, AIO and passthru devices, their limits, and the listing of all."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from typing import Final

from backends.spdk.simulator.bdevs import LIMITS, SHARED, Bdev
from backends.spdk.simulator.errors import INVALID_PARAMS, RpcError, TargetCrashed, failed
from backends.spdk.simulator.params import MAX_UINT64
from backends.spdk.simulator.steps import Handler, Pause, Steps
from backends.spdk.simulator.target import Target
from schemas.resources import Json

MIB: Final = 1 << 20
MEMORY: Final = 1 << 40  # bytes; a larger malloc device fails with ENOMEM
NUMA_NODES: Final = frozenset({-1, 0})  # any, and the only one
METADATA_SIZES: Final = frozenset({0, 8, 16, 32, 64, 128})
MALLOC_IO: Final = ("read", "write", "unmap", "flush", "reset", "write_zeroes", "zcopy", "compare", "abort", "copy")
NULL_IO: Final = ("read", "write", "reset", "write_zeroes", "abort")
AIO_IO: Final = ("read", "write", "flush", "reset", "write_zeroes")
TICK_RATE: Final = 1_000_000_000
MAX_MBYTES: Final = MAX_UINT64 // MIB


def get_bdevs(target: Target, *, name: str | None = None, timeout: int = 0) -> Json | Steps:
    if name is None:
        return [bdev.dump() for bdev in target.bdevs]
    if timeout and target.bdevs.find(name) is None:
        return _when_it_appears(target, name, target.now() + timeout / 1000)
    return [target.bdevs.get(name).dump()]


def _when_it_appears(target: Target, name: str, deadline: float) -> Steps:
    while (bdev := target.bdevs.find(name)) is None:
        if target.now() >= deadline:
            raise failed(errno.ETIMEDOUT)
        yield Pause.POLL
    return [bdev.dump()]


def get_iostat(
    target: Target, *, names: list[str] | None = None, per_channel: bool = False, reset_mode: str = "none"
) -> Json:
    """Nothing is ever read or written here: all counters are zero."""
    del reset_mode
    if per_channel and len(names or ()) != 1:
        raise failed(errno.EINVAL)
    bdevs = list(target.bdevs) if names is None else [target.bdevs.get(name) for name in names]
    ticks = int(target.now() * TICK_RATE)
    if per_channel:
        return {"tick_rate": TICK_RATE, "ticks": ticks, "name": bdevs[0].name, "channels": []}
    return {"tick_rate": TICK_RATE, "ticks": ticks, "bdevs": [_iostat(bdev) for bdev in bdevs]}


def _iostat(bdev: Bdev) -> Json:
    counted: dict[str, Json] = {"name": bdev.name}
    for done, kind in (("read", "read"), ("written", "write"), ("unmapped", "unmap"), ("copied", "copy")):
        counted |= {f"bytes_{done}": 0, f"num_{kind}_ops": 0}
    for kind in ("read", "write", "unmap", "copy"):
        counted |= {f"{which}{kind}_latency_ticks": 0 for which in ("", "max_", "min_")}
    return counted | {"io_error": {}}


def set_options(target: Target, *, bdev_auto_examine: bool = True, **_sizes: int) -> Json:
    target.auto_examine = bdev_auto_examine
    return True


def examine_bdev(target: Target, *, name: str) -> Steps:
    """Only needed, and only allowed, where devices are not examined by themselves."""
    if target.auto_examine:
        raise failed(errno.EINVAL)
    bdev = target.bdevs.find(name)
    if bdev is not None:
        yield from target.read(bdev)
    return True


def wait_for_examine(target: Target) -> Steps:
    yield Pause.MESSAGE
    while target.examining:
        yield Pause.IO
    return True


# Limits


def set_qos_limit(target: Target, *, name: str, **given: int) -> Steps:
    """Observed: on a device that nobody has open the first setting works and every later one fails with EAGAIN."""
    bdev = target.bdevs.get(name)
    wanted = {kind: _rounded(kind, limit) for kind, limit in given.items() if limit != MAX_UINT64}
    if not wanted:
        raise RpcError(-errno.EINVAL, "No rate limits specified")
    if bdev.limits_changing or (bdev.limits is not None and not bdev.users):
        raise RpcError(INVALID_PARAMS, f"Failed to configure rate limit: {os.strerror(errno.EAGAIN)}")
    bdev.limits_changing = True
    yield Pause.MESSAGE
    bdev.limits_changing = False
    limits = dict.fromkeys(LIMITS, 0) | (bdev.limits or {}) | wanted
    bdev.limits = limits if any(limits.values()) else None
    return True


def _rounded(kind: str, limit: int) -> int:
    return -(-limit // 1000) * 1000 if kind == "rw_ios_per_sec" else min(limit, MAX_MBYTES)


# Devices in memory


def malloc_create(  # noqa: PLR0913  # the method's parameters
    target: Target,
    *,
    block_size: int,
    num_blocks: int,
    name: str | None = None,
    uuid: str | None = None,
    physical_block_size: int = 0,
    md_size: int = 0,
    md_interleave: bool = False,
    numa_id: int = -1,
    dif_type: int = 0,
    dif_is_head_of_md: bool = False,
    dif_pi_format: int = 0,
    **_layout: int,
) -> Json:
    _check_blocks(block_size, num_blocks, physical_block_size, md_size)
    if numa_id not in NUMA_NODES:
        raise failed(errno.EINVAL)
    block_size += md_size if md_interleave else 0
    if not 0 < block_size * num_blocks <= MEMORY:
        raise failed(errno.ENOMEM)
    if name is None:
        name = f"Malloc{target.unnamed_mallocs}"
        target.unnamed_mallocs += 1  # also when the name is taken: the next call gets the next one
    bdev = Bdev(name, "Malloc disk", "malloc", block_size, num_blocks, uuid or "", MALLOC_IO, numa_id=numa_id)
    bdev.metadata = _metadata(md_size, dif_type, dif_pi_format, interleaved=md_interleave, at_head=dif_is_head_of_md)
    return target.register(bdev).name


def _check_blocks(block_size: int, num_blocks: int, physical_block_size: int, md_size: int) -> None:
    if not num_blocks or block_size % 512 or physical_block_size % 512 or md_size not in METADATA_SIZES:
        raise failed(errno.EINVAL)


def _metadata(size: int, dif_type: int, dif_pi_format: int, *, interleaved: bool, at_head: bool) -> dict[str, Json]:
    """What describes the bytes beside each block, when there are any."""
    needed = (8 if dif_pi_format == 0 else 16) if dif_type else 0
    if not 0 <= dif_type <= 3 or dif_pi_format > 2 or size < needed:
        raise failed(errno.EINVAL)
    shown: dict[str, Json] = {"md_size": size, "md_interleave": interleaved, "dif_type": dif_type} if size else {}
    if dif_type:
        checks: Json = {"reftag": dif_type < 3, "apptag": False, "guard": True}
        shown |= {"dif_is_head_of_md": at_head, "enabled_dif_check_types": checks}
        shown["dif_pi_format"] = dif_pi_format
    return shown


def null_create(  # noqa: PLR0913  # the method's parameters
    target: Target,
    *,
    name: str,
    block_size: int,
    num_blocks: int,
    uuid: str | None = None,
    physical_block_size: int = 0,
    md_size: int = 0,
    dif_type: int = 0,
    dif_is_head_of_md: bool = False,
    dif_pi_format: int = 0,
    **preferred: int,
) -> Json:
    _check_blocks(block_size, num_blocks, physical_block_size, md_size)
    if not block_size:
        raise TargetCrashed  # observed; a malloc device of no size is only refused
    bdev = Bdev(name, "Null disk", "null", block_size + md_size, num_blocks, uuid or "", NULL_IO, preferred=preferred)
    bdev.metadata = _metadata(md_size, dif_type, dif_pi_format, interleaved=True, at_head=dif_is_head_of_md)
    return target.register(bdev).name


def null_resize(target: Target, *, name: str, new_size: int) -> Json:
    """Grows only; a device that is not null is EINVAL here, not ENODEV."""
    bdev = target.bdevs.get(name)
    if bdev.driver != "null" or new_size < bdev.size // MIB:
        raise failed(errno.EINVAL)
    target.bdevs.resize(bdev, new_size * MIB // bdev.block_size)
    return True


# AIO


def aio_create(  # noqa: PLR0913  # the method's parameters
    target: Target,
    *,
    name: str,
    filename: str,
    block_size: int = 0,
    readonly: bool = False,
    fallocate: bool = False,
    uuid: str | None = None,
    nowait: bool = False,
) -> Steps:
    """Answers when the device has been examined: a store that the file carries is loaded by then."""
    size, detected = file_size(filename, readonly=readonly, nowait=nowait)
    used = block_size or detected
    if used < 512 or used & (used - 1) or used < detected or size % used:
        raise failed(errno.EINVAL)
    shown: Mapping[str, Json] = {
        "filename": filename,
        "block_size_override": bool(block_size),
        "readonly": readonly,
        "fallocate": fallocate,
        "nowait": nowait,
    }
    bdev = Bdev(
        name,
        "AIO disk",
        "aio",
        used,
        size // used,
        uuid or "",
        (*AIO_IO, "unmap") if fallocate else AIO_IO,
        lambda: {"aio": dict(shown)},
        file=filename,
        writable=not readonly,
    )
    return target.register_and_read(bdev)


def file_size(filename: str, *, readonly: bool, nowait: bool = False) -> tuple[int, int]:
    """Bytes of a file or block device, and the block size that it dictates, if any. It is never created or cut."""
    try:
        descriptor = os.open(filename, os.O_RDONLY if readonly else os.O_RDWR)
    except OSError as error:
        raise failed(error.errno or errno.EIO) from None
    try:
        is_device = stat.S_ISBLK(os.fstat(descriptor).st_mode)
        if nowait and not is_device:
            raise failed(errno.ENOTSUP)
        return os.lseek(descriptor, 0, os.SEEK_END), 512 if is_device else 0
    finally:
        os.close(descriptor)


def aio_rescan(target: Target, *, name: str) -> Json:
    """Takes in a size that changed; an empty file is a removed device. Shrinking is EBUSY: the rescan has it open."""
    bdev = target.bdevs.get(name, "aio")
    size, _ = file_size(bdev.file or "", readonly=True)
    num_blocks = size // bdev.block_size
    if not size:
        target.bdevs.remove(bdev)
    elif num_blocks < bdev.num_blocks:
        raise failed(errno.EBUSY)
    else:
        target.bdevs.resize(bdev, num_blocks)
    return True


# Passthru


def passthru_create(target: Target, *, name: str, base_bdev_name: str, uuid: str | None = None) -> Steps:
    """On an absent base it answers well and waits."""
    if name in target.passthrus:
        raise failed(errno.EEXIST)
    base = target.bdevs.find(base_bdev_name)
    if base is not None:
        _put_on(target, name, base, uuid)
    target.passthrus[name] = base_bdev_name
    target.passthru_uuids[name] = uuid
    yield from target.read_fresh()
    return name


def wait_for(target: Target, base: Bdev) -> None:
    """Passthru devices that were created before their base come up with it."""
    for name, wanted in target.passthrus.items():
        device = target.bdevs.find(name)
        is_up = device is not None and device.driver == "passthru"
        if wanted == base.name and base.claim is None and not is_up:
            _put_on(target, name, base, target.passthru_uuids.get(name))


def _put_on(target: Target, name: str, base: Bdev, uuid: str | None) -> None:
    """Observed: a name or UUID that another device has got kills the target."""
    shown: dict[str, Json] = {"name": name, "base_bdev_name": base.name}
    bdev = Bdev(
        name,
        "passthru",
        "passthru",
        base.block_size,
        base.num_blocks,
        uuid or "",
        base.io_types,
        lambda: {"passthru": dict(shown)},
        file=base.file,
        numa_id=base.numa_id,
    )
    base.take(
        bdev, lambda: target.bdevs.remove(bdev)
    )  # observed: its name stays taken, and it comes back with its base
    try:
        target.enter_fresh(bdev)
    except RpcError:
        raise TargetCrashed from None


def passthru_delete(target: Target, *, name: str) -> Steps:
    target.bdevs.get(name, "passthru")
    yield Pause.MESSAGE
    bdev = target.bdevs.get(name, "passthru")
    target.bdevs.remove(bdev)
    target.bdevs.get(target.passthrus.pop(bdev.name)).close(bdev)
    return True


# Removal


def _delete(target: Target, name: str, driver: str) -> Steps:
    """Observed: the base of external-snapshot clones leaves the lists, its name stays taken, nobody is answered."""
    bdev = target.bdevs.get(name, driver)
    if bdev.claim == SHARED:
        target.bdevs.abandon(bdev)
        yield Pause.NEVER
    yield Pause.MESSAGE
    target.bdevs.remove(target.bdevs.get(bdev.name))
    return True


def deleter(driver: str) -> Handler:
    def delete(target: Target, *, name: str) -> Steps:
        return _delete(target, name, driver)

    return delete


HANDLERS: Final[Mapping[str, Handler]] = {
    "bdev_set_options": set_options,
    "bdev_get_bdevs": get_bdevs,
    "bdev_get_iostat": get_iostat,
    "bdev_examine": examine_bdev,
    "bdev_wait_for_examine": wait_for_examine,
    "bdev_set_qos_limit": set_qos_limit,
    "bdev_malloc_create": malloc_create,
    "bdev_malloc_delete": deleter("malloc"),
    "bdev_null_create": null_create,
    "bdev_null_resize": null_resize,
    "bdev_null_delete": deleter("null"),
    "bdev_aio_create": aio_create,
    "bdev_aio_rescan": aio_rescan,
    "bdev_aio_delete": deleter("aio"),
    "bdev_passthru_create": passthru_create,
    "bdev_passthru_delete": passthru_delete,
}
