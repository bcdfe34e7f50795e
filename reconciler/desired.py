"""What the repository wants of each target: the accepted revision's resources, resolved and sorted by target.

Pure. Identities that a manifest leaves out are derived here; which live object stands for a resource is the planner's
business, because only it knows the ledger.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property
from types import MappingProxyType
from typing import Any

from analyzer.hazards import former_names
from backends.contract import (
    DISCOVERY,
    Bdev,
    Listener,
    NvmePath,
    QosLimits,
    Referral,
    Subsystem,
    Transport,
    VisibleHost,
    ana_text,
)
from reconciler import devices, identity
from reconciler.moments import Moment
from reconciler.policy import BUILT_IN, Policy
from reconciler.retention import Retain
from schemas.calendar import Calendar
from schemas.kinds import our_kinds
from schemas.limits import Policies, limiting, picks, selects
from schemas.placement import Pools
from schemas.quantity import parse_bytes, parse_percent, parse_seconds
from schemas.resources import JsonObject, Resource, ResourceKey

ADOPT = "holdfast.dev/adopt"
DRIFT_IGNORE = "holdfast.dev/drift-ignore"
REQUESTED_AT = "holdfast.dev/requestedAt"


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


def desired_state(
    revision: str,
    resources: Iterable[Resource],
    policy: Policy,
    site: str,
    placed: Mapping[ResourceKey, Placement] = MappingProxyType({}),
) -> DesiredState:
    """Resolve the resources of an accepted revision. They have passed the analyzer: every reference leads somewhere.

    What is placed already stays there: a StorageClass decides once, when a volume is created.
    """
    house = _House({resource.key: resource for resource in resources}, policy, site, placed)
    return DesiredState(
        revision=revision,
        policy=policy,
        targets={target.name: target for target in (house.target(r) for r in house.of("Target"))},
        consents=tuple(_consent(r) for r in house.of("Removal")),
        declared=frozenset(house.declared()),
        quotas=tuple(house.quota(r) for r in house.of("Quota")),
    )


class _House:
    """The resources of one revision, looked up by reference."""

    def __init__(
        self,
        resources: Mapping[ResourceKey, Resource],
        policy: Policy,
        site: str,
        placed: Mapping[ResourceKey, Placement],
    ) -> None:
        self.resources, self.policy, self.site, self.placed = resources, policy, site, placed
        self.policies = Policies(self.of("QoSPolicy"))
        self.pools = Pools(resources)
        self.former = former_names(resources)
        self._renamed = {former: key for key, former in self.former.items()}
        self._made: dict[ResourceKey, Any] = {}

    def of(self, kind: str) -> list[Resource]:
        return [self.resources[key] for key in sorted(self.resources) if key.kind == kind and _is_ours(key)]

    def declared(self) -> Iterator[ResourceKey]:
        """Every name that bytes may be known by: present and former ones, and those of what copies are made through."""
        yield from self.resources
        yield from self.former.values()
        copies = (r.key for r in self.of("Volume") if "volumeRef" in _source(r))
        yield from (source_snapshot(name) for key in copies for name in (key, *self._aliases(key)))

    def _aliases(self, key: ResourceKey) -> tuple[ResourceKey, ...]:
        """The name that a resource had before."""
        return (self.former[key],) if key in self.former else ()

    def target(self, resource: Resource) -> TargetWish:
        spec, key = _spec(resource), resource.key
        suspend, wish = spec.get("suspend"), self._wish(resource, spec)
        subsystems = tuple(self.subsystem(s, resource) for s in self.of("Subsystem") if _exported_on(s, key.name))
        return TargetWish(
            key=key,
            connection=spec["connection"],
            export_wait=parse_seconds(spec["exportWait"]),
            suspension=Suspension(suspend["reason"], _moment(suspend["until"])) if suspend else None,
            transports=tuple(_transport(t) for t in spec["transports"]),
            wish=wish,
            devices=tuple(
                d for d in map(self.device, self.of("BlockDevice")) if self._target_of(d.wish.key) == key.name
            ),
            pools=tuple(
                p for p in map(self.pool, self.of("StoragePool")) if self._target_of(p.device.wish.key) == key.name
            ),
            volumes=tuple(v for v in map(self.volume, self.of("Volume")) if self._is_on(v.pool, key.name)),
            images=tuple(i for i in map(self.image, self.of("Image")) if self._target_of(i.wish.key) == key.name),
            snapshots=tuple(s for s in self.snapshots() if self._is_on(s.pool, key.name)),
            hosts=tuple(self._hosts(subsystems, wish.drift_policy)),
            subsystems=subsystems,
            schedules=tuple(s for r in self.of("SnapshotSchedule") if (s := self.schedule(r, key.name)).volumes),
            discovery=tuple(_listener(DISCOVERY, portal) for portal in spec["portals"] if portal["discovery"]),
            referrals=tuple(map(_referral, spec["referrals"])) if "referrals" in spec else None,
            concurrent_tasks=spec["concurrentTasks"],
        )

    def device(self, resource: Resource) -> DeviceWish:
        return self._once(resource, self._device)  # type: ignore[no-any-return]

    def pool(self, resource: Resource) -> PoolWish:
        return self._once(resource, self._pool)  # type: ignore[no-any-return]

    def volume(self, resource: Resource) -> VolumeWish:
        return self._once(resource, self._volume)  # type: ignore[no-any-return]

    def image(self, resource: Resource) -> DeviceWish:
        return self._once(resource, self._image)  # type: ignore[no-any-return]

    def snapshot(self, resource: Resource) -> SnapshotWish | None:
        return self._once(resource, self._snapshot)  # type: ignore[no-any-return]

    def snapshots(self) -> Iterator[SnapshotWish]:
        """Those that are declared, and those that volumes are copied through."""
        yield from (found for r in self.of("VolumeSnapshot") if (found := self.snapshot(r)))
        sources = (self.volume(r).source for r in self.of("Volume") if "volumeRef" in _source(r))
        yield from (source for source in sources if isinstance(source, SnapshotWish))

    def schedule(self, resource: Resource, target: str) -> ScheduleWish:
        """With the volumes of this target that it selects, of its namespace."""
        spec, key = _spec(resource), resource.key
        calendar = Calendar(spec["cron"], spec["timeZone"])
        near = (r for r in self.of("Volume") if r.key.namespace == key.namespace)
        chosen = (self.volume(r) for r in near if selects(spec["selector"], r.labels))
        return ScheduleWish(
            Wish(key, "correct"),
            calendar,
            Retain(**spec["retain"], zone=calendar.zone),
            tuple(volume for volume in chosen if self._is_on(volume.pool, target)),
        )

    def quota(self, resource: Resource) -> QuotaWish:
        spec, namespace = _spec(resource), resource.key.namespace
        sizes = [parse_bytes(str(r.spec["size"])) for r in self.of("Volume") if r.key.namespace == namespace]
        return QuotaWish(resource.key, parse_bytes(spec["capacity"]) if "capacity" in spec else None, sum(sizes))

    def _is_on(self, pool: PoolWish, target: str) -> bool:
        return self._target_of(pool.device.wish.key) == target

    def _once(self, resource: Resource, make: Any) -> Any:  # noqa: ANN401  # one memo for many kinds
        if resource.key not in self._made:
            self._made[resource.key] = make(resource)
        return self._made[resource.key]

    def _device(self, resource: Resource) -> DeviceWish:
        spec, key = _spec(resource), resource.key
        name = self._device_name(spec, key)
        bases = tuple(self.device(self._get("BlockDevice", "", ref)) for ref in devices.base_refs(spec))
        uuid = spec.get("uuid", identity.derived_uuid(self.site, key))
        return DeviceWish(
            self._wish(resource, spec),
            devices.wanted_bdev(name, uuid, spec, [base.bdev for base in bases]),
            named="bdevName" in spec,
            bases=bases,
            paths=devices.wanted_paths(name, spec),
            key_from=devices.source_of(spec["crypto"]["keyFrom"]) if "crypto" in spec else "",
        )

    def _device_name(self, spec: Mapping[str, Any], key: ResourceKey) -> str:
        """Of the bdev; for an NVMe namespace, of the controller that it is on."""
        name = str(spec.get("bdevName", identity.object_name(self.site, key)))
        return name.removesuffix(f"n{spec['nvme']['nsid']}") if "nvme" in spec else name

    def _pool(self, resource: Resource) -> PoolWish:
        spec = _spec(resource)
        consent = spec.get("initialize")
        return PoolWish(
            self._wish(resource, spec),
            device=self.device(self._get("BlockDevice", "", spec["deviceRef"])),
            name=identity.object_name(self.site, resource.key),
            cluster_size=parse_bytes(spec["clusterSize"]),
            clear_method=spec["clearMethod"],
            reserve=parse_percent(spec["reserve"]),
            initialize=_initialize(consent) if consent else None,
            lvstore_uuid=spec.get("lvstoreUUID", ""),
            size=parse_bytes(spec["size"]) if "size" in spec else 0,
            overcommit=spec["overcommitRatio"],
        )

    def _image(self, resource: Resource) -> DeviceWish:
        spec, key = _spec(resource), resource.key
        name = spec.get("bdevName", identity.object_name(self.site, key))
        uuid = spec.get("uuid", identity.derived_uuid(self.site, key))
        bdev = Bdev(name, "aio", uuid, block_size=spec["blockSize"], path=spec["path"], read_only=True)
        return DeviceWish(
            self._wish(resource, spec), bdev, named="bdevName" in spec, sha256=str(spec.get("sha256", "")).lower()
        )

    def _volume(self, resource: Resource) -> VolumeWish:
        spec, key = self._inherited(resource), resource.key
        pool = self.pool(self._pool_of(key))
        source = self._source(resource, pool)
        return VolumeWish(
            self._wish(resource, spec),
            pool=pool,
            name=identity.object_name(self.site, key),
            size=parse_bytes(spec["size"]),
            thin=spec["thin"] and not (spec.get("source", {}).get("detach") and isinstance(source, DeviceWish)),
            limits=self._limits(resource),
            uid=spec.get("uid", ""),
            recreate=spec.get("recreate", ""),
            source=source,
            key_from=self._key_from(resource, spec),
            keyed_by="spec"
            if "encryption" in resource.spec
            else "class"
            if "storageClassName" in resource.spec
            else "",
            detach=bool(_source(resource).get("detach")),
        )

    def _key_from(self, resource: Resource, spec: Mapping[str, Any]) -> str:
        """Its own word counts; a class's does when the volume is created, and then stays with the bytes."""
        placed = self._placed(resource.key)
        if placed and "encryption" not in resource.spec:
            return placed.key_from
        return devices.source_of(spec["encryption"]["keyFrom"]) if "encryption" in spec else ""

    def _source(self, resource: Resource, pool: PoolWish) -> SnapshotWish | DeviceWish | None:
        match _source(resource):
            case {"snapshotRef": name}:
                return self.snapshot(self._get("VolumeSnapshot", resource.key.namespace, name))
            case {"imageRef": name}:
                return self.image(self._get("Image", "", name))
            case {"volumeRef": name}:
                volume = self.volume(self._get("Volume", resource.key.namespace, name))
                return self._through(resource, pool, volume)
        return None

    def _through(self, resource: Resource, pool: PoolWish, volume: VolumeWish) -> SnapshotWish:
        """The snapshot that a copy of a volume is made through; it is the copy's own."""
        key = source_snapshot(resource.key)
        former = tuple(source_snapshot(alias) for alias in self._aliases(resource.key))
        wish = Wish(key, self._wish(resource, _spec(resource)).drift_policy, reclaim="Retain", aliases=former)
        return SnapshotWish(wish, pool, identity.object_name(self.site, key), volume)

    def _snapshot(self, resource: Resource) -> SnapshotWish | None:
        """None for one that was never taken and whose volume nobody declares: it belongs to no target."""
        spec, key = _spec(resource), resource.key
        volume = self.resources.get(ResourceKey("Volume", key.namespace, spec["volumeRef"]))
        placed = self._placed(key)
        if volume is None and placed is None:
            return None
        pool = self.pool(self._pool_of(volume.key if volume else key))
        wished = self.volume(volume) if volume else None
        name = identity.object_name(self.site, key)
        return SnapshotWish(self._wish(resource, spec), pool, name, wished, taken=_taken(key, spec))

    def _inherited(self, resource: Resource) -> dict[str, Any]:
        """The spec with what the class said when the volume was created, or says now."""
        kind = our_kinds()[resource.key.kind]
        spec = kind.inheriting(resource.spec, self._class_spec)
        placed = self._placed(resource.key)
        if placed and "thin" not in resource.spec and "storageClassName" in resource.spec:
            spec["thin"] = placed.thin
        return kind.with_defaults(spec)

    def _class_spec(self, kind: str, name: str) -> JsonObject:
        found = self.resources.get(ResourceKey(kind, "", name))
        return found.spec if found else {}

    def _placed(self, key: ResourceKey) -> Placement | None:
        """Where the ledger has the bytes of a resource, also under a former name; the pool by its present name."""
        names = (key, *self._aliases(key))
        found = next((self.placed[name] for name in names if name in self.placed), None)
        if found is None:
            return None
        pool = found.pool if found.pool in self.resources else self._renamed.get(found.pool)
        return dataclasses.replace(found, pool=pool) if pool else None

    def _pool_of(self, key: ResourceKey) -> Resource:
        """The pool of a volume or snapshot."""
        resource, placed = self.resources[key], self._placed(key)
        if placed and "poolRef" not in resource.spec:
            return self.resources[placed.pool]
        if key.kind == "VolumeSnapshot":
            return self._pool_of(ResourceKey("Volume", key.namespace, str(resource.spec["volumeRef"])))
        return self._chosen[key] if self.pools.selector(resource) else self._named_pool(resource)

    def _named_pool(self, volume: Resource) -> Resource:
        named = our_kinds()["Volume"].inheriting(volume.spec, self._class_spec)["poolRef"]
        return self._get("StoragePool", "", str(named))

    @cached_property
    def _chosen(self) -> Mapping[ResourceKey, Resource]:
        """Pools of the volumes whose class chooses: one after the other, each beside all that are declared so far."""
        taken: dict[str, int] = defaultdict(int)
        waiting: list[Resource] = []
        for volume in self.of("Volume"):
            if self.pools.selector(volume) and self._placed(volume.key) is None:
                waiting.append(volume)
            else:
                taken[self._pool_of(volume.key).key.name] += parse_bytes(str(volume.spec["size"]))
        found: dict[ResourceKey, Resource] = {}
        for volume in sorted(waiting, key=lambda v: ("source" in v.spec, v.key)):
            pool = self._beside_source(volume, found) or self.pools.choose(volume, taken)
            if pool is not None:  # or else the analyzer would not have let it through
                found[volume.key] = pool
                taken[pool.key.name] += parse_bytes(str(volume.spec["size"]))
        return found

    def _beside_source(self, volume: Resource, found: Mapping[ResourceKey, Resource]) -> Resource | None:
        """The pool of what a volume is cloned from, where that is known already."""
        source, namespace = _source(volume), volume.key.namespace
        snapshot = self.resources.get(ResourceKey("VolumeSnapshot", namespace, str(source.get("snapshotRef"))))
        name = snapshot.spec["volumeRef"] if snapshot else source.get("volumeRef")
        key = ResourceKey("Volume", namespace, str(name))
        placed = self._placed(snapshot.key) if snapshot else None
        if placed:
            return self.resources[placed.pool]
        of = self.resources.get(key)
        if of is None or (self.pools.selector(of) and self._placed(key) is None):
            return found.get(key)
        return self._pool_of(key)

    def _limits(self, resource: Resource) -> QosLimits:
        class_spec = self._class_spec("StorageClass", str(resource.spec.get("storageClassName", "")))
        limits: Any = limiting(resource, self.policies.of(resource, class_spec))
        return _limits(limits)

    def subsystem(self, resource: Resource, target: Resource) -> SubsystemWish:
        spec, key = _spec(resource), resource.key
        export = next(e for e in spec["exports"] if e["targetRef"] == target.key.name)
        nqn = spec.get("nqn", identity.derived_nqn(self.site, key))
        portals = {portal["name"]: portal for portal in _spec(target)["portals"]}
        return SubsystemWish(
            self._wish(resource, spec),
            Subsystem(
                nqn=nqn,
                serial_number=spec.get("serialNumber", identity.derived_serial(self.site, key)),
                model_number=spec["modelNumber"],
                max_namespaces=spec["maxNamespaces"],
                min_cntlid=export["cntlidRange"][0],
                max_cntlid=export["cntlidRange"][1],
                allow_any_host=spec["hosts"]["any"],
                ana_reporting=spec["anaReporting"],
            ),
            hosts=tuple(sorted(self._allowed(spec["hosts"], key.namespace) - self._itself(export))),
            namespaces=tuple(
                self._namespace(n, spec, "" if "attachAs" in export else key.namespace)
                for n in sorted(spec["namespaces"], key=_nsid)
            ),
            front=self._front(resource, spec, nqn, export) if "attachAs" in export else None,
            listeners=tuple(_listener(nqn, portals[name], _ana(spec, export)) for name in sorted(export["portals"])),
        )

    def _allowed(self, hosts: Mapping[str, Any], namespace: str) -> set[str]:
        """NQNs of the hosts that are named, and of those whose labels are."""
        named = {self._host(name) for name in hosts["refs"]}
        selector = hosts.get("selector")
        return named | {_spec(host)["nqn"] for host in self.of("Host") if picks(selector, namespace, host)}

    def _itself(self, export: Mapping[str, Any]) -> set[str]:
        """The host NQN of a front target, which must not attach what it exports."""
        return {self._host(export["attachAs"])} if "attachAs" in export else set()

    def _front(self, resource: Resource, spec: Mapping[str, Any], nqn: str, export: Mapping[str, Any]) -> FrontWish:
        """The owner is the target that attaches nothing; all its portals are ways to it."""
        owner = next(e for e in spec["exports"] if "attachAs" not in e)
        portals = {portal["name"]: portal for portal in _spec(self._get("Target", "", owner["targetRef"]))["portals"]}
        name, host = identity.object_name(self.site, resource.key), self._host(export["attachAs"])
        ways = (portals[portal] for portal in sorted(owner["portals"]))
        return FrontWish(owner["targetRef"], tuple(devices.front_path(name, way, nqn, host) for way in ways))

    def _host(self, name: str) -> str:
        return str(_spec(self._get("Host", "", name))["nqn"])

    def _hosts(self, subsystems: Iterable[SubsystemWish], drift_policy: str) -> Iterator[HostWish]:
        """Those with secrets among the hosts that subsystems let in."""
        allowed = {nqn for subsystem in subsystems for nqn in subsystem.hosts}
        for resource in self.of("Host"):
            spec: Any = resource.spec
            if spec["nqn"] in allowed and {"dhchap", "tls"} & spec.keys():
                yield HostWish(
                    Wish(resource.key, drift_policy, aliases=self._aliases(resource.key)),
                    spec["nqn"],
                    identity.object_name(self.site, resource.key),
                    key=_secret(spec, "dhchap", "keyFrom"),
                    controller_key=_secret(spec, "dhchap", "controllerKeyFrom"),
                    psk=_secret(spec, "tls", "pskFrom"),
                )

    def _namespace(self, entry: Mapping[str, Any], spec: Mapping[str, Any], namespace: str) -> NamespaceWish:
        visible = tuple(sorted(map(self._host, entry["visibleTo"]))) if "visibleTo" in entry else None
        group = entry.get("anaGroup", entry["nsid"]) if spec["anaReporting"] else None
        found = NamespaceWish(entry["nsid"], visible_to=visible, ana_group=group, reuses=entry.get("reuses", ""))
        if not namespace:  # the bytes are on another target
            return found
        if "volumeRef" in entry:
            return replace(found, volume=self.volume(self._get("Volume", namespace, entry["volumeRef"])))
        return replace(found, device=self.device(self._get("BlockDevice", "", entry["deviceRef"])))

    def _wish(self, resource: Resource, spec: Mapping[str, Any]) -> Wish:
        notes = resource.annotations
        return Wish(
            key=resource.key,
            drift_policy=spec.get("driftPolicy") or self._kind_policy(resource, spec),
            drift_ignore=frozenset(notes.get(DRIFT_IGNORE, "").replace(",", " ").split()),
            adopt=notes.get(ADOPT, ""),
            requested_at=notes.get(REQUESTED_AT, ""),
            reclaim=spec.get("reclaimPolicy", ""),
            aliases=self._aliases(resource.key),
        )

    def _kind_policy(self, resource: Resource, spec: Mapping[str, Any]) -> str:
        """What the repository says about the kind; the Target's policy where it says nothing."""
        return self.policy.kind_policies.get(resource.key.kind) or self._target_policy(resource, spec)

    def _target_policy(self, resource: Resource, spec: Mapping[str, Any]) -> str:
        """The Target's drift policy; the repository's where the Target says nothing."""
        if resource.key.kind == "Target":
            return str(resource.spec.get("driftPolicy") or self.policy.drift_policy)
        names = [export["targetRef"] for export in spec.get("exports", ())] or [self._target_of(resource.key)]
        return self._target_policy(self._get("Target", "", names[0]), {})

    def _target_of(self, key: ResourceKey) -> str:
        """The target that a device, pool or volume is on."""
        spec = self.resources[key].spec
        match key.kind:
            case "Volume" | "VolumeSnapshot":
                return self._target_of(self._pool_of(key).key)
            case "StoragePool":
                return self._target_of(self._get("BlockDevice", "", str(spec["deviceRef"])).key)
        return str(spec["targetRef"])

    def _get(self, kind: str, namespace: str, name: str) -> Resource:
        return self.resources[ResourceKey(kind, namespace, name)]


