"""The planner by itself: what it proposes, what it holds back, and why."""

from __future__ import annotations

import json
import random  # noqa: TID251  # a test shuffles
from typing import Any

import pytest
from planned import shop
from planning import (
    MIB,
    POOL_NAME,
    STORE_UID,
    Case,
    base,
    disk,
    held,
    key,
    live_subsystem,
    lvol,
    marker,
    reasons,
    record,
    records,
    steps,
    store,
    uid_of,
)
from world import FOREVER, SITE, device_uuid, manifest, subsystem, volume

from backends.objects import Bdev, LvolStore, ObjectKind
from reconciler import identity
from reconciler.plan import Phase, plan_json
from reconciler.planner.view import Owned, Writer
from reconciler.policy import BUILT_IN


def test_the_plan_from_empty_builds_from_the_ground_up_and_opens_listeners_last() -> None:
    """Guards the order of creation: claim, device, pool, volume, subsystem, host, namespace, limits, listener."""
    case = shop(live=[], ledger=[], owned={"writer": Writer.UNCLAIMED})
    case.manifests[1] = volume("a", qos={"iops": 1000})

    found = case.plan()

    assert steps(found) == [
        "create bdev holdfast.owner",
        "create transport TCP",
        "create bdev n1-disk",
        "create lvolstore n1-pool",
        "create lvol n1-pool/a",
        "create lvol n1-pool/b",
        "create subsystem s",
        "create host s#host-web",
        "create namespace s#1",
        "create namespace s#2",
        "create qos n1-pool/a",
        "create listener s#TCP:127.0.0.2:4420",
    ]
    assert (found.held, found.approval_id) == ((), "")


def test_a_converged_target_needs_nothing() -> None:
    """Guards against false drift: what was applied and is there gives an empty plan."""
    found = shop().plan()
    assert (found.steps, found.held, found.drifts, found.remarks, found.forget) == ((), (), (), (), ())


def test_every_need_stands_before_what_needs_it() -> None:
    """Guards the total order over which the executor runs."""
    found = shop(live=[], ledger=[]).plan()
    place = {step.id: number for number, step in enumerate(found.steps)}
    assert all(place[need] < place[step.id] for step in found.steps for need in (*step.needs, *step.after))


def test_the_same_inputs_in_any_order_give_the_same_bytes() -> None:
    """Guards determinism: plan, ids and JSON do not follow the order of manifests, objects or records."""
    case = shop(live=[*base(), lvol("a"), *live_subsystem("s", {2: "b"}, ["db"])])
    first = json.dumps(plan_json(case.plan()))
    chance = random.Random(7)  # noqa: S311  # shuffles, nothing more
    for _ in range(5):
        for part in (case.manifests, case.live):
            chance.shuffle(part)
        case.ledger = sorted(records(*case.live), key=lambda _: chance.random())
        assert json.dumps(plan_json(case.plan())) == first


def test_a_file_that_is_open_under_another_name_is_not_opened_twice() -> None:
    """Guards against two writers on one file, which SPDK allows."""
    other = disk(name="somebody-elses", uuid=uid_of("x"))
    found = Case(live=[marker(), other], ledger=[]).plan()
    assert held(found)["create bdev n1-disk"] == "DeviceOpenedTwice"
    assert "create lvolstore n1-pool" not in steps(found)


@pytest.mark.parametrize("change", [{"uuid": uid_of("x")}, {"path": "/srv/other.img"}, {"driver": "malloc"}])
def test_a_device_that_is_another_one_stops_what_is_built_on_it(change: dict[str, Any]) -> None:
    """Guards identities: a device of our name with other bytes is never built upon."""
    found = Case([volume("a")], live=[marker(), disk(**change)], ledger=[]).plan()
    assert reasons(found)["n1-disk"] == "TargetIdentityMismatch"
    assert not any("lvol" in step for step in steps(found))


def test_what_only_a_restart_can_change_is_said_and_not_fought() -> None:
    """Guards RestartRequired for transports and devices."""
    case = Case(live=[*base()[:2], disk(fallocate=False), store()])
    case.nodes[0]["spec"]["transports"] = [{"type": "TCP", "maxQueueDepth": 64}]
    found = case.plan()
    assert (reasons(found)["n1"], reasons(found)["n1-disk"], steps(found)) == ("RestartRequired", "RestartRequired", [])


def empty_disk(**changes: Any) -> list[Any]:
    return [*base()[:2], disk(claimed=False, **changes)]


