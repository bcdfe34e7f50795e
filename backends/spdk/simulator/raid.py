"""RAID devices, whole or in the making, and the superblock by which an array is known again."""

from __future__ import annotations

import copy
import enum
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Final

from backends.spdk.simulator.bdevs import Bdev
from backends.spdk.simulator.media import Window
from backends.spdk.simulator.params import NULL_UUID
from backends.spdk.simulator.persistence import BLOCK, mark, marked
from schemas.resources import Json

MARK: Final = b"HOLDFAST SIMULATED RAID SUPERBLOCK 1\n"
SUPERBLOCK: Final = 1 << 20  # bytes that are kept free for it at the front of each base
MIRROR: Final = "raid1"


@dataclass(slots=True)
class Seat:
    """A place in the array, as the superblock has it."""

    slot: int
    uuid: str
    data_offset: int
    data_size: int
    is_active: bool = True


@dataclass(slots=True)
class Superblock:
    """What every base of an array says about all of it. The one with the highest number is right."""

    uuid: str
    name: str
    level: str
    strip_size_kb: int
    block_size: int
    num_blocks: int
    seats: list[Seat]
    number: int = 0

    @classmethod
    def read(cls, bdev: Bdev) -> Superblock | None:
        """What is on a device, and is whole."""
        for window in bdev.media():
            found = marked(MARK, window.veil, window.read(SUPERBLOCK, 0))
            if found is not None:
                return cls(**{**found, "seats": [Seat(**seat) for seat in found["seats"]]})
        return None

    def write(self, windows: list[Window]) -> None:
        for window in windows:
            window.write(mark(MARK, window.veil, asdict(self)), 0)

    def copy(self) -> Superblock:
        return copy.deepcopy(self)


def erase(windows: tuple[Window, ...]) -> None:
    for window in windows:
        window.write(bytes(BLOCK), 0)


@dataclass(eq=False, slots=True)
class Leg:
    """A place for a base device: filled, waiting for a device of that name or UUID, or given up (neither)."""

    name: str | None = None
    uuid: str | None = None
    bdev: Bdev | None = None
    data_offset: int = 0  # blocks
    data_size: int = 0

    def dump(self) -> Json:
        return {
            "name": self.name,
            "uuid": self.uuid or NULL_UUID,
            "is_configured": self.bdev is not None,
            "data_offset": self.data_offset,
            "data_size": self.data_size,
        }

    def windows(self) -> list[Window]:
        """Where the leg keeps the array's data."""
        if self.bdev is None:
            return []
        block = self.bdev.block_size
        return [window.part(self.data_offset * block, self.data_size * block) for window in self.bdev.media()]


class State(enum.Enum):
    CONFIGURING = "configuring"
    ONLINE = "online"
    OFFLINE = "offline"


@dataclass(eq=False, slots=True)
class Raid:
    name: str
    level: str
    strip_size_kb: int
    legs: list[Leg]
    uuid: str | None
    operational: int  # legs that the array is known to have
    has_superblock: bool
    superblock: Superblock | None = None  # as last written or read
    block_size: int = 0
    metadata: Mapping[str, Json] = field(default_factory=dict)  # of a block
    state: State = State.CONFIGURING
    bdev: Bdev | None = None
    rebuilding: Leg | None = None
    progress: int = 0  # blocks that were rebuilt

    @property
    def discovered(self) -> int:
        return sum(leg.bdev is not None for leg in self.legs)

    @property
    def fewest(self) -> int:
        """Legs that it cannot be without."""
        return 1 if self.level == MIRROR else len(self.legs)

    def media(self) -> tuple[Window, ...]:
        """A mirror has its bytes on each leg but one that is being rebuilt; the others begin on the first."""
        whole = [leg for leg in self.legs if leg is not self.rebuilding]
        shown = whole if self.level == MIRROR else whole[:1]
        return tuple(window for leg in shown for window in leg.windows())

    def domains(self) -> list[str]:
        """Those of all legs, one after the other."""
        return [kind for leg in self.legs if leg.bdev is not None for kind in leg.bdev.domains()]

    def dump(self) -> dict[str, Json]:
        """As bdev_raid_get_bdevs shows it."""
        return {"name": self.name, **self.describe()}

    def describe(self) -> dict[str, Json]:
        """As its device shows it."""
        shown: dict[str, Json] = {
            "uuid": self.uuid or NULL_UUID,
            "strip_size_kb": self.strip_size_kb,
            "state": self.state.value,
            "raid_level": self.level,
            "superblock": self.has_superblock,
            "num_base_bdevs": len(self.legs),
            "num_base_bdevs_discovered": self.discovered,
            "num_base_bdevs_operational": self.operational,
        }
        if self.rebuilding is not None and self.bdev is not None:
            percent = self.progress * 100 // self.bdev.num_blocks
            progress: Json = {"blocks": self.progress, "percent": percent}
            shown["process"] = {"type": "rebuild", "target": self.rebuilding.name, "progress": progress}
        return shown | {"base_bdevs_list": [leg.dump() for leg in self.legs]}


@dataclass(eq=False, slots=True)
class Raids:
    by_name: dict[str, Raid] = field(default_factory=dict)
    options: dict[str, Json] = field(
        default_factory=lambda: {"process_window_size_kb": 1024, "process_max_bandwidth_mb_sec": 0}
    )

    def by_uuid(self, uuid: str) -> Raid | None:
        return next((raid for raid in self.by_name.values() if raid.uuid == uuid), None)

    def holding(self, bdev: Bdev) -> tuple[Raid, Leg] | None:
        """Whose leg a device is."""
        legs = ((raid, leg) for raid in self.by_name.values() for leg in raid.legs)
        return next(((raid, leg) for raid, leg in legs if leg.bdev is bdev), None)
