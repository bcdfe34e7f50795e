"""bdev_raid_*. Superblocks are not written: no array comes back by itself after a restart."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from functools import partial
from typing import Final

from backends.spdk.simulator.bdevs import Bdev
from backends.spdk.simulator.errors import RpcError
from backends.spdk.simulator.raid import Leg, Raid
from backends.spdk.simulator.steps import Handler, Pause, Steps
from backends.spdk.simulator.target import Target
from schemas.resources import Json

RAID_IO: Final = ("read", "write", "unmap", "flush", "reset", "write_zeroes")
LEVELS: Final = {"raid0": "raid0", "0": "raid0", "raid1": "raid1", "1": "raid1", "concat": "concat"}
SUPERBLOCK: Final = 1 << 20  # bytes that it takes at the front of each base


def create(  # noqa: PLR0913  # the method's parameters
    target: Target,
    *,
    name: str,
    raid_level: str,
    base_bdevs: list[str],
    strip_size_kb: int = 0,
    uuid: str | None = None,
    superblock: bool = False,
) -> Steps:
    """With a base absent it answers well and stays configuring."""
    level = LEVELS.get(raid_level, "")
    number = _objection(target, name, level, base_bdevs, strip_size_kb)
    if number:
        raise _refused(f"create RAID bdev {name}", number)
    raid = Raid(name, level, strip_size_kb, superblock, [Leg(base) for base in base_bdevs], uuid)
    target.raids.by_name[name] = raid
    yield Pause.IO
    for base in base_bdevs:
        if (bdev := target.bdevs.find(base)) is not None:
            _fill(target, raid, bdev)
    return True


def _objection(target: Target, name: str, level: str, bases: list[str], strip_size_kb: int) -> int:
    if name in target.raids.by_name or target.bdevs.find(name):
        return errno.EEXIST
    fewest = 2 if level == "raid1" else 1
    if not level or len(bases) < fewest or (level == "raid1") != (strip_size_kb == 0):
        return errno.EINVAL
    found = [bdev for base in bases if (bdev := target.bdevs.find(base)) is not None]
    if len(set(bases)) < len(bases) or any(bdev.claim is not None for bdev in found):
        return errno.EPERM
    return 0


def _refused(what: str, number: int) -> RpcError:
    return RpcError(-number, f"Failed to {what}: {os.strerror(number)}")


def wait_for(target: Target, bdev: Bdev) -> None:
    """Arrays that lack a device of this name take it."""
    for raid in target.raids.by_name.values():
        if raid.bdev is None and bdev.claim is None and any(leg.name == bdev.name for leg in raid.legs):
            _fill(target, raid, bdev)


def _fill(target: Target, raid: Raid, bdev: Bdev) -> None:
    leg = next(leg for leg in raid.legs if leg.bdev is None and target.bdevs.find(leg.name or "") in (bdev, None))
    _occupy(target, raid, leg, bdev)
    if raid.bdev is None and all(leg.bdev for leg in raid.legs):
        _go_online(target, raid)


def _occupy(target: Target, raid: Raid, leg: Leg, bdev: Bdev) -> None:
    bdev.take(leg, partial(_lose, target, raid, leg))
    leg.name, leg.bdev = bdev.name, bdev
    leg.data_offset = SUPERBLOCK // bdev.block_size if raid.superblock else 0
    leg.data_size = bdev.num_blocks - leg.data_offset


def _go_online(target: Target, raid: Raid) -> None:
    bases = [leg.bdev for leg in raid.legs if leg.bdev is not None]
    smallest = min(leg.data_size for leg in raid.legs)
    for leg in raid.legs:
        leg.data_size = smallest
    blocks = smallest if raid.level == "raid1" else smallest * len(raid.legs)
    raid.bdev = Bdev(
        raid.name,
        "Raid Volume",
        "raid",
        bases[0].block_size,
        blocks,
        raid.uuid or "",
        RAID_IO,
        lambda: {"raid": raid.describe()},
    )
    target.register(raid.bdev)


def _lose(target: Target, raid: Raid, leg: Leg) -> None:
    """A mirror goes on with what it has; the last leg, or any of another level, takes the array along."""
    if leg.bdev is not None:
        leg.bdev.close(leg)
    leg.name, leg.bdev, leg.data_offset = None, None, 0
    if raid.level != "raid1" or raid.bdev is None or not any(other.bdev for other in raid.legs):
        _take_down(target, raid)


def _take_down(target: Target, raid: Raid) -> None:
    target.raids.by_name.pop(raid.name, None)
    for leg in raid.legs:
        if leg.bdev is not None:
            leg.bdev.close(leg)
    if raid.bdev is not None:
        target.bdevs.remove(raid.bdev)


def delete(target: Target, *, name: str, clear_sb: bool = False) -> Steps:
    del clear_sb
    if name not in target.raids.by_name:
        raise RpcError(-errno.ENODEV, f"raid bdev {name} not found")
    yield Pause.MESSAGE
    if name in target.raids.by_name:
        _take_down(target, target.raids.by_name[name])
    return True


def get_bdevs(target: Target, *, category: str) -> Json:
    raids = target.raids.by_name.values()
    return [raid.dump() for raid in raids if category in ("all", raid.state)]


def add_base_bdev(target: Target, *, raid_bdev: str, base_bdev: str) -> Steps:
    """Fills a leg that was given up. The rebuild is over at once: there is nothing to copy."""
    raid = target.raids.by_name.get(raid_bdev)
    if raid is None:
        raise RpcError(-errno.ENODEV, f"raid bdev {raid_bdev} is not found in config")
    bdev, leg = target.bdevs.find(base_bdev), next((leg for leg in raid.legs if leg.name is None), None)
    if bdev is None:
        raise _refused(f"add base bdev {base_bdev} to RAID bdev {raid_bdev}", errno.ENODEV)
    if leg is None or bdev.claim is not None:
        raise _refused(f"add base bdev {base_bdev} to RAID bdev {raid_bdev}", errno.EPERM)
    size = leg.data_size
    _occupy(target, raid, leg, bdev)
    leg.data_size = size
    yield Pause.IO
    return True


def remove_base_bdev(target: Target, *, name: str) -> Steps:
    bdev = target.bdevs.find(name)
    found = [
        (raid, leg) for raid in target.raids.by_name.values() for leg in raid.legs if leg.bdev and leg.bdev is bdev
    ]
    if not found:
        raise RpcError(-errno.ENODEV, "Failed to remove base bdev from raid bdev")
    yield Pause.MESSAGE
    _lose(target, *found[0])
    return True


HANDLERS: Final[Mapping[str, Handler]] = {
    "bdev_raid_create": create,
    "bdev_raid_delete": delete,
    "bdev_raid_get_bdevs": get_bdevs,
    "bdev_raid_add_base_bdev": add_base_bdev,
    "bdev_raid_remove_base_bdev": remove_base_bdev,
}
