"""How live state strays: for each field that can be seen, what somebody else would do to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from stacking import bdevs
from world import NQN, World

from backends.objects import DISCOVERY

S = f"{NQN}s"


def remade(site: World, **options: Any) -> None:
    """Somebody deletes the subsystem and makes another one under its NQN."""
    site.call("nvmf_delete_subsystem", {"nqn": S})
    site.call(
        "nvmf_create_subsystem",
        {"nqn": S, "serial_number": "DECLARED", "model_number": "Declared", "ana_reporting": True} | options,
    )


def renamespaced(site: World, **options: Any) -> None:
    site.call("nvmf_subsystem_remove_ns", {"nqn": S, "nsid": 1})
    site.call("nvmf_subsystem_add_ns", {"nqn": S, "namespace": {"nsid": 1, "bdev_name": site.uid("a")} | options})


def remasked(site: World, **options: Any) -> None:
    site.call("nvmf_subsystem_remove_ns", {"nqn": S, "nsid": 3})
    space = {"nsid": 3, "bdev_name": site.uid("m"), "uuid": site.uid("m")}
    site.call("nvmf_subsystem_add_ns", {"nqn": S, "namespace": space | options})


def limited(site: World, name: str = "a", **limits: int) -> None:
    site.call("bdev_set_qos_limit", {"name": site.uid(name)} | limits)


def relistened(site: World, verb: str, port: str) -> None:
    address = {"trtype": "TCP", "adrfam": "IPv4", "traddr": "127.0.0.2", "trsvcid": port}
    site.call(f"nvmf_subsystem_{verb}_listener", {"nqn": S, "listen_address": address})


def reached(site: World, group: int) -> None:
    address = {"trtype": "TCP", "adrfam": "IPv4", "traddr": "127.0.0.2", "trsvcid": "4420"}
    worse = {"ana_state": "inaccessible", "anagrpid": group}
    site.call("nvmf_subsystem_listener_set_ana_state", {"nqn": S, "listen_address": address} | worse)


def resecured(site: World) -> None:
    address = {"trtype": "TCP", "adrfam": "IPv4", "traddr": "127.0.0.2", "trsvcid": "4420"}
    relistened(site, "remove", "4420")
    site.call("nvmf_subsystem_add_listener", {"nqn": S, "listen_address": address, "secure_channel": True})


def frozen(site: World) -> None:
    """Somebody makes a volume read-only, which its device shows once it has been loaded again."""
    site.call("bdev_lvol_set_read_only", {"name": site.uid("b")})
    site.restart_target()
    site.converge()


def image_file(site: World, name: str) -> Path:
    path = site.folder / name
    path.write_bytes(bytes(4 << 20))
    return path


def image_bdev(site: World) -> str:
    found = site.call("bdev_get_bdevs")
    return str(next(b["name"] for b in found if b["driver_specific"].get("aio", {}).get("readonly")))


def replaced_image(site: World, path: str = "a.img", **options: Any) -> None:
    """Somebody opens something else under the image's name and uuid."""
    name = image_bdev(site)
    uuid = site.call("bdev_get_bdevs", {"name": name})[0]["uuid"]
    site.call("bdev_aio_delete", {"name": name})
    shape = {"name": name, "filename": str(image_file(site, path)), "block_size": 4096, "readonly": True, "uuid": uuid}
    site.call("bdev_aio_create", shape | options)


def everything(found: dict[str, Any]) -> dict[str, Any]:
    """Namespace 3 is for the web host alone, and group 2 is better reached elsewhere."""
    found["spec"]["anaReporting"] = True
    found["spec"]["exports"][0]["anaGroups"] = [{"group": 2, "state": "non-optimized"}]
    found["spec"]["namespaces"][2]["visibleTo"] = ["web"]
    return found


