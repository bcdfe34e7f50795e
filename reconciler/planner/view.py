"""What the planner looks at: the wishes for one target, what was observed, what we own; with the lookups it needs."""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias, TypeVar

from backends.contract import Action, Observed
from backends.objects import (
    AllowedHost,
    Bdev,
    KeyringKey,
    Listener,
    LiveObject,
    Lvol,
    LvolStore,
    Namespace,
    NvmePath,
    ObjectKey,
    ObjectKind,
    Referral,
    Subsystem,
    VisibleHost,
)
from reconciler import identity
from reconciler.breaker import CLOSED, Breaker
from reconciler.desired import DesiredState, DeviceWish, Secret, SubsystemWish, TargetWish, Wish
from reconciler.moments import moment_of
from reconciler.plan import Cause, Memory, Phase, Record
from reconciler.policy import BUILT_IN, Policy
from schemas.resources import JsonObject, ResourceKey

T = TypeVar("T")
Inside: TypeAlias = AllowedHost | Namespace | VisibleHost | Listener  # of a subsystem


def reading(path: str) -> str:
    """Under what the ledger tells of a file that another target reads, but never writes."""
    return f"read-only {path}"


def attaching(uuid: str) -> str:
    """Under what the ledger tells of an NVMe namespace that another target attaches, perhaps one of a third target."""
    return f"nvme {uuid}"


class Writer(enum.StrEnum):
    """Who may write to the target."""

    OURS = "ours"
    UNCLAIMED = "unclaimed"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Spending:
    """One disruptive or data-losing step that was sent."""

    at: float  # seconds since 1970
    hazard: str
    subject: str
    cause: str


@dataclass(frozen=True, slots=True)
class Doubt:
    """A request without a known end. It may still come about, so nothing may meet it that it could harm."""

    action: Action
    after: JsonObject  # what it asks for
    sent: float  # seconds since 1970
    flying: bool = False  # the connection still is the same and its answer may come
    again: bool = False  # the very same may be sent once more: long unanswered, and harmless twice
    landed: bool = False  # its effect is there, but it was sent twice: one of the two may be on its way
    touches: tuple[ObjectKey, ...] = ()  # what else it works on


@dataclass(frozen=True, slots=True)
class PathTaken:
    """The last step that took one of several paths of a subsystem from connected hosts."""

    target: str
    at: float  # seconds since 1970
    hosts: Mapping[str, int]  # host NQN → how many paths it had, on all targets


@dataclass(frozen=True, slots=True)
class Digest:
    """The SHA-256 of a file: known, being worked out (percent), or not to be had (why)."""

    sha256: str = ""
    percent: int = 0
    why: str = ""


