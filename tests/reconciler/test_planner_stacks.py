"""Plans for stacked devices from values alone: what must never be proposed, however odd the situation."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from planning import FOLDER, MIB, Case, base, held, key, reasons, record, steps
from stacking import device
from world import SITE, node, removal, snapshot

from analyzer.analyze import analyze
from backends.contract import Gap
from backends.objects import Bdev, LiveObject, ObjectKind, Rebuild, Referral
from backends.spdk import features
from reconciler import identity
from reconciler.devices import crypto_uuid
from reconciler.plan import Phase, Record
from reconciler.planner import plan
from reconciler.planner.devices import IN_PLACE
from reconciler.planner.stacks import KEY_NAME
from schemas.kinds import our_kinds

SOURCE = "file:/etc/keys/vault"
PRINT = "0123456789abcdef"


def name_of(name: str) -> str:
    return identity.object_name(SITE, key("BlockDevice", name))


def uuid_of(name: str) -> str:
    return identity.derived_uuid(SITE, key("BlockDevice", name))


def disk(name: str, **changes: Any) -> Bdev:
    made = Bdev(name_of(name), "aio", uuid_of(name), 64 * MIB, 4096, f"/srv/{name}.img", fallocate=True)
    return replace(made, **changes)


def disk_manifest(name: str, **more: Any) -> dict[str, Any]:
    return device(name, aio={"path": f"/srv/{name}.img", "blockSize": 4096}, **more)


def vault(**changes: Any) -> Bdev:
    key_name = f"{name_of('vault')[:KEY_NAME]}-{PRINT}"
    made = Bdev(name_of("vault"), "crypto", crypto_uuid(uuid_of("a")), 64 * MIB, 4096, key_name=key_name)
    return replace(made, bases=(name_of("a"),), **changes)


def vault_manifest(**more: Any) -> dict[str, Any]:
    return device("vault", crypto={"deviceRef": "a", "keyFrom": {"file": "/etc/keys/vault"}}, **more)


def array(*members: str, **changes: Any) -> Bdev:
    bases = tuple(name_of(member) if member else "" for member in members)
    made = Bdev(name_of("array"), "raid", uuid_of("array"), 63 * MIB, 4096, bases=bases, level="raid1")
    return replace(made, **{"superblock": True, "strip_size": 0} | changes)


def array_manifest(**more: Any) -> dict[str, Any]:
    return device("array", raid={"level": "raid1", "members": ["a", "b"]} | more)


def known(thing: LiveObject, name: str, **more: Any) -> Record:
    return record(thing, key("BlockDevice", name), **more)


def case(*live: LiveObject, manifests: list[dict[str, Any]], ledger: list[Record] | None = None, **more: Any) -> Case:
    """The target that every test has, and these; the ledger knows the former."""
    made = Case(manifests=manifests, live=[*base(), *live], **more)
    made.ledger = [*Case().view().owned.records, *(ledger or ())]
    made.owned = {"keys": {SOURCE: PRINT}} | made.owned
    return made


MIRROR = [disk_manifest("a"), disk_manifest("b"), array_manifest()]
MEMBERS = [known(disk("a"), "a"), known(disk("b"), "b")]


def test_a_crypto_device_waits_for_its_base_and_looks_at_it_right_before() -> None:
    """Guards against the device that waits for an absent base, which can be neither seen nor deleted."""
    found = case(manifests=[disk_manifest("a"), vault_manifest()]).plan()
    assert steps(found) == ["create bdev a", "create bdev vault"]
    made = found.steps[1]
    assert made.needs == (found.steps[0].id,)
    (guard,) = made.guards
    assert guard.key == disk("a").key
    assert guard.facts == {"claimed": False, "uuid": uuid_of("a")}


def test_a_base_that_something_else_has_carries_nothing_of_ours() -> None:
    """Guards the claimed base: nothing is stacked on what is in use."""
    found = case(disk("a", claimed=True), manifests=[disk_manifest("a"), vault_manifest()], ledger=MEMBERS[:1]).plan()
    assert steps(found) == []
    assert reasons(found)["vault"] == "DeviceNotReady"


@pytest.mark.parametrize("live", [True, False])
def test_a_key_that_did_not_write_the_bytes_is_refused(live: bool) -> None:  # noqa: FBT001  # a parameter
    """Guards WrongKey: nothing is made, nothing that runs is touched, and a person must look."""
    standing = [disk("a", claimed=live), *([vault()] if live else [])]
    situation = case(*standing, manifests=[disk_manifest("a"), vault_manifest()], ledger=MEMBERS[:1])
    situation.owned |= {"sealed": {vault().uuid or "": "fedcba9876543210"}}
    found = situation.plan()
    assert steps(found) == []
    assert [(r.reason, r.stalled) for r in found.remarks if r.resource.name == "vault"] == [("WrongKey", True)]


def test_a_crypto_device_with_a_key_of_somebody_else_is_not_ours() -> None:
    """Guards identity: a device under our name that another key decrypts is shown, and nothing is built on it."""
    live = [disk("a", claimed=True), vault(key_name="theirs")]
    found = case(*live, manifests=[disk_manifest("a"), vault_manifest()], ledger=MEMBERS[:1]).plan()
    assert steps(found) == []
    assert reasons(found)["vault"] == "TargetIdentityMismatch"


def test_a_base_stays_while_anything_is_stacked_on_it() -> None:
    """Guards against the crash behind it: a base, or a key, is never taken from under a device that stays."""
    live = [disk("a", claimed=True), vault()]
    ledger = [known(disk("a"), "a", reclaim="Delete"), known(vault(), "vault")]  # Retain
    found = case(*live, manifests=[], ledger=ledger).plan()
    assert steps(found) == []
    assert reasons(found) == {"a": "Retained", "vault": "Retained"}


def test_memory_stays_while_anything_is_stacked_on_it() -> None:
    """Guards consent: a Removal of memory destroys nothing that something else still shows."""
    memory = Bdev(name_of("a"), "malloc", uuid_of("a"), 64 * MIB, 4096, claimed=True)
    ledger = [known(memory, "a", reclaim="Delete"), known(vault(), "vault")]
    consent = removal("a", uuid_of("a"), kind="BlockDevice")
    found = case(memory, vault(), manifests=[consent], ledger=ledger).plan()
    assert steps(found) == []
    assert held(found) == {"delete bdev a": "DeviceInUse"}


def test_a_stack_goes_from_the_top() -> None:
    """Guards the order: the crypto device first, its base when it has been seen free."""
    live = [disk("a", claimed=True), vault()]
    ledger = [known(disk("a"), "a", reclaim="Delete"), known(vault(), "vault", reclaim="Delete")]
    found = case(*live, manifests=[], ledger=ledger).plan()
    assert steps(found) == ["delete bdev vault", "delete bdev a"]
    assert found.steps[1].needs == (found.steps[0].id,)
    assert found.steps[1].guards[0].facts["claimed"] is False


def test_an_array_is_made_of_members_that_are_seen_to_be_blank() -> None:
    """Guards bytes: a superblock overwrites the front of every member, so each is looked at, twice."""
    situation = case(disk("a"), disk("b"), manifests=MIRROR, ledger=MEMBERS)
    situation.blank = {name_of("a"): True, name_of("b"): True}
    found = situation.plan()
    assert steps(found) == ["create bdev array"]
    assert [guard.facts["blank"] for guard in found.steps[0].guards] == [True, True]
    situation.blank[name_of("b")] = None
    assert held(situation.plan()) == {"create bdev array": "BlankUnproven"}
    situation.blank[name_of("b")] = False
    (stopped,) = situation.plan().held
    assert (stopped.reason, stopped.approvable) == ("BlankUnproven", False)


@pytest.mark.parametrize("phase", [Phase.CREATED, Phase.RETAINED])
@pytest.mark.parametrize("replay", [True, False])
def test_an_array_that_was_made_is_never_made_again(phase: Phase, replay: bool) -> None:  # noqa: FBT001  # see above
    """Guards bytes: whatever is seen of its members, superblocks alone put an array together again."""
    ledger = [*MEMBERS, known(array("a", "b"), "array", phase=phase, replay=replay)]
    situation = case(disk("a"), disk("b"), manifests=MIRROR, ledger=ledger)
    situation.blank = {name_of("a"): True, name_of("b"): True}
    found = situation.plan()
    assert steps(found) == []
    assert reasons(found)["array"] == "RaidNotAssembled"


def test_an_array_that_could_not_be_looked_for_is_not_made() -> None:
    """Guards invariant 4: the list of arrays is one of its own, and may be refused."""
    situation = case(disk("a"), disk("b"), manifests=MIRROR, ledger=MEMBERS)
    situation.blank = {name_of("a"): True, name_of("b"): True}
    situation.gaps = (Gap(ObjectKind.BDEV, "raid", "refused"),)
    assert steps(situation.plan()) == []


def lost(*live: Bdev, ledger: list[Record] | None = None) -> Case:
    """A mirror that goes on without its first member."""
    whole = [*MEMBERS, known(array("a", "b"), "array")]
    things = live or (disk("a"), array("", "b"))
    return case(disk("b", claimed=True), *things, manifests=MIRROR, ledger=whole if ledger is None else ledger)


def test_a_lost_member_that_is_back_is_drift() -> None:
    """Guards re-adding: in its old place, while nothing else is rebuilt, and only when it is free."""
    found = lost().plan()
    assert steps(found) == ["update bdev array"]
    after = found.steps[0].change.after
    assert isinstance(after, Bdev)
    assert after.bases == (name_of("a"), name_of("b"))
    assert [guard.key for guard in found.steps[0].guards] == [array().key, disk("a").key]
    for standing in (
        [disk("a", claimed=True), array("", "b")],
        [disk("a"), array("", "b", rebuild=Rebuild("x", 7))],
    ):
        watched = lost(*standing).plan()
        assert steps(watched) == []
        assert [drift.action for drift in watched.drifts] == ["Held"]


def test_a_member_that_was_never_seen_in_the_array_is_not_written_over() -> None:
    """Guards bytes: a rebuild overwrites the member, so one that nobody knows in the array takes a person's word."""
    found = lost(ledger=[*MEMBERS, known(array("x", "b"), "array")]).plan()
    assert held(found) == {"update bdev array": "RaidMemberUnknown"}


