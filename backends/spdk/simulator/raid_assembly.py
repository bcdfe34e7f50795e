"""Arrays come together: legs that are named or come late, and superblocks on devices that were just examined."""

from __future__ import annotations

import errno
from typing import Final

from backends.spdk.simulator.bdevs import Bdev
from backends.spdk.simulator.raid import Leg, Raid, Seat, State, Superblock
from backends.spdk.simulator.raid_life import Refused, dissolve, let_go, open_leg, settle_leg
from backends.spdk.simulator.steps import Pause, Steps
from backends.spdk.simulator.target import Target

EXISTS: Final = errno.EEXIST


class RefusedLate(Refused):
    """For what the superblock on it says, which is read when the call is under way."""


def join(target: Target, raid: Raid, leg: Leg) -> None:
    """A device that may carry anything becomes a leg: it must not be another array's."""
    bdev = open_leg(target, raid, leg)
    found = Superblock.read(bdev)
    if found is None:
        settle_leg(target, raid, leg, bdev)
        return
    bdev.close(leg)
    let_go(raid, leg)
    if found.uuid != raid.uuid:
        raise RefusedLate(EXISTS)
    try:
        _take_back(target, found, bdev)
    except Refused as refused:
        raise RefusedLate(refused.number) from None


def wait_for(target: Target, bdev: Bdev) -> None:
    """Arrays that lack a device of this name or UUID take it, unless it is known to be of another."""
    if bdev.claim is not None or Superblock.read(bdev) is not None:
        return
    for raid in list(target.raids.by_name.values()):
        if raid.state is not State.CONFIGURING or raid.superblock is not None:
            continue
        wanted = (leg for leg in raid.legs if leg.bdev is None and (leg.name == bdev.name or leg.uuid == bdev.uuid))
        if leg := next(wanted, None):
            _try(target, raid, leg)


def _try(target: Target, raid: Raid, leg: Leg) -> None:
    try:
        settle_leg(target, raid, leg, open_leg(target, raid, leg))
    except Refused:
        return


def examine(target: Target, bdev: Bdev) -> Steps:
    """A device with a superblock brings its array back, or itself back to it."""
    found = Superblock.read(bdev) if bdev.claim is None else None
    if found is None:
        return None
    try:
        _take_back(target, found, bdev)
    except Refused:
        return None
    for _ in range(2):  # observed: what the array carries is announced first
        yield Pause.IO
    return None


def _take_back(target: Target, found: Superblock, bdev: Bdev) -> None:
    """A device that the superblock does not know, or has given up, is left alone."""
    if found.block_size != bdev.block_size:
        raise Refused(errno.EINVAL)
    raid = _array_of(target, found)
    newest = raid.superblock if raid is not None and raid.superblock is not None else found
    seat = next((seat for seat in newest.seats if seat.uuid == bdev.uuid), None)
    if seat is None:
        raise Refused(errno.EINVAL)
    is_new = raid is None
    raid = raid or _assemble(target, found)
    leg = _seat_of(raid, seat, bdev)
    settle_leg(target, raid, leg, open_leg(target, raid, leg))
    if is_new:
        _look_for_others(target, raid)


def _array_of(target: Target, found: Superblock) -> Raid | None:
    """The array that is there, unless it was put together from an older superblock than this."""
    raid = target.raids.by_uuid(found.uuid)
    if raid is None:
        return None
    if raid.superblock is None:
        raise Refused(errno.EINVAL)
    if found.number <= raid.superblock.number:
        return raid
    if raid.state is not State.CONFIGURING:
        raise Refused(errno.EBUSY)
    dissolve(target, raid)
    return None


def _assemble(target: Target, found: Superblock) -> Raid:
    if found.name in target.raids.by_name:
        raise Refused(errno.EEXIST)
    legs = [Leg() for _ in found.seats]
    for seat in found.seats:
        leg = legs[seat.slot]
        leg.uuid = seat.uuid if seat.is_active else None
        leg.data_offset, leg.data_size = seat.data_offset, seat.data_size
    operational = sum(seat.is_active for seat in found.seats)
    raid = Raid(found.name, found.level, found.strip_size_kb, legs, found.uuid, operational, True)  # noqa: FBT003
    raid.superblock = found.copy()
    target.raids.by_name[raid.name] = raid
    return raid


def _seat_of(raid: Raid, seat: Seat, bdev: Bdev) -> Leg:
    if raid.state is State.ONLINE:
        leg = raid.legs[seat.slot]
        leg.uuid = seat.uuid
        return leg
    known = next((leg for leg in raid.legs if leg.uuid == bdev.uuid), None)
    if not seat.is_active or known is None:
        raise Refused(errno.EINVAL)
    if known.bdev is not None:
        raise Refused(errno.EEXIST)
    return known


def _look_for_others(target: Target, raid: Raid) -> None:
    """Devices that came before the array was known."""
    for leg in raid.legs:
        bdev = target.bdevs.find(leg.uuid or "") if leg.bdev is None else None
        found = Superblock.read(bdev) if bdev is not None and bdev.claim is None else None
        if bdev is not None and found is not None:
            try:
                _take_back(target, found, bdev)
            except Refused:
                return