@dataclass(frozen=True)
class Owned:
    """What the ledger says about one target."""

    site: str
    records: tuple[Record, ...] = ()
    writer: Writer = Writer.OURS
    recovering: bool = False  # the ledger is younger than what the target shows
    marker: str = ""  # uuid of the owner marker: ours, or the one to claim with
    alive_since: float = 0.0  # when this life of the target was first met, seconds since 1970
    quarantined: Mapping[ObjectKey, Doubt] = field(default_factory=dict)  # what an unanswered request may be at
    not_before: Mapping[ResourceKey, float] = field(default_factory=dict)  # back-off, seconds since 1970
    setbacks: Mapping[ResourceKey, str] = field(default_factory=dict)  # how the last attempt came to nothing
    corrections: Mapping[tuple[ObjectKey, str], tuple[float, ...]] = field(default_factory=dict)
    elsewhere: Mapping[ResourceKey, str] = field(default_factory=dict)  # what bears data on other targets → which
    opened: Mapping[str, str] = field(
        default_factory=dict
    )  # device (uuid, path, `reading`, `attaching`) → other target
    split: Mapping[str, str] = field(default_factory=dict)  # uuid of a store that is open here → other target
    twin: str = ""  # the target whose process this is as well
    moved_from: str = ""  # address of the process that was kept before, when it may still be alive
    spent: tuple[Spending, ...] = ()
    approvals: frozenset[str] = frozenset()  # ids granted, not expired, not spent
    held_under: Mapping[str, Policy] = field(default_factory=dict)  # step id → policy in force when it was first held
    removals_spent: frozenset[str] = frozenset()  # uids whose Removal was used
    keys: Mapping[str, str] = field(default_factory=dict)  # where a key is → its fingerprint
    lost_keys: Mapping[str, str] = field(default_factory=dict)  # where a key ought to be → why it cannot be read
    host_keys: Mapping[Secret, str] = field(default_factory=dict)  # the same of hosts' keys → its fingerprint
    lost_host_keys: Mapping[Secret, str] = field(default_factory=dict)  # → why it cannot be had, or is no key
    key_folder: str = ""  # where this target reads keys that are laid down for it
    unread_keys: str = ""  # why it could not read them there
    sealed: Mapping[str, str] = field(default_factory=dict)  # uuid of a crypto device → fingerprint it was made with
    exported_elsewhere: Mapping[str, str] = field(default_factory=dict)  # chosen uuid → target that exports it as well
    births: Mapping[str, str] = field(default_factory=dict)  # uuid of a device in memory → when it was made last
    shown: Mapping[str, str] = field(
        default_factory=dict
    )  # chosen namespace uuid → uid of the bytes it was used for; of a device → where its bytes lie
    paths_taken: Mapping[str, PathTaken] = field(default_factory=dict)  # by NQN, on whichever target
    closed: frozenset[str] = frozenset()  # NQNs that any host could connect to until lately
    breaker: Breaker = CLOSED  # how writing to it went
    schedules: Mapping[ResourceKey, Memory] = field(default_factory=dict)  # what is remembered of them
    digests: Mapping[str, Digest] = field(default_factory=dict)  # of the files of images that say theirs, by path
    tombstones: Mapping[str, str] = field(default_factory=dict)  # `NQN#nsid` → uuid that hosts knew there last
    siblings: Mapping[ObjectKey, Mapping[str, Record]] = field(
        default_factory=dict
    )  # namespaces of the same subsystems on other targets: by target
    policy: Policy = BUILT_IN  # of the newest revision that fully converged


