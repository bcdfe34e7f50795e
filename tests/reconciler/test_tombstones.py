"""What hosts remember: namespace ids that other bytes had."""

from __future__ import annotations

from typing import Any

from stacking import settled
from world import GENEROUS, NQN, World, host, manifest, subsystem, volume

from backends.contract import Action
from reconciler.reconcile import Verdict

S = f"{NQN}s"
LENIENT = GENEROUS | {"severities": {"nsid-reused": "warning"}}


def shop(site: World, namespaces: dict[int, str], reuses: str = "", **spec: Any) -> None:
    found = subsystem("s", namespaces, **spec)
    for entry in found["spec"]["namespaces"]:
        entry.update({"reuses": reuses} if reuses else {})
    report = site.commit(volume("a"), volume("b"), host("web"), found, policy=LENIENT)
    assert not report.blocks, report.findings


def test_an_nsid_that_other_bytes_had_is_not_used_again(site: World) -> None:
    """Guards hosts that remember a disk by its id, at whatever commit in between the old one went."""
    shop(site, {1: "a"})
    settled(site)
    shop(site, {})
    settled(site)
    shop(site, {1: "b"})

    tick = site.converge()

    assert (tick.verdict, site.exports()) == (Verdict.HELD, {})
    assert "NsidReused" in site.reasons(tick)
    site.house.ledger.approve(tick.plan.approval_id, "test", site.clock.now(), site.clock.now() + 60)
    settled(site)
    assert site.exports() == {("s", 1): site.uid("b")}
    site.restart_target()
    settled(site)


def test_the_old_disk_stays_until_its_successor_may_come(site: World) -> None:
    """Guards hosts from losing a disk for a change that is held."""
    shop(site, {1: "a"})
    settled(site)
    shop(site, {1: "b"})
    tick = site.converge()
    assert {held.change.action for held in tick.plan.held} == {Action.CREATE, Action.DELETE}
    assert site.exports() == {("s", 1): site.uid("a")}


def test_the_manifest_may_consent_to_exactly_what_was_shown(site: World) -> None:
    """Guards `reuses`: it names the uuid that hosts knew, and no other."""
    shop(site, {1: "a"})
    settled(site)
    shop(site, {1: "b"}, reuses=site.uid("b"))
    assert site.converge().verdict is Verdict.HELD
    shop(site, {1: "b"}, reuses=site.uid("a"))
    settled(site)
    assert site.exports() == {("s", 1): site.uid("b")}


def test_the_same_bytes_come_back_under_their_nsid(site: World) -> None:
    """Guards reverts: what goes and comes back is no reuse."""
    shop(site, {1: "a"})
    settled(site)
    shop(site, {})
    settled(site)
    shop(site, {1: "a"})
    settled(site)
    assert site.exports() == {("s", 1): site.uid("a")}


def test_memory_does_not_take_the_place_of_a_disk(site: World) -> None:
    """Guards devices in memory: that their bytes change with each life of the target is no leave to show them."""
    memory = manifest("BlockDevice", "memory", {"targetRef": "n1", "malloc": {"size": "16Mi"}})
    shown = subsystem("s", {})
    shown["spec"]["namespaces"] = [{"nsid": 1, "deviceRef": "memory"}]
    shop(site, {1: "a"})
    settled(site)
    shop(site, {})
    settled(site)
    assert not site.commit(volume("a"), volume("b"), host("web"), memory, shown, policy=LENIENT).blocks

    tick = site.converge()

    assert (tick.verdict, site.exports()) == (Verdict.HELD, {})
    site.house.ledger.approve(tick.plan.approval_id, "test", site.clock.now(), site.clock.now() + 60)
    settled(site)
    before = site.subsystems()[S]["namespaces"]
    site.restart_target()
    settled(site)
    after = site.subsystems()[S]["namespaces"]
    assert [ns["bdev_name"] for ns in after] == [ns["bdev_name"] for ns in before]
    assert after[0]["uuid"] != before[0]["uuid"]