def _taken(key: ResourceKey, spec: Mapping[str, Any]) -> Moment | None:
    """Which snapshot of a schedule a VolumeSnapshot takes over."""
    if "taken" not in spec:
        return None
    volume = ResourceKey("Volume", key.namespace, spec["volumeRef"])
    schedule = ResourceKey("SnapshotSchedule", key.namespace, spec["taken"]["scheduleRef"])
    return Moment(volume, schedule, _moment(spec["taken"]["at"]))


def source_snapshot(volume: ResourceKey) -> ResourceKey:
    """Under which name the snapshot is kept that a copy of a volume was made through; no manifest can have it."""
    return ResourceKey("VolumeSnapshot", volume.namespace, f"{volume.name}.source")


def _source(volume: Resource) -> Mapping[str, Any]:
    source: Any = volume.spec.get("source", {})
    return dict(source)


def _is_ours(key: ResourceKey) -> bool:
    return key.group == "storage.holdfast.dev"


def _spec(resource: Resource) -> dict[str, Any]:
    return our_kinds()[resource.key.kind].with_defaults(resource.spec)


def _exported_on(subsystem: Resource, target: str) -> bool:
    exports: Any = subsystem.spec["exports"]
    return any(export["targetRef"] == target for export in exports)


def _secret(spec: Mapping[str, Any], group: str, name: str) -> Secret | None:
    found = spec.get(group, {}).get(name)
    form = "psk" if group == "tls" else "dhchap"
    return Secret(form, devices.source_of(found), f"spec.{group}.{name}") if found else None