def test_an_array_of_other_members_is_not_ours() -> None:
    """Guards identity: other members, or in another order where order counts, are other bytes."""
    live = [disk("a"), disk("b", claimed=True), array("x", "b")]
    found = case(*live, manifests=MIRROR, ledger=MEMBERS).plan()
    assert steps(found) == []
    assert reasons(found)["array"] == "TargetIdentityMismatch"
    stripe = array_manifest(level="raid0", superblock=False)
    live = [disk("a"), disk("b"), array("b", "a", level="raid0", superblock=False, strip_size=64)]
    found = case(*live, manifests=[*MIRROR[:2], stripe], ledger=MEMBERS).plan()
    assert steps(found) == []
    assert reasons(found)["array"] == "TargetIdentityMismatch"


def test_a_delay_device_comes_before_its_base_in_a_new_life() -> None:
    """Guards the pool on a delay device: what it carries would come up on the base, and stay there."""
    slow = Bdev(name_of("slow"), "delay", uuid_of("slow"), bases=(name_of("a"),))
    ledger = [known(disk("a"), "a", replay=True), known(slow, "slow", replay=True)]
    found = case(manifests=[disk_manifest("a"), device("slow", delay={"deviceRef": "a"})], ledger=ledger).plan()
    assert steps(found) == ["create bdev slow", "create bdev a"]
    assert found.steps[1].after == (found.steps[0].id,)