@pytest.mark.parametrize(
    ("live", "blank", "ledger", "consent", "reason"),
    [
        (empty_disk(), None, [], {}, "BlankUnproven"),
        (empty_disk(), False, [], {}, "BlankUnproven"),
        (empty_disk(), True, [], {"expires": "2026-11-20"}, "ConsentExpired"),
        (empty_disk(), True, [], {"sizeBytes": "1Gi"}, "DeviceMismatch"),
        (empty_disk(), True, [], {"deviceUUID": uid_of("x")}, "DeviceMismatch"),
        ([*base()[:2], disk(claimed=True)], True, [], {}, "DeviceInUse"),
        ([*base()[:3], store(name="lvs0")], True, [], {}, "DeviceCarriesPool"),
        (
            empty_disk(),
            True,
            [record(store(name="old"), key("StoragePool", "old"), Phase.RETAINED)],
            {},
            "PoolRecordExists",
        ),
        (empty_disk(), True, [record(store(), key("StoragePool", "n1-pool"), Phase.DESTROYED)], {}, "PoolRecordExists"),
    ],
)
def test_a_pool_is_created_only_with_every_proof(
    live: list[Any],
    blank: bool | None,  # noqa: FBT001  # a parameter of pytest's
    ledger: list[Any],
    consent: dict[str, Any],
    reason: str,
) -> None:
    """Guards the one act that can overwrite a populated store without SPDK asking."""
    case = Case([volume("a")], live, [*records(*live[:3]), *ledger], blank={disk().name: blank}, unchecked=True)
    case.nodes[2]["spec"]["initialize"] |= consent
    found = case.plan()
    assert reasons(found)["n1-pool"] == reason
    assert not any("create lvol" in step for step in steps(found))


def test_a_proven_blank_device_becomes_a_pool_once_with_guards() -> None:
    """Guards that the proof is asked for again right before the pool is created."""
    case = Case(live=empty_disk(), blank={disk().name: True})
    step = next(step for step in case.plan().steps if step.change.key.kind is ObjectKind.LVOL_STORE)
    assert dict(step.guards[0].facts) == {"uuid": device_uuid("n1"), "claimed": False, "size": 256 * MIB, "blank": True}


def test_an_unprovable_device_waits_for_a_person_and_a_dirty_one_for_a_wipe() -> None:
    """Guards that only ignorance can be approved away, never evidence of data."""
    case = Case(live=empty_disk(), blank={disk().name: None})
    name = case.plan().approval_id
    assert name
    case.owned["approvals"] = frozenset({name})
    assert "create lvolstore n1-pool" in steps(case.plan())
    assert Case(live=empty_disk(), blank={disk().name: False}).plan().approval_id == ""


def imported(uuid: str = STORE_UID) -> Case:
    case = Case([volume("a")])
    case.nodes[2]["spec"] = {"deviceRef": "n1-disk", "lvstoreUUID": uuid, "clusterSize": "4Mi"}
    return case


def test_an_imported_pool_is_loaded_or_missed_but_never_created() -> None:
    """Guards import: another uuid on the device, or none, is said aloud and nothing is made."""
    assert "create lvol n1-pool/a" in steps(imported().plan())
    other = imported(uid_of("x"))
    other.ledger = []
    assert reasons(other.plan())["n1-pool"] == "TargetIdentityMismatch"
    absent = imported()
    absent.live, absent.ledger = empty_disk(), records(*empty_disk())
    found = absent.plan()
    assert (reasons(found)["n1-pool"], reasons(found)["a"], steps(found)) == ("PoolNotFound", "PoolNotLoaded", [])


def standing(name: str = "a", **changes: Any) -> Case:
    return Case([volume(name)], [*base(), lvol(name, **changes)])


def test_lost_bytes_are_never_made_again_without_a_word() -> None:
    """Guards DataMissing: recorded as created, gone while its pool is loaded."""
    case = Case([volume("a"), subsystem("s", {1: "a"})], [*base(), *live_subsystem("s")])
    case.ledger = [*records(*case.live), record(lvol("a"), key("Volume", "a"))]
    found = case.plan()
    assert (steps(found), reasons(found)["a"]) == ([], "DataMissing")
    case.manifests[0] = volume("a", recreate=uid_of("a"))
    assert steps(case.plan()) == ["create lvol n1-pool/a", "create namespace s#1"]
    case.manifests[0] = volume("a", recreate=uid_of("other"))
    assert steps(case.plan()) == []


def test_destroyed_bytes_are_remembered() -> None:
    """Guards that a reverted Removal finds DataMissing instead of a blank disk."""
    case = Case([volume("a")])
    case.ledger = [*records(*case.live), record(lvol("a"), key("Volume", "a"), Phase.DESTROYED)]
    assert (steps(case.plan()), reasons(case.plan())["a"]) == ([], "DataMissing")


def test_an_unloaded_pool_makes_volumes_unknown_not_missing() -> None:
    """Guards that after a restart with a late disk nothing is created and nothing is called lost."""
    case = shop(live=[marker(), *live_subsystem("s", {}, ["web"])])
    case.ledger = records(*shop().live)
    found = case.plan()
    assert {reasons(found)[name] for name in ("a", "b", "n1-pool")} == {"PoolNotLoaded"}
    assert not any(" lvol " in step or " lvolstore " in step for step in steps(found))


