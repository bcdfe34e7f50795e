"""Everything that is wanted of a target, in one wish."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends.objects import DISCOVERY, Referral, Transport
from reconciler.dates import moment
from reconciler.desired import DeviceWish, Suspension, TargetWish
from reconciler.resolving.catalogue import Catalogue, spec_of
from reconciler.resolving.common import Common
from reconciler.resolving.exports import Exports, listener
from reconciler.resolving.placing import Placing
from reconciler.resolving.storage import Storage
from schemas.quantity import parse_seconds
from schemas.resources import Resource


class Targets:
    """The wishes of a revision, target by target."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._all, self._placing = catalogue, Placing(catalogue)
        self._common = Common(catalogue, self._placing)
        self.storage = Storage(catalogue, self._placing, self._common)
        self._exports = Exports(catalogue, self._common, self.storage)

    def target(self, resource: Resource) -> TargetWish:
        spec, key, catalogue, storage = spec_of(resource), resource.key, self._all, self.storage
        suspend, wish = spec.get("suspend"), self._common.wish(resource, spec)
        exported = (s for s in catalogue.of("Subsystem") if _exported_on(s, key.name))
        subsystems = tuple(self._exports.subsystem(s, resource) for s in exported)

        def here(device: DeviceWish) -> bool:
            return self._placing.is_on(device.wish.key, key.name)

        return TargetWish(
            key=key,
            connection=spec["connection"],
            export_wait=parse_seconds(spec["exportWait"]),
            suspension=Suspension(suspend["reason"], moment(suspend["until"])) if suspend else None,
            transports=tuple(_transport(t) for t in spec["transports"]),
            wish=wish,
            devices=tuple(d for d in map(storage.device, catalogue.of("BlockDevice")) if here(d)),
            pools=tuple(p for p in map(storage.pool, catalogue.of("StoragePool")) if here(p.device)),
            volumes=tuple(v for v in map(storage.volume, catalogue.of("Volume")) if here(v.pool.device)),
            images=tuple(i for i in map(storage.image, catalogue.of("Image")) if here(i)),
            snapshots=tuple(s for s in storage.snapshots() if here(s.pool.device)),
            hosts=tuple(self._exports.hosts(subsystems, wish.drift_policy)),
            subsystems=subsystems,
            schedules=tuple(
                s for r in catalogue.of("SnapshotSchedule") if (s := storage.schedule(r, key.name)).volumes
            ),
            discovery=tuple(listener(DISCOVERY, portal) for portal in spec["portals"] if portal["discovery"]),
            referrals=tuple(map(_referral, spec["referrals"])) if "referrals" in spec else None,
            concurrent_tasks=spec["concurrentTasks"],
        )


def _exported_on(subsystem: Resource, target: str) -> bool:
    exports: Any = subsystem.spec["exports"]
    return any(export["targetRef"] == target for export in exports)


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
