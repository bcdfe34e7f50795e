"""bdev_raid_*. A superblock at the front of each member that is a file puts the array together again."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from backends.spdk.simulator.bdevs import Bdev
from backends.spdk.simulator.errors import RpcError
from backends.spdk.simulator.raid import Leg, Raid
from backends.spdk.simulator.stack_methods import above
from backends.spdk.simulator.steps import Handler, Pause, Steps
from backends.spdk.simulator.target import Target
from schemas.resources import Json

RAID_IO: Final = ("read", "write", "unmap", "flush", "reset", "write_zeroes")
LEVELS: Final = {"raid0": "raid0", "0": "raid0", "raid1": "raid1", "1": "raid1", "concat": "concat"}
MARK: Final = b"SPDKRAID"
BLOCK: Final = 4096
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
    number = _objection(target, name, level, base_bdevs, strip_size_kb) or _taken(target, base_bdevs, uuid)
    if number:
        raise _refused(f"create RAID bdev {name}", number)
    raid = Raid(name, level, strip_size_kb, superblock, [Leg(base) for base in base_bdevs], uuid)
    target.raids.by_name[name] = raid
    yield Pause.IO
    for base in base_bdevs:
        if (bdev := target.bdevs.find(base)) is not None:
            _fill(target, raid, bdev)
    yield from target.read_fresh()
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


def _taken(target: Target, bases: list[str], uuid: str | None) -> int:
    """Observed: a member of another array is EEXIST, one of an array of this very UUID EINVAL."""
    found = (bdev for base in bases if (bdev := target.bdevs.find(base)) is not None)
    marks = [about["uuid"] for bdev in found if (about := _superblock(bdev)) is not None]
    return 0 if not marks else errno.EINVAL if uuid in marks else errno.EEXIST


def _refused(what: str, number: int) -> RpcError:
    return RpcError(-number, f"Failed to {what}: {os.strerror(number)}")


def wait_for(target: Target, bdev: Bdev) -> None:
    """Arrays that lack a device of this name take it."""
    for raid in target.raids.by_name.values():
        waits = any(leg.name == bdev.name and leg.bdev is None for leg in raid.legs)
        if raid.bdev is None and bdev.claim is None and waits:
            _fill(target, raid, bdev)


def _fill(target: Target, raid: Raid, bdev: Bdev) -> None:
    leg = next(leg for leg in raid.legs if leg.bdev is None and target.bdevs.find(leg.name or "") in (bdev, None))
    _occupy(target, raid, leg, bdev)
    if raid.bdev is None and all(leg.bdev for leg in raid.legs):
        _go_online(target, raid)
        _write(raid)


def _occupy(target: Target, raid: Raid, leg: Leg, bdev: Bdev) -> None:
    bdev.take(leg, partial(_lose, target, raid, leg))
    leg.name, leg.bdev = bdev.name, bdev
    leg.data_offset = SUPERBLOCK // bdev.block_size if raid.superblock else 0
    leg.data_size = bdev.num_blocks - leg.data_offset
    leg.expected = bdev.uuid


def _go_online(target: Target, raid: Raid) -> None:
    bases = [leg.bdev for leg in raid.legs if leg.bdev is not None]
    smallest = min(leg.data_size for leg in raid.legs if leg.bdev is not None)
    raid.uuid = raid.uuid or target.mint()
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
        file=above(bases[0].file, smallest * len(raid.legs) * bases[0].block_size, raid.uuid),
    )
    target.enter_fresh(raid.bdev)


def _lose(target: Target, raid: Raid, leg: Leg) -> None:
    """A mirror goes on with what it has; the last leg, or any of another level, takes the array along."""
    if leg.bdev is not None:
        leg.bdev.close(leg)
    leg.name, leg.bdev, leg.data_offset, leg.expected = None, None, 0, ""
    if raid.level == "raid1" and raid.bdev is not None and any(other.bdev for other in raid.legs):
        raid.lost |= {raid.legs.index(leg)}
        _write(raid)
    elif raid.bdev is not None and any(other.bdev for other in raid.legs):
        target.bdevs.remove(raid.bdev)
        raid.bdev, raid.broken = None, True
    else:
        _take_down(target, raid)


def _take_down(target: Target, raid: Raid) -> None:
    target.raids.by_name.pop(raid.name, None)
    for leg in raid.legs:
        if leg.bdev is not None:
            leg.bdev.close(leg)
    if raid.bdev is not None:
        target.bdevs.remove(raid.bdev)


def delete(target: Target, *, name: str, clear_sb: bool = False) -> Steps:
    if name not in target.raids.by_name:
        raise RpcError(-errno.ENODEV, f"raid bdev {name} not found")
    yield Pause.MESSAGE
    if name in target.raids.by_name:
        legs = [leg.bdev for leg in target.raids.by_name[name].legs if leg.bdev is not None]
        _take_down(target, target.raids.by_name[name])
        for bdev in legs if clear_sb else ():
            if bdev.file is not None:
                with open(bdev.file, "r+b") as file:  # noqa: PTH123  # in place
                    file.write(bytes(BLOCK))
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
    _readmit(target, raid, leg, bdev)
    yield Pause.IO
    return True


def _readmit(target: Target, raid: Raid, leg: Leg, bdev: Bdev) -> None:
    size = leg.data_size
    _occupy(target, raid, leg, bdev)
    leg.data_size = size
    raid.lost -= {raid.legs.index(leg)}
    _write(raid)


# Superblocks


def _write(raid: Raid) -> None:
    """Tell every member what it is part of, and who is not any more."""
    if not raid.superblock:
        return
    raid.sequence += 1
    about = {
        "name": raid.name,
        "level": raid.level,
        "strip": raid.strip_size_kb,
        "uuid": raid.uuid,
        "sequence": raid.sequence,
        "lost": sorted(raid.lost),
        "members": [leg.expected for leg in raid.legs],
    }
    for leg in raid.legs:
        if leg.bdev is not None and leg.bdev.file is not None:
            with open(leg.bdev.file, "r+b") as file:  # noqa: PTH123  # in place
                file.write((MARK + json.dumps(about).encode()).ljust(BLOCK, b"\0"))


def _superblock(bdev: Bdev) -> dict[str, Any] | None:
    if bdev.file is None:
        return None
    with open(bdev.file, "rb") as file:  # noqa: PTH123  # see above
        block = file.read(BLOCK)
    return json.loads(block.removeprefix(MARK).rstrip(b"\0")) if block.startswith(MARK) else None


def assemble(target: Target, bdev: Bdev) -> Steps:
    """A member that comes back. Observed: the newest superblock decides who belongs to the array."""
    about = _superblock(bdev) if bdev.claim is None else None
    if about is None or bdev.uuid not in about["members"]:
        return True
    raid = target.raids.by_name.get(about["name"])
    if raid is None or (raid.bdev is None and raid.sequence < about["sequence"]):
        raid = _begin(target, about)
    place = next((leg for leg in raid.legs if leg.bdev is None and leg.expected == bdev.uuid), None)
    number = about["members"].index(bdev.uuid)
    if raid.bdev is not None and raid.legs[number].bdev is None and not raid.legs[number].expected:
        _readmit(target, raid, raid.legs[number], bdev)  # observed: lost and back in one life of the target
    elif place is not None and raid.bdev is None and number not in raid.lost:
        _occupy(target, raid, place, bdev)
        if all(leg.bdev for i, leg in enumerate(raid.legs) if i not in raid.lost):
            _go_online(target, raid)
    yield from target.read_fresh()
    return True


def _begin(target: Target, about: dict[str, Any]) -> Raid:
    """What a superblock tells of its array; one that knew less is forgotten, and lets its members go."""
    if (older := target.raids.by_name.get(about["name"])) is not None:
        _take_down(target, older)
    legs = [Leg(None, expected=uuid) for uuid in about["members"]]
    raid = Raid(about["name"], about["level"], about["strip"], superblock=True, legs=legs, uuid=about["uuid"])
    raid.sequence, raid.lost = about["sequence"], frozenset(about["lost"])
    target.raids.by_name[raid.name] = raid
    return raid


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
