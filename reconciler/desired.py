"""What the repository wants of each target, as values. `resolving` makes them of the accepted revision's resources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

from backends.objects import Bdev, Listener, NvmePath, QosLimits, Referral, Subsystem, Transport, VisibleHost
from reconciler import devices
from reconciler.moments import Moment
from reconciler.policy import BUILT_IN, Policy
from reconciler.retention import Retain
from schemas.calendar import Calendar
from schemas.resources import ResourceKey


@dataclass(frozen=True, slots=True)
class Wish:
    """What every declared thing has in common."""

    key: ResourceKey
    drift_policy: str  # correct | warn | ignore
    drift_ignore: frozenset[str] = frozenset()  # field paths, as in spec.qos.readMBps
    adopt: str = ""  # "true", or the uuid of the lvol to take over; it is never created
    reclaim: str = ""  # Retain | Delete for what bears data
    aliases: tuple[ResourceKey, ...] = ()  # names it had before (renamed-from)
    requested_at: str = ""  # holdfast.dev/requestedAt: a run that somebody asks for

    def ignores(self, path: str) -> bool:
        """Whether drift of a field is not to be put right: the field itself is named, or what it is part of."""
        return any(path == name or path.startswith((f"{name}.", f"{name}[")) for name in self.drift_ignore)


@dataclass(frozen=True, slots=True)
class DeviceWish:
    wish: Wish
    bdev: Bdev
    named: bool = False  # the manifest says how the bdev is called: it may have been made by somebody else
    bases: tuple[DeviceWish, ...] = ()  # what it is stacked on
    paths: tuple[NvmePath, ...] = ()  # ways to its controller, when it is an NVMe namespace
    key_from: str = ""  # where its key is, when it encrypts
    sha256: str = ""  # of an image's file, in hex digits

    @property
    def volatile(self) -> bool:
        """Whether its bytes live only as long as the target process; a mirror's live as long as those of one member."""
        if self.bdev.level in devices.REDUNDANT:
            return all(base.volatile for base in self.bases)
        return self.bdev.driver == "malloc" or any(base.volatile for base in self.bases)


@dataclass(frozen=True, slots=True)
class Initialize:
    """Consent to create a pool, once, on exactly this device."""

    device_uuid: str
    size: int  # bytes
    expires: date


@dataclass(frozen=True, slots=True)
class PoolWish:
    wish: Wish
    device: DeviceWish
    name: str  # of the lvol store, when we create it
    cluster_size: int  # bytes
    clear_method: str
    reserve: float  # share of the pool, 0 … 1
    initialize: Initialize | None = None
    lvstore_uuid: str = ""
    size: int = 0  # bytes of the device that it spans; 0: as it was created
    overcommit: float = 1.0  # how many times its capacity may be promised


@dataclass(frozen=True, slots=True)
class SnapshotWish:
    """What a volume held at one moment. The volume's manifest may be gone since."""

    wish: Wish
    pool: PoolWish
    name: str  # of the lvol, when we create it
    volume: VolumeWish | None
    schedule: ResourceKey | None = None  # which one asks for it; nobody declares it then
    reason: str = "the snapshot is new"
    taken: Moment | None = None  # by which schedule and when it was taken: it is taken over, and never anew


@dataclass(frozen=True, slots=True)
class VolumeWish:
    wish: Wish
    pool: PoolWish
    name: str  # of the lvol, when we create it
    size: int  # bytes, as declared; the store rounds it up to whole clusters
    thin: bool
    limits: QosLimits
    uid: str = ""  # pinned namespace uuid
    recreate: str = ""
    source: SnapshotWish | DeviceWish | None = None  # what it is cloned from: a snapshot, or an image
    key_from: str = ""  # where its key is, when it is encrypted
    keyed_by: str = ""  # who says so: its own spec, its class, or nobody (a clone has its source's key)
    detach: bool = False  # it is to lie on nothing, once it has been cloned


@dataclass(frozen=True, slots=True)
class ScheduleWish:
    """Snapshots by the clock, of those volumes on one target that are selected."""

    wish: Wish
    calendar: Calendar
    retain: Retain
    volumes: tuple[VolumeWish, ...]


@dataclass(frozen=True, slots=True)
class QuotaWish:
    key: ResourceKey
    capacity: int | None  # bytes that the namespace may declare
    declared: int  # bytes that it does declare


@dataclass(frozen=True, slots=True)
class Placement:
    """Where bytes lie since they were made, as the ledger says."""

    pool: ResourceKey
    thin: bool
    key_from: str = ""  # where the key of its bytes is
    sealed: bool = False  # whether they are encrypted