FIELDS: dict[str, Callable[[World], object]] = {
    "Subsystem.serialNumber": lambda site: remade(site, serial_number="OTHER"),
    "Subsystem.modelNumber": lambda site: remade(site, model_number="Other"),
    "Subsystem.maxNamespaces": lambda site: remade(site, max_namespaces=64),
    "Subsystem.cntlidRange": lambda site: remade(site, min_cntlid=7),
    "Subsystem.nqn": lambda site: site.call("nvmf_delete_subsystem", {"nqn": S}),
    "Subsystem.hosts.any": lambda site: site.call("nvmf_subsystem_allow_any_host", {"nqn": S, "allow_any_host": True}),
    "Subsystem.hosts.refs, one less": lambda site: site.call(
        "nvmf_subsystem_remove_host", {"nqn": S, "host": f"{NQN}host-web"}
    ),
    "Subsystem.hosts.refs, one more": lambda site: site.call("nvmf_subsystem_add_host", {"nqn": S, "host": f"{NQN}x"}),
    "Subsystem.namespaces, one less": lambda site: site.call("nvmf_subsystem_remove_ns", {"nqn": S, "nsid": 1}),
    "Subsystem.namespaces, one more": lambda site: site.call(
        "nvmf_subsystem_add_ns", {"nqn": S, "namespace": {"nsid": 9, "bdev_name": site.uid("b")}}
    ),
    "Subsystem.namespaces.uuid": lambda site: renamespaced(site, uuid="12121212-1212-4121-8121-121212121212"),
    "Subsystem.namespaces.nguid": lambda site: renamespaced(site, nguid="12121212121241218121121212121212"),
    "Subsystem.anaReporting": lambda site: remade(site, ana_reporting=False),
    "Subsystem.namespaces.visibleTo, masked": lambda site: renamespaced(site, no_auto_visible=True),
    "Subsystem.namespaces.visibleTo, unmasked": lambda site: remasked(site, no_auto_visible=False),
    "Subsystem.namespaces.visibleTo, one less": lambda site: site.call(
        "nvmf_ns_remove_host", {"nqn": S, "nsid": 3, "host": f"{NQN}host-web"}
    ),
    "Subsystem.namespaces.visibleTo, one more": lambda site: site.call(
        "nvmf_ns_add_host", {"nqn": S, "nsid": 3, "host": f"{NQN}host-other"}
    ),
    "Subsystem.namespaces.volumeRef": lambda site: renamespaced(site, bdev_name=site.uid("b")),
    "Subsystem.anaState": lambda site: reached(site, 1),
    "Subsystem.anaGroups": lambda site: reached(site, 2),
    "Subsystem.namespaces.anaGroup": lambda site: site.call(
        "nvmf_subsystem_set_ns_ana_group", {"nqn": S, "nsid": 1, "anagrpid": 2}
    ),
    "Subsystem.portals, one less": lambda site: relistened(site, "remove", "4420"),
    "Subsystem.portals, one more": lambda site: relistened(site, "add", "4499"),
    "Volume.qos.iops": lambda site: limited(site, rw_ios_per_sec=9000),
    "Volume.qos.readMBps": lambda site: limited(site, r_mbytes_per_sec=9),
    "Volume.qos.writeMBps": lambda site: limited(site, w_mbytes_per_sec=9),
    "Volume.qos.totalMBps": lambda site: limited(site, rw_mbytes_per_sec=9),
    "Volume.size": lambda site: site.call("bdev_lvol_resize", {"name": site.uid("b"), "size_in_mib": 16}),
    "Volume, made read-only": frozen,
    "Volume.source": lambda site: site.call("bdev_lvol_delete", {"name": site.uid("k")}),
    "Volume.thin": lambda site: site.call("bdev_lvol_inflate", {"name": site.uid("k")}),
    "QoSPolicy.readMBps": lambda site: limited(site, "k", r_mbytes_per_sec=9),
    "QoSPolicy.writeMBps": lambda site: limited(site, "k", w_mbytes_per_sec=9),
    "QoSPolicy.totalMBps": lambda site: limited(site, "k", rw_mbytes_per_sec=9),
    "Subsystem.portals.secureChannel": resecured,
    "Image.uuid": lambda site: replaced_image(site, uuid="12121212-1212-4121-8121-121212121212"),
    "Volume.qosPolicyRef": lambda site: limited(site, "k", rw_ios_per_sec=9000),
    "VolumeSnapshot": lambda site: site.call("bdev_lvol_delete", {"name": site.uid("moment")}),
    "Image": lambda site: site.call("bdev_aio_delete", {"name": image_bdev(site)}),
    "Image.path": lambda site: replaced_image(site, path="b.img"),
    "Image.blockSize": lambda site: replaced_image(site, block_size=512),
    "Image, opened for writing": lambda site: replaced_image(site, readonly=False),
    "Volume": lambda site: site.call("bdev_lvol_delete", {"name": site.uid("b")}),
    "BlockDevice null": lambda site: site.call("bdev_null_delete", {"name": "holdfast.owner"}),
}