@dataclass(frozen=True)
class View:
    """The inputs of one plan."""

    target: TargetWish
    desired: DesiredState
    observed: Observed
    owned: Owned
    now: float  # seconds since 1970
    allowed: frozenset[tuple[Action, ObjectKey]] = frozenset()  # what an approval lets through
    approval: str = ""  # its id
    # NQN → other target that exports it → host NQN → names of listeners; None: cannot be told
    peers: Mapping[str, Mapping[str, Mapping[str, frozenset[str]] | None]] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()  # NQNs that ought to be replaced, which is held: they are kept as they are

    @property
    def live(self) -> Mapping[ObjectKey, LiveObject]:
        return self.observed.objects

    @property
    def is_suspended(self) -> bool:
        """Whether the manifest says that nothing is to be changed at this time."""
        return self.target.suspension is not None and self.now < self.target.suspension.until

    @cached_property
    def records(self) -> Mapping[ObjectKey, Record]:
        return {record.key: record for record in self.owned.records}

    @cached_property
    def _records_of(self) -> Mapping[tuple[ResourceKey, ObjectKind], Record]:
        return {(record.resource, record.key.kind): record for record in self.owned.records}

    def record_of(self, wish: Wish, kind: ObjectKind) -> Record | None:
        """The record of a resource, also under a name it had before, or had meanwhile."""
        names = (wish.key, *wish.aliases)
        found = next((found for name in names if (found := self._records_of.get((name, kind)))), None)
        return found or self._named_for.get((identity.object_name(self.owned.site, wish.key), kind))

    @cached_property
    def _named_for(self) -> Mapping[tuple[str, ObjectKind], Record]:
        """Bytes of resources that are not declared any more, by the name that they were made under.

        A rename leaves that name as it is; so when the rename is reverted, the bytes are found again.
        """
        kinds = (ObjectKind.LVOL, ObjectKind.LVOL_STORE)
        kept = (r for r in self.owned.records if r.key.kind in kinds and r.phase is not Phase.DESTROYED)
        left = (record for record in kept if record.resource not in self.desired.declared)
        return {(record.key.name.rpartition("/")[2], record.key.kind): record for record in left}

    @cached_property
    def declared_here(self) -> frozenset[ResourceKey]:
        """What is declared on this very target, also under the names that it had before."""
        return frozenset(name for wish in self.target.wishes for name in (wish.key, *wish.aliases))

    @cached_property
    def with_devices(self) -> frozenset[ResourceKey]:
        """What is declared on this target and may have a device: also a volume, which a device of its own encrypts."""
        parts = (self.target.devices, self.target.images, self.target.volumes)
        return frozenset(name for part in parts for item in part for name in (item.wish.key, *item.wish.aliases))

    @cached_property
    def wishes(self) -> Mapping[ResourceKey, Wish]:
        """What is common to everything declared on the target, by resource."""
        return {wish.key: wish for wish in (self.target.wish, *self.target.wishes)}

    @cached_property
    def drift_policies(self) -> Mapping[ResourceKey, str]:
        """What each resource says about drift."""
        return {wish.key: wish.drift_policy for wish in self.target.wishes}

    @cached_property
    def subsystem_wishes(self) -> Mapping[str, SubsystemWish]:
        """What is wanted of each subsystem, by its NQN."""
        return {wish.subsystem.nqn: wish for wish in self.target.subsystems}

    @cached_property
    def stores(self) -> Mapping[str, LvolStore]:
        """Loaded lvol stores by uuid."""
        return {store.uuid: store for store in self._all(LvolStore) if store.uuid}

    @cached_property
    def lvols(self) -> Mapping[str, Lvol]:
        """Lvols by uuid."""
        return {lvol.uuid: lvol for lvol in self._all(Lvol) if lvol.uuid}

    @cached_property
    def devices(self) -> Mapping[str, Bdev]:
        """Base devices by uuid."""
        return {device.uuid: device for device in self._all(Bdev) if device.uuid}

    @cached_property
    def above(self) -> Mapping[str, tuple[Bdev, ...]]:
        """Devices by the name of what they are stacked on; that of an lvol is its uuid."""
        found: dict[str, list[Bdev]] = defaultdict(list)
        for device in self.devices.values():
            for base in dict.fromkeys(device.bases or ()):
                found[base].append(device)
        return {base: tuple(devices) for base, devices in found.items()}

    @cached_property
    def all_paths(self) -> tuple[NvmePath, ...]:
        """Ways to NVMe controllers, in the order of keys."""
        return tuple(sorted(self._all(NvmePath), key=lambda path: path.key.rank))

    def sharing(self, wish: DeviceWish) -> tuple[DeviceWish, ...]:
        """The devices that are namespaces of the same NVMe controller, in the order of their names."""
        return self._controllers.get(wish.paths[0].controller, (wish,))

    @cached_property
    def _controllers(self) -> Mapping[str, tuple[DeviceWish, ...]]:
        found: dict[str, list[DeviceWish]] = defaultdict(list)
        for wish in self.target.devices:
            for controller in {path.controller for path in wish.paths}:
                found[controller].append(wish)
        return {name: tuple(sorted(wishes, key=lambda w: w.wish.key)) for name, wishes in found.items()}

    def paths_of(self, controller: str) -> tuple[NvmePath, ...]:
        return tuple(path for path in self.all_paths if path.controller == controller)

    @cached_property
    def ring(self) -> tuple[KeyringKey, ...]:
        """Keys in the target's ring, in the order of names."""
        return tuple(sorted(self._all(KeyringKey), key=lambda key: key.name))

    @cached_property
    def sockets(self) -> Mapping[tuple[str, str, int], Mapping[bool | None, tuple[Listener, ...]]]:
        """Live listeners by their address, and by whether they asked for TLS."""
        found: dict[tuple[str, str, int], dict[bool | None, list[Listener]]] = defaultdict(lambda: defaultdict(list))
        for thing in self._all(Listener):
            found[thing.transport, thing.address, thing.port][thing.secure_channel].append(thing)
        return {at: {kind: tuple(all_) for kind, all_ in kinds.items()} for at, kinds in found.items()}

    @cached_property
    def referrals(self) -> tuple[Referral, ...]:
        return tuple(sorted(self._all(Referral), key=lambda referral: referral.key.rank))

    @cached_property
    def foreign_sites(self) -> Mapping[str, tuple[str, ...]]:
        """Lvols that carry another site's name and that no record knows, by store."""
        ours = identity.site_mark(self.owned.site)
        found: dict[str, list[str]] = defaultdict(list)
        for lvol in self._all(Lvol):
            if identity.site_of(lvol.name) not in (None, ours) and not self.recorded(lvol):
                found[lvol.store].append(lvol.name)
        return {store: tuple(sorted(names)) for store, names in found.items()}

    @cached_property
    def inside(self) -> Mapping[str, tuple[Inside, ...]]:
        """What each live subsystem contains, in the order of keys."""
        found: dict[str, list[Inside]] = defaultdict(list)
        for thing in self.live.values():
            if isinstance(thing, (AllowedHost, Namespace, VisibleHost, Listener)):
                found[thing.nqn].append(thing)
        return {nqn: tuple(sorted(things, key=lambda t: t.key.rank)) for nqn, things in found.items()}

    @cached_property
    def exported(self) -> Mapping[str, Namespace]:
        """The live namespace of each exported bdev, by the bdev's uuid."""
        return {thing.bdev: thing for thing in self._all(Namespace)}

    @cached_property
    def showing(self) -> Mapping[str, tuple[Namespace, ...]]:
        """Live namespaces by the uuid that hosts see."""
        found: dict[str, list[Namespace]] = defaultdict(list)
        for thing in self._all(Namespace):
            found[thing.uuid or ""].append(thing)
        return {uuid: tuple(namespaces) for uuid, namespaces in found.items()}

    def subsystem(self, nqn: str) -> Subsystem | None:
        found = self.live.get(ObjectKey(ObjectKind.SUBSYSTEM, nqn))
        return found if isinstance(found, Subsystem) else None

    def unread(self, kind: ObjectKind, within: str = "") -> str:
        """Why objects of a kind could not be read; empty when they were."""
        for gap in self.observed.gaps:
            if gap.kind is kind and gap.within in ("", within):
                return gap.because
        return ""

    def tells_lvols(self, store: str) -> bool:
        """Whether a store is loaded and was read, so that an lvol of it that is not seen is not there."""
        loaded = any(live.name == store for live in self.stores.values())
        return loaded and not self.unread(ObjectKind.LVOL, store)

    @cached_property
    def recovering(self) -> bool:
        """Whether the ledger is older than the target: it holds bytes under our names that no record knows."""
        ours = identity.site_mark(self.owned.site)
        named: list[Lvol | LvolStore] = [*self._all(Lvol), *self._all(LvolStore)]
        unknown = (thing for thing in named if identity.site_of(thing.name) == ours and not self.recorded(thing))
        return self.owned.recovering or next(unknown, None) is not None

    def recorded(self, thing: Lvol | LvolStore) -> bool:
        """Whether the ledger knows these bytes, under whatever name."""
        return thing.key in self.records or thing.uuid in self._uids

    @cached_property
    def _uids(self) -> frozenset[str]:
        return frozenset(record.uid for record in self.owned.records)

    @cached_property
    def records_by_uid(self) -> Mapping[str, Record]:
        """Records of what has an identity of its own."""
        return {record.uid: record for record in self.owned.records if record.uid}

    @cached_property
    def moments(self) -> Mapping[tuple[ResourceKey, ResourceKey], list[tuple[float, Record]]]:
        """Snapshots that schedules took, also those that are retained, with their times; by schedule and volume."""
        found: dict[tuple[ResourceKey, ResourceKey], list[tuple[float, Record]]] = defaultdict(list)
        for record in self.owned.records:
            if record.key.kind is ObjectKind.LVOL and (moment := moment_of(record.resource)):
                found[moment.schedule, moment.volume].append((moment.at, record))
        return found

    @cached_property
    def scheduled(self) -> frozenset[tuple[ResourceKey, ResourceKey]]:
        """Each schedule with each volume that it selects, under former names, too."""
        return frozenset(
            (schedule.wish.key, name)
            for schedule in self.target.schedules
            for volume in schedule.volumes
            for name in (volume.wish.key, *volume.wish.aliases)
        )

    def cause(self, record: Record | None) -> Cause:
        """Why something that should be there is not."""
        if record is None or record.phase is not Phase.CREATED:
            return Cause.CHANGE
        return Cause.RESTART if record.replay else Cause.DRIFT

    def _all(self, kind: type[T]) -> Iterable[T]:
        return (thing for thing in self.live.values() if isinstance(thing, kind))
