"""Volumes that are inflated or detached from their source: tasks that take long; on simulated and live targets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import world as worlds
from live_world import KINDS, LiveTarget
from world import World, host, manifest, removal, subsystem, volume, world

from backends.spdk.simulator import Pace, Simulator
from reconciler.demo.initiator import Initiator
from reconciler.demo.witness import Witness
from reconciler.plan import Outcome, TaskState
from reconciler.reconcile import Verdict

MIB = 1 << 20


@pytest.fixture(params=KINDS)
def site(request: pytest.FixtureRequest) -> Iterator[World]:
    """A site with one target that is simulated or live."""
    settings: dict[str, Any] = {"begin": lambda socket: LiveTarget(socket).start(), "patience": 5.0}
    with world(**(settings if request.param == "live" else {})) as made:
        yield made


@pytest.fixture
def slow() -> Iterator[World]:
    """A site whose target copies 64 MiB a second."""
    with world(begin=lambda socket: Simulator(socket, pace=Pace(copy=64.0 * MIB)).start()) as made:
        yield made


def snap(name: str, of: str) -> dict[str, Any]:
    return manifest("VolumeSnapshot", name, {"volumeRef": of}, "team")


def about(site: World, name: str) -> dict[str, Any]:
    """What the target tells of a volume."""
    found: dict[str, Any] = site.call("bdev_get_bdevs", {"name": site.uid(name)})[0]["driver_specific"]["lvol"]
    return found


def size_of(site: World, name: str) -> int:
    bdev = site.call("bdev_get_bdevs", {"name": site.uid(name)})[0]
    return int(bdev["num_blocks"] * bdev["block_size"])


def content(site: World, name: str) -> str:
    """What stands for the bytes of a volume. A live target has none."""
    target: Any = site.simulators["n1"]
    return target.content(site.uid(name)) if isinstance(target, Simulator) else ""


def test_a_clone_that_is_declared_thick_is_inflated_once(site: World) -> None:
    """Guards thin: false of a clone: all its clusters are its own, with the same bytes, and stay so without a write."""
    site.commit(volume("a", thin=False))
    site.converge()
    clone = volume("c", source={"snapshotRef": "s"}, thin=False)
    site.commit(volume("a", thin=False), snap("s", "a"), clone, subsystem("x", {1: "c"}))

    last = site.converge()

    assert (last.verdict, last.plan.tasks) == (Verdict.CONVERGED, ())
    assert (about(site, "c")["thin_provision"], about(site, "c")["clone"]) == (False, False)
    assert content(site, "c") == content(site, "s")
    site.restart_target()
    site.converge()
    assert site.tick().execution.results == ()


def test_a_clone_is_thin_unless_its_own_manifest_says_otherwise(site: World) -> None:
    """Guards instant clones: leaving thin out copies nothing."""
    site.commit(volume("a"), snap("s", "a"), manifest("Volume", "c", {
        "poolRef": "n1-pool", "size": "8Mi", "source": {"snapshotRef": "s"}}, "team"))  # fmt: skip
    assert site.converge().verdict is Verdict.CONVERGED
    assert about(site, "c")["thin_provision"]


def test_a_detached_clone_lies_on_nothing_and_is_still_thin(site: World) -> None:
    """Guards detach through two levels of snapshots, and that it grows only afterwards."""
    first = volume("b", source={"volumeRef": "a"})
    site.commit(volume("a"), first, snap("s", "b"))
    site.converge()
    site.commit(
        volume("a"), first, snap("s", "b"), volume("c", size="16Mi", source={"snapshotRef": "s", "detach": True})
    )

    last = site.converge()

    assert last.verdict is Verdict.CONVERGED
    assert "base_snapshot" not in about(site, "c")
    assert about(site, "c")["thin_provision"]
    assert content(site, "c") == content(site, "s")
    assert size_of(site, "c") == 16 * MIB


def test_a_snapshot_of_a_detached_volume_does_not_make_it_be_copied_again(site: World) -> None:
    """Guards the ledger's memory: what was detached, or inflated, once is not copied again for its own snapshots."""
    made = [
        volume("a"),
        volume("c", source={"volumeRef": "a", "detach": True}),
        volume("d", source={"volumeRef": "a"}, thin=False),
    ]
    site.commit(*made)
    site.converge()
    site.commit(*made, snap("cs", "c"), snap("ds", "d"))
    site.converge()
    last = site.tick()
    assert (last.verdict, last.plan.tasks, last.execution.results) == (Verdict.CONVERGED, (), ())
    assert about(site, "c")["base_snapshot"].endswith("-cs")


def test_a_volume_that_is_declared_thick_later_is_inflated(site: World) -> None:
    """Guards the change of thin from true to false, and that the way back is refused."""
    site.commit(volume("a"))
    site.converge()
    assert not site.commit(volume("a", thin=False)).blocks
    assert site.converge().verdict is Verdict.CONVERGED
    assert about(site, "a")["num_allocated_clusters"] == 2
    assert site.commit(volume("a")).blocks


