"""What is kept of a target as a whole, and the controllers that it attaches; on simulated and on live targets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from live_world import KINDS, LiveTarget
from stacking import bdevs, come_true, device, settled
from world import NQN, World, manifest, node, volume, world

from backends.objects import DISCOVERY
from reconciler.reconcile import Verdict

SUBSYSTEM = f"{NQN}array"


@pytest.fixture(params=KINDS)
def site(request: pytest.FixtureRequest) -> Iterator[World]:
    """A site with two targets that are simulated or live, an empty ledger and a clock that stands still."""
    settings: dict[str, Any] = {"begin": lambda socket: LiveTarget(socket).start(), "patience": 5.0}
    with world(targets=("n1", "n2"), **(settings if request.param == "live" else {})) as made:
        yield made


def nodes(site: World, **spec: Any) -> list[dict[str, Any]]:
    """Both nodes; `spec` is of the first."""
    first = [{"name": "front", "address": "127.0.0.31"}]
    second = [{"name": "one", "address": "127.0.0.32"}, {"name": "two", "address": "127.0.0.33"}]
    return [*node("n1", site.folder, **{"portals": first} | spec), *node("n2", site.folder, portals=second)]


def exported(*portals: str) -> list[dict[str, Any]]:
    """A device of the second node, shown to whoever comes."""
    body = {
        "nqn": SUBSYSTEM,
        "exports": [{"targetRef": "n2", "portals": list(portals)}],
        "namespaces": [{"nsid": 1, "deviceRef": "shelf"}],
        "hosts": {"any": True},
    }
    return [device("shelf", target="n2", malloc={"size": "64Mi"}), manifest("Subsystem", "array", body, "team")]


def attached(*further: str, **more: Any) -> dict[str, Any]:
    nvme = {
        "address": {"transport": "TCP", "address": "127.0.0.32"},
        "subsystemNQN": SUBSYSTEM,
        "hostNQN": f"{NQN}n1",
        "multipath": {"addresses": [{"address": address} for address in further]} | more,
        "reconnectDelay": 1,
    }
    return device("remote", nvme=nvme)


def ways(site: World) -> set[str]:
    return {way["trid"]["traddr"] for c in site.call("bdev_nvme_get_controllers") for way in c["ctrlrs"]}


def test_a_namespace_of_another_target_is_attached_over_every_path(site: World) -> None:
    """Guards NVMe over TCP: attached, multipath, a path that is lost is put back, one that is withdrawn goes."""
    site.push([*nodes(site), *exported("one", "two"), attached("127.0.0.33")])
    site.converge("n2")
    settled(site)
    assert ways(site) == {"127.0.0.32", "127.0.0.33"}
    remote = bdevs(site)["remoten1"]
    shelf = next(b for b in site.call("bdev_get_bdevs", target="n2") if b["name"].endswith("-shelf"))
    assert remote["num_blocks"] == shelf["num_blocks"]

    where = {"trtype": "TCP", "traddr": "127.0.0.33", "adrfam": "IPv4", "trsvcid": "4420", "subnqn": SUBSYSTEM}
    name = remote["name"].removesuffix("n1")
    site.call("bdev_nvme_detach_controller", {"name": name} | where)
    found = site.tick().plan.drifts
    assert [d.differences[0].path for d in found] == ["spec.nvme.multipath.addresses[127.0.0.33]"]
    settled(site)
    assert ways(site) == {"127.0.0.32", "127.0.0.33"}

    site.push([*nodes(site), *exported("one", "two"), attached(policy="active_active")])
    settled(site)
    assert ways(site) == {"127.0.0.32"}
    assert bdevs(site)["remoten1"]["driver_specific"]["mp_policy"] == "active_active"


def test_a_controller_comes_back_after_a_restart_and_goes_with_its_manifest(site: World) -> None:
    """Guards replay and removal of what a target has attached."""
    remote = attached("127.0.0.33")
    remote["spec"]["reclaimPolicy"] = "Delete"
    site.push([*nodes(site), *exported("one", "two"), remote])
    site.converge("n2")
    settled(site)
    uuid = bdevs(site)["remoten1"]["uuid"]

    site.restart_target()
    settled(site)
    assert bdevs(site)["remoten1"]["uuid"] == uuid

    site.push([*nodes(site), *exported("one", "two")])
    come_true(site, lambda: not ways(site))
    assert "remoten1" not in bdevs(site)


def test_another_device_behind_the_address_is_not_taken_for_the_one_that_is_known(site: World) -> None:
    """Guards bytes: a namespace that has become another disk carries nothing until a person has looked."""
    site.push([*nodes(site), *exported("one"), attached()])
    site.converge("n2")
    settled(site)
    site.restart_target("n2")
    site.converge("n2")
    site.restart_target()  # memory: the shelf's namespace has a new identity in a new life

    assert "TargetIdentityMismatch" in site.reasons(site.converge())


def listens(site: World) -> set[str]:
    (found,) = site.call("nvmf_get_subsystems", {"nqn": DISCOVERY})
    return {address["traddr"] for address in found["listen_addresses"]}


def referred(site: World) -> set[tuple[str, bool]]:
    found = site.call("nvmf_discovery_get_referrals")
    return {(r["address"]["traddr"], r["secure_channel"]) for r in found}


def test_discovery_listens_and_refers_as_declared(site: World) -> None:
    """Guards discovery: made, drift put right, made again after a restart, taken away with its declaration."""
    portals = [{"name": "front", "address": "127.0.0.31", "discovery": True}]
    referrals = [{"address": "127.0.0.41"}, {"address": "127.0.0.42", "secureChannel": True}]
    wanted = nodes(site, portals=portals, referrals=referrals)
    site.push(wanted)
    settled(site)
    assert listens(site) == {"127.0.0.31"}
    assert referred(site) == {("127.0.0.41", False), ("127.0.0.42", True)}

    address = {"trtype": "TCP", "adrfam": "IPv4", "traddr": "127.0.0.41", "trsvcid": "8009"}
    site.call("nvmf_discovery_remove_referral", {"address": address})
    site.call("nvmf_discovery_add_referral", {"address": address | {"traddr": "127.0.0.43"}})
    assert len(site.tick().plan.drifts) == 2
    settled(site)
    assert referred(site) == {("127.0.0.41", False), ("127.0.0.42", True)}

    site.restart_target()
    settled(site)
    assert listens(site) == {"127.0.0.31"}
    assert len(referred(site)) == 2

    site.push(nodes(site))
    settled(site)
    assert listens(site) == set()
    assert referred(site) == set()


def test_a_suspended_target_is_watched_and_left_alone_until_the_time_is_over(site: World) -> None:
    """Guards suspend: drift is seen and said, nothing is written, and it ends by itself."""
    until = datetime.fromtimestamp(site.clock.now() + 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    site.push([*nodes(site), volume("a")])
    settled(site)
    site.push([*nodes(site, suspend={"reason": "new shelf", "until": until}), volume("a"), volume("b")])
    lvols = site.lvols()
    site.call("nvmf_create_subsystem", {"nqn": f"{NQN}stranger"})
    transport = next(iter(site.call("nvmf_get_transports")))
    assert transport["trtype"] == "TCP"

    tick = site.tick()

    assert {"Suspended"} <= site.reasons(tick)
    assert tick.execution.results == ()
    assert site.lvols() == lvols
    assert any(remark.message.endswith("new shelf") for remark in tick.plan.remarks)
    site.clock.advance(3601)
    assert "Suspended" not in site.reasons(settled(site))
    assert len(site.lvols()) == 2


def test_a_drift_on_a_suspended_target_is_told(site: World) -> None:
    """Guards observing while suspended: what strays meanwhile is a drift that is held."""
    until = datetime.fromtimestamp(site.clock.now() + 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    extra = device("slow", delay={"deviceRef": "spare"}), device("spare", malloc={"size": "16Mi"})
    site.push([*nodes(site), *extra])
    settled(site)
    site.push([*nodes(site, suspend={"reason": "x", "until": until}), *extra])
    site.call("bdev_delay_delete", {"name": bdevs(site)["slow"]["name"]})

    tick = site.tick()

    assert [drift.action for drift in tick.plan.drifts] == ["Held"]
    assert tick.verdict is Verdict.WAITING
    assert "slow" not in bdevs(site)


def test_a_transport_that_the_target_was_built_without_is_named(site: World) -> None:
    """Guards capability: SPDK says only that a type is invalid; the status says what that means."""
    site.push(nodes(site, transports=[{"type": "TCP"}, {"type": "VFIOUSER"}]))

    messages = [result.message for result in site.tick().execution.results]

    assert any("NotSupported" in message and "VFIOUSER" in message for message in messages)


def test_a_transport_option_waits_for_a_restart_and_is_never_fought(site: World) -> None:
    """Guards RestartRequired: said, and no call is made for it; the restart that comes gives the option."""
    site.push(nodes(site))
    settled(site)
    site.push(nodes(site, transports=[{"type": "TCP", "maxAQDepth": 64, "abortTimeout": 3, "c2hSuccess": False}]))

    tick = settled(site)

    assert "RestartRequired" in site.reasons(tick)
    message = next(r.message for r in tick.plan.remarks if r.reason == "RestartRequired")
    assert "maxAQDepth: 128 → 64" in message
    site.restart_target()
    assert "RestartRequired" not in site.reasons(settled(site))
    (transport,) = site.call("nvmf_get_transports")
    assert (transport["max_aq_depth"], transport["abort_timeout_sec"], transport["c2h_success"]) == (64, 3, False)
