"""Block devices: one table of names, aliases and UUIDs; who has a device open; who claims it."""

from __future__ import annotations

import errno
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from backends.spdk.simulator.errors import failed
from backends.spdk.simulator.media import Media, Medium
from backends.spdk.simulator.notifications import Notifications
from backends.spdk.simulator.persistence import BLOCK, is_marked
from schemas.resources import Json

IO_TYPES: Final = (
    "read",
    "write",
    "unmap",
    "flush",
    "reset",
    "nvme_admin",
    "nvme_io",
    "nvme_io_md",
    "write_zeroes",
    "zcopy",
    "get_zone_info",
    "zone_management",
    "zone_append",
    "compare",
    "compare_and_write",
    "abort",
    "seek_hole",
    "seek_data",
    "copy",
    "nvme_iov_md",
    "nvme_nssr",
    "write_uncorrectable",
)
LIMITS: Final = ("rw_ios_per_sec", "rw_mbytes_per_sec", "r_mbytes_per_sec", "w_mbytes_per_sec")
EXCLUSIVE: Final = "exclusive_write"
OWN: Final = "read_many_write_one"  # what an lvol store puts on its device
SHARED: Final = "read_many_write_none"  # what external-snapshot clones put on their base


@dataclass(eq=False, slots=True)
class Bdev:
    """One block device. `details` describes what only its driver knows."""

    name: str
    product: str
    driver: str
    block_size: int
    num_blocks: int
    uuid: str
    io_types: Iterable[str]
    details: Callable[[], dict[str, Json]] = dict
    file: str | None = None  # its name, where it is one
    domains: Callable[[], list[str]] = list  # kinds of memory that it can take data from
    shown_domains: Callable[[], list[str]] = list  # those that it tells of
    medium: Medium | None = None  # what it holds its bytes in, where it does so itself
    media: Media = tuple  # where its bytes lie
    is_void: bool = False  # what is written cannot be read back
    numa_id: int | None = None
    preferred: Mapping[str, int] = field(default_factory=dict)
    metadata: Mapping[str, Json] = field(default_factory=dict)
    aliases: list[str] = field(default_factory=list)
    users: dict[Hashable, Callable[[], None]] = field(default_factory=dict)  # who has it open → what to do when it goes
    claim: str | None = None
    claimants: set[Hashable] = field(default_factory=set)
    recipe: Mapping[str, Json] = field(default_factory=dict)  # what more it was made of
    values: dict[str, int] = field(default_factory=dict)  # what its driver lets be changed
    limits: dict[str, int] | None = None
    limits_changing: bool = False
    is_going: bool = False  # its removal waits for something that never comes

    @property
    def size(self) -> int:
        return self.block_size * self.num_blocks

    @property
    def is_marked(self) -> bool:
        """Something of ours is on it."""
        return any(is_marked(window.read(BLOCK, 0)) for window in self.media())

    def close(self, user: Hashable) -> None:
        """Forget a user, and its claim."""
        self.users.pop(user, None)
        self.claimants.discard(user)
        if not self.claimants:
            self.claim = None

    def take(self, user: Hashable, on_removal: Callable[[], None], claim: str = EXCLUSIVE) -> None:
        """Open and claim; EPERM when another's claim stands against it."""
        if self.claim is not None and not (claim == SHARED == self.claim):
            raise failed(errno.EPERM)
        self.claim = claim
        self.claimants.add(user)
        self.users[user] = on_removal

    def dump(self) -> dict[str, Json]:
        """As bdev_get_bdevs shows it."""
        limits = self.limits or {}
        shown: dict[str, Json] = {
            "name": self.name,
            "aliases": list(self.aliases),
            "product_name": self.product,
            "block_size": self.block_size,
            "num_blocks": self.num_blocks,
            "preferred_write_alignment": self.preferred.get("preferred_write_alignment", 0),
            "preferred_write_granularity": self.preferred.get("preferred_write_granularity", 0),
            "optimal_write_size": self.preferred.get("optimal_write_size", 0),
            "preferred_unmap_alignment": self.preferred.get("preferred_unmap_alignment", 0),
            "preferred_unmap_granularity": self.preferred.get("preferred_unmap_granularity", 0),
            "uuid": self.uuid,
        }
        if self.numa_id is not None:
            shown["numa_id"] = self.numa_id
        shown |= self.metadata
        shown["assigned_rate_limits"] = {name: limits.get(name, 0) for name in LIMITS}
        shown["claimed"] = self.claim is not None
        if self.claim is not None:
            shown["claim_type"] = self.claim
        supported = frozenset(self.io_types)
        if domains := self.shown_domains():
            shown["memory_domains"] = [{"dma_device_type": kind} for kind in domains]
        shown["zoned"] = False
        shown["supported_io_types"] = {name: name in supported for name in IO_TYPES}
        shown["driver_specific"] = self.details()
        return shown


