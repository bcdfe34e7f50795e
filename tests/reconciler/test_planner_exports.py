"""Planning exports: subsystems, namespaces, listeners and limits."""

from __future__ import annotations

from dataclasses import replace

from planned import shop
from planning import Case, base, held, lvol, marker, reasons, records, steps, uid_of
from world import GENEROUS, NQN, START, subsystem, volume

from backends.objects import AllowedHost, Namespace, ObjectKind, QosLimits
from reconciler.plan import Hazard


def test_a_subsystem_that_is_not_ours_is_never_touched() -> None:
    """Guards foreign objects: reported, and nothing inside is planned."""
    case = shop()
    case.ledger = [item for item in records(*case.live) if item.resource.kind != "Subsystem"]
    found = case.plan()
    assert (steps(found), held(found), reasons(found)) == ([], {"create subsystem s": "Foreign"}, {"s": "Foreign"})


def test_unknown_children_of_our_subsystem_are_removed_as_drift() -> None:
    """Guards Extra: a strange host or namespace in our subsystem is ours to remove, as a disruptive step."""
    case = shop()
    case.ledger = records(*case.live)
    case.live += [
        AllowedHost(f"{NQN}s", "nqn.2026-01.com.example:stranger"),
        Namespace(f"{NQN}s", 9, uid_of("x"), uid_of("x")),
    ]
    found = case.plan()
    assert {step.hazard for step in found.steps} == {Hazard.DISRUPTIVE}
    assert {drift.kind.value for drift in found.drifts} == {"Extra"}
    assert len(found.steps) == 2


def test_what_is_fixed_at_creation_is_replaced_whole_and_in_order() -> None:
    """Guards replacement: delete, create, then everything inside, listeners last."""
    case = shop()
    case.manifests[3]["spec"]["maxNamespaces"] = 64
    found = case.plan()
    assert [step.split()[0:2] for step in steps(found)] == [
        ["delete", "subsystem"],
        ["create", "subsystem"],
        ["create", "host"],
        ["create", "namespace"],
        ["create", "namespace"],
        ["create", "listener"],
    ]
    assert found.steps[0].hazard is Hazard.DISRUPTIVE


def test_a_held_replacement_leaves_the_old_subsystem_in_order() -> None:
    """Guards that holding back a replacement does not stop drift inside from being corrected."""
    case = shop(policy=GENEROUS | {"budget": {"disruptiveSubsystems": 0}})
    case.ledger = records(*case.live)
    case.manifests[3]["spec"]["maxNamespaces"] = 64
    case.live = [thing for thing in case.live if not (isinstance(thing, Namespace) and thing.nsid == 2)]
    found = case.plan()
    assert steps(found) == ["create namespace s#2"]
    assert held(found) == {"delete subsystem s": "BudgetExceeded", "create subsystem s": "Blocked"}


def test_a_namespace_with_other_bytes_is_replaced() -> None:
    """Guards that an nsid shows the declared volume and no other."""
    case = shop()
    case.manifests[3] = subsystem("s", {1: "b", 2: "a"}, hosts=["web"])
    assert steps(case.plan()) == [
        "delete namespace s#1",
        "delete namespace s#2",
        "create namespace s#1",
        "create namespace s#2",
    ]


def test_listeners_wait_for_what_hosts_knew_and_then_open_without_it() -> None:
    """Guards exportWait after a restart: first WaitingForNamespaces, then ExportedIncomplete; never for new ones."""
    case = shop(live=[marker(), *base()[1:], lvol("a")], owned={"alive_since": START - 10})
    case.ledger = [
        replace(item, replay=item.key.kind not in (ObjectKind.LVOL, ObjectKind.LVOL_STORE))
        for item in records(*shop().live)
    ]
    found = case.plan()
    assert held(found)["create listener s#TCP:127.0.0.2:4420"] == "WaitingForNamespaces"
    case.owned["alive_since"] = START - 61
    found = case.plan()
    assert "create listener s#TCP:127.0.0.2:4420" in steps(found)
    assert reasons(found)["s"] == "ExportedIncomplete"
    case.owned["alive_since"] = START
    case.ledger = [item for item in case.ledger if item.key.name != f"{NQN}s#2"]
    assert "create listener s#TCP:127.0.0.2:4420" in steps(case.plan())


def test_a_chosen_identity_never_shows_other_bytes() -> None:
    """Guards spec.uid: once a namespace uuid stood for some bytes, no others take it."""
    pinned = uid_of("pinned")
    case = shop(owned={"shown": {pinned: uid_of("lost")}})
    case.manifests[1] = volume("a", uid=pinned)
    found = case.plan()
    assert reasons(found)["s"] == "IdentityReused"
    assert not any("create namespace s#1" in step for step in steps(found))
    case.owned["shown"] = {pinned: uid_of("a")}
    assert "create namespace s#1" in steps(case.plan())


def test_limits_are_set_on_exported_volumes_only_and_all_at_once() -> None:
    """Guards QoS: SPDK refuses to change limits on a bdev that nobody has open."""
    case = Case([volume("a", qos={"readMBps": 7})], [*base(), lvol("a")])
    assert steps(case.plan()) == []
    case.manifests.append(subsystem("s", {1: "a"}))
    last = [step for step in case.plan().steps if step.change.key.kind is ObjectKind.QOS]
    assert (last[0].change.after.limits, last[0].needs) == (QosLimits(0, 7, 0, 0), (f"create namespace {NQN}s#1",))
