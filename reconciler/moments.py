"""How a snapshot that a schedule took is named: after its volume, its schedule and its moment. Pure.

No manifest can have such a name, so nobody but the schedule means it. The lvol carries schedule and moment in its name
(`hf-SSSSSSKKKKKKKKKKKK-nightly.20261121t0200z`), and the volume in the digest before it.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from reconciler.identity import NAME_LIMIT, object_name
from schemas.resources import ResourceKey

_STAMP = "%Y%m%dt%H%Mz"
_NAME = re.compile(r"([-a-z0-9]+)\.([-a-z0-9]+)\.([0-9]{8}t[0-9]{4}z)")
_TAIL = re.compile(r"\.([0-9]{8}t[0-9]{4}z)$")


@dataclass(frozen=True, slots=True)
class Moment:
    """One volume, one schedule, one time that the schedule names (seconds since 1970, a whole minute)."""

    volume: ResourceKey
    schedule: ResourceKey
    at: float

    @property
    def key(self) -> ResourceKey:
        """Under which the ledger knows its snapshot."""
        name = f"{self.volume.name}.{self.schedule.name}.{stamp(self.at)}"
        return ResourceKey("VolumeSnapshot", self.volume.namespace, name, self.volume.group)

    def lvol_name(self, site: str) -> str:
        """Of the lvol that is its snapshot; at most 63 characters."""
        tail = f".{stamp(self.at)}"
        head = object_name(site, self.key).partition("-")[2].partition("-")[0]
        return f"hf-{head}-{self.schedule.name}"[: NAME_LIMIT - len(tail)] + tail


def moment_of(key: ResourceKey) -> Moment | None:
    """What a name of this form stands for; None for every other."""
    match = _NAME.fullmatch(key.name) if key.kind == "VolumeSnapshot" else None
    if match is None:
        return None
    volume, schedule, at = match.groups()
    return Moment(
        ResourceKey("Volume", key.namespace, volume, key.group),
        ResourceKey("SnapshotSchedule", key.namespace, schedule, key.group),
        _time(at),
    )


def stamped(lvol: str) -> float | None:
    """The moment that is in the name of an lvol."""
    match = _TAIL.search(lvol)
    return _time(match[1]) if match else None


def stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime(_STAMP)


@functools.lru_cache(maxsize=4096)
def _time(text: str) -> float:
    return datetime.strptime(text, _STAMP).replace(tzinfo=UTC).timestamp()