def test_what_a_target_cannot_do_is_said_before_it_fails() -> None:
    """Guards capability: nothing is sent that the target has no method for, and the lack is named."""
    view = case(manifests=[device("ring", uring={"path": "/srv/a.img", "blockSize": 4096})]).view()
    lacks = features.unsupported(frozenset({"bdev_get_bdevs"}), "SPDK v26.05")
    found = plan(replace(view, observed=replace(view.observed, unsupported=lacks)))
    assert steps(found) == []
    (item,) = found.held
    assert (item.reason, item.waiting) == ("NotSupported", False)
    assert "bdev_uring_create" in item.message
    assert "--with-uring" in item.message
    assert features.unsupported(None, "SPDK v26.05") == {}  # it does not tell: unknown is not absent


def test_referrals_that_nobody_speaks_of_are_left_alone() -> None:
    """Guards what is not ours: a list that is not declared is not complete."""
    theirs = Referral("TCP", "10.0.0.9", 8009, "nqn.2014-08.org.nvmexpress.discovery")
    assert steps(case(theirs, manifests=[]).plan()) == []
    declared = case(theirs, manifests=[], nodes=node("n1", FOLDER, referrals=[]))
    assert [step.change.before for step in declared.plan().steps] == [theirs]


def findings(*manifests: dict[str, Any]) -> set[str]:
    report = analyze(snapshot("r1", [*node("n1", FOLDER), *manifests], {}), as_of=date(2026, 11, 21))
    return {finding.rule for finding in report.findings}


def test_impossible_stacks_do_not_pass() -> None:
    """Guards the analyzer: circles, shared bases, and mirrors that could not tell a member that has fallen behind."""
    one, other = device("x", passthru={"deviceRef": "y"}), device("y", delay={"deviceRef": "x"})
    assert "reference-cycle" in findings(one, other)
    assert "reference-cycle" in findings(device("x", passthru={"deviceRef": "x"}))
    assert "device-used-twice" in findings(
        disk_manifest("a"), vault_manifest(), device("p", passthru={"deviceRef": "a"})
    )
    assert "invalid-resource" in findings(*MIRROR[:2], array_manifest(superblock=False))
    assert "invalid-resource" in findings(*MIRROR[:2], array_manifest(level="raid5f"))
    elsewhere = [node("n2", FOLDER)[0], disk_manifest("b") | {"spec": {"targetRef": "n2", "malloc": {"size": "64Mi"}}}]
    assert "cross-target-reference" in findings(*elsewhere, disk_manifest("a"), array_manifest())
    assert "device-opened-twice" in findings(disk_manifest("a"), device("z", uring={"path": "/srv/a.img"}))
    assert findings(*MIRROR) == set()


@pytest.mark.parametrize("path", sorted(IN_PLACE.values()))
def test_what_the_planner_changes_in_place_is_what_the_schema_says(path: str) -> None:
    """Guards the one table of transitions."""
    field = our_kinds()["BlockDevice"].field(tuple(path.split(".")))
    assert field is not None
    assert field.transition("change").update == "in-place"
