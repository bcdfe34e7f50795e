"""How a declared site changes: for each field, another value of it."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from typing import Any, TypeAlias

from grand import FAR, MIB, Grand
from hostkeys import dhchap, psk, put
from stacking import KEY
from world import NQN, manifest, volume

Manifests: TypeAlias = list[dict[str, Any]]
Move: TypeAlias = Callable[[Grand, Manifests], None]
Value: TypeAlias = Any  # JSON; or of the site, when it is known only there
OTHER = "12121212-1212-4121-8121-121212121212"
GONE = object()  # the field is taken out


def found(manifests: Manifests, kind: str, name: str) -> dict[str, Any]:
    return next(m for m in manifests if (m["kind"], m["metadata"]["name"]) == (kind, name))


def base(site: Grand) -> Manifests:
    """Everything that can be declared, once; with what the others refer to when they change.

    A pool is initialised first, and called by its uuid afterwards.
    """
    manifests = site.built()
    if site.desired:
        pool = found(manifests, "StoragePool", "n1-pool")["spec"]
        del pool["initialize"]
        pool["lvstoreUUID"] = store(site, "n1-pool")
    found(manifests, "Target", "n1")["spec"] |= {
        "transports": [{"type": "TCP", "maxQueueDepth": 64}],
        "suspend": {"reason": "over", "until": "2020-01-01T00:00:00Z"},
    }
    found(manifests, "BlockDevice", "remote")["spec"]["nvme"]["hostNQN"] = f"{NQN}host-n1"
    portals = found(manifests, "Target", "n1")["spec"]["portals"]
    portals.append({"name": "safe", "address": "127.0.0.5", "port": 4421, "secureChannel": True})
    portals.append({"name": "idle", "address": "127.0.0.6"})
    found(manifests, "Subsystem", "t")["spec"]["exports"][0]["anaGroups"] = [
        {"group": 2, "state": "inaccessible"},
        {"group": 3, "state": "optimized"},
    ]
    found(manifests, "Volume", "b")["spec"]["qosPolicyRef"] = "gold"
    found(manifests, "Volume", "b")["metadata"]["labels"] = {"backup": "yes"}
    found(manifests, "Host", "guest")["metadata"]["labels"] = {"row": "one"}
    found(manifests, "Host", "web")["metadata"]["labels"] = {"row": "two"}
    psk_from = {"file": put(site, "psk.key", psk(1))}
    return [
        *manifests,
        manifest("Host", "sealed", {"nqn": f"{NQN}host-sealed", "tls": {"pskFrom": psk_from}}),
        manifest("Target", "n2", {"connection": {"unixSocket": str(site.folder / "n2.sock")}}),
        manifest("QoSPolicy", "platinum", {"iops": 8000}),
        chosen(),
        manifest("QoSPolicy", "gold", {"iops": 4000}, "team"),
        manifest("QoSPolicy", "lead", {"iops": 1000}, "team"),
        manifest("StorageClass", "quick", {"poolRef": "n1-pool", "thin": True}),
        manifest("StorageClass", "slow", {"poolRef": "n1-pool", "thin": True}),
        manifest("Volume", "classy", {"storageClassName": "quick", "size": "8Mi"}, "team"),
        manifest(
            "SnapshotSchedule",
            "nightly",
            {"selector": {"matchLabels": {"backup": "yes"}}, "cron": "0 2 * * *", "retain": dict.fromkeys(KEPT, 2)},
            "team",
        ),
        manifest("Quota", "all", {"capacity": "1Ti", "volumes": 100, "iops": 1000000}, "other"),
        volume("spare"),
        manifest("VolumeSnapshot", "later", {"volumeRef": "spare"}, "team"),
    ]


KEPT = ("last", "hourly", "daily", "weekly", "monthly")


def chosen() -> dict[str, Any]:
    """A subsystem whose hosts are selected."""
    body = {
        "nqn": f"{NQN}u",
        "exports": [{"targetRef": "n1", "portals": ["back", "safe"]}],
        "hosts": {"refs": ["sealed"], "selector": {"matchLabels": {"row": "one"}}},
    }
    return manifest("Subsystem", "u", body, "team")


def to(kind: str, name: str, path: str, value: Value) -> Move:
    """Another value at a path of a resource, items of lists by their place."""

    def move(site: Grand, manifests: Manifests) -> None:
        here: Any = found(manifests, kind, name)["spec"]
        *steps, last = (int(step) if step.isdigit() else step for step in path.split("."))
        for step in steps:
            here = here.setdefault(step, {}) if isinstance(here, dict) else here[step]
        new = value(site) if callable(value) else value
        if isinstance(here, list) and last == len(here):
            here.append(new)
        elif new is GONE:
            del here[last]
        else:
            here[last] = new

    return move


def another_file(name: str, text: str) -> Callable[[Grand], str]:
    """The same secret, kept in another file."""
    return lambda site: put(site, name, text)


def its_key(site: Grand) -> dict[str, Any]:
    return {"keyFrom": {"file": str(site.folder / "key")}}


def larger(site: Grand) -> str:
    with (site.folder / "large.img").open("r+b") as disk:
        disk.truncate(128 * MIB)
    return "128Mi"


def store(site: Grand, name: str) -> str:
    return str(next(s["uuid"] for s in site.call("bdev_lvol_get_lvstores") if s["name"].endswith(f"-{name}")))


def loaded(site: Grand, manifests: Manifests) -> None:
    pool = found(manifests, "StoragePool", "large")["spec"]
    del pool["initialize"]
    pool["lvstoreUUID"] = store(site, "large")


def selected(_: Grand, manifests: Manifests) -> None:
    found(manifests, "StoragePool", "large")["metadata"]["labels"] = {"tier": "fast"}
    quick = found(manifests, "StorageClass", "quick")["spec"]
    del quick["poolRef"]
    quick["poolSelector"] = {"matchLabels": {"tier": "fast"}}


def remoted(_: Grand, manifests: Manifests) -> None:
    target = found(manifests, "Target", "n1")["spec"]
    target["transports"].append({"type": "RDMA"})
    target["portals"][0]["transport"] = "RDMA"


def consented(subsystem: str, place: int, move: Move) -> Move:
    """A change that lets hosts meet other bytes under an id that they know, and says so."""
    path = f"namespaces.{place}.reuses"

    def both(site: Grand, manifests: Manifests) -> None:
        to("Subsystem", subsystem, path, shown(site, subsystem, place))(site, manifests)
        move(site, manifests)

    return both


def shown(site: Grand, subsystem: str, place: int) -> str:
    spaces = sorted(site.subsystems()[f"{NQN}{subsystem}"]["namespaces"], key=lambda space: int(space["nsid"]))
    return str(spaces[place]["uuid"])


def _moves() -> dict[str, Move]:
    table: dict[str, tuple[str, str, Value]] = {
        "BlockDevice.targetRef": ("memory", "targetRef", "n2"),
        "BlockDevice.bdevName": ("plain", "bdevName", "other"),
        "BlockDevice.aio.path": ("plain", "aio.path", "/srv/other.img"),
        "BlockDevice.aio.blockSize": ("plain", "aio.blockSize", 512),
        "BlockDevice.aio.fallocate": ("plain", "aio.fallocate", False),
        "BlockDevice.uring.path": ("ring", "uring.path", "/srv/other.img"),
        "BlockDevice.uring.blockSize": ("ring", "uring.blockSize", 512),
        "BlockDevice.nvme.address.transport": ("remote", "nvme.address.transport", "RDMA"),
        "BlockDevice.nvme.address.address": ("remote", "nvme.address.address", "127.0.0.7"),
        "BlockDevice.nvme.address.port": ("remote", "nvme.address.port", 4430),
        "BlockDevice.nvme.subsystemNQN": ("remote", "nvme.subsystemNQN", f"{FAR}-other"),
        "BlockDevice.nvme.hostNQN": ("remote", "nvme.hostNQN", f"{NQN}host-other"),
        "BlockDevice.nvme.nsid": ("remote", "nvme.nsid", 2),
        "BlockDevice.nvme.multipath.addresses, one less": ("remote", "nvme.multipath.addresses", []),
        "BlockDevice.nvme.multipath.policy": ("remote", "nvme.multipath.policy", "active_active"),
        "BlockDevice.nvme.hostNQN, not said": ("remote", "nvme.hostNQN", GONE),
        "BlockDevice.nvme.ctrlrLossTimeout": ("remote", "nvme.ctrlrLossTimeout", 77),
        "BlockDevice.nvme.reconnectDelay": ("remote", "nvme.reconnectDelay", 3),
        "BlockDevice.nvme.fastIOFailTimeout": ("remote", "nvme.fastIOFailTimeout", 9),
        "BlockDevice.malloc.size": ("memory", "malloc.size", "32Mi"),
        "BlockDevice.malloc.blockSize": ("memory", "malloc.blockSize", 512),
        "BlockDevice.null.size": ("nothing", "null.size", "32Mi"),
        "BlockDevice.null.blockSize": ("nothing", "null.blockSize", 512),
        "BlockDevice.raid.level": ("array", "raid.level", "raid0"),
        "BlockDevice.raid.members": ("array", "raid.members.0", "plain"),
        "BlockDevice.raid.superblock": ("array", "raid.superblock", False),
        "BlockDevice.raid.stripSizeKiB": ("array", "raid.stripSizeKiB", 128),
        "BlockDevice.crypto.deviceRef": ("vault", "crypto.deviceRef", "plain"),
        "BlockDevice.crypto.keyFrom": ("vault", "crypto.keyFrom.file", another_file("key2", KEY)),
        "BlockDevice.crypto.keyName": ("vault", "crypto.keyName", "other"),
        "BlockDevice.crypto.cipher": ("vault", "crypto.cipher", "AES_CBC"),
        "BlockDevice.passthru.deviceRef": ("through", "passthru.deviceRef", "plain"),
        "BlockDevice.delay.deviceRef": ("slow", "delay.deviceRef", "plain"),
        "BlockDevice.delay.readMicroseconds": ("slow", "delay.readMicroseconds", 50),
        "BlockDevice.delay.readP99Microseconds": ("slow", "delay.readP99Microseconds", 50),
        "BlockDevice.delay.writeMicroseconds": ("slow", "delay.writeMicroseconds", 50),
        "BlockDevice.delay.writeP99Microseconds": ("slow", "delay.writeP99Microseconds", 50),
        "BlockDevice.uuid": ("plain", "uuid", OTHER),
        "BlockDevice.reclaimPolicy": ("plain", "reclaimPolicy", "Retain"),
        "BlockDevice.driftPolicy": ("plain", "driftPolicy", "warn"),
        "BlockDevice.allowedNamespaces": ("plain", "allowedNamespaces", ["team"]),
        "Host.nqn": ("guest", "nqn", f"{NQN}host-guest-2"),
        "Host.dhchap": ("web", "dhchap", GONE),
        "Host.dhchap.keyFrom": ("web", "dhchap.keyFrom.file", another_file("web2.key", dhchap(1))),
        "Host.dhchap.keyFrom, another key": ("web", "dhchap.keyFrom.file", another_file("web3.key", dhchap(3))),
        "Host.dhchap.controllerKeyFrom": (
            "web", "dhchap.controllerKeyFrom", lambda site: {"file": put(site, "controller.key", dhchap(4))},
        ),
        "Host.tls": ("sealed", "tls", GONE),
        "Host.tls.pskFrom": ("sealed", "tls.pskFrom.file", another_file("psk2.key", psk(1))),
        "Host.allowedNamespaces": ("web", "allowedNamespaces", ["team"]),
        "Image.targetRef": ("golden", "targetRef", "n2"),
        "Image.path": ("golden", "path", "/srv/other.img"),
        "Image.sha256": ("golden", "sha256", hashlib.sha256(bytes(8 * MIB)).hexdigest()),
        "Image.blockSize": ("golden", "blockSize", 512),
        "Image.bdevName": ("golden", "bdevName", "other"),
        "Image.uuid": ("golden", "uuid", OTHER),
        "Image.allowedNamespaces": ("golden", "allowedNamespaces", ["team"]),
        "Image.driftPolicy": ("golden", "driftPolicy", "warn"),
        **{f"QoSPolicy.{limit}": ("gold", limit, 9000) for limit in LIMITS},
        "QoSPolicy.selector": ("lead", "selector", {"matchLabels": {"backup": "yes"}}),
        "Quota.capacity": ("all", "capacity", "2Ti"),
        "Quota.volumes": ("all", "volumes", 200),
        "Quota.iops": ("all", "iops", 2000000),
        "SnapshotSchedule.selector": ("nightly", "selector.matchLabels.backup", "no"),
        "SnapshotSchedule.cron": ("nightly", "cron", "0 3 * * *"),
        "SnapshotSchedule.timeZone": ("nightly", "timeZone", "Europe/Berlin"),
        **{f"SnapshotSchedule.retain.{kept}, more": ("nightly", f"retain.{kept}", 3) for kept in KEPT},
        **{f"SnapshotSchedule.retain.{kept}, less": ("nightly", f"retain.{kept}", 1) for kept in KEPT},
        "StorageClass.poolRef": ("quick", "poolRef", "large"),
        "StorageClass.thin": ("quick", "thin", False),
        "StorageClass.encryption.keyFrom": ("quick", "encryption", its_key),
        "StorageClass.qosPolicyRef": ("quick", "qosPolicyRef", "platinum"),
        "StorageClass.reclaimPolicy": ("quick", "reclaimPolicy", "Delete"),
        "StorageClass.allowedNamespaces": ("quick", "allowedNamespaces", ["team"]),
        "StoragePool.deviceRef": ("large", "deviceRef", "plain"),
        "StoragePool.initialize": ("large", "initialize.expires", "2032-01-01"),
        "StoragePool.lvstoreUUID, another": ("n1-pool", "lvstoreUUID", OTHER),
        "StoragePool.size": ("large", "size", larger),
        "StoragePool.clusterSize": ("large", "clusterSize", "1Mi"),
        "StoragePool.clearMethod": ("large", "clearMethod", "unmap"),
        "StoragePool.overcommitRatio": ("large", "overcommitRatio", 50),
        "StoragePool.reserve": ("large", "reserve", "5%"),
        "StoragePool.allowedNamespaces": ("large", "allowedNamespaces", ["team"]),
        "StoragePool.reclaimPolicy": ("large", "reclaimPolicy", "Retain"),
        "StoragePool.driftPolicy": ("large", "driftPolicy", "warn"),
        "Subsystem.nqn": ("t", "nqn", f"{NQN}t2"),
        "Subsystem.serialNumber": ("t", "serialNumber", "OTHER"),
        "Subsystem.modelNumber": ("t", "modelNumber", "Other"),
        "Subsystem.maxNamespaces": ("t", "maxNamespaces", 64),
        "Subsystem.anaReporting": ("u", "anaReporting", True),
        "Subsystem.exports.portals, one more": ("t", "exports.0.portals", ["front", "back"]),
        "Subsystem.exports.portals, one less": ("u", "exports.0.portals", ["safe"]),
        "Subsystem.exports.anaState": ("t", "exports.0.anaState", "inaccessible"),
        "Subsystem.exports.anaGroups, one more": (
            "t", "exports.0.anaGroups.2", {"group": 4, "state": "inaccessible"},
        ),
        "Subsystem.exports.anaGroups.state": ("t", "exports.0.anaGroups.1.state", "inaccessible"),
        "Subsystem.exports.cntlidRange": ("t", "exports.0.cntlidRange", [1, 32000]),
        "Subsystem.namespaces, one more": ("s", "namespaces.6", {"nsid": 7, "volumeRef": "spare"}),
        "Subsystem.namespaces, one less": ("s", "namespaces.4", GONE),
        "Subsystem.namespaces.visibleTo, one more": ("s", "namespaces.1.visibleTo", ["web", "guest"]),
        "Subsystem.namespaces.visibleTo, one less": ("s", "namespaces.1.visibleTo", []),
        "Subsystem.namespaces.visibleTo, everybody": ("s", "namespaces.1.visibleTo", GONE),
        "Subsystem.namespaces.visibleTo, some": ("s", "namespaces.0.visibleTo", ["web"]),
        "Subsystem.namespaces.anaGroup": ("t", "namespaces.0.anaGroup", 2),
        "Subsystem.namespaces.reuses": ("s", "namespaces.0.reuses", OTHER),
        "Subsystem.hosts.refs, one more": ("t", "hosts.refs", ["web", "guest"]),
        "Subsystem.hosts.refs, one less": ("t", "hosts.refs", []),
        "Subsystem.hosts.selector, another": ("u", "hosts.selector.matchLabels.row", "two"),
        "Subsystem.hosts.selector, none": ("u", "hosts.selector", GONE),
        "Subsystem.hosts.any": ("t", "hosts.any", True),
        "Subsystem.driftPolicy": ("t", "driftPolicy", "warn"),
        "Target.spdkVersion": ("n1", "spdkVersion", "26.05"),
        **{f"Target.transports.{option}": ("n1", f"transports.0.{option}", v) for option, v in TRANSPORT.items()},
        "Target.transports.maxQueueDepth, not said": ("n1", "transports.0.maxQueueDepth", GONE),
        "Target.transports, one more": ("n1", "transports.1", {"type": "RDMA"}),
        "Target.portals, one less": ("n1", "portals.4", GONE),
        "Target.portals, one more": ("n1", "portals.5", {"name": "new", "address": "127.0.0.7"}),
        "Target.portals.address": ("n1", "portals.0.address", "127.0.0.7"),
        "Target.portals.port": ("n1", "portals.0.port", 4444),
        "Target.portals.secureChannel": ("n1", "portals.3.secureChannel", False),
        "Target.portals.discovery": ("n1", "portals.4.discovery", True),
        "Target.referrals, one more": ("n1", "referrals.1", {"address": "127.0.0.14"}),
        "Target.referrals, one less": ("n1", "referrals", []),
        "Target.referrals.transport": ("n1", "referrals.0.transport", "RDMA"),
        "Target.referrals.address": ("n1", "referrals.0.address", "127.0.0.14"),
        "Target.referrals.port": ("n1", "referrals.0.port", 8010),
        "Target.referrals.subsystemNQN": ("n1", "referrals.0.subsystemNQN", f"{NQN}other"),
        "Target.referrals.secureChannel": ("n1", "referrals.0.secureChannel", True),
        "Target.allowedNQNPrefixes": ("n1", "allowedNQNPrefixes", {"other": [f"{NQN}other"]}),
        "Target.driftPolicy": ("n1", "driftPolicy", "warn"),
        "Target.exportWait": ("n1", "exportWait", "30s"),
        "Target.concurrentTasks": ("n1", "concurrentTasks", 1),
        "Target.suspend.reason": ("n1", "suspend.reason", "long over"),
        "Target.suspend.until": ("n1", "suspend.until", "2021-01-01T00:00:00Z"),
        "Volume.poolRef": ("spare", "poolRef", "large"),
        "Volume.storageClassName": ("classy", "storageClassName", "slow"),
        "Volume.size, more": ("a", "size", "16Mi"),
        "Volume.size, less": ("d", "size", "8Mi"),
        "Volume.thin, no more": ("c", "thin", False),
        "Volume.thin, afterwards": ("f", "thin", True),
        "Volume.source.snapshotRef": ("c", "source.snapshotRef", "later"),
        "Volume.source.volumeRef": ("d", "source.volumeRef", "a"),
        "Volume.source.imageRef": ("i", "source", {"snapshotRef": "moment"}),
        "Volume.source.detach": ("i", "source.detach", True),
        "Volume.encryption.keyFrom": ("e", "encryption.keyFrom.file", another_file("key2", KEY)),
        "Volume.encryption, none": ("e", "encryption", GONE),
        "Volume.encryption, some": ("a", "encryption", its_key),
        **{f"Volume.qos.{limit}": ("a", f"qos.{limit}", 9000) for limit in LIMITS},
        "Volume.qosPolicyRef": ("b", "qosPolicyRef", "lead"),
        "Volume.reclaimPolicy": ("a", "reclaimPolicy", "Retain"),
        "Volume.recreate": ("b", "recreate", OTHER),
        "Volume.driftPolicy": ("b", "driftPolicy", "warn"),
        "VolumeSnapshot.volumeRef": ("later", "volumeRef", "b"),
        "VolumeSnapshot.taken": ("later", "taken", {"scheduleRef": "nightly", "at": "2026-01-01T02:00:00Z"}),
        "VolumeSnapshot.reclaimPolicy": ("later", "reclaimPolicy", "Delete"),
        "VolumeSnapshot.driftPolicy": ("later", "driftPolicy", "warn"),
    }  # fmt: skip
    return {case: to(case.partition(".")[0], name, path, value) for case, (name, path, value) in table.items()}


LIMITS = ("iops", "readMBps", "writeMBps", "totalMBps")
TRANSPORT = {
    "maxQueueDepth": 128,
    "maxIOQpairsPerController": 64,
    "inCapsuleDataSize": 8192,
    "maxIOSize": 65536,
    "maxAQDepth": 64,
    "abortTimeout": 2,
    "c2hSuccess": False,
    "zeroCopy": True,
}
MOVES = _moves() | {
    "StoragePool.lvstoreUUID, instead of initialize": loaded,
    "StorageClass.poolSelector": selected,
    "Subsystem.namespaces.volumeRef": consented("s", 4, to("Subsystem", "s", "namespaces.4.volumeRef", "spare")),
    "Subsystem.namespaces.deviceRef": consented("t", 1, to("Subsystem", "t", "namespaces.1.deviceRef", "memory")),
    "Target.portals.transport": remoted,
    "Volume.uid": consented("s", 1, to("Volume", "b", "uid", OTHER)),
}


def moved(site: Grand, before: Manifests, case: str) -> Manifests:
    """The manifests with one field otherwise."""
    after = copy.deepcopy(before)
    MOVES[case](site, after)
    return after
