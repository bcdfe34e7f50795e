"""A tick over what it has seen before plans nothing anew; nothing that happens meanwhile may be missed for that."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from world import World, subsystem, volume

from backends.spdk.simulator.faults import Refuse
from reconciler.plan import Plan, Remark
from reconciler.reconcile import Verdict
from schemas.resources import ResourceKey


@pytest.fixture
def at_rest(site: World) -> World:
    """One exported volume, and two ticks that had nothing to do."""
    site.commit(volume("a"), subsystem("s", {1: "a"}))
    site.converge()
    site.tick()
    site.tick()
    return site


def test_an_idle_tick_reuses_the_plan_and_writes_nothing(at_rest: World) -> None:
    """Guards the shortcut itself: over unchanged replies it is the very same plan, and nothing is sent."""
    before, sent = at_rest.tick(), at_rest.mutations()
    at_rest.clock.advance(3600.0)
    after = at_rest.tick()
    assert after.plan is before.plan
    assert after.settled
    assert at_rest.mutations() == sent


@pytest.mark.parametrize(("ready", "stalled"), [(False, False), (False, True), (True, True)])
def test_what_is_not_well_is_looked_at_again(*, ready: bool, stalled: bool) -> None:
    """Guards that only a plan whose every remark is fine may be kept: what waits may get worse with age alone."""
    resource = ResourceKey("Volume", "team", "a")
    fine = Remark(resource, "Retained", "its bytes are kept")
    assert Plan("n1", "r", remarks=(fine,)).is_timeless
    assert not Plan("n1", "r", remarks=(fine, Remark(resource, "Any", "", ready=ready, stalled=stalled))).is_timeless


def test_drift_after_idle_ticks_is_met_and_dated(at_rest: World) -> None:
    """Guards that idle ticks count as clean observations, and that the next difference is seen and closed."""
    at_rest.clock.advance(30.0)
    at_rest.tick()
    last_clean = at_rest.clock.now()
    at_rest.clock.advance(30.0)
    (nqn,) = at_rest.subsystems()
    at_rest.call("nvmf_delete_subsystem", {"nqn": nqn})
    at_rest.converge()
    (record,) = [r for r in at_rest.house.history.drifts() if r.object == f"subsystem {nqn}"]
    assert record.clean == last_clean
    assert record.closed is not None
    assert list(at_rest.exports()) == [("s", 1)]


def test_a_suspension_ends_without_a_commit(site: World) -> None:
    """Guards the one wish that time alone ends: a target at rest is told to be suspended no longer than it is."""
    nodes = site.nodes()
    until = datetime.fromtimestamp(site.clock.now() + 300.0, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    site.push([*nodes, volume("a")])
    site.converge()
    nodes[0]["spec"]["suspend"] = {"reason": "maintenance", "until": until}
    site.push([*nodes, volume("a")])
    for _ in range(3):
        assert "Suspended" in site.reasons(site.tick())
    site.clock.advance(301.0)
    assert "Suspended" not in site.reasons(site.tick())


def test_a_commit_after_idle_ticks_is_carried_out(at_rest: World) -> None:
    """Guards that another revision is planned even though the target shows nothing new."""
    at_rest.commit(volume("a"), volume("b"), subsystem("s", {1: "a", 2: "b"}))
    at_rest.converge()
    assert set(at_rest.exports()) == {("s", 1), ("s", 2)}


def test_a_ledger_that_changed_is_planned_with(at_rest: World) -> None:
    """Guards that what the ledger alone knows ends the rest: without its record, a subsystem is foreign."""
    (nqn,) = at_rest.subsystems()
    record = next(r for r in at_rest.house.ledger.records("n1") if r.key.name == nqn)
    at_rest.house.ledger.write("n1", [], [record.key])
    assert at_rest.tick().verdict is Verdict.HELD


def test_a_target_that_could_not_be_read_is_ready_again(at_rest: World) -> None:
    """Guards that conditions are written again after a failed observation, though all else stayed as it was."""
    simulator = at_rest.simulators["n1"]
    simulator.before("framework_get_reactors", lambda *_: Refuse(-12, "Cannot allocate memory"))
    assert at_rest.tick().verdict is Verdict.UNREACHABLE
    simulator.forget_hooks()
    at_rest.tick()
    ready = {conditions[0].status for conditions in at_rest.house.history.conditions("n1").values()}
    assert ready == {"True"}


def test_a_drift_is_closed_as_soon_as_it_is_seen_to_be_put_right(at_rest: World) -> None:
    """Guards that a drift is not open until the next observation, and that only what was seen is closed."""
    (nqn,) = at_rest.subsystems()
    at_rest.call("nvmf_subsystem_remove_ns", {"nqn": nqn, "nsid": 1})
    at_rest.tick()
    (record,) = at_rest.house.history.drifts()
    assert record.object == f"namespace {nqn}#1"
    assert record.closed is not None
    assert list(at_rest.exports()) == [("s", 1)]
    at_rest.converge()
    assert len(at_rest.house.history.drifts()) == 1


def test_a_drift_that_cannot_be_looked_at_is_closed_by_the_next_observation(at_rest: World) -> None:
    """Guards that no answer about what was put right is no proof of it."""
    (nqn,) = at_rest.subsystems()
    at_rest.call("nvmf_subsystem_remove_ns", {"nqn": nqn, "nsid": 1})
    at_rest.simulators["n1"].before("nvmf_get_subsystems", lambda _, params: Refuse(-1, "not now") if params else None)
    at_rest.tick()
    (record,) = at_rest.house.history.drifts()
    assert record.closed is None
    at_rest.simulators["n1"].forget_hooks()
    at_rest.converge()
    (record,) = at_rest.house.history.drifts()
    assert record.closed is not None


def test_a_drift_in_what_one_object_does_not_tell_stays_open_until_all_is_seen(at_rest: World) -> None:
    """Guards that a namespace which was made anew is not called right before its hidden fields have been read."""
    (nqn,) = at_rest.subsystems()
    at_rest.call("nvmf_subsystem_remove_ns", {"nqn": nqn, "nsid": 1})
    space = {"nsid": 1, "bdev_name": at_rest.uid("a"), "no_auto_visible": True}
    at_rest.call("nvmf_subsystem_add_ns", {"nqn": nqn, "namespace": space})
    at_rest.tick()
    assert [record.closed for record in at_rest.house.history.drifts()] == [None]
    at_rest.converge()
    assert None not in [record.closed for record in at_rest.house.history.drifts()]
