"""A drift in any declared field of any kind is found (invariant 8)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stacking import bdevs, device, file, settled, stacked
from world import NQN, World, host, manifest, subsystem, volume

from backends.contract import DISCOVERY

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
    "Volume.qosPolicyRef": lambda site: limited(site, "k", rw_ios_per_sec=9000),
    "VolumeSnapshot": lambda site: site.call("bdev_lvol_delete", {"name": site.uid("moment")}),
    "Image": lambda site: site.call("bdev_aio_delete", {"name": image_bdev(site)}),
    "Image.path": lambda site: replaced_image(site, path="b.img"),
    "Image.blockSize": lambda site: replaced_image(site, block_size=512),
    "Image, opened for writing": lambda site: replaced_image(site, readonly=False),
    "Volume": lambda site: site.call("bdev_lvol_delete", {"name": site.uid("b")}),
    "BlockDevice null": lambda site: site.call("bdev_null_delete", {"name": "holdfast.owner"}),
}


@pytest.mark.parametrize("field", FIELDS)
def test_a_drift_of_one_field_is_found(site: World, field: str) -> None:
    """Guards invariant 8: one changed field is named in a drift record, or restored at once where it is ours alone."""
    site.commit(
        host("web"),
        volume("a", qos={"iops": 1000, "readMBps": 5, "writeMBps": 5, "totalMBps": 8}),
        volume("b"),
        volume("m"),
        volume("k", source={"volumeRef": "b"}, qosPolicyRef="gold"),
        manifest("QoSPolicy", "gold", {"iops": 4000}, "team"),
        manifest("VolumeSnapshot", "moment", {"volumeRef": "a"}, "team"),
        manifest("Image", "golden", {"targetRef": "n1", "path": str(image_file(site, "a.img"))}),
        everything(
            subsystem("s", {1: "a", 2: "k", 3: "m"}, hosts=["web"], serialNumber="DECLARED", modelNumber="Declared")
        ),
    )
    site.converge()
    before = site.mutations()
    assert site.tick().plan.drifts == ()
    assert site.mutations() == before

    FIELDS[field](site)

    found = site.tick().plan
    if field == "BlockDevice null":  # the owner marker is not declared; it simply comes back
        assert any(step.change.key.name == "holdfast.owner" for step in found.steps) or found.steps == ()
        return
    assert found.drifts, f"nobody noticed {field}"


def test_a_transport_that_somebody_made_otherwise_after_a_restart_is_found(site: World) -> None:
    """Guards the transport's options, which can only differ after a restart."""
    nodes = site.nodes()
    nodes[0]["spec"]["transports"] = [{"type": "TCP", "maxQueueDepth": 64}]
    site.push(nodes)
    site.converge()
    site.restart_target()
    site.call("nvmf_create_transport", {"trtype": "TCP", "max_queue_depth": 32})

    assert "RestartRequired" in site.reasons(site.converge())


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


DEVICES: dict[str, Callable[[World], object]] = {
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


@pytest.mark.parametrize("field", DEVICES)
def test_a_drift_of_a_device_or_of_discovery_is_found(site: World, field: str) -> None:
    """Guards invariant 8 for what is stacked, and for what discovery tells."""
    nodes = site.nodes()
    nodes[0]["spec"] |= {"referrals": [{"address": "127.0.0.9"}]}
    nodes[0]["spec"]["portals"][0]["discovery"] = True
    site.push(
        [
            *nodes,
            *stacked(site, 3, "Retain"),
            file(site, "ring", "uring"),
            *([device("through", passthru={"deviceRef": "ring"})] if field == "passthru" else []),
            device("memory", malloc={"size": "16Mi"}),
        ]
    )
    settled(site)

    DEVICES[field](site)

    found = site.tick().plan
    assert found.drifts, f"nobody noticed {field}"
