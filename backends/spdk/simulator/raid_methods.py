"""bdev_raid_*: arrays, their legs, and what comes back by its superblock."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from functools import partial
from typing import Final

from backends.spdk.simulator.bdevs import IO_TYPES, Bdev
from backends.spdk.simulator.errors import RpcError, failed
from backends.spdk.simulator.raid import MIRROR, SUPERBLOCK, Leg, Raid, Seat, State, Superblock, erase
from backends.spdk.simulator.steps import Handler, Pause, Steps
from backends.spdk.simulator.target import Target
from schemas.resources import Json

RAID_IO: Final = frozenset({"read", "write", "unmap", "flush", "reset", "write_zeroes"})
ASKED_OF_LEGS: Final = frozenset({"unmap", "flush", "reset"})
LEVELS: Final = {"raid0": "raid0", "0": "raid0", "raid1": MIRROR, "1": MIRROR, "concat": "concat"}
MAX_NAME: Final = 63
EXISTS: Final = errno.EEXIST


class _Refused(Exception):
    """An errno on its way to its message."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _RefusedLate(_Refused):
    """For what the superblock on it says, which is read when the call is under way."""


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
                _join(target, raid, leg)
    except _Refused as refused:
        _dissolve(target, raid)
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


# Legs


def _join(target: Target, raid: Raid, leg: Leg) -> None:
    """A device that may carry anything becomes a leg: it must not be another array's."""
    bdev = _open(target, raid, leg)
    found = Superblock.read(bdev)
    if found is None:
        _settle(target, raid, leg, bdev)
        return
    bdev.close(leg)
    _let_go(raid, leg)
    if found.uuid != raid.uuid:
        raise _RefusedLate(EXISTS)
    try:
        _take_back(target, found, bdev)
    except _Refused as refused:
        raise _RefusedLate(refused.number) from None


def _open(target: Target, raid: Raid, leg: Leg) -> Bdev:
    """Claim the device that the leg names or knows by UUID, and see that it fits."""
    bdev = target.bdevs.find(leg.uuid or leg.name or "")
    if bdev is None:
        raise _Refused(errno.ENODEV)
    if leg.uuid is not None and leg.name not in (None, bdev.name):
        raise _Refused(errno.EINVAL)
    if bdev.claim is not None:
        raise _Refused(errno.EPERM)
    leg.name, leg.uuid = leg.name or bdev.name, bdev.uuid
    bdev.take(leg, partial(_lose, target, raid, leg))
    if raid.has_superblock and not leg.data_offset:
        leg.data_offset = SUPERBLOCK // bdev.block_size
    available = bdev.num_blocks - leg.data_offset
    is_room = available > 0 and leg.data_size <= available
    if is_room:
        leg.data_size = leg.data_size or available
    if not is_room or not _is_alike(raid, bdev):
        bdev.close(leg)
        _let_go(raid, leg)
        raise _Refused(errno.EINVAL)
    raid.block_size = bdev.block_size
    return bdev


def _is_alike(raid: Raid, bdev: Bdev) -> bool:
    """Blocks, and what is kept beside them, are the same on all legs."""
    if raid.level != "raid0" and "dif_pi_format" in bdev.metadata:
        return False
    if raid.block_size == 0:
        raid.metadata = bdev.metadata
    return raid.block_size in (0, bdev.block_size) and raid.metadata == bdev.metadata


def _settle(target: Target, raid: Raid, leg: Leg, bdev: Bdev) -> None:
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
        except _Refused:
            _release(raid, leg)
            raise


def _let_go(raid: Raid, leg: Leg) -> None:
    """The place is empty; while the array is being made, it still knows whom it wants."""
    leg.name, leg.data_offset = None, 0
    if raid.state is not State.CONFIGURING:
        leg.uuid = None


def _release(raid: Raid, leg: Leg) -> None:
    if leg.bdev is not None:
        leg.bdev.close(leg)
        leg.bdev = None
    _let_go(raid, leg)


# The array


