"""Devices, pools, images, volumes, snapshots, schedules and quotas, as wishes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from backends.objects import Bdev, QosLimits
from reconciler import devices, identity
from reconciler.dates import moment
from reconciler.desired import (
    DeviceWish,
    Initialize,
    PoolWish,
    QuotaWish,
    ScheduleWish,
    SnapshotWish,
    VolumeWish,
    Wish,
    source_snapshot,
)
from reconciler.moments import Moment
from reconciler.resolving.catalogue import Catalogue, copied_from, spec_of
from reconciler.resolving.common import Common
from reconciler.resolving.placing import Placing
from reconciler.retention import Retain
from schemas.calendar import Calendar
from schemas.limits import limiting, selects
from schemas.quantity import parse_bytes, parse_percent
from schemas.resources import Resource, ResourceKey


class Storage:
    """Devices, pools, volumes and snapshots; each is resolved once."""

    def __init__(self, catalogue: Catalogue, placing: Placing, common: Common) -> None:
        self._all, self._placing, self._common = catalogue, placing, common
        self._made: dict[ResourceKey, Any] = {}

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
        yield from (found for r in self._all.of("VolumeSnapshot") if (found := self.snapshot(r)))
        sources = (self.volume(r).source for r in self._all.of("Volume") if "volumeRef" in copied_from(r))
        yield from (source for source in sources if isinstance(source, SnapshotWish))

    def schedule(self, resource: Resource, target: str) -> ScheduleWish:
        """With the volumes of this target that it selects, of its namespace."""
        spec, key = spec_of(resource), resource.key
        calendar = Calendar(spec["cron"], spec["timeZone"])
        near = (r for r in self._all.of("Volume") if r.key.namespace == key.namespace)
        chosen = (self.volume(r) for r in near if selects(spec["selector"], r.labels))
        return ScheduleWish(
            Wish(key, "correct"),
            calendar,
            Retain(**spec["retain"], zone=calendar.zone),
            tuple(volume for volume in chosen if self._placing.is_on(volume.pool.device.wish.key, target)),
        )

    def quota(self, resource: Resource) -> QuotaWish:
        spec, namespace = spec_of(resource), resource.key.namespace
        sizes = [parse_bytes(str(r.spec["size"])) for r in self._all.of("Volume") if r.key.namespace == namespace]
        return QuotaWish(resource.key, parse_bytes(spec["capacity"]) if "capacity" in spec else None, sum(sizes))

    def _once(self, resource: Resource, make: Any) -> Any:  # noqa: ANN401  # one memo for many kinds
        if resource.key not in self._made:
            self._made[resource.key] = make(resource)
        return self._made[resource.key]

    def _device(self, resource: Resource) -> DeviceWish:
        spec, key = spec_of(resource), resource.key
        name = self._device_name(spec, key)
        bases = tuple(self.device(self._all.get("BlockDevice", "", ref)) for ref in devices.base_refs(spec))
        uuid = spec.get("uuid", identity.derived_uuid(self._all.site, key))
        return DeviceWish(
            self._common.wish(resource, spec),
            devices.wanted_bdev(name, uuid, spec, [base.bdev for base in bases]),
            named="bdevName" in spec,
            bases=bases,
            paths=devices.wanted_paths(name, spec),
            key_from=devices.source_of(spec["crypto"]["keyFrom"]) if "crypto" in spec else "",
        )

    def _device_name(self, spec: Mapping[str, Any], key: ResourceKey) -> str:
        """Of the bdev; for an NVMe namespace, of the controller that it is on."""
        name = str(spec.get("bdevName", identity.object_name(self._all.site, key)))
        return name.removesuffix(f"n{spec['nvme']['nsid']}") if "nvme" in spec else name

    def _pool(self, resource: Resource) -> PoolWish:
        spec = spec_of(resource)
        consent = spec.get("initialize")
        return PoolWish(
            self._common.wish(resource, spec),
            device=self.device(self._all.get("BlockDevice", "", spec["deviceRef"])),
            name=identity.object_name(self._all.site, resource.key),
            cluster_size=parse_bytes(spec["clusterSize"]),
            clear_method=spec["clearMethod"],
            reserve=parse_percent(spec["reserve"]),
            initialize=_initialize(consent) if consent else None,
            lvstore_uuid=spec.get("lvstoreUUID", ""),
            size=parse_bytes(spec["size"]) if "size" in spec else 0,
            overcommit=spec["overcommitRatio"],
        )

    def _image(self, resource: Resource) -> DeviceWish:
        spec, key = spec_of(resource), resource.key
        name = spec.get("bdevName", identity.object_name(self._all.site, key))
        uuid = spec.get("uuid", identity.derived_uuid(self._all.site, key))
        bdev = Bdev(name, "aio", uuid, block_size=spec["blockSize"], path=spec["path"], read_only=True)
        return DeviceWish(
            self._common.wish(resource, spec),
            bdev,
            named="bdevName" in spec,
            sha256=str(spec.get("sha256", "")).lower(),
        )

    def _volume(self, resource: Resource) -> VolumeWish:
        spec, key = self._all.inherited(resource), resource.key
        pool = self.pool(self._placing.pool_of(key))
        source = self._source(resource, pool)
        return VolumeWish(
            self._common.wish(resource, spec),
            pool=pool,
            name=identity.object_name(self._all.site, key),
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
            detach=bool(copied_from(resource).get("detach")),
        )

    def _key_from(self, resource: Resource, spec: Mapping[str, Any]) -> str:
        """Its own word counts; a class's does when the volume is created, and then stays with the bytes."""
        placed = self._all.placed(resource.key)
        if placed and "encryption" not in resource.spec and (placed.key_from or not placed.sealed):
            return placed.key_from
        return devices.source_of(spec["encryption"]["keyFrom"]) if "encryption" in spec else ""

    def _source(self, resource: Resource, pool: PoolWish) -> SnapshotWish | DeviceWish | None:
        match copied_from(resource):
            case {"snapshotRef": name}:
                return self.snapshot(self._all.get("VolumeSnapshot", resource.key.namespace, name))
            case {"imageRef": name}:
                return self.image(self._all.get("Image", "", name))
            case {"volumeRef": name}:
                volume = self.volume(self._all.get("Volume", resource.key.namespace, name))
                return self._through(resource, pool, volume)
        return None

    def _through(self, resource: Resource, pool: PoolWish, volume: VolumeWish) -> SnapshotWish:
        """The snapshot that a copy of a volume is made through; it is the copy's own."""
        key = source_snapshot(resource.key)
        former = tuple(source_snapshot(alias) for alias in self._all.aliases(resource.key))
        wish = Wish(key, self._common.wish(resource, spec_of(resource)).drift_policy, reclaim="Retain", aliases=former)
        return SnapshotWish(wish, pool, identity.object_name(self._all.site, key), volume)

    def _snapshot(self, resource: Resource) -> SnapshotWish | None:
        """None for one that was never taken and whose volume nobody declares: it belongs to no target."""
        spec, key = spec_of(resource), resource.key
        volume = self._all.resources.get(ResourceKey("Volume", key.namespace, spec["volumeRef"]))
        placed = self._all.placed(key)
        if volume is None and placed is None:
            return None
        pool = self.pool(self._placing.pool_of(volume.key if volume else key))
        wished = self.volume(volume) if volume else None
        name = identity.object_name(self._all.site, key)
        return SnapshotWish(self._common.wish(resource, spec), pool, name, wished, taken=_taken(key, spec))

    def _limits(self, resource: Resource) -> QosLimits:
        class_spec = self._all.class_spec("StorageClass", str(resource.spec.get("storageClassName", "")))
        limits: Any = limiting(resource, self._all.policies.of(resource, class_spec))
        return _limits(limits)


def _taken(key: ResourceKey, spec: Mapping[str, Any]) -> Moment | None:
    """Which snapshot of a schedule a VolumeSnapshot takes over."""
    if "taken" not in spec:
        return None
    volume = ResourceKey("Volume", key.namespace, spec["volumeRef"])
    schedule = ResourceKey("SnapshotSchedule", key.namespace, spec["taken"]["scheduleRef"])
    return Moment(volume, schedule, moment(spec["taken"]["at"]))


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
