"""A drift in any declared field of any kind is found (invariant 8)."""

from __future__ import annotations

import pytest
from stacking import device, file, settled, stacked
from strays import DEVICES, FAR, FIELDS, NVME, SEEN_BY, TRANSPORT, WAYS, cases, everything, image_file, shelf
from world import NQN, World, host, manifest, subsystem, volume, world

from schemas.kinds import our_kinds


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


@pytest.mark.parametrize("field", TRANSPORT)
def test_a_transport_that_somebody_made_otherwise_after_a_restart_is_found(site: World, field: str) -> None:
    """Guards the transport's options, which can only differ after a restart: named, and never fought."""
    parameter, declared, other = TRANSPORT[field]
    nodes = site.nodes()
    nodes[0]["spec"]["transports"] = [{"type": "TCP", field: declared}]
    site.push(nodes)
    site.converge()
    site.restart_target()
    site.call("nvmf_create_transport", {"trtype": "TCP", parameter: other})

    tick = site.converge()

    assert "RestartRequired" in site.reasons(tick)
    assert f"spec.transports.{field}" in {d.path for drift in tick.plan.drifts for d in drift.differences}


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
            *([device("through", passthru={"deviceRef": "ring"})] if field.startswith("passthru") else []),
            device("memory", malloc={"size": "16Mi"}),
            device("nothing", null={"size": "16Mi"}),
            file(site, "spare"),
            file(site, "three"),
            file(site, "four"),
            device("strips", raid={"level": "raid0", "members": ["three", "four"], "superblock": False}),
        ]
    )
    settled(site)

    DEVICES[field](site)

    found = site.tick().plan
    assert found.drifts, f"nobody noticed {field}"


@pytest.mark.parametrize("field", NVME)
def test_a_drift_of_a_device_of_another_target_is_found(field: str) -> None:
    """Guards invariant 8 for NVMe controllers and the ways to them."""
    with world(targets=("n1", "n2")) as site:
        site.call("nvmf_create_transport", {"trtype": "TCP"}, target="n2")
        shelf(site, FAR)
        shelf(site, f"{NQN}elsewhere")
        about = {
            "address": {"transport": "TCP", "address": WAYS[0], "port": 4439},
            "subsystemNQN": FAR,
            "hostNQN": f"{NQN}n1",
            "nsid": 1,
            "ctrlrLossTimeout": 30,
            "reconnectDelay": 2,
            "fastIOFailTimeout": 5,
            "multipath": {"addresses": [{"address": WAYS[1], "port": 4439}], "policy": "active_passive"},
        }
        assert not site.commit(device("far", bdevName="Farn1", nvme=about)).blocks
        settled(site)

        NVME[field](site)

        assert site.tick().plan.strayed, f"nobody noticed {field}"


@pytest.mark.parametrize("kind", our_kinds())
def test_every_field_that_can_be_seen_is_drifted_by_some_case(kind: str) -> None:
    """Guards fields that come later: each has a drift that is found, or says in its schema why none can be seen."""
    elsewhere = dict(entry.split(" ", 1) for entry in SEEN_BY.get(kind, ()))
    assert set(elsewhere.values()) <= cases()
    forgotten = []
    for field in our_kinds()[kind].leaves():
        name = str(field).removeprefix("spec.").replace("[]", "")
        parts = [".".join(name.split(".")[:n]) for n in range(len(name.split(".")), 0, -1)]
        named = any(part in cases() or f"{kind}.{part}" in cases() or part in elsewhere for part in parts)
        if not named and not our_kinds()[kind].unobservable(field.path):
            forgotten.append(name)
    assert forgotten == []
