"""Manifests of a target that was configured before Holdfast, such that the next plan has nothing to do. Pure.

What no manifest can say yet is named in `left_out`, and stays as it is on the target: it is foreign to us.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from backends.contract import (
    OWNER_MARKER,
    AllowedHost,
    Bdev,
    Listener,
    Lvol,
    LvolStore,
    Namespace,
    Observed,
    QosLimits,
    Subsystem,
    Transport,
)
from reconciler import identity
from reconciler.desired import ADOPT
from schemas.kinds import our_kinds
from schemas.quantity import format_bytes

T = TypeVar("T")

DRIVERS = {"aio": ("path", "blockSize", "fallocate"), "malloc": ("size", "blockSize"), "null": ("size", "blockSize")}
_NO_LABEL = re.compile(r"[^a-z0-9]+")
_LABEL_LIMIT = 63  # characters (RFC 1123)


@dataclass(frozen=True)
class Imported:
    """What was written down of a target: manifests by file, and what was left out, in words."""

    files: Mapping[str, Sequence[Mapping[str, Any]]]
    left_out: tuple[str, ...]


def import_target(observed: Observed, target: str, connection: Mapping[str, Any], namespace: str) -> Imported:
    """Everything on the target that a manifest can say. Volumes and subsystems go to one tenant's namespace."""
    site = _Site(observed, target, namespace)
    for gap in observed.gaps:
        site.left_out.append(f"every {gap.kind} {gap.within}: could not be read: {gap.because}")
    devices = [found for bdev in site.all(Bdev) if (found := site.device(bdev))]
    pools = [found for store in site.all(LvolStore) if (found := site.pool(store))]
    volumes = [found for lvol in site.all(Lvol) if (found := site.volume(lvol))]
    subsystems = [found for thing in site.all(Subsystem) if (found := site.subsystem(thing))]
    files: dict[str, Sequence[Mapping[str, Any]]] = {
        f"nodes/{target}.yaml": [site.target(connection), *devices, *pools],
        "hosts/hosts.yaml": site.hosts(),
        f"{namespace}/volumes.yaml": volumes,
        f"{namespace}/subsystems.yaml": subsystems,
    }
    return Imported({path: docs for path, docs in files.items() if docs}, tuple(site.left_out))


@dataclass
class _Names:
    """Names for the resources of one kind: DNS labels, each given once, the same for the same thing."""

    given: dict[str, str] = field(default_factory=dict)

    def of(self, name: str) -> str:
        if name not in self.given:
            label = _NO_LABEL.sub("-", name.lower()).strip("-")[:_LABEL_LIMIT].strip("-") or "unnamed"
            taken, candidate, count = set(self.given.values()), label, 1
            while candidate in taken:
                count += 1
                candidate = f"{label[: _LABEL_LIMIT - len(str(count)) - 1]}-{count}"
            self.given[name] = candidate
        return self.given[name]


