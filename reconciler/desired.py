"""What the repository wants of each target: the accepted revision's resources, resolved and sorted by target.

Pure. Identities that a manifest leaves out are derived here; which live object stands for a resource is the planner's
business, because only it knows the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from analyzer.hazards import former_names
from backends.contract import Bdev, Listener, QosLimits, Subsystem, Transport
from reconciler import identity
from reconciler.policy import BUILT_IN, Policy
from schemas.kinds import our_kinds
from schemas.quantity import parse_bytes, parse_percent, parse_seconds
from schemas.resources import Resource, ResourceKey

ADOPT = "holdfast.dev/adopt"
DRIFT_IGNORE = "holdfast.dev/drift-ignore"


@dataclass(frozen=True, slots=True)
class Wish:
    """What every declared thing has in common."""

    key: ResourceKey
    drift_policy: str  # correct | warn | ignore
    drift_ignore: frozenset[str] = frozenset()  # field paths, as in spec.qos.readMBps
    adopt: bool = False
    reclaim: str = ""  # Retain | Delete for what bears data
    aliases: tuple[ResourceKey, ...] = ()  # names it had before (renamed-from)


@dataclass(frozen=True, slots=True)
class DeviceWish:
    wish: Wish
    bdev: Bdev

    @property
    def volatile(self) -> bool:
        """Whether its bytes live only as long as the target process."""
        return self.bdev.driver == "malloc"


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


@dataclass(frozen=True, slots=True)
class NamespaceWish:
    nsid: int
    volume: VolumeWish | None = None
    device: DeviceWish | None = None


@dataclass(frozen=True, slots=True)
class SubsystemWish:
    wish: Wish
    subsystem: Subsystem
    hosts: tuple[str, ...]  # host NQNs
    namespaces: tuple[NamespaceWish, ...]
    listeners: tuple[Listener, ...]


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
    subsystems: tuple[SubsystemWish, ...] = ()

    @property
    def name(self) -> str:
        return self.key.name


@dataclass(frozen=True)
class DesiredState:
    """One accepted revision."""

    revision: str
    policy: Policy = BUILT_IN
    targets: Mapping[str, TargetWish] = field(default_factory=dict)
    consents: tuple[Consent, ...] = ()
    declared: frozenset[ResourceKey] = frozenset()  # also under the names they had before


def desired_state(revision: str, resources: Iterable[Resource], policy: Policy, site: str) -> DesiredState:
    """Resolve the resources of an accepted revision. They have passed the analyzer: every reference leads somewhere."""
    house = _House({resource.key: resource for resource in resources}, policy, site)
    return DesiredState(
        revision=revision,
        policy=policy,
        targets={target.name: target for target in (house.target(r) for r in house.of("Target"))},
        consents=tuple(_consent(r) for r in house.of("Removal")),
        declared=frozenset(house.resources) | frozenset(house.former.values()),
    )


class _House:
    """The resources of one revision, looked up by reference."""

    def __init__(self, resources: Mapping[ResourceKey, Resource], policy: Policy, site: str) -> None:
        self.resources, self.policy, self.site = resources, policy, site
        self.former = former_names(resources)
        self._made: dict[ResourceKey, Any] = {}

    def of(self, kind: str) -> list[Resource]:
        return [self.resources[key] for key in sorted(self.resources) if key.kind == kind and _is_ours(key)]

    def target(self, resource: Resource) -> TargetWish:
        spec, key = _spec(resource), resource.key
        suspend = spec.get("suspend")
        return TargetWish(
            key=key,
            connection=spec["connection"],
            export_wait=parse_seconds(spec["exportWait"]),
            suspension=Suspension(suspend["reason"], _moment(suspend["until"])) if suspend else None,
            transports=tuple(_transport(t) for t in spec["transports"]),
            wish=self._wish(resource, spec),
            devices=tuple(
                d for d in map(self.device, self.of("BlockDevice")) if self._target_of(d.wish.key) == key.name
            ),
            pools=tuple(
                p for p in map(self.pool, self.of("StoragePool")) if self._target_of(p.device.wish.key) == key.name
            ),
            volumes=tuple(
                v for v in map(self.volume, self.of("Volume")) if self._target_of(v.pool.device.wish.key) == key.name
            ),
            subsystems=tuple(self.subsystem(s, resource) for s in self.of("Subsystem") if _exported_on(s, key.name)),
        )

    def device(self, resource: Resource) -> DeviceWish:
        return self._once(resource, self._device)  # type: ignore[no-any-return]

    def pool(self, resource: Resource) -> PoolWish:
        return self._once(resource, self._pool)  # type: ignore[no-any-return]

    def volume(self, resource: Resource) -> VolumeWish:
        return self._once(resource, self._volume)  # type: ignore[no-any-return]

    def _once(self, resource: Resource, make: Any) -> Any:  # noqa: ANN401  # one memo for three kinds
        if resource.key not in self._made:
            self._made[resource.key] = make(resource)
        return self._made[resource.key]

    def _device(self, resource: Resource) -> DeviceWish:
        spec, key = _spec(resource), resource.key
        driver = next(name for name in ("aio", "malloc", "null") if name in spec)
        about = spec[driver]
        size = parse_bytes(about["size"]) if "size" in about else None
        return DeviceWish(
            self._wish(resource, spec),
            Bdev(
                name=identity.object_name(self.site, key),
                driver=driver,
                uuid=spec.get("uuid", identity.derived_uuid(self.site, key)),
                size=size,
                block_size=about.get("blockSize"),
                path=about.get("path"),
                fallocate=about.get("fallocate"),
            ),
        )

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
        )

    def _volume(self, resource: Resource) -> VolumeWish:
        spec, key = _spec(resource), resource.key
        return VolumeWish(
            self._wish(resource, spec),
            pool=self.pool(self._get("StoragePool", "", spec["poolRef"])),
            name=identity.object_name(self.site, key),
            size=parse_bytes(spec["size"]),
            thin=spec["thin"],
            limits=_limits(spec.get("qos", {})),
            uid=spec.get("uid", ""),
            recreate=spec.get("recreate", ""),
        )

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
            ),
            hosts=tuple(sorted({_spec(self._get("Host", "", name))["nqn"] for name in spec["hosts"]["refs"]})),
            namespaces=tuple(self._namespace(n, key.namespace) for n in sorted(spec["namespaces"], key=_nsid)),
            listeners=tuple(_listener(nqn, portals[name]) for name in sorted(export["portals"])),
        )

    def _namespace(self, entry: Mapping[str, Any], namespace: str) -> NamespaceWish:
        if "volumeRef" in entry:
            return NamespaceWish(entry["nsid"], volume=self.volume(self._get("Volume", namespace, entry["volumeRef"])))
        return NamespaceWish(entry["nsid"], device=self.device(self._get("BlockDevice", "", entry["deviceRef"])))

    def _wish(self, resource: Resource, spec: Mapping[str, Any]) -> Wish:
        notes = resource.annotations
        return Wish(
            key=resource.key,
            drift_policy=spec.get("driftPolicy") or self._target_policy(resource, spec),
            drift_ignore=frozenset(notes.get(DRIFT_IGNORE, "").replace(",", " ").split()),
            adopt=notes.get(ADOPT) == "true",
            reclaim=spec.get("reclaimPolicy", ""),
            aliases=(self.former[resource.key],) if resource.key in self.former else (),
        )

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
            case "Volume":
                return self._target_of(self._get("StoragePool", "", str(spec["poolRef"])).key)
            case "StoragePool":
                return self._target_of(self._get("BlockDevice", "", str(spec["deviceRef"])).key)
        return str(spec["targetRef"])

    def _get(self, kind: str, namespace: str, name: str) -> Resource:
        return self.resources[ResourceKey(kind, namespace, name)]


def _is_ours(key: ResourceKey) -> bool:
    return key.group == "storage.holdfast.dev"


def _spec(resource: Resource) -> dict[str, Any]:
    return our_kinds()[resource.key.kind].with_defaults(resource.spec)


def _exported_on(subsystem: Resource, target: str) -> bool:
    exports: Any = subsystem.spec["exports"]
    return any(export["targetRef"] == target for export in exports)


def _nsid(entry: Mapping[str, Any]) -> int:
    return int(entry["nsid"])


def _transport(entry: Mapping[str, Any]) -> Transport:
    return Transport(
        type=entry["type"],
        max_queue_depth=entry.get("maxQueueDepth"),
        max_io_qpairs_per_ctrlr=entry.get("maxIOQpairsPerController"),
        in_capsule_data_size=entry.get("inCapsuleDataSize"),
        max_io_size=entry.get("maxIOSize"),
    )


def _listener(nqn: str, portal: Mapping[str, Any]) -> Listener:
    return Listener(nqn, portal["transport"], portal["address"], portal["port"])


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
