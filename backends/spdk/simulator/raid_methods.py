"""bdev_raid_*: arrays and their legs."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import Final

from backends.spdk.simulator.errors import RpcError, failed
from backends.spdk.simulator.raid import MIRROR, Leg, Raid, State, erase
from backends.spdk.simulator.raid_assembly import RefusedLate, join
from backends.spdk.simulator.raid_life import Refused, dissolve, lose
from backends.spdk.simulator.steps import Handler, Pause, Steps
from backends.spdk.simulator.target import Target
from schemas.resources import Json

LEVELS: Final = {"raid0": "raid0", "0": "raid0", "raid1": MIRROR, "1": MIRROR, "concat": "concat"}
MAX_NAME: Final = 63


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
    if "" in base_bdevs:
        raise RpcError(-errno.EINVAL, f"The base bdev name cannot be empty: {os.strerror(errno.EINVAL)}")
    level = LEVELS.get(raid_level, "")
    number = _objection(target, name, level, len(base_bdevs), strip_size_kb)
    if number:
        raise _error(f"create RAID bdev {name}", number)
    identity = uuid or (target.mint() if superblock else None)
    raid = Raid(name, level, strip_size_kb, [Leg(base) for base in base_bdevs], identity, len(base_bdevs), superblock)
    target.raids.by_name[name] = raid
    yield Pause.IO
    try:
        for leg in raid.legs:
            if target.bdevs.find(leg.name or "") is not None:
                join(target, raid, leg)
    except Refused as refused:
        dissolve(target, raid)
        raise _error(f"create RAID bdev {name}", refused.number) from None
    return True


def _objection(target: Target, name: str, level: str, bases: int, strip_size_kb: int) -> int:
    if len(name.encode()) > MAX_NAME:
        return errno.EINVAL
    if name in target.raids.by_name:
        return errno.EEXIST
    is_power = strip_size_kb > 0 and not strip_size_kb & (strip_size_kb - 1)
    if not level or (strip_size_kb != 0 if level == MIRROR else not is_power):
        return errno.EINVAL
    return errno.EINVAL if bases < (2 if level == MIRROR else 1) else 0


def _error(what: str, number: int) -> RpcError:
    return RpcError(-number, f"Failed to {what}: {os.strerror(number)}")


def set_options(target: Target, **given: int) -> Json:
    options = target.raids.options | given
    if not options["process_window_size_kb"]:
        raise failed(errno.EINVAL)
    target.raids.options = options
    return True


def delete(target: Target, *, name: str, clear_sb: bool = False) -> Steps:
    """Observed: with its superblock left the array comes back as soon as a leg is examined again."""
    raid = target.raids.by_name.get(name)
    if raid is None:
        raise RpcError(-errno.ENODEV, f"raid bdev {name} not found")
    yield Pause.MESSAGE
    if clear_sb and raid.superblock is not None:
        for leg in raid.legs:
            if leg.bdev is not None:
                erase(leg.bdev.media())
    dissolve(target, raid)
    return True


def get_bdevs(target: Target, *, category: str) -> Json:
    raids = target.raids.by_name.values()
    return [raid.dump() for raid in raids if category in ("all", raid.state.value)]


def add_base_bdev(target: Target, *, raid_bdev: str, base_bdev: str) -> Steps:
    """Fills a leg that was given up, and rebuilds the array on it."""
    raid = target.raids.by_name.get(raid_bdev)
    if raid is None:
        raise RpcError(-errno.ENODEV, f"raid bdev {raid_bdev} is not found in config")
    what = f"add base bdev {base_bdev} to RAID bdev {raid_bdev}"
    if raid.rebuilding is not None:
        raise _error(what, errno.EPERM)
    leg = _empty_place(target, raid, base_bdev)
    if leg is None:
        raise _error(what, errno.EINVAL)
    leg.name = base_bdev
    try:
        join(target, raid, leg)
    except Refused as refused:
        if isinstance(refused, RefusedLate):
            raise _error("add base bdev to RAID bdev", refused.number) from None
        if refused.number != errno.ENODEV or raid.state is not State.CONFIGURING:
            leg.name = None
        raise _error(what, refused.number) from None
    yield Pause.IO
    return True


def _empty_place(target: Target, raid: Raid, name: str) -> Leg | None:
    bdev = target.bdevs.find(name)
    nameless = [leg for leg in raid.legs if leg.name is None]
    if raid.state is State.CONFIGURING and bdev is not None:
        expected = next((leg for leg in nameless if leg.uuid == bdev.uuid), None)
        if expected is not None:
            return expected
    return next((leg for leg in nameless if leg.uuid is None), None)


def remove_base_bdev(target: Target, *, name: str) -> Steps:
    bdev = target.bdevs.find(name)
    found = target.raids.holding(bdev) if bdev is not None else None
    if found is None:
        raise RpcError(-errno.ENODEV, "Failed to remove base bdev from raid bdev")
    yield Pause.MESSAGE
    lose(target, *found)
    return True


HANDLERS: Final[Mapping[str, Handler]] = {
    "bdev_raid_set_options": set_options,
    "bdev_raid_create": create,
    "bdev_raid_delete": delete,
    "bdev_raid_get_bdevs": get_bdevs,
    "bdev_raid_add_base_bdev": add_base_bdev,
    "bdev_raid_remove_base_bdev": remove_base_bdev,
}