TRANSPORT: dict[str, tuple[str, Any, Any]] = {  # field → the target's parameter, declared, and made otherwise
    "maxQueueDepth": ("max_queue_depth", 64, 32),
    "maxIOQpairsPerController": ("max_io_qpairs_per_ctrlr", 8, 4),
    "inCapsuleDataSize": ("in_capsule_data_size", 8192, 4096),
    "maxIOSize": ("max_io_size", 65536, 131072),
    "maxAQDepth": ("max_aq_depth", 64, 128),
    "abortTimeout": ("abort_timeout_sec", 2, 1),
    "c2hSuccess": ("c2h_success", False, True),
    "zeroCopy": ("zcopy", True, False),
}


def latency(site: World, which: str) -> None:
    name = bdevs(site)["slow"]["name"]
    site.call("bdev_delay_update_latency", {"delay_bdev_name": name, "latency_type": which, "latency_us": 77})


def away(site: World, driver: str, name: str) -> None:
    site.call(f"bdev_{driver}_delete", {"name": bdevs(site)[name]["name"]})


def otherwise(site: World, driver: str, name: str, **made: Any) -> None:
    """Somebody puts another device under the name of ours."""
    own = bdevs(site)[name]["name"]
    site.call(f"bdev_{driver}_delete", {"name": own})
    site.call(f"bdev_{driver}_create", {"name": own} | made)


def referral(site: World, verb: str, port: str, **more: Any) -> None:
    address = {"trtype": "TCP", "adrfam": "IPv4", "traddr": "127.0.0.9", "trsvcid": port}
    site.call(f"nvmf_discovery_{verb}_referral", {"address": address} | more)


def rediscover(site: World) -> None:
    address = {"trtype": "TCP", "adrfam": "IPv4", "traddr": "127.0.0.2", "trsvcid": "4420"}
    site.call("nvmf_subsystem_remove_listener", {"nqn": DISCOVERY, "listen_address": address})


def another_key(site: World) -> None:
    halves = {"key": "ab" * 16, "key2": "cd" * 16}
    site.call("accel_crypto_key_create", {"cipher": "AES_XTS", "name": "theirs"} | halves)
    base = bdevs(site)["array"]["name"]
    otherwise(site, "crypto", "vault", base_bdev_name=base, key_name="theirs")


def member(site: World) -> None:
    site.call("bdev_raid_remove_base_bdev", {"name": bdevs(site)["one"]["name"]})


def same(site: World, driver: str, name: str, **changes: Any) -> None:
    """Somebody opens the same file under the same name and uuid, with other options."""
    uuid = bdevs(site)[name]["uuid"]
    about = {"filename": str(site.folder / f"{name}.img"), "block_size": 4096, "uuid": uuid}
    otherwise(site, driver, name, **about | changes)


def rearranged(site: World, **changes: Any) -> None:
    """Somebody puts the array together in another way."""
    own = bdevs(site)["strips"]
    about = own["driver_specific"]["raid"]
    bases = [leg["name"] for leg in about["base_bdevs_list"]]
    made = {"raid_level": "raid0", "strip_size_kb": 64, "base_bdevs": bases, "uuid": own["uuid"]}
    otherwise(site, "raid", "strips", **made | changes)


def over(site: World, driver: str, name: str, base: str, **more: Any) -> None:
    """Somebody puts it on another device."""
    otherwise(site, driver, name, base_bdev_name=bdevs(site)[base]["name"], uuid=bdevs(site)[name]["uuid"], **more)


def recrypted(site: World) -> None:
    key = bdevs(site)["vault"]["driver_specific"]["crypto"]["key_name"]
    base = bdevs(site)["spare"]["name"]
    away(site, "delay", "slow")
    otherwise(site, "crypto", "vault", base_bdev_name=base, key_name=key)


