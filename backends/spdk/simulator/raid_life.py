"""The life of an array: a leg is opened, it goes online, loses legs, is rebuilt, goes offline."""

from __future__ import annotations

import errno
from functools import partial
from typing import Final

from backends.spdk.simulator.bdevs import IO_TYPES, Bdev
from backends.spdk.simulator.errors import RpcError
from backends.spdk.simulator.raid import MIRROR, SUPERBLOCK, Leg, Raid, Seat, State, Superblock
from backends.spdk.simulator.steps import Pause, Steps
from backends.spdk.simulator.target import Target

RAID_IO: Final = frozenset({"read", "write", "unmap", "flush", "reset", "write_zeroes"})
ASKED_OF_LEGS: Final = frozenset({"unmap", "flush", "reset"})


class Refused(Exception):
    """An errno on its way to its message."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def open_leg(target: Target, raid: Raid, leg: Leg) -> Bdev:
    """Claim the device that the leg names or knows by UUID, and see that it fits."""
    bdev = target.bdevs.find(leg.uuid or leg.name or "")
    if bdev is None:
        raise Refused(errno.ENODEV)
    if leg.uuid is not None and leg.name not in (None, bdev.name):
        raise Refused(errno.EINVAL)
    if bdev.claim is not None:
        raise Refused(errno.EPERM)
    leg.name, leg.uuid = leg.name or bdev.name, bdev.uuid
    bdev.take(leg, partial(lose, target, raid, leg))
    if raid.has_superblock and not leg.data_offset:
        leg.data_offset = SUPERBLOCK // bdev.block_size
    available = bdev.num_blocks - leg.data_offset
    is_room = available > 0 and leg.data_size <= available
    if is_room:
        leg.data_size = leg.data_size or available
    if not is_room or not _is_alike(raid, bdev):
        bdev.close(leg)
        let_go(raid, leg)
        raise Refused(errno.EINVAL)
    raid.block_size = bdev.block_size
    return bdev


def _is_alike(raid: Raid, bdev: Bdev) -> bool:
    """Blocks, and what is kept beside them, are the same on all legs."""
    if raid.level != "raid0" and "dif_pi_format" in bdev.metadata:
        return False
    if raid.block_size == 0:
        raid.metadata = bdev.metadata
    return raid.block_size in (0, bdev.block_size) and raid.metadata == bdev.metadata


def settle_leg(target: Target, raid: Raid, leg: Leg, bdev: Bdev) -> None:
    """The leg is there: the array may be whole now, or must be rebuilt on it."""
    is_late = raid.discovered == raid.operational
    leg.bdev = bdev
    leg.name = bdev.name
    if is_late:
        raid.operational += 1
        raid.rebuilding, raid.progress = leg, 0
        target.background.append(_rebuild(target, raid, leg))
    elif raid.discovered == raid.operational:
        try:
            _go_online(target, raid)
        except Refused:
            _release(raid, leg)
            raise


def let_go(raid: Raid, leg: Leg) -> None:
    """The place is empty; while the array is being made, it still knows whom it wants."""
    leg.name, leg.data_offset = None, 0
    if raid.state is not State.CONFIGURING:
        leg.uuid = None


def _release(raid: Raid, leg: Leg) -> None:
    if leg.bdev is not None:
        leg.bdev.close(leg)
        leg.bdev = None
    let_go(raid, leg)


def _go_online(target: Target, raid: Raid) -> None:
    legs = [leg for leg in raid.legs if leg.bdev is not None]
    strip = raid.strip_size_kb * 1024 // raid.block_size
    if raid.level != MIRROR and not strip:
        raise Refused(errno.EINVAL)
    num_blocks = _lay_out(raid, strip)
    if raid.has_superblock:
        _prepare_superblock(raid, num_blocks)
        if not _write(raid):
            raise Refused(errno.EIO)
    bdev = Bdev(raid.name, "Raid Volume", "raid", raid.block_size, num_blocks, raid.uuid or "", _io_types(legs))
    bdev.details = lambda: {"raid": raid.describe()}
    bdev.media = raid.media
    bdev.is_void = any(leg.bdev.is_void for leg in legs if leg.bdev is not None)
    bdev.metadata = legs[0].bdev.metadata if legs[0].bdev else {}
    bdev.domains = bdev.shown_domains = raid.domains
    try:
        target.bdevs.register(bdev)
    except RpcError:
        raise Refused(errno.EEXIST) from None
    raid.bdev, raid.uuid, raid.state = bdev, bdev.uuid, State.ONLINE
    target.settle(bdev)


def _lay_out(raid: Raid, strip: int) -> int:
    """How much of each leg is used; blocks of the array."""
    smallest = min(leg.data_size for leg in raid.legs)
    if raid.level == "concat":
        for leg in raid.legs:
            leg.data_size = leg.data_size // strip * strip
        return sum(leg.data_size for leg in raid.legs)
    used = smallest if raid.level == MIRROR else smallest // strip * strip
    for leg in raid.legs:
        leg.data_size = used
    return used if raid.level == MIRROR else used * len(raid.legs)


def _io_types(legs: list[Leg]) -> list[str]:
    offered = [frozenset(leg.bdev.io_types) for leg in legs if leg.bdev is not None]
    common = frozenset(IO_TYPES).intersection(*offered)
    return [kind for kind in RAID_IO if kind not in ASKED_OF_LEGS or kind in common]


def _prepare_superblock(raid: Raid, num_blocks: int) -> None:
    if raid.superblock is None:
        seats = [Seat(slot, leg.uuid or "", leg.data_offset, leg.data_size) for slot, leg in enumerate(raid.legs)]
        strip, block = raid.strip_size_kb, raid.block_size
        raid.superblock = Superblock(raid.uuid or "", raid.name, raid.level, strip, block, num_blocks, seats)
    elif (raid.superblock.block_size, raid.superblock.num_blocks) != (raid.block_size, num_blocks):
        raise Refused(errno.EINVAL)


def _write(raid: Raid, but: Leg | None = None) -> bool:
    """Tell every leg that stays; whether all could be told, which a read-only one cannot."""
    if raid.superblock is None:
        return True
    raid.superblock.number += 1
    media = [list(leg.bdev.media()) for leg in raid.legs if leg.bdev is not None and leg is not but]
    try:
        for medium in media:
            raid.superblock.write(medium)
    except OSError:
        return False
    return True


def lose(target: Target, raid: Raid, leg: Leg) -> None:
    """A mirror goes on with what it has; the last leg, or any of another level, takes the array along."""
    if raid.state is not State.ONLINE:
        _release(raid, leg)
        if raid.state is State.OFFLINE and not raid.discovered:
            target.raids.by_name.pop(raid.name, None)
        return
    if raid.superblock is not None and raid.fewest < len(raid.legs):
        _give_up_seat(raid, leg)
    if raid.rebuilding is leg:
        raid.rebuilding = None
    elif raid.rebuilding is not None and raid.discovered - 1 <= raid.fewest:
        lose(target, raid, raid.rebuilding)  # there is nothing left to rebuild it from
    raid.operational -= 1
    is_over = raid.operational < raid.fewest
    if is_over:
        _go_offline(target, raid)
    _release(raid, leg)
    if is_over and not raid.discovered:
        target.raids.by_name.pop(raid.name, None)


def _give_up_seat(raid: Raid, leg: Leg) -> None:
    assert raid.superblock is not None  # noqa: S101  # the caller has looked
    for seat in raid.superblock.seats:
        if seat.slot == raid.legs.index(leg) and seat.is_active:
            seat.is_active = False
            _write(raid, but=leg)


def _go_offline(target: Target, raid: Raid) -> None:
    raid.state = State.OFFLINE
    raid.rebuilding = None
    if raid.bdev is not None:
        target.bdevs.remove(raid.bdev)
        raid.bdev = None


def dissolve(target: Target, raid: Raid) -> None:
    """No array any more; its legs are free, and what is on them stays."""
    if target.raids.by_name.get(raid.name) is raid:
        del target.raids.by_name[raid.name]
    if raid.state is State.ONLINE:
        _go_offline(target, raid)
    for leg in raid.legs:
        _release(raid, leg)


def _rebuild(target: Target, raid: Raid, leg: Leg) -> Steps:
    """Copies what the mirror holds. Nobody sees what is on the leg before it is over."""
    if leg.bdev is raid.bdev:
        yield Pause.NEVER  # observed: an array may become its own leg, and is never done with it
    begun = target.now()
    yield Pause.IO
    while raid.rebuilding is leg and raid.bdev is not None:
        raid.progress = int((target.now() - begun) * target.pace.rebuild / raid.block_size)
        if raid.progress >= raid.bdev.num_blocks:
            _finish_rebuild(target, raid)
        else:
            yield Pause.POLL
    return True


def _finish_rebuild(target: Target, raid: Raid) -> None:
    raid.rebuilding = None
    if raid.superblock is not None:
        for seat in raid.superblock.seats:
            leg = raid.legs[seat.slot]
            if not seat.is_active and leg.bdev is not None:
                seat.is_active, seat.data_offset, seat.uuid = True, leg.data_offset, leg.uuid or ""
        _write(raid)
    for store in target.stores:
        store.commit_self()  # a mirror that has one leg more is written anew