def test_no_tick_waits_for_a_copy_and_other_volumes_go_on(slow: World) -> None:
    """Guards that a task runs beside the ticks: another volume is made and converges while one is copied."""
    slow.commit(volume("a", size="64Mi"))
    slow.converge()
    slow.commit(volume("a", size="64Mi", thin=False))
    first = slow.tick()
    assert [r.outcome for r in first.execution.results] == [Outcome.RUNNING]
    slow.commit(volume("a", size="64Mi", thin=False), volume("b"))

    second = slow.tick()

    assert [r.outcome for r in second.execution.results] == [Outcome.OK]
    assert [(task.kind, task.state) for task in second.plan.tasks] == [("inflate", TaskState.RUNNING)]
    assert slow.uid("b")


def test_only_so_many_volumes_are_copied_at_once(slow: World) -> None:
    """Guards concurrentTasks: the others are said to wait, and their turn comes."""
    names = ("a", "b", "c")
    slow.commit(*(volume(name, size="32Mi") for name in names))
    slow.converge()
    nodes = slow.nodes()
    nodes[0]["spec"]["concurrentTasks"] = 1
    slow.push([*nodes, *(volume(name, size="32Mi", thin=False) for name in names)])
    slow.tick()
    found = slow.tick().plan
    assert [task.state for task in found.tasks] == [TaskState.RUNNING, TaskState.QUEUED, TaskState.QUEUED]
    assert {item.reason for item in found.held} == {"TaskQueued"}


def test_without_room_nothing_is_begun(site: World) -> None:
    """Guards the pool: a copy that would take more than is free is held and said, and begins when there is room."""
    site.commit(volume("a", size="160Mi"))
    site.converge()
    theirs = {"lvol_name": "theirs", "size_in_mib": 120, "thin_provision": False}
    site.call("bdev_lvol_create", {"lvs_name": site.pool()["name"]} | theirs)
    site.commit(volume("a", size="160Mi", thin=False))

    last = site.converge()

    assert ([task.state for task in last.plan.tasks], last.verdict) == ([TaskState.HELD], Verdict.HELD)
    assert "PoolLow" in site.reasons(last)
    assert about(site, "a")["num_allocated_clusters"] == 0
    site.call("bdev_lvol_delete", {"name": f"{site.pool()['name']}/theirs"})
    assert site.converge().verdict is Verdict.CONVERGED
    assert not about(site, "a")["thin_provision"]


def test_a_daemon_that_is_killed_while_a_volume_is_copied_knows_it_again(slow: World) -> None:
    """Guards the crash: the new daemon sends nothing again, says that the task runs, and sees its end."""
    slow.commit(volume("a", size="64Mi"))
    slow.converge()
    slow.commit(volume("a", size="64Mi", thin=False))
    slow.tick()
    before = slow.mutations()
    slow.die()
    slow.wake()

    tick = slow.tick()

    assert [task.state for task in tick.plan.tasks] == [TaskState.RUNNING]
    while slow.tick().plan.tasks:
        pass
    assert slow.tick().verdict is Verdict.CONVERGED
    assert slow.mutations() == before
    assert not about(slow, "a")["thin_provision"]


def test_nothing_is_done_to_a_volume_that_is_copied(slow: World) -> None:
    """Guards what kills or leaks on a live target: its snapshot is not deleted under it, and it is not grown."""
    slow.commit(volume("a", size="64Mi", thin=True), snap("s", "a"))
    slow.converge()
    uid = slow.uid("s")
    slow.commit(volume("a", size="64Mi", thin=False), snap("s", "a"))
    slow.tick()
    slow.commit(volume("a", size="96Mi", thin=False), removal("s", uid, kind="VolumeSnapshot"))

    tick = slow.tick()

    held = {item.change.key.name.rpartition("-")[2]: item.reason for item in tick.plan.held}
    assert held.get("a") == "TaskRunning"
    assert uid in slow.lvols().values()


def test_a_clone_that_has_outgrown_its_source_is_not_detached(site: World) -> None:
    """Guards v26.05's read beyond the end of a list: it is held, with the way out, which is to inflate."""
    site.commit(volume("a"), volume("c", size="16Mi", source={"volumeRef": "a"}))
    site.converge()
    grown = volume("c", size="16Mi", source={"volumeRef": "a", "detach": True})
    site.commit(volume("a"), grown)
    last = site.converge()
    assert ([task.state for task in last.plan.tasks], last.verdict) == ([TaskState.HELD], Verdict.HELD)
    assert "OutgrownSource" in site.reasons(last)
    assert "base_snapshot" in about(site, "c")
    site.commit(volume("a"), grown | {"spec": grown["spec"] | {"thin": False}})
    assert site.converge().verdict is Verdict.CONVERGED
    assert (about(site, "c")["clone"], size_of(site, "c")) == (False, 16 * MIB)


