"""A subsystem on two targets: one has the bytes, the other attaches it and exports it again; simulated and live."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bystander import Bystander
from live_world import KINDS, LiveTarget
from world import NQN, World, host, subsystem, volume, world

from backends.objects import NvmePath
from backends.spdk.simulator import Pretend
from reconciler.demo.witness import Witness
from reconciler.reconcile import Tick, Verdict

S = f"{NQN}s"


@pytest.fixture(params=KINDS)
def site(request: pytest.FixtureRequest) -> Iterator[World]:
    """A site with two targets that are simulated or live, an empty ledger and a clock that stands still."""
    settings: dict[str, Any] = {"begin": lambda socket: LiveTarget(socket).start(), "patience": 5.0}
    with world(targets=("n1", "n2"), **(settings if request.param == "live" else {})) as made:
        yield made


def shop(
    site: World, *volumes: str, hosts: tuple[str, ...] = ("web", "front"), front: bool = True, **more: Any
) -> None:
    """Volumes of n1 in a subsystem that n2 exports as well."""
    found = subsystem("s", dict(enumerate(volumes, start=1)), hosts=hosts, anaReporting=True)
    found["spec"]["exports"] = [
        {"targetRef": "n1", "portals": ["front", "back"], "cntlidRange": [1, 100]} | more.get("owner", {}),
        {"targetRef": "n2", "portals": ["front"], "cntlidRange": [101, 200], "attachAs": "front"}
        | {"anaState": "non-optimized"}
        | more.get("other", {}),
    ][: 2 if front else 1]
    for entry in found["spec"]["namespaces"]:
        entry.update(more.get(entry["volumeRef"], {}))
    report = site.commit(*(host(name) for name in ("web", "front")), *map(volume, volumes), found)
    assert not report.blocks, report.findings


def settle(site: World) -> dict[str, Tick]:
    """Ticks of both until neither has anything to do, and once more without a single write."""
    for _ in range(6):
        last = {target: site.converge(target) for target in site.targets}
        site.clock.advance(70)
    assert {tick.verdict for tick in last.values()} == {Verdict.CONVERGED}, [
        (t.plan.held, t.plan.remarks) for t in last.values()
    ]
    assert not any(site.tick(target).plan.steps for target in site.targets)
    return last


def reached(site: World, target: str) -> set[str]:
    """The ANA states in which a target shows s."""
    listeners = site.call("nvmf_subsystem_get_listeners", {"nqn": S}, target)
    return {group["ana_state"] for listener in listeners for group in listener["ana_states"]}


def passed_through(site: World) -> int:
    """I/O that hosts made by way of the front."""
    (disk,) = [d for d in site.call("bdev_get_iostat", target="n2")["bdevs"] if d["name"].endswith("n1")]
    return int(disk["num_read_ops"] + disk["num_write_ops"])


@contextmanager
def host_at_work(site: World) -> Iterator[Bystander]:
    """The web host, connected to every portal of both targets; not one of its I/Os fails."""
    bdevperf = Path(os.environ["SPDK_TGT"]).parents[1] / "examples" / "bdevperf"
    worker = Bystander(bdevperf, site.folder, Witness(site.socket("n1")), S, blocks=30)
    try:
        for target in site.targets:
            for address in site.subsystems(target)[S]["listen_addresses"]:
                worker.attach(address, f"{NQN}host-web")
        worker.work()
        yield worker
        assert [(result["status"], result["io_failed"]) for result in worker.finish()] == [("terminated", 0)]
    finally:
        worker.close()


def approve(site: World, tick: Tick) -> None:
    """A person lets go what is held: the front is connected to the owner as any host is."""
    if name := tick.plan.approval_id:
        site.house.ledger.approve(name, "test", site.clock.now(), site.clock.now() + 600)


def shown(site: World, target: str) -> dict[int, tuple[str, str]]:
    """Uuid and NGUID of every namespace of s."""
    found = site.subsystems(target).get(S, {"namespaces": []})
    return {ns["nsid"]: (ns["uuid"], ns["nguid"]) for ns in found["namespaces"]}


def test_a_front_shows_the_same_namespaces_under_the_same_identity(site: World) -> None:
    """Guards the second way to the same bytes: same NQN, nsid, uuid and NGUID, controller ids and ANA state apart."""
    shop(site, "a", "b")
    settle(site)
    assert shown(site, "n2") == shown(site, "n1") != {}
    one, two = (site.subsystems(target)[S] for target in ("n1", "n2"))
    assert (one["max_cntlid"], two["min_cntlid"]) == (100, 101)
    assert (one["serial_number"], one["model_number"]) == (two["serial_number"], two["model_number"])
    assert [h["nqn"] for h in two["hosts"]] == [f"{NQN}host-web"]
    assert (reached(site, "n1"), reached(site, "n2")) == ({"optimized"}, {"non_optimized"})


def test_a_front_waits_for_its_owner(site: World) -> None:
    """Guards the order of the two: nothing is attached before the owner exports it, and nothing fails meanwhile."""
    shop(site, "a")
    tick = site.converge("n2")
    assert "WaitingForOwner" in site.reasons(tick)
    assert shown(site, "n2") == {}
    settle(site)
    assert shown(site, "n2") == shown(site, "n1") != {}


def test_a_front_that_restarts_is_built_again(site: World) -> None:
    """Guards replay: the controllers first, then the namespaces as they come over the wire."""
    shop(site, "a")
    settle(site)
    before = shown(site, "n2")
    site.restart_target("n2")
    settle(site)
    assert shown(site, "n2") == before


def test_a_front_keeps_what_it_shows_while_its_owner_restarts(site: World) -> None:
    """Guards paths over a restart of the owner: the front goes on, and shows the same afterwards."""
    shop(site, "a")
    settle(site)
    before = shown(site, "n2")
    site.restart_target("n1")
    assert not site.tick("n2").plan.steps
    site.tick("n1")
    assert not site.tick("n2").plan.steps
    settle(site)
    assert shown(site, "n2") == shown(site, "n1") == before


def test_other_bytes_are_shown_only_when_the_front_has_let_go(site: World) -> None:
    """Guards invariant 3 across targets: SPDK would go on showing the new bytes under the uuid of the old ones."""
    shop(site, "a", "b")
    settle(site)
    before = shown(site, "n2")
    found = subsystem("s", {1: "b", 2: "a"}, hosts=["web", "front"], anaReporting=True)
    found["spec"]["exports"] = [
        {"targetRef": "n1", "portals": ["front"], "cntlidRange": [1, 100]},
        {"targetRef": "n2", "portals": ["front"], "cntlidRange": [101, 200], "attachAs": "front"},
    ]
    for entry in found["spec"]["namespaces"]:
        entry["reuses"] = before[entry["nsid"]][0]
    assert not site.commit(host("web"), host("front"), volume("a"), volume("b"), found).blocks

    for _ in range(12):
        approve(site, site.tick("n1"))
        for nsid, identity in shown(site, "n2").items():
            owners = shown(site, "n1").get(nsid)
            assert owners in (None, identity)
        approve(site, site.tick("n2"))
        site.clock.advance(70)
    assert {nsid: before[3 - nsid] for nsid in before} == shown(site, "n1")


@pytest.mark.spdk
def test_a_host_works_on_over_either_path_and_over_a_restart_of_the_owner() -> None:
    """Guards what fronts are for: writes that are read back and compared go on while the front becomes the
    better path, and through it while the owner is a new process.
    """
    with world(targets=("n1", "n2"), begin=lambda socket: LiveTarget(socket).start(), patience=5.0) as site:
        shop(site, "a")
        settle(site)
        with host_at_work(site) as worker:
            looked_at = passed_through(site)  # by the front itself, when it attached
            worker.goes_on()
            assert passed_through(site) == looked_at

            shop(site, "a", owner={"anaState": "non-optimized"}, other={"anaState": "optimized"})
            for target in ("n2", "n1", "n1", "n1"):
                approve(site, site.tick(target))
            worker.goes_on()
            before = passed_through(site)
            worker.goes_on()
            assert passed_through(site) > before

            site.restart_target("n1")
            settle(site)
            worker.goes_on()
            assert passed_through(site) > before


def test_a_front_that_is_withdrawn_lets_go_of_everything(site: World) -> None:
    """Guards what a front leaves behind: no subsystem, and no controller at the owner."""
    shop(site, "a")
    settle(site)
    shop(site, "a", front=False)
    settle(site)
    assert S not in site.subsystems("n2")
    assert site.call("bdev_nvme_get_controllers", target="n2") == []
    assert shown(site, "n1")


def test_a_masked_namespace_is_exported_by_a_front_that_may_see_it(site: World) -> None:
    """Guards masks over two targets: the front sees what it is to show, and shows it to the same hosts alone."""
    shop(site, "a", a={"visibleTo": ["web", "front"]})
    settle(site)
    config = site.call("framework_get_config", {"name": "nvmf"}, "n2")
    (added,) = [call["params"]["namespace"] for call in config if call["method"] == "nvmf_subsystem_add_ns"]
    visible = {call["params"]["host"] for call in config if call["method"] == "nvmf_ns_add_host"}
    assert added["no_auto_visible"]
    assert f"{NQN}host-web" in visible


def test_a_front_keeps_no_host_at_work_whose_owner_goes(site: World) -> None:
    """Guards the interlock over two targets: a path through a front leads to the owner, and goes with its subsystem."""
    shop(site, "a")
    settle(site)
    host_name = f"{NQN}host-web"
    if not hasattr(site.simulators["n1"], "connect"):
        pytest.skip("hosts are a matter of the simulator here")
    site.simulators["n1"].connect(S, host_name, ("127.0.0.2", 4420))
    site.simulators["n2"].connect(S, host_name, ("127.0.0.2", 4421))
    shop(site, "a", a={"visibleTo": ["web", "front"]})

    tick = site.tick("n1")

    stakes = {at.host: at.keeps for item in tick.plan.held for at in item.hosts}
    assert stakes[host_name] == ()


def test_a_front_in_interrupt_mode_is_told_before_anything_fails() -> None:
    """Guards a person against a bare error code: SPDK attaches nothing over TCP there, and the way out is named."""
    asleep = {"tick_rate": 1, "pid": 4711, "reactors": [{"lcore": 0, "in_interrupt": True, "lw_threads": []}]}
    with world(targets=("n1", "n2")) as site:
        site.simulators["n2"].before("framework_get_reactors", lambda *_: Pretend(asleep))
        shop(site, "a")
        for _ in range(3):
            ticks = {target: site.converge(target) for target in site.targets}
        found = [held for held in ticks["n2"].plan.held if isinstance(held.change.after, NvmePath)]
        assert {held.reason for held in found} == {"NotSupported"}
        assert all("without --interrupt-mode" in held.message for held in found)
        assert "bdev_nvme_attach_controller" not in site.simulators["n2"].calls