def _go_online(target: Target, raid: Raid) -> None:
    legs = [leg for leg in raid.legs if leg.bdev is not None]
    strip = raid.strip_size_kb * 1024 // raid.block_size
    if raid.level != MIRROR and not strip:
        raise _Refused(errno.EINVAL)
    num_blocks = _lay_out(raid, strip)
    if raid.has_superblock:
        _prepare_superblock(raid, num_blocks)
        if not _write(raid):
            raise _Refused(errno.EIO)
    bdev = Bdev(raid.name, "Raid Volume", "raid", raid.block_size, num_blocks, raid.uuid or "", _io_types(legs))
    bdev.details = lambda: {"raid": raid.describe()}
    bdev.media = raid.media
    bdev.is_void = any(leg.bdev.is_void for leg in legs if leg.bdev is not None)
    bdev.metadata = legs[0].bdev.metadata if legs[0].bdev else {}
    bdev.domains = bdev.shown_domains = raid.domains
    try:
        target.bdevs.register(bdev)
    except RpcError:
        raise _Refused(errno.EEXIST) from None
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
        raise _Refused(errno.EINVAL)


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


def _lose(target: Target, raid: Raid, leg: Leg) -> None:
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
        _lose(target, raid, raid.rebuilding)  # there is nothing left to rebuild it from
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


def _dissolve(target: Target, raid: Raid) -> None:
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


# What comes by itself


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
        _settle(target, raid, leg, _open(target, raid, leg))
    except _Refused:
        return


def examine(target: Target, bdev: Bdev) -> Steps:
    """A device with a superblock brings its array back, or itself back to it."""
    found = Superblock.read(bdev) if bdev.claim is None else None
    if found is None:
        return None
    try:
        _take_back(target, found, bdev)
    except _Refused:
        return None
    for _ in range(2):  # observed: what the array carries is announced first
        yield Pause.IO
    return None


def _take_back(target: Target, found: Superblock, bdev: Bdev) -> None:
    """A device that the superblock does not know, or has given up, is left alone."""
    if found.block_size != bdev.block_size:
        raise _Refused(errno.EINVAL)
    raid = _array_of(target, found)
    newest = raid.superblock if raid is not None and raid.superblock is not None else found
    seat = next((seat for seat in newest.seats if seat.uuid == bdev.uuid), None)
    if seat is None:
        raise _Refused(errno.EINVAL)
    is_new = raid is None
    raid = raid or _assemble(target, found)
    leg = _seat_of(raid, seat, bdev)
    _settle(target, raid, leg, _open(target, raid, leg))
    if is_new:
        _look_for_others(target, raid)


def _array_of(target: Target, found: Superblock) -> Raid | None:
    """The array that is there, unless it was put together from an older superblock than this."""
    raid = target.raids.by_uuid(found.uuid)
    if raid is None:
        return None
    if raid.superblock is None:
        raise _Refused(errno.EINVAL)
    if found.number <= raid.superblock.number:
        return raid
    if raid.state is not State.CONFIGURING:
        raise _Refused(errno.EBUSY)
    _dissolve(target, raid)
    return None


def _assemble(target: Target, found: Superblock) -> Raid:
    if found.name in target.raids.by_name:
        raise _Refused(errno.EEXIST)
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
        raise _Refused(errno.EINVAL)
    if known.bdev is not None:
        raise _Refused(errno.EEXIST)
    return known


def _look_for_others(target: Target, raid: Raid) -> None:
    """Devices that came before the array was known."""
    for leg in raid.legs:
        bdev = target.bdevs.find(leg.uuid or "") if leg.bdev is None else None
        found = Superblock.read(bdev) if bdev is not None and bdev.claim is None else None
        if bdev is not None and found is not None:
            try:
                _take_back(target, found, bdev)
            except _Refused:
                return


# Methods on arrays that are there


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
    _dissolve(target, raid)
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
        _join(target, raid, leg)
    except _Refused as refused:
        if isinstance(refused, _RefusedLate):
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
    _lose(target, *found)
    return True


HANDLERS: Final[Mapping[str, Handler]] = {
    "bdev_raid_set_options": set_options,
    "bdev_raid_create": create,
    "bdev_raid_delete": delete,
    "bdev_raid_get_bdevs": get_bdevs,
    "bdev_raid_add_base_bdev": add_base_bdev,
    "bdev_raid_remove_base_bdev": remove_base_bdev,
}