class Bdevs:
    """The devices of a target, by name and alias, in the order of their registration."""

    def __init__(self, notifications: Notifications, mint: Callable[[], str]) -> None:
        self._notifications = notifications
        self._mint = mint
        self._devices: dict[str, Bdev] = {}
        self._names: dict[str, Bdev] = {}

    def __iter__(self) -> Iterator[Bdev]:
        return iter(self._devices.values())

    def find(self, name: str) -> Bdev | None:
        """By name, alias, or UUID (which is an alias)."""
        bdev = self._names.get(name)
        return None if bdev is None or bdev.is_going else bdev

    def is_going(self, name: str) -> bool:
        """Out of every list, while its name is still taken."""
        return name in self._names and self._names[name].is_going

    def get(self, name: str, driver: str | None = None) -> Bdev:
        """The device, of that driver when one is named; ENODEV otherwise."""
        bdev = self.find(name)
        if bdev is None or driver not in (None, bdev.driver):
            raise failed(errno.ENODEV)
        return bdev

    def register(self, bdev: Bdev, *aliases: str) -> Bdev:
        """Enter a device into the table. It is announced later, when it has been examined."""
        if not bdev.name:
            raise failed(errno.EINVAL)
        bdev.uuid = bdev.uuid or self._mint()
        taken = {bdev.name, bdev.uuid, *aliases}
        if any(name in self._names for name in taken):
            raise failed(errno.EEXIST)
        bdev.aliases = [name for name in (bdev.uuid, *aliases) if name != bdev.name]
        self._devices[bdev.name] = bdev
        self._names |= dict.fromkeys(taken, bdev)
        return bdev

    def announce(self, bdev: Bdev) -> None:
        self._notifications.send("bdev_register", bdev.name)

    def rename_alias(self, bdev: Bdev, old: str, new: str) -> None:
        if new in self._names:
            raise failed(errno.EEXIST)
        self._names[new] = self._names.pop(old)
        bdev.aliases[bdev.aliases.index(old)] = new

    def resize(self, bdev: Bdev, num_blocks: int) -> None:
        """EBUSY when a device that somebody has open would shrink."""
        if num_blocks == bdev.num_blocks:
            return
        if num_blocks < bdev.num_blocks and bdev.users:
            raise failed(errno.EBUSY)
        self._notifications.send("bdev_resize", bdev.name)
        bdev.num_blocks = num_blocks
        for user in [*bdev.users]:
            if isinstance(user, Bdev) and user.driver == "crypto":  # the one driver that follows its base
                self.resize(user, num_blocks)

    def remove(self, bdev: Bdev) -> None:
        """Hot removal: whoever has it open lets go first, without being asked."""
        for on_removal in list(bdev.users.values()):
            on_removal()
        del self._devices[bdev.name]
        for name in {bdev.name, bdev.uuid, *bdev.aliases}:
            del self._names[name]
        if bdev.medium is not None:
            bdev.medium.close()
        self._notifications.send("bdev_unregister", bdev.name)

    def abandon(self, bdev: Bdev) -> None:
        """Out of every list, while its name and UUID stay taken."""
        bdev.is_going = True
        del self._devices[bdev.name]
