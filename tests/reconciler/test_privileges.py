"""Least privilege: a target that permits what `holdfast allowlist` prints, and no more, is kept all the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from live_world import KINDS, LiveTarget
from stacking import bdevs, device, file, key_file, settled
from world import NQN, World, host, manifest, removal, subsystem, volume, world

from backends.spdk.errors import RpcError
from reconciler.app import allowlist, whole_allowlist
from reconciler.privileges import features
from reconciler.reconcile import Verdict

NOT_FOUND = -32601  # JSON-RPC's code for a method that is not there
LIMITS = {"iops": 2000}


@pytest.fixture(params=KINDS)
def site(request: pytest.FixtureRequest) -> Iterator[World]:
    """A site with one target that is simulated or live, an empty ledger and a clock that stands still."""
    settings: dict[str, Any] = {"begin": lambda socket: LiveTarget(socket).start(), "patience": 5.0}
    with world(**(settings if request.param == "live" else {})) as made:
        yield made


def wanted(site: World, *revisions: Sequence[Mapping[str, Any]]) -> set[str]:
    """What the revisions together need, as the command prints it for each of them."""
    found: set[str] = set()
    for revision in revisions:
        assert not site.commit(*revision).blocks
        assert site.desired
        found |= set(allowlist(features(site.desired, "n1")))
    return found


def confine(site: World, methods: set[str]) -> None:
    """Another target in place of the first, with these methods and no others."""
    first = site.simulators["n1"]
    first.stop()
    site.simulators["n1"] = type(first)(site.socket("n1"), rpcs_allowed=sorted(methods)).start()
    assert set(site.call("rpc_get_methods")) == methods


def plain(site: World) -> list[dict[str, Any]]:
    return [host("web"), volume("a", qos=LIMITS), subsystem("s", {1: "a"}, hosts=["web"])]


def family(site: World) -> list[dict[str, Any]]:
    """Everything that volumes come from."""
    path = site.folder / "golden.img"
    path.write_bytes(bytes(8 << 20))
    return [
        volume("a", qos=LIMITS),
        manifest("VolumeSnapshot", "then", {"volumeRef": "a"}, "team"),
        volume("c", size="16Mi", source={"snapshotRef": "then"}),
        manifest("Image", "golden", {"targetRef": "n1", "path": str(path)}),
        volume("i", size="8Mi", source={"imageRef": "golden"}),
        volume("k", source={"volumeRef": "a"}),
        subsystem("s", {1: "a", 2: "c", 3: "i", 4: "k"}),
    ]


def stack(site: World) -> list[dict[str, Any]]:
    return [
        file(site, "one"),
        file(site, "two", "uring"),
        file(site, "three"),
        device("array", raid={"level": "raid1", "members": ["one", "three"]}),
        device("vault", crypto={"deviceRef": "array", "keyFrom": {"file": key_file(site)}}),
        device("slow", delay={"deviceRef": "vault", "readMicroseconds": 5}),
        device("through", passthru={"deviceRef": "two"}),
        device("memory", malloc={"size": "16Mi"}),
    ]


@pytest.mark.parametrize("declared", [plain, family, stack])
def test_a_target_that_permits_no_more_is_made_repaired_and_made_again(site: World, declared: Any) -> None:
    """Guards the whole way under least privilege: making, nothing to do, a restart, and making again."""
    confine(site, wanted(site, declared(site)))

    assert site.converge().verdict is Verdict.CONVERGED
    settled(site)
    site.restart_target()
    assert site.converge().verdict is Verdict.CONVERGED
    assert not {"NotSupported", "Unknown"} & site.reasons(site.tick())


def test_drift_is_repaired_and_bytes_are_destroyed_with_no_more(site: World) -> None:
    """Guards repair and removal under least privilege: limits, namespaces, hosts, subsystems, and a Removal."""
    before, growing = plain(site), [host("web"), volume("a", size="16Mi"), subsystem("s", {1: "a"})]
    gone = [removal("a", "00000000-0000-4000-8000-000000000000")]
    confine(site, wanted(site, gone, growing, before))
    site.converge()
    uid, nqn = site.uid("a"), f"{NQN}s"

    site.call("bdev_set_qos_limit", {"name": uid, "rw_ios_per_sec": 9000})
    site.call("nvmf_subsystem_add_host", {"nqn": nqn, "host": f"{NQN}stranger"})
    site.call("nvmf_subsystem_allow_any_host", {"nqn": nqn, "allow_any_host": True})
    assert site.converge().verdict is Verdict.CONVERGED
    site.call("nvmf_delete_subsystem", {"nqn": nqn})
    assert site.converge().verdict is Verdict.CONVERGED
    shown = site.subsystems()[nqn]
    assert ([h["nqn"] for h in shown["hosts"]], shown["allow_any_host"]) == ([f"{NQN}host-web"], False)

    site.commit(*growing)
    assert site.converge().verdict is Verdict.CONVERGED
    site.commit()
    site.converge()
    assert site.subsystems() == {}
    site.commit(removal("a", uid))
    site.converge()
    assert site.lvols() == {}


def test_a_stack_is_mended_and_taken_down_with_no_more(site: World) -> None:
    """Guards latencies and the removal of every layer under least privilege."""
    declared = [
        m | {"spec": m["spec"] | {"reclaimPolicy": "Delete"}} for m in stack(site) if m["kind"] == "BlockDevice"
    ]
    declared = [m for m in declared if m["metadata"]["name"] != "memory"]
    confine(site, wanted(site, declared))
    settled(site)
    slow = bdevs(site)["slow"]["name"]
    site.call("bdev_delay_update_latency", {"delay_bdev_name": slow, "latency_type": "avg_read", "latency_us": 99})
    settled(site)
    site.commit()
    site.converge()
    assert bdevs(site).keys() <= {"n1-disk"}


def test_what_is_declared_later_is_held_until_it_is_permitted(site: World) -> None:
    """Guards the other side: nothing is sent that the target does not permit, and the method is named."""
    confine(site, wanted(site, plain(site)))
    site.converge()
    with pytest.raises(RpcError) as refused:
        site.call("bdev_malloc_create", {"num_blocks": 8192, "block_size": 512})
    assert refused.value.code == NOT_FOUND

    site.commit(*plain(site), device("memory", malloc={"size": "16Mi"}))

    tick = site.tick()
    (held,) = tick.plan.held
    assert (held.reason, tick.verdict) == ("NotSupported", Verdict.HELD)
    assert "bdev_malloc_create" in held.message


def test_what_may_not_be_removed_is_held_before_it_fails(site: World) -> None:
    """Guards removal: a target that permits making but not removing refuses nothing, because nothing is sent."""
    confine(site, wanted(site, plain(site)) - {"nvmf_subsystem_remove_host"})
    site.converge()
    site.call("nvmf_subsystem_add_host", {"nqn": f"{NQN}s", "host": f"{NQN}stranger"})

    (held,) = site.tick().plan.held

    assert held.reason == "NotSupported"
    assert "nvmf_subsystem_remove_host" in held.message


def test_a_list_holds_nothing_that_is_not_declared(site: World) -> None:
    """Guards minimality: no method of a feature that the repository does not use, and the whole list has them all."""
    small = wanted(site, [volume("a")])
    assert not {
        method for method in small if method.startswith(("nvmf_subsystem_", "bdev_raid", "accel_", "bdev_nvme"))
    }
    assert small < set(whole_allowlist())
