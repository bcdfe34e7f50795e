"""Snapshots by the clock, from a manifest to a target: taken once, missed, pruned, kept; also on live targets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from live_world import KINDS, LiveTarget
from scheduling import DAY, HOUR, labelled, schedule
from world import World, manifest, removal, subsystem, volume, world

from backends.spdk.simulator import DropAfter, DropBefore, Refuse
from reconciler.reconcile import Verdict


@pytest.fixture(params=KINDS)
def site(request: pytest.FixtureRequest) -> Iterator[World]:
    """A site with one target that is simulated or live. It is noon in UTC."""
    settings: dict[str, Any] = {"begin": lambda socket: LiveTarget(socket).start(), "patience": 5.0}
    with world(**(settings if request.param == "live" else {})) as made:
        yield made


@pytest.fixture
def simulated() -> Iterator[World]:
    with world() as made:
        yield made


def moments(site: World, name: str = "hourly") -> list[str]:
    """The times in the names of the snapshots that are there."""
    found = (lvol for lvol in site.lvols() if f"-{name}." in lvol)
    return sorted(lvol.rpartition(".")[2] for lvol in found)


def test_what_is_due_is_taken_once(site: World) -> None:
    """Guards the whole path: nothing before the first moment, then one snapshot for each volume and moment."""
    site.commit(labelled("a"), labelled("b"), volume("c"), schedule())
    assert site.converge().verdict is Verdict.CONVERGED
    assert moments(site) == []
    site.clock.advance(HOUR + 20)

    last = site.converge()

    assert last.verdict is Verdict.CONVERGED
    assert moments(site) == ["20261121t1300z", "20261121t1300z"]
    site.clock.advance(HOUR / 2)
    assert site.tick().execution.results == ()
    assert "SnapshotTaken" in site.events()


def test_what_is_not_retained_is_pruned(site: World) -> None:
    """Guards retention: the newest three stay, the volume and its identity are untouched, and nothing more is done."""
    site.commit(labelled("a"), schedule(last=3), subsystem("s", {1: "a"}))
    site.converge()
    uid = site.uid("a")
    for _ in range(5):
        site.clock.advance(HOUR)
        site.converge()
    assert moments(site) == ["20261121t1500z", "20261121t1600z", "20261121t1700z"]
    assert (site.uid("a"), site.exports()["s", 1]) == (uid, uid)
    assert "SnapshotPruned" in site.events()
    assert site.tick().execution.results == ()


def test_only_the_latest_of_the_missed_runs_is_made_up_for(simulated: World) -> None:
    """Guards a daemon that was down: one snapshot, said to be late, with how many were missed."""
    site = simulated
    site.commit(labelled("a"), schedule("0 * * * *"))
    site.converge()
    site.die()
    site.clock.advance(5 * HOUR + 600)
    site.wake()

    site.converge()

    assert moments(site) == ["20261121t1700z"]
    assert "RunsMissed" in site.events()
    told = next(e.message for e in site.house.history.events(100) if e.reason == "SnapshotTaken")
    assert "4 run(s) before it were missed" in told


def test_the_clock_alone_makes_an_idle_target_be_looked_at_again(simulated: World) -> None:
    """Guards the shortcut for targets where nothing changed: a moment that has come is a change."""
    site = simulated
    site.commit(labelled("a"), schedule())
    site.converge()
    for _ in range(3):
        tick = site.tick()
    assert tick.plan.until == datetime(2026, 11, 21, 13, tzinfo=UTC).timestamp()
    site.clock.advance(HOUR)
    assert len(site.tick().execution.results) == 1


def test_a_stricter_retention_waits_for_approval(simulated: World) -> None:
    """Guards tightening: nothing that was retained goes before a person says so; then exactly that goes."""
    site = simulated
    site.commit(labelled("a"), schedule(last=4))
    site.converge()
    for _ in range(4):
        site.clock.advance(HOUR)
        site.converge()
    site.commit(labelled("a"), schedule(last=1))

    held = site.converge()

    assert len(moments(site)) == 4
    assert {item.reason for item in held.plan.held} == {"RetentionTightened"}
    site.clock.advance(HOUR)
    held = site.converge()  # what neither the former nor the new one retains goes on going
    assert moments(site) == ["20261121t1400z", "20261121t1500z", "20261121t1600z", "20261121t1700z"]
    site.house.ledger.approve(held.plan.approval_id, "me", site.clock.now(), site.clock.now() + DAY)
    last = site.converge()
    assert (last.verdict, moments(site)) == (Verdict.CONVERGED, ["20261121t1700z"])


def test_a_snapshot_that_something_lies_on_is_never_pruned(simulated: World) -> None:
    """Guards clones: a foreign clone of a scheduled snapshot keeps it, which is said."""
    site = simulated
    site.commit(labelled("a"), schedule(last=1))
    site.converge()
    site.clock.advance(HOUR)
    site.converge()
    first = next(uid for name, uid in site.lvols().items() if "-hourly." in name)
    site.call("bdev_lvol_clone", {"snapshot_name": first, "clone_name": "theirs"})
    site.clock.advance(HOUR)
    last = site.converge()
    site.clock.advance(HOUR)
    last = site.converge()
    assert first in site.lvols().values()
    assert moments(site) == ["20261121t1300z", "20261121t1500z"]
    assert "KeptBeyondRetention" in site.reasons(last)


def test_the_snapshots_of_a_schedule_that_is_gone_are_retained(simulated: World) -> None:
    """Guards deletion: nothing is destroyed with the manifest, nor by a stricter one that comes back later."""
    site = simulated
    site.commit(labelled("a"), schedule(last=3))
    site.converge()
    for _ in range(3):
        site.clock.advance(HOUR)
        site.converge()
    before = site.lvols()
    site.commit(labelled("a"))
    site.converge()
    site.clock.advance(DAY)
    assert "Retained" in site.reasons(site.converge())
    assert site.lvols() == before
    site.commit(labelled("a"), schedule(last=1))
    held = site.converge()
    assert site.lvols() == before
    assert {item.reason for item in held.plan.held} == {"RetentionTightened"}


def test_a_volume_that_is_no_longer_selected_keeps_its_snapshots(simulated: World) -> None:
    """Guards the selector: what was taken stays, and its bytes can be destroyed by a Removal only."""
    site = simulated
    site.commit(labelled("a"), labelled("b"), schedule(last=1))
    site.converge()
    site.clock.advance(HOUR)
    site.converge()
    site.commit(volume("a"), labelled("b"), schedule(last=1))
    for _ in range(3):
        site.clock.advance(HOUR)
        site.converge()
    assert moments(site) == ["20261121t1300z", "20261121t1600z"]
    resource = next(r for r in site.house.ledger.records("n1") if r.resource.name == "a.hourly.20261121t1300z")
    consent = removal(resource.resource.name, resource.uid, "VolumeSnapshot")
    consent["metadata"]["name"] = "consent"
    assert not site.commit(volume("a"), labelled("b"), schedule(last=1), consent).blocks
    site.converge()
    assert moments(site) == ["20261121t1600z"]


def test_a_low_pool_holds_schedules(simulated: World) -> None:
    """Guards the reserve: no snapshot of a pool below it, which is said; the run is made up for afterwards."""
    site = simulated
    nodes = site.nodes()
    nodes[2]["spec"]["reserve"] = "30%"
    site.push([*nodes, labelled("a"), schedule()])
    site.converge()
    shape = {"lvol_name": "theirs", "size_in_mib": 200, "thin_provision": False}
    site.call("bdev_lvol_create", {"lvs_name": site.pool()["name"]} | shape)
    site.clock.advance(HOUR)
    assert "PoolLow" in site.reasons(site.converge())
    assert moments(site) == []
    site.call("bdev_lvol_delete", {"name": f"{site.pool()['name']}/theirs"})
    site.converge()
    assert moments(site) == ["20261121t1300z"]


def test_a_suspended_target_is_left_alone(simulated: World) -> None:
    """Guards suspend: no run, and it is said; afterwards the latest one is made up for."""
    site = simulated
    site.commit(labelled("a"), schedule())
    site.converge()
    nodes = site.nodes()
    nodes[0]["spec"]["suspend"] = {"reason": "maintenance", "until": "2026-11-21T15:30:00Z"}
    site.push([*nodes, labelled("a"), schedule()])
    site.clock.advance(2 * HOUR)
    tick = site.tick()
    assert ("Suspended" in {item.reason for item in tick.plan.held}, moments(site)) == (True, [])
    site.clock.advance(2 * HOUR)
    site.converge()
    assert moments(site) == ["20261121t1600z"]


@pytest.mark.parametrize("fault", [DropAfter(), Refuse(-32602, "no")])
def test_a_run_whose_answer_is_lost_is_one_run(simulated: World, fault: Any) -> None:
    """Guards at most once: whatever became of the request, there is one snapshot of the moment in the end."""
    site = simulated
    site.commit(labelled("a"), schedule())
    site.converge()
    site.clock.advance(HOUR)
    seen: list[str] = []

    def once(method: str, _: Any) -> Any:
        seen.append(method)
        return fault if len(seen) == 1 else None

    site.simulators["n1"].before("bdev_lvol_snapshot", once)
    site.tick()
    site.die()
    site.wake()
    site.converge()
    assert moments(site) == ["20261121t1300z"]
    assert [r.phase for r in site.house.ledger.records("n1") if ".hourly." in r.resource.name] == ["created"]


def test_a_snapshot_that_somebody_else_destroyed_is_drift_and_not_taken_again(simulated: World) -> None:
    """Guards invariant 8 for what schedules made: it is said once, and the moment does not come back."""
    site = simulated
    site.commit(labelled("a"), schedule())
    site.converge()
    site.clock.advance(HOUR)
    site.converge()
    gone = next(uid for name, uid in site.lvols().items() if "-hourly." in name)
    site.call("bdev_lvol_delete", {"name": gone})
    assert [drift.kind for drift in site.tick().plan.drifts] == ["DataMissing"]
    assert site.converge().verdict is Verdict.CONVERGED
    assert moments(site) == []


def test_after_the_ledger_was_lost_nothing_is_pruned_unasked(simulated: World) -> None:
    """Guards recovery: snapshots are known by their names again, and what was in force is not assumed."""
    site = simulated
    site.commit(labelled("a"), schedule(last=3))
    site.converge()
    for _ in range(3):
        site.clock.advance(HOUR)
        site.converge()
    site.die()
    for name in ("holdfast.db", "holdfast.db-wal", "holdfast.db-shm"):
        (site.folder / name).unlink(missing_ok=True)
    site.wake()
    site.commit(labelled("a"), schedule(last=1))
    site.clock.advance(HOUR)
    site.converge()
    assert len(moments(site)) == 3
    assert site.desired is not None
    site.keepers["n1"].confirm(site.desired)
    held = site.converge()
    assert len(moments(site)) == 3
    assert {item.reason for item in held.plan.held} == {"RetentionTightened"}


def test_a_restarted_target_keeps_what_was_taken(site: World) -> None:
    """Guards replay: snapshots outlive the process, and are pruned as before."""
    site.commit(labelled("a"), schedule(last=2))
    site.converge()
    for _ in range(3):
        site.clock.advance(HOUR)
        site.converge()
        site.restart_target()
    assert site.converge().verdict is Verdict.CONVERGED
    assert moments(site) == ["20261121t1400z", "20261121t1500z"]


def test_what_a_schedule_took_can_be_taken_over_and_cloned(site: World) -> None:
    """Guards restoring: a declared snapshot takes over a scheduled one, which is never pruned then, and is cloned."""
    site.commit(labelled("a"), schedule(last=1))
    site.converge()
    site.clock.advance(HOUR)
    site.converge()
    uid = next(uid for name, uid in site.lvols().items() if "-hourly." in name)
    taken = {"volumeRef": "a", "taken": {"scheduleRef": "hourly", "at": "2026-11-21T13:00:00Z"}}
    kept = manifest("VolumeSnapshot", "before", taken, "team")
    site.clock.advance(HOUR)  # the next run is due at the same time
    site.commit(labelled("a"), schedule(last=1), kept, volume("c", source={"snapshotRef": "before"}))

    for _ in range(3):
        assert site.converge().verdict is Verdict.CONVERGED
        site.clock.advance(HOUR)

    assert uid in site.lvols().values()
    below = site.call("bdev_get_bdevs", {"name": site.uid("c")})[0]["driver_specific"]["lvol"]["base_snapshot"]
    assert site.lvols()[below] == uid
    records = {record.resource.name: record.uid for record in site.house.ledger.records("n1")}
    assert records["before"] == uid


def test_a_moment_that_is_gone_is_not_taken_anew(simulated: World) -> None:
    """Guards the past: where there is no such snapshot nothing is made up, and it is said."""
    site = simulated
    taken = {"volumeRef": "a", "taken": {"scheduleRef": "hourly", "at": "2026-11-20T13:00:00Z"}}
    site.commit(labelled("a"), schedule(), manifest("VolumeSnapshot", "before", taken, "team"))
    assert "NothingToAdopt" in site.reasons(site.converge())
    assert len(site.lvols()) == 1


def test_a_lost_request_does_not_keep_a_volume_from_its_next_runs(simulated: World) -> None:
    """Guards against a doubt without end: a request that never arrived is asked once more, and later runs go on."""
    site = simulated
    site.commit(labelled("a"), schedule())
    site.converge()
    site.clock.advance(HOUR)
    seen: list[str] = []

    def once(method: str, _: Any) -> Any:
        seen.append(method)
        return DropBefore() if len(seen) == 1 else None

    site.simulators["n1"].before("bdev_lvol_snapshot", once)
    site.tick()
    site.die()
    site.clock.advance(HOUR)
    site.wake()
    for _ in range(6):
        site.tick()
        site.clock.advance(70)
    assert moments(site) == ["20261121t1300z", "20261121t1400z"]