def test_volumes_grow_and_never_shrink() -> None:
    """Guards resize: only up, compared in whole clusters, with the present size as a guard."""
    case = standing()
    case.manifests = [volume("a", size="9Mi")]
    step = case.plan().steps[0]
    assert (step.change.after.size, dict(step.guards[0].facts)) == (12 * MIB, {"uuid": uid_of("a"), "size": 8 * MIB})
    case.manifests = [volume("a", size="4Mi")]
    assert (steps(case.plan()), reasons(case.plan())["a"]) == ([], "KeptLarger")


def test_a_low_pool_makes_no_thin_volumes() -> None:
    """Guards PoolLow: the reserve stays for what is there already; thick volumes are checked by the target."""
    case = Case([volume("a")], [*base()[:3], store(free_clusters=3)])
    case.nodes[2]["spec"]["reserve"] = "10%"
    assert held(case.plan()) == {"create lvol n1-pool/a": "PoolLow"}
    case.manifests = [volume("a", thin=False)]
    assert steps(case.plan()) == ["create lvol n1-pool/a"]


def test_a_pool_that_gives_clusters_out_twice_is_shown_and_makes_no_thin_volumes() -> None:
    """Guards bytes in a store that SPDK has broken: it is said aloud, and nothing more is put there."""
    case = Case([volume("a")], [*base()[:3], store(shared_clusters=7)])
    assert held(case.plan()) == {"create lvol n1-pool/a": "PoolLow"}
    assert reasons(case.plan())["n1-pool"] == "PoolDamaged"


def test_the_same_volume_is_not_made_on_a_second_target() -> None:
    """Guards that a manifest which moves between pools never has two sets of bytes."""
    case = Case([volume("a")], owned={"elsewhere": {key("Volume", "a"): "n2"}})
    assert (steps(case.plan()), reasons(case.plan())["a"]) == ([], "RecordedElsewhere")


def test_an_unheard_create_is_taken_over_when_it_is_seen() -> None:
    """Guards crash recovery: `creating` in the ledger and there at the target means it is ours, under its uid."""
    case = standing()
    case.ledger = [*records(*base()), record(lvol("a"), key("Volume", "a"), Phase.CREATING, uid="")]
    found = case.plan()
    assert steps(found) == []
    assert [(r.phase, r.uid) for r in found.records if r.resource.name == "a"] == [(Phase.CREATED, uid_of("a"))]


def test_adopting_takes_over_and_never_creates() -> None:
    """Guards holdfast.dev/adopt for volumes and subsystems."""
    wish = [manifest("Volume", "a", {"poolRef": "n1-pool", "size": "8Mi", "thin": True}, "team", adopt="true")]
    there = Case(wish, [*base(), lvol("a", name="a")], records(*base()))
    assert f"{POOL_NAME}/a" in {record.key.name for record in there.plan().records}
    absent = Case([*wish, manifest("Subsystem", "s", subsystem("s", {})["spec"], "team", adopt="true")])
    assert (steps(absent.plan()), set(reasons(absent.plan()).values())) == ([], {"NothingToAdopt"})


def test_a_new_name_keeps_the_bytes() -> None:
    """Guards holdfast.dev/renamed-from: the record moves, the lvol stays."""
    case = standing()
    case.ledger = case._settled()
    case.manifests = [
        manifest("Volume", "z", {"poolRef": "n1-pool", "size": "8Mi", "thin": True}, "team", renamed_from="team/a")
    ]
    found = case.plan()
    assert steps(found) == []
    assert [(r.resource.name, r.uid) for r in found.records if r.uid == uid_of("a")] == [("z", uid_of("a"))]


def test_records_follow_what_is_seen_and_are_written_once() -> None:
    """Guards the ledger's notes: a converged target rewrites nothing, an adopted child is recorded."""
    case = shop()
    case.ledger = [item for item in case._settled() if item.key.kind is not ObjectKind.HOST]
    found = case.plan()
    assert [item.key.kind for item in found.records] == [ObjectKind.HOST]
    assert shop().plan().records == ()


def test_owned_defaults_are_harmless() -> None:
    """Guards that a planner asked with nothing but a site owns and approves nothing."""
    empty = Owned(SITE)
    assert (empty.records, empty.approvals, empty.policy, empty.recovering) == ((), frozenset(), BUILT_IN, False)


def test_every_device_and_store_name_is_ours_by_its_form() -> None:
    """Guards identities: names carry site and resource, fit SPDK's limit, and differ between sites."""
    long = key("Volume", "x" * 63)
    name = identity.object_name(SITE, long)
    assert len(name) <= identity.NAME_LIMIT
    assert identity.site_of(name) == identity.site_mark(SITE)
    assert identity.object_name("another", long) != name
    assert identity.site_of("lvs0") is None
    assert Bdev("x", "aio").key != LvolStore("x", "y").key
    assert FOREVER > "2026"