def another_store(site: World) -> None:
    """Somebody makes the store anew."""
    pool = site.pool()
    site.call("bdev_lvol_delete_lvstore", {"uuid": pool["uuid"]})
    site.call("bdev_lvol_create_lvstore", {"bdev_name": pool["base_bdev"], "lvs_name": pool["name"]})


DEVICES: dict[str, Callable[[World], object]] = {
    "aio.path": lambda site: same(site, "aio", "spare", filename=str(site.folder / "one.img")),
    "aio.blockSize": lambda site: same(site, "aio", "spare", block_size=512),
    "aio.fallocate": lambda site: same(
        site, "aio", "spare", fallocate=not bdevs(site)["spare"]["driver_specific"]["aio"]["fallocate"]
    ),
    "uring.blockSize": lambda site: same(site, "uring", "ring", block_size=512),
    "null.size": lambda site: otherwise(
        site, "null", "nothing", num_blocks=8192, block_size=4096, uuid=bdevs(site)["nothing"]["uuid"]
    ),
    "null.blockSize": lambda site: otherwise(
        site, "null", "nothing", num_blocks=32768, block_size=512, uuid=bdevs(site)["nothing"]["uuid"]
    ),
    "raid.level": lambda site: rearranged(site, raid_level="concat"),
    "raid.stripSizeKiB": lambda site: rearranged(site, strip_size_kb=128),
    "raid.superblock": lambda site: rearranged(site, superblock=True),
    "crypto.deviceRef": recrypted,
    "passthru.deviceRef": lambda site: over(site, "passthru", "through", "spare"),
    "delay.deviceRef": lambda site: over(
        site, "delay", "slow", "spare", avg_read_latency=5, p99_read_latency=5, avg_write_latency=0, p99_write_latency=0
    ),
    "pool.lvstoreUUID": another_store,
    "referrals.subsystemNQN": lambda site: (
        referral(site, "remove", "8009"),
        referral(site, "add", "8009", subnqn=f"{NQN}other"),
    ),
    "referrals.secureChannel": lambda site: (
        referral(site, "remove", "8009"),
        referral(site, "add", "8009", secure_channel=True),
    ),
    "delay.readMicroseconds": lambda site: latency(site, "avg_read"),
    "delay.readP99Microseconds": lambda site: latency(site, "p99_read"),
    "delay.writeMicroseconds": lambda site: latency(site, "avg_write"),
    "delay.writeP99Microseconds": lambda site: latency(site, "p99_write"),
    "delay": lambda site: away(site, "delay", "slow"),
    "crypto": lambda site: away(site, "crypto", "vault"),
    "crypto.keyFrom": another_key,
    "raid": lambda site: away(site, "raid", "array"),
    "raid.members": member,
    "uring": lambda site: away(site, "uring", "ring"),
    "uring.path": lambda site: otherwise(site, "uring", "ring", filename=str(site.disk("n1")), block_size=4096),
    "passthru": lambda site: away(site, "passthru", "through"),
    "uuid": lambda site: otherwise(site, "malloc", "memory", num_blocks=4096, block_size=4096),
    "malloc.size": lambda site: otherwise(
        site, "malloc", "memory", num_blocks=8192, block_size=4096, uuid=bdevs(site)["memory"]["uuid"]
    ),
    "malloc.blockSize": lambda site: otherwise(
        site, "malloc", "memory", num_blocks=32768, block_size=512, uuid=bdevs(site)["memory"]["uuid"]
    ),
    "referrals, one less": lambda site: referral(site, "remove", "8009"),
    "referrals, one more": lambda site: referral(site, "add", "8010"),
    "portals.discovery": rediscover,
}


# --- devices of other targets

FAR, WAYS = f"{NQN}far", ("127.0.0.8", "127.0.0.9")


def where(address: str, nqn: str = FAR) -> dict[str, str]:
    return {"trtype": "TCP", "adrfam": "IPv4", "traddr": address, "trsvcid": "4439", "subnqn": nqn}


