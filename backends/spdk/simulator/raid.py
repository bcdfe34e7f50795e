"""RAID devices, whole or in the making."""

from __future__ import annotations

from dataclasses import dataclass, field

from backends.spdk.simulator.bdevs import Bdev
from backends.spdk.simulator.params import NULL_UUID
from schemas.resources import Json


@dataclass(eq=False, slots=True)
class Leg:
    """A place for a base device: filled, waiting for a device of that name, or given up (no name)."""

    name: str | None
    bdev: Bdev | None = None
    data_offset: int = 0  # blocks
    data_size: int = 0
    expected: str = ""  # UUID of the device that a superblock names for this place

    def dump(self) -> Json:
        return {
            "name": self.name,
            "uuid": self.bdev.uuid if self.bdev else self.expected or NULL_UUID,
            "is_configured": self.bdev is not None,
            "data_offset": self.data_offset,
            "data_size": self.data_size,
        }


@dataclass(eq=False, slots=True)
class Raid:
    name: str
    level: str
    strip_size_kb: int
    superblock: bool
    legs: list[Leg]
    uuid: str | None
    bdev: Bdev | None = None  # None while configuring
    sequence: int = 0  # of its superblocks: the higher knows better
    lost: frozenset[int] = frozenset()  # places that it goes on without
    broken: bool = False  # it was online, and cannot go on

    @property
    def state(self) -> str:
        return "online" if self.bdev else "offline" if self.broken else "configuring"

    def dump(self) -> dict[str, Json]:
        """As bdev_raid_get_bdevs shows it."""
        return {"name": self.name, **self.describe()}

    def describe(self) -> dict[str, Json]:
        """As its device shows it."""
        filled = sum(leg.bdev is not None for leg in self.legs)
        operational = filled if self.bdev or self.broken else len(self.legs) - len(self.lost)
        return {
            "uuid": self.bdev.uuid if self.bdev else self.uuid or NULL_UUID,
            "strip_size_kb": self.strip_size_kb,
            "state": self.state,
            "raid_level": self.level,
            "superblock": self.superblock,
            "num_base_bdevs": len(self.legs),
            "num_base_bdevs_discovered": filled,
            "num_base_bdevs_operational": operational,
            "base_bdevs_list": [leg.dump() for leg in self.legs],
        }


@dataclass(eq=False, slots=True)
class Raids:
    by_name: dict[str, Raid] = field(default_factory=dict)