def test_a_volume_from_an_image_grows_once_it_is_inflated(site: World) -> None:
    """Guards the order: SPDK cannot inflate a clone that has outgrown its image, so it is copied before it grows."""
    golden = site.folder / "golden.raw"
    golden.write_bytes(os.urandom(8 * MIB))
    image = manifest("Image", "golden", {"targetRef": "n1", "path": str(golden)})
    site.commit(image, volume("c", size="16Mi", source={"imageRef": "golden", "detach": True}, thin=False))
    assert site.converge().verdict is Verdict.CONVERGED
    assert (about(site, "c")["esnap_clone"], about(site, "c")["thin_provision"]) == (False, False)
    assert size_of(site, "c") == 16 * MIB


def test_after_the_ledger_was_lost_nothing_is_copied_again(slow: World) -> None:
    """Guards recovery: a thick volume that its own snapshot made thin, and what was detached, stay as they are."""
    made = [
        volume("a", thin=False),
        snap("s", "a"),
        volume("c", source={"volumeRef": "a", "detach": True}),
        snap("cs", "c"),
    ]
    slow.commit(*made)
    slow.converge()
    while slow.tick().plan.tasks:
        pass
    slow.converge()
    before, sent = slow.lvols(), slow.mutations()
    slow.die()
    for name in ("holdfast.db", "holdfast.db-wal", "holdfast.db-shm"):
        (slow.folder / name).unlink(missing_ok=True)
    slow.wake()
    slow.commit(*made)
    slow.converge()
    assert slow.desired is not None
    slow.keepers["n1"].confirm(slow.desired)
    last = slow.converge()
    assert (last.verdict, last.plan.tasks, slow.lvols()) == (Verdict.CONVERGED, (), before)
    since = slow.simulators["n1"].mutations[sent:]
    assert not [method for method, _ in since if method.endswith(("inflate", "decouple_parent"))]


@pytest.mark.spdk
@pytest.mark.parametrize("site", ["live"], indirect=True)
def test_real_bytes_are_the_same_in_a_copy_of_their_own(site: World) -> None:
    """Guards bytes on a real target: inflated and detached clones hold what they held, without what they lay on."""
    host_ = Initiator(Path(os.environ["SPDK_TGT"]).with_name("spdk_dd"), site.folder)
    eye = Witness(site.socket("n1"))
    site.commit(host("web"), volume("a"), subsystem("x", {1: "a"}, hosts=["web"]))
    site.converge()
    first = host_.write(eye, site.uid("a"))
    clones = [
        volume("c", source={"snapshotRef": "s"}, thin=False),
        volume("d", size="16Mi", source={"snapshotRef": "s", "detach": True}),
    ]
    shop = [host("web"), volume("a"), snap("s", "a"), *clones]
    site.commit(*shop, subsystem("x", {1: "a", 2: "c", 3: "d"}, hosts=["web"]))
    assert site.converge().verdict is Verdict.CONVERGED
    second = host_.write(eye, site.uid("a"))
    consent = removal("s", site.uid("s"), kind="VolumeSnapshot")
    site.commit(
        host("web"), volume("a"), volume("c", thin=False), volume("d", size="16Mi"),
        consent, subsystem("x", {1: "a", 2: "c", 3: "d"}, hosts=["web"]),
    )  # fmt: skip
    site.restart_target()
    site.converge()
    assert [host_.read(eye, site.uid(name)) for name in ("a", "c", "d")] == [second, first, first]
    assert not about(site, "c")["clone"]
    assert not about(site, "d")["clone"]


@pytest.mark.spdk
@pytest.mark.parametrize("killed", ["daemon", "target"])
def test_whoever_is_killed_while_real_bytes_are_copied_it_ends_well(
    monkeypatch: pytest.MonkeyPatch, killed: str
) -> None:
    """Guards kill -9 in the middle: the copy goes on or is begun again, is done once, and the bytes are the same."""
    monkeypatch.setattr(worlds, "DISK", 5 << 30)
    with world(begin=lambda socket: LiveTarget(socket).start(), patience=5.0) as site:
        host_ = Initiator(Path(os.environ["SPDK_TGT"]).with_name("spdk_dd"), site.folder)
        eye = Witness(site.socket("n1"))
        large = volume("a", size="1536Mi", thin=False)
        site.commit(host("web"), large, subsystem("x", {1: "a"}, hosts=["web"]))
        site.converge()
        written = host_.write(eye, site.uid("a"))
        shop = [host("web"), large, snap("s", "a"), subsystem("x", {1: "a", 2: "c"}, hosts=["web"])]
        copy = volume("c", size="1536Mi", source={"snapshotRef": "s"})
        site.commit(*shop, copy)
        site.converge()
        site.commit(*shop, copy | {"spec": copy["spec"] | {"thin": False}})
        assert [result.outcome for result in site.tick().execution.results] == [Outcome.RUNNING]
        if killed == "daemon":
            site.die()
            site.wake()
            assert [task.state for task in site.tick().plan.tasks] == [TaskState.RUNNING]
        else:
            site.restart_target()

        while site.converge().plan.tasks:
            pass

        assert site.tick().verdict is Verdict.CONVERGED
        assert not about(site, "c")["thin_provision"]
        assert (host_.read(eye, site.uid("c")), host_.read(eye, site.uid("a"))) == (written, written)
