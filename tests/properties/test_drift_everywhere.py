"""A drift in any declared field of any kind is found (invariant 8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from world import NQN, World, host, subsystem, volume

S = f"{NQN}s"


def remade(site: World, **options: Any) -> None:
    """Somebody deletes the subsystem and makes another one under its NQN."""
    site.call("nvmf_delete_subsystem", {"nqn": S})
    site.call("nvmf_create_subsystem", {"nqn": S, "serial_number": "DECLARED", "model_number": "Declared"} | options)


def renamespaced(site: World, **options: Any) -> None:
    site.call("nvmf_subsystem_remove_ns", {"nqn": S, "nsid": 1})
    site.call("nvmf_subsystem_add_ns", {"nqn": S, "namespace": {"nsid": 1, "bdev_name": site.uid("a")} | options})


def limited(site: World, **limits: int) -> None:
    site.call("bdev_set_qos_limit", {"name": site.uid("a")} | limits)


def relistened(site: World, verb: str, port: str) -> None:
    address = {"trtype": "TCP", "adrfam": "IPv4", "traddr": "127.0.0.2", "trsvcid": port}
    site.call(f"nvmf_subsystem_{verb}_listener", {"nqn": S, "listen_address": address})


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
    "Subsystem.namespaces.volumeRef": lambda site: renamespaced(site, bdev_name=site.uid("b")),
    "Subsystem.portals, one less": lambda site: relistened(site, "remove", "4420"),
    "Subsystem.portals, one more": lambda site: relistened(site, "add", "4499"),
    "Volume.qos.iops": lambda site: limited(site, rw_ios_per_sec=9000),
    "Volume.qos.readMBps": lambda site: limited(site, r_mbytes_per_sec=9),
    "Volume.qos.writeMBps": lambda site: limited(site, w_mbytes_per_sec=9),
    "Volume.qos.totalMBps": lambda site: limited(site, rw_mbytes_per_sec=9),
    "Volume.size": lambda site: site.call("bdev_lvol_resize", {"name": site.uid("b"), "size_in_mib": 16}),
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
        subsystem("s", {1: "a"}, hosts=["web"], serialNumber="DECLARED", modelNumber="Declared"),
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
