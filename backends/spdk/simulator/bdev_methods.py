"""bdev_*: devices in memory and of nothing, limits of all, and the listing of all."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import Final

from backends.spdk.simulator.bdevs import LIMITS, SHARED, Bdev
from backends.spdk.simulator.errors import INVALID_PARAMS, RpcError, TargetCrashed, failed
from backends.spdk.simulator.media import Medium, Window
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
PREFERRED: Final = (
    "preferred_write_granularity",
    "preferred_write_alignment",
    "optimal_write_size",
    "preferred_unmap_granularity",
    "preferred_unmap_alignment",
)
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


def set_options(target: Target, *, bdev_auto_examine: bool = True, **sizes: int) -> Json:
    target.auto_examine = bdev_auto_examine
    target.bdev_options |= sizes
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
    optimal_io_boundary: int = 0,
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
    bdev.recipe = {
        "physical_block_size": physical_block_size or block_size - (md_size if md_interleave else 0),
        "uuid": "",  # whichever it gets
        "optimal_io_boundary": optimal_io_boundary,
        "md_size": md_size,
        "dif_type": dif_type,
        "dif_is_head_of_md": dif_is_head_of_md,
        "dif_pi_format": dif_pi_format,
        "numa_id": numa_id,
    }
    bdev.domains = lambda: [] if dif_type else ["DMA", "ACCEL"]
    medium = bdev.medium = Medium(None)
    bdev.media = lambda: (Window(medium, 0, bdev.size),)
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
    bdev = Bdev(
        name,
        "Null disk",
        "null",
        block_size + md_size,
        num_blocks,
        uuid or "",
        NULL_IO,
        preferred=preferred,
        is_void=True,
    )
    bdev.metadata = _metadata(md_size, dif_type, dif_pi_format, interleaved=True, at_head=dif_is_head_of_md)
    bdev.recipe = {
        "physical_block_size": physical_block_size or block_size,
        "md_size": md_size,
        "dif_type": dif_type,
        "dif_is_head_of_md": dif_is_head_of_md,
        "dif_pi_format": dif_pi_format,
        "uuid": "",  # whichever it gets
        **{name: preferred.get(name, 0) for name in PREFERRED},
    }
    return target.register(bdev).name


def null_resize(target: Target, *, name: str, new_size: int) -> Json:
    """Grows only; a device that is not null is EINVAL here, not ENODEV."""
    bdev = target.bdevs.get(name)
    if bdev.driver != "null" or new_size < bdev.size // MIB:
        raise failed(errno.EINVAL)
    target.bdevs.resize(bdev, new_size * MIB // bdev.block_size)
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
}
