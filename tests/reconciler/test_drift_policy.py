"""What is done about drift: by repository, target, kind, resource and field; and what is shown without being ours."""

from __future__ import annotations

from typing import Any

import pytest
from world import GENEROUS, NQN, World, host, manifest, subsystem, volume

from backends.spdk.simulator import Refuse
from reconciler.plan import DriftClass
from reconciler.reconcile import Tick, Verdict

S = f"{NQN}s"


def stray(site: World) -> None:
    """Somebody changes a limit, lets a host in and takes a listener away."""
    address = {"trtype": "TCP", "adrfam": "IPv4", "traddr": "127.0.0.2", "trsvcid": "4420"}
    site.call("bdev_set_qos_limit", {"name": site.uid("a"), "rw_ios_per_sec": 9000})
    site.call("nvmf_subsystem_add_host", {"nqn": S, "host": f"{NQN}stranger"})
    site.call("nvmf_subsystem_remove_listener", {"nqn": S, "listen_address": address})


def actions(tick: Tick) -> dict[str, str]:
    """What is done about the drift of each field."""
    return {d.path.partition("[")[0]: drift.action for drift in tick.plan.drifts for d in drift.differences}


CORRECTED = {"spec.qos.iops": "Corrected", "spec.hosts.refs": "Corrected", "spec.exports.portals": "Corrected"}
SUBSYSTEM = ("spec.hosts.refs", "spec.exports.portals")
LEVELS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "nothing said": ({}, {}),
    "repository": ({"policy": {"driftPolicy": "warn"}}, dict.fromkeys(CORRECTED, "Warned")),
    "target before repository": (
        {"policy": {"driftPolicy": "ignore"}, "target": {"driftPolicy": "warn"}},
        dict.fromkeys(CORRECTED, "Warned"),
    ),
    "kind": ({"policy": {"driftPolicies": {"Subsystem": "warn"}}}, dict.fromkeys(SUBSYSTEM, "Warned")),
    "kind before target": (
        {"policy": {"driftPolicies": {"Volume": "ignore"}}, "target": {"driftPolicy": "warn"}},
        {"spec.qos.iops": "Ignored"} | dict.fromkeys(SUBSYSTEM, "Warned"),
    ),
    "resource before kind": (
        {
            "policy": {"driftPolicies": {"Volume": "ignore", "Subsystem": "ignore"}},
            "volume": {"driftPolicy": "correct"},
        },
        dict.fromkeys(SUBSYSTEM, "Ignored"),
    ),
    "a list in the field": ({"field": "spec.hosts"}, {"spec.hosts.refs": "Ignored"}),
    "two fields": (
        {"field": "spec.hosts.refs, spec.exports.portals"},
        dict.fromkeys(SUBSYSTEM, "Ignored"),
    ),
}


@pytest.mark.parametrize("level", LEVELS)
def test_who_decides_what_is_done_about_drift(site: World, level: str) -> None:
    """Guards the four levels: the field before the resource, before its kind, before the Target, before the rest."""
    said, expected = LEVELS[level]
    nodes = site.nodes()
    nodes[0]["spec"] |= said.get("target", {})
    exported = subsystem("s", {1: "a"}, hosts=["web"])
    if "field" in said:
        exported["metadata"]["annotations"] = {"holdfast.dev/drift-ignore": said["field"]}
    manifests = [*nodes, host("web"), volume("a", qos={"iops": 1000}, **said.get("volume", {})), exported]
    assert not site.push(manifests, {**GENEROUS, **said.get("policy", {})}).blocks
    site.converge()

    stray(site)

    assert actions(site.tick()) == CORRECTED | expected


def test_a_new_value_is_applied_to_a_field_whose_drift_is_ignored(site: World) -> None:
    """Guards drift-ignore: it speaks of what others change, not of what the manifest asks for next."""

    def limited(iops: int) -> None:
        declared = volume("a", qos={"iops": iops})
        declared["metadata"]["annotations"] = {"holdfast.dev/drift-ignore": "spec.qos.iops"}
        site.commit(declared, subsystem("s", {1: "a"}))
        site.converge()

    def iops() -> int:
        limits = site.call("bdev_get_bdevs", {"name": site.uid("a")})[0]["assigned_rate_limits"]
        return int(limits["rw_ios_per_sec"])

    limited(1000)
    site.call("bdev_set_qos_limit", {"name": site.uid("a"), "rw_ios_per_sec": 9000})
    site.converge()
    assert iops() == 9000
    limited(4000)
    assert iops() == 4000