@dataclass(frozen=True, slots=True)
class NamespaceWish:
    nsid: int
    volume: VolumeWish | None = None
    device: DeviceWish | None = None
    visible_to: tuple[str, ...] | None = None  # host NQNs; None: every host that connects
    ana_group: int | None = None
    reuses: str = ""  # uuid that hosts knew under this id before, and may now meet other bytes under

    def visible(self, nqn: str) -> tuple[VisibleHost, ...]:
        """The hosts that see it, where not everybody does."""
        return tuple(VisibleHost(nqn, self.nsid, host) for host in self.visible_to or ())


@dataclass(frozen=True, slots=True)
class Secret:
    """A key by reference, and what it must be: dhchap or psk."""

    form: str
    source: str  # file:… | env:… | credential:…
    path: str  # where the manifest says so


@dataclass(frozen=True, slots=True)
class HostWish:
    """A host that has to prove who it is."""

    wish: Wish
    nqn: str
    name: str  # what the names of its keys begin with
    key: Secret | None = None
    controller_key: Secret | None = None
    psk: Secret | None = None

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return tuple(filter(None, (self.key, self.controller_key, self.psk)))


@dataclass(frozen=True, slots=True)
class FrontWish:
    """Where a target that exports what lies on another one has it from."""

    owner: str  # Target
    paths: tuple[NvmePath, ...]  # ways to the owner's export

    @property
    def controller(self) -> str:
        return self.paths[0].controller


@dataclass(frozen=True, slots=True)
class SubsystemWish:
    wish: Wish
    subsystem: Subsystem
    hosts: tuple[str, ...]  # host NQNs
    namespaces: tuple[NamespaceWish, ...]
    listeners: tuple[Listener, ...]
    front: FrontWish | None = None  # where the bytes lie on another target


@dataclass(frozen=True, slots=True)
class Consent:
    """A Removal: these bytes may be destroyed, once."""

    key: ResourceKey
    ref: ResourceKey
    uid: str
    reason: str
    expires: date


@dataclass(frozen=True, slots=True)
class Suspension:
    reason: str
    until: float  # seconds since 1970


@dataclass(frozen=True)
class TargetWish:
    """Everything wanted of one target."""

    key: ResourceKey
    connection: Mapping[str, Any]
    export_wait: float  # seconds
    suspension: Suspension | None
    transports: tuple[Transport, ...]
    wish: Wish
    devices: tuple[DeviceWish, ...] = ()
    pools: tuple[PoolWish, ...] = ()
    volumes: tuple[VolumeWish, ...] = ()
    images: tuple[DeviceWish, ...] = ()
    snapshots: tuple[SnapshotWish, ...] = ()
    hosts: tuple[HostWish, ...] = ()  # those with secrets that its subsystems let in
    schedules: tuple[ScheduleWish, ...] = ()
    subsystems: tuple[SubsystemWish, ...] = ()
    discovery: tuple[Listener, ...] = ()  # where discovery listens in its own right
    referrals: tuple[Referral, ...] | None = None  # None: nothing is said of them
    concurrent_tasks: int = 2  # how many volumes may be copied at once

    @property
    def name(self) -> str:
        return self.key.name

    @cached_property
    def requests(self) -> Mapping[ResourceKey, str]:
        """Resources whose manifest asks for a run, and with which words."""
        return {wish.key: wish.requested_at for wish in (self.wish, *self.wishes) if wish.requested_at}

    @property
    def wishes(self) -> tuple[Wish, ...]:
        """What is common to everything declared on the target."""
        standing = (self.devices, self.images, self.pools, self.volumes, self.snapshots)
        parts = (*standing, self.schedules, self.hosts, self.subsystems)
        return tuple(item.wish for part in parts for item in part)


@dataclass(frozen=True)
class DesiredState:
    """One accepted revision."""

    revision: str
    policy: Policy = BUILT_IN
    targets: Mapping[str, TargetWish] = field(default_factory=dict)
    consents: tuple[Consent, ...] = ()
    declared: frozenset[ResourceKey] = frozenset()  # also under the names they had before
    quotas: tuple[QuotaWish, ...] = ()


def source_snapshot(volume: ResourceKey) -> ResourceKey:
    """Under which name the snapshot is kept that a copy of a volume was made through; no manifest can have it."""
    return ResourceKey("VolumeSnapshot", volume.namespace, f"{volume.name}.source")