def shelf(site: World, nqn: str) -> None:
    """Somebody else's subsystem, on two addresses of the second target."""
    site.call("nvmf_create_subsystem", {"nqn": nqn, "allow_any_host": True}, target="n2")
    for address in WAYS:
        at = where(address)
        at.pop("subnqn")
        site.call("nvmf_subsystem_add_listener", {"nqn": nqn, "listen_address": at}, target="n2")
    name = nqn.rpartition(":")[2]
    site.call("bdev_malloc_create", {"name": name, "num_blocks": 4096, "block_size": 4096}, target="n2")
    site.call("nvmf_subsystem_add_ns", {"nqn": nqn, "namespace": {"nsid": 1, "bdev_name": name}}, target="n2")


def detached(site: World, *addresses: str) -> None:
    for address in addresses:
        site.call("bdev_nvme_detach_controller", {"name": "Far"} | where(address))


def reattached(site: World, nqn: str = FAR, host: str = f"{NQN}n1", **times: int) -> None:
    detached(site, *WAYS)
    for address in WAYS:
        way = {"name": "Far", "hostnqn": host, "multipath": "multipath"} | where(address, nqn) | times
        site.call("bdev_nvme_attach_controller", way)


NVME: dict[str, Callable[[World], object]] = {
    "nvme.address": lambda site: detached(site, WAYS[0]),
    "nvme.multipath.addresses": lambda site: detached(site, WAYS[1]),
    "nvme.multipath.policy": lambda site: site.call(
        "bdev_nvme_set_multipath_policy", {"name": "Farn1", "policy": "active_active"}
    ),
    "nvme.hostNQN": lambda site: reattached(site, host=f"{NQN}other"),
    "nvme.ctrlrLossTimeout": lambda site: reattached(site, ctrlr_loss_timeout_sec=77, reconnect_delay_sec=2),
    "nvme.reconnectDelay": lambda site: reattached(site, ctrlr_loss_timeout_sec=30, reconnect_delay_sec=3),
    "nvme.fastIOFailTimeout": lambda site: reattached(
        site, ctrlr_loss_timeout_sec=30, reconnect_delay_sec=2, fast_io_fail_timeout_sec=9
    ),
    "nvme.subsystemNQN": lambda site: reattached(site, nqn=f"{NQN}elsewhere"),
    "nvme.nsid": lambda site: detached(site, *WAYS),
}


# --- nothing is forgotten

SEEN_BY: dict[str, tuple[str, ...]] = {  # where the case is not called as the field is
    "BlockDevice": (
        "targetRef delay",
        "bdevName delay",
        "crypto.keyName crypto.keyFrom",
        "crypto.cipher crypto.keyFrom",
    ),
    "Host": ("nqn Subsystem.hosts.refs, one less",),
    "Image": ("targetRef Image", "bdevName Image"),
    "QoSPolicy": ("iops Volume.qosPolicyRef",),
    "StorageClass": ("qosPolicyRef Volume.qosPolicyRef",),
    "StoragePool": ("deviceRef pool.lvstoreUUID", "lvstoreUUID pool.lvstoreUUID", "clusterSize pool.lvstoreUUID"),
    "Subsystem": (
        "exports.targetRef Subsystem.nqn",
        "exports.portals Subsystem.portals, one less",
        "exports.attachAs nvme.hostNQN",
        "exports.anaState Subsystem.anaState",
        "exports.anaGroups Subsystem.anaGroups",
        "exports.cntlidRange Subsystem.cntlidRange",
        "namespaces.nsid Subsystem.namespaces, one less",
        "namespaces.deviceRef Subsystem.namespaces.volumeRef",
        "namespaces.visibleTo Subsystem.namespaces.visibleTo, one less",
        "hosts.refs Subsystem.hosts.refs, one more",
    ),
    "Target": (
        "transports.type transports.maxQueueDepth",
        "portals.transport Subsystem.portals, one less",
        "portals.address Subsystem.portals, one less",
        "portals.port Subsystem.portals, one more",
        "portals.secureChannel Subsystem.portals.secureChannel",
        "referrals.transport referrals, one less",
        "referrals.address referrals, one less",
        "referrals.port referrals, one more",
    ),
    "Volume": ("poolRef Volume", "source Volume.source", "uid Subsystem.namespaces.uuid"),
    "VolumeSnapshot": ("volumeRef VolumeSnapshot",),
}


def cases() -> set[str]:
    return {*FIELDS, *DEVICES, *NVME, *(f"transports.{field}" for field in TRANSPORT)}