def test_a_size_whose_drift_is_ignored_is_left_as_it_is(site: World) -> None:
    """Guards drift-ignore of what can only be shown: it is said to be ignored, not held."""
    declared = volume("a")
    declared["metadata"]["annotations"] = {"holdfast.dev/drift-ignore": "spec.size"}
    site.commit(declared)
    site.converge()
    site.call("bdev_lvol_resize", {"name": site.uid("a"), "size_in_mib": 16})
    assert actions(site.converge()) == {"spec.size": "Ignored"}


# --- not ours


def test_what_is_not_ours_is_shown_and_does_not_unsettle(site: World) -> None:
    """Guards Foreign: one record for each object, from when it was first seen until it is gone; nobody is alarmed."""
    site.commit(volume("a"))
    site.converge()
    site.clock.advance(30)
    site.tick()
    clean = site.clock.now()
    site.clock.advance(30)
    site.call("bdev_malloc_create", {"name": "theirs", "num_blocks": 2048, "block_size": 512})

    tick = site.converge()

    assert (tick.verdict, tick.settled) == (Verdict.CONVERGED, True)
    (record,) = site.house.history.drifts(open_only=True)
    assert (record.kind, record.object, record.action) == ("Foreign", "bdev theirs", "LeftAlone")
    assert (record.clean, record.detected) == (clean, site.clock.now())
    assert site.house.history.open_drifts("n1") == 0
    assert "DriftDetected" not in site.events()
    before = site.mutations()
    site.clock.advance(30)
    site.call("bdev_malloc_delete", {"name": "theirs"})
    site.converge()
    assert site.house.history.drifts(open_only=True) == []
    assert site.mutations() == before + 1  # theirs


def test_a_contested_field_has_a_record_of_that_class(site: World) -> None:
    """Guards Contested: after so many corrections the drift stays, under that class, with its field."""
    site.push(
        [*site.nodes(), volume("a", qos={"iops": 1000}), subsystem("s", {1: "a"})],
        {**GENEROUS, "contested": {"corrections": 3, "within": "10m"}},
    )
    site.converge()
    for _ in range(4):
        site.clock.advance(10)
        site.call("bdev_set_qos_limit", {"name": site.uid("a"), "rw_ios_per_sec": 9000})
        site.converge()

    (record,) = site.house.history.drifts(open_only=True)

    assert (record.kind, record.action) == (DriftClass.CONTESTED, "Held")
    assert [d.path for d in record.differences] == ["spec.qos.iops"]
    assert record.clean is not None
    assert record.clean <= record.detected


# --- asked for


def test_what_backs_off_says_how_it_failed_and_another_commit_is_tried_at_once(site: World) -> None:
    """Guards a person who has mended the cause against waiting out the pause, and against not knowing the cause."""
    site.simulators["n1"].before("bdev_lvol_create", lambda *_: Refuse(-12, "no memory"))
    site.commit(volume("a"))
    for _ in range(6):
        site.tick()
        site.clock.advance(1.5)
    site.tick()
    pause = next(held for held in site.tick().plan.held if held.reason == "BackingOff")
    assert "no memory" in pause.message
    tries = site.simulators["n1"].calls["bdev_lvol_create"]

    site.commit(volume("a"), volume("b"))
    site.tick()
    site.tick()

    assert site.simulators["n1"].calls["bdev_lvol_create"] == tries + 2  # a again and b, once each


def test_a_run_that_a_manifest_asks_for_is_made_at_once_and_echoed(site: World) -> None:
    """Guards requestedAt: what backs off is tried again, once for each request."""
    site.simulators["n1"].before("bdev_lvol_create", lambda *_: Refuse(-12, "no memory"))
    site.commit(volume("a"))
    for _ in range(6):
        site.tick()
        site.clock.advance(1.5)
    site.tick()
    assert "BackingOff" in site.reasons(site.tick())
    tries = site.simulators["n1"].calls["bdev_lvol_create"]

    site.commit(volume("a") | {"metadata": manifest("Volume", "a", {}, "team", requestedAt="now")["metadata"]})
    site.tick()
    site.tick()

    assert site.simulators["n1"].calls["bdev_lvol_create"] == tries + 1
    handled = site.house.ledger.handled("n1")
    assert {key.name: value for key, value in handled.items()} == {"a": "now"}