class _Site:
    """One target's objects on their way to manifests."""

    def __init__(self, observed: Observed, target: str, namespace: str) -> None:
        self.objects, self.name, self.namespace = observed.objects, target, namespace
        self.left_out: list[str] = []
        self.device_names, self.pool_names, self.volume_names = _Names(), _Names(), _Names()
        self.host_names, self.subsystem_names, self.portal_names = _Names(), _Names(), _Names()
        self.devices: dict[str, str] = {}  # bdev name → resource
        self.pools: dict[str, str] = {}  # lvol store → resource
        self.exportable: dict[str, tuple[str, str]] = {}  # bdev uuid → (reference, resource)
        self._memory: set[str] = set()  # devices whose content dies with the process
        self._allowed: set[str] = set()  # host NQNs of the subsystems that are imported

    def all(self, kind: type[T]) -> list[T]:
        return [self.objects[key] for key in sorted(self.objects) if isinstance(self.objects[key], kind)]  # type: ignore[misc]

    def target(self, connection: Mapping[str, Any]) -> dict[str, Any]:
        portals = {_portal(listener): listener for listener in self.all(Listener)}
        spec: dict[str, Any] = {
            "connection": dict(connection),
            "transports": [{"type": transport.type} for transport in self.all(Transport)],
            "portals": [
                {"name": self.portal_names.of(name), "transport": at.transport, "address": at.address, "port": at.port}
                for name, at in sorted(portals.items())
            ],
        }
        return _manifest("Target", self.name, {name: value for name, value in spec.items() if value})

    def device(self, bdev: Bdev) -> dict[str, Any] | None:
        if bdev.name == OWNER_MARKER:
            return None
        if bdev.driver not in DRIVERS:
            self.left_out.append(f"bdev {bdev.name}: devices of type {bdev.driver} cannot be imported")
            return None
        name = self.devices[bdev.name] = self.device_names.of(f"{self.name}-{bdev.name}")
        if bdev.driver == "malloc":
            self._memory.add(name)
        if bdev.uuid:
            self.exportable[bdev.uuid] = ("deviceRef", name)
        values = {
            "path": bdev.path,
            "size": format_bytes(bdev.size) if bdev.size else None,
            "blockSize": bdev.block_size,
            "fallocate": bdev.fallocate,
        }
        about = {field: values[field] for field in DRIVERS[bdev.driver] if values[field] is not None}
        spec = {"targetRef": self.name, "bdevName": bdev.name, bdev.driver: about}
        return _manifest("BlockDevice", name, spec | ({"uuid": bdev.uuid} if bdev.uuid else {}), adopt="true")

    def pool(self, store: LvolStore) -> dict[str, Any] | None:
        if store.bdev not in self.devices or store.uuid is None:
            self.left_out.append(f"lvol store {store.name}: it is on bdev {store.bdev}, which is left out")
            return None
        name = self.pools[store.name] = self.pool_names.of(f"{self.name}-{store.name}")
        cluster = store.cluster_size or 0
        spec = {
            "deviceRef": self.devices[store.bdev],
            "lvstoreUUID": store.uuid,
            "clusterSize": format_bytes(cluster),
            "overcommitRatio": self._overcommit(store, cluster),
            "allowedNamespaces": [self.namespace],
        }
        return _manifest("StoragePool", name, {key: value for key, value in spec.items() if value})

    def _overcommit(self, store: LvolStore, cluster: int) -> float | None:
        """The ratio that what is there needs, where the default would not do."""
        declared = sum(lvol.size or 0 for lvol in self.all(Lvol) if lvol.store == store.name)
        needed = declared / max(cluster * store.total_clusters, 1)
        default = our_kinds()["StoragePool"].with_defaults({})["overcommitRatio"]
        return -(-needed * 10 // 1) / 10 if isinstance(default, (int, float)) and needed > default else None

    def volume(self, lvol: Lvol) -> dict[str, Any] | None:
        if lvol.store not in self.pools or lvol.uuid is None or lvol.size is None or lvol.read_only:
            why = (
                "it is a snapshot" if lvol.snapshot else "it is read-only" if lvol.read_only else "its pool is left out"
            )
            self.left_out.append(f"lvol {lvol.alias}: {why}")
            return None
        name = self.volume_names.of(lvol.name)
        self.exportable[lvol.uuid] = ("volumeRef", name)
        spec: dict[str, Any] = {
            "poolRef": self.pools[lvol.store],
            "size": format_bytes(lvol.size),
            "thin": bool(lvol.thin),
        }
        if shown := self._shown(lvol.uuid):
            spec["uid"] = shown
        if limits := _limits(lvol.limits):
            spec["qos"] = limits
        return _manifest("Volume", name, spec, self.namespace, adopt=lvol.uuid)

    def _shown(self, uuid: str) -> str | None:
        """The identity under which hosts know the bytes, where it is not their own."""
        return next((n.uuid for n in self.all(Namespace) if n.bdev == uuid and n.uuid not in (None, uuid)), None)

    def subsystem(self, subsystem: Subsystem) -> dict[str, Any] | None:
        nqn = subsystem.nqn
        namespaces = [namespace for namespace in self.all(Namespace) if namespace.nqn == nqn]
        silent = "" if any(listener.nqn == nqn for listener in self.all(Listener)) else "it listens nowhere"
        if why := next((why for namespace in namespaces if (why := self._unspeakable(namespace))), silent):
            self.left_out.append(f"subsystem {nqn}: {why}")
            return None
        self._allowed |= {host.host for host in self.all(AllowedHost) if host.nqn == nqn}
        spec: dict[str, Any] = {
            "nqn": nqn,
            "serialNumber": subsystem.serial_number,
            "modelNumber": subsystem.model_number,
            "maxNamespaces": subsystem.max_namespaces,
            "exports": [self._export(subsystem)],
            "namespaces": [self._namespace(namespace) for namespace in namespaces],
            "hosts": self._hosts(subsystem),
        }
        name = self.subsystem_names.of(nqn.partition(":")[2] or nqn)
        kept = {key: value for key, value in spec.items() if value not in (None, [], {})}
        return _manifest("Subsystem", name, kept, self.namespace, adopt="true")

    def _export(self, subsystem: Subsystem) -> dict[str, Any]:
        portals = sorted({_portal(at) for at in self.all(Listener) if at.nqn == subsystem.nqn})
        export: dict[str, Any] = {"targetRef": self.name, "portals": [self.portal_names.of(name) for name in portals]}
        if subsystem.min_cntlid and subsystem.max_cntlid:
            export["cntlidRange"] = [subsystem.min_cntlid, subsystem.max_cntlid]
        return export

    def _unspeakable(self, namespace: Namespace) -> str:
        """Why a subsystem with this namespace cannot be imported without changing what its hosts see."""
        if namespace.bdev not in self.exportable:
            return f"namespace {namespace.nsid} shows bdev {namespace.bdev}, which is left out"
        reference, name = self.exportable[namespace.bdev]
        shown = namespace.uuid or namespace.bdev
        if namespace.nguid not in (None, identity.nguid_of(shown)):
            return f"namespace {namespace.nsid} has NGUID {namespace.nguid}, which its uuid {shown} does not give"
        if reference == "deviceRef" and (shown != namespace.bdev or name in self._memory):
            return f"namespace {namespace.nsid} shows device {name} under an identity that cannot be declared"
        return ""

    def _namespace(self, namespace: Namespace) -> dict[str, Any]:
        reference, name = self.exportable[namespace.bdev]
        return {"nsid": namespace.nsid, reference: name}

    def _hosts(self, subsystem: Subsystem) -> dict[str, Any]:
        if subsystem.allow_any_host:
            return {"any": True}
        return {"refs": [self.host_names.of(_short(h.host)) for h in self.all(AllowedHost) if h.nqn == subsystem.nqn]}

    def hosts(self) -> list[Mapping[str, Any]]:
        return [
            _manifest("Host", self.host_names.of(_short(nqn)), {"nqn": nqn, "allowedNamespaces": [self.namespace]})
            for nqn in sorted(self._allowed)
        ]


def _manifest(kind: str, name: str, spec: Mapping[str, Any], namespace: str = "", *, adopt: str = "") -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name} | ({"namespace": namespace} if namespace else {})
    if adopt:
        metadata["annotations"] = {ADOPT: adopt}
    return {"apiVersion": our_kinds()[kind].api_version, "kind": kind, "metadata": metadata, "spec": dict(spec)}


def _short(host: str) -> str:
    """What tells one host NQN from another, after the part that they have in common."""
    prefix, _, end = host.rpartition(":")
    return f"host-{end}" if prefix.endswith("uuid") else end


def _portal(listener: Listener) -> str:
    return f"{listener.transport}-{listener.address}-{listener.port}"


def _limits(limits: QosLimits | None) -> dict[str, int]:
    if limits is None:
        return {}
    named = {
        "iops": limits.iops,
        "readMBps": limits.read_mbps,
        "writeMBps": limits.write_mbps,
        "totalMBps": limits.total_mbps,
    }
    return {name: value for name, value in named.items() if value}