def _nsid(entry: Mapping[str, Any]) -> int:
    return int(entry["nsid"])


def _transport(entry: Mapping[str, Any]) -> Transport:
    return Transport(
        type=entry["type"],
        max_queue_depth=entry.get("maxQueueDepth"),
        max_io_qpairs_per_ctrlr=entry.get("maxIOQpairsPerController"),
        in_capsule_data_size=entry.get("inCapsuleDataSize"),
        max_io_size=entry.get("maxIOSize"),
        max_aq_depth=entry.get("maxAQDepth"),
        abort_timeout_sec=entry.get("abortTimeout"),
        c2h_success=entry.get("c2hSuccess"),
        zcopy=entry.get("zeroCopy"),
    )


def _referral(entry: Mapping[str, Any]) -> Referral:
    return Referral(entry["transport"], entry["address"], entry["port"], entry["subsystemNQN"], entry["secureChannel"])


def _listener(nqn: str, portal: Mapping[str, Any], ana: str | None = None) -> Listener:
    """Discovery lets every host in, which SPDK does not over TLS."""
    secure = None if nqn == DISCOVERY else portal["secureChannel"]
    return Listener(nqn, portal["transport"], portal["address"], portal["port"], secure, ana)


def _ana(spec: Mapping[str, Any], export: Mapping[str, Any]) -> str | None:
    """The ANA states of an export's listeners; none where the subsystem does not report them."""
    if not spec["anaReporting"]:
        return None
    own = {entry["group"]: entry["state"] for entry in export["anaGroups"]}
    groups = range(1, spec["maxNamespaces"] + 1)
    return ana_text([own.get(group, export["anaState"]).replace("-", "_") for group in groups])


def _limits(qos: Mapping[str, int]) -> QosLimits:
    """SPDK rounds IO/s up to whole thousands, so that is what we want in the first place."""
    return QosLimits(
        iops=-(-qos.get("iops", 0) // 1000) * 1000,
        read_mbps=qos.get("readMBps", 0),
        write_mbps=qos.get("writeMBps", 0),
        total_mbps=qos.get("totalMBps", 0),
    )


def _initialize(consent: Mapping[str, Any]) -> Initialize:
    return Initialize(consent["deviceUUID"], parse_bytes(consent["sizeBytes"]), date.fromisoformat(consent["expires"]))


def _consent(resource: Resource) -> Consent:
    spec: Any = resource.spec
    return Consent(
        key=resource.key,
        ref=ResourceKey(spec["ref"]["kind"], resource.key.namespace, spec["ref"]["name"]),
        uid=spec["uid"],
        reason=spec["reason"],
        expires=date.fromisoformat(spec["expires"]),
    )


def _moment(text: str) -> float:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
