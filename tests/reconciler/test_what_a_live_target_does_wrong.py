"""Each sequence that a live SPDK v26.05 target does not survive, or survives at the cost of bytes, by name.

Where another test proves that it cannot be planned, it is named, and must exist. The others are proven here.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import deleted, live, simulated
from live_world import KINDS
from planning import MIB, Case, base, disk, held, lvol, reasons, record, records, steps
from planning import key as resource
from stacking import KEY, bdevs, device, file, pool
from world import NQN, World, manifest, removal, subsystem, volume, world

from backends.contract import Action
from backends.objects import Bdev, ObjectKey, ObjectKind
from backends.spdk.features import NEEDED, allowlist
from reconciler.executor import IN_FLIGHT
from reconciler.plan import Phase
from reconciler.planner.view import Doubt
from reconciler.reconcile import Verdict
from schemas.quantity import LARGEST, parse_bytes

TESTS = Path(__file__).parents[1]
ELSEWHERE = {
    "an image is deleted under its clones": "test_an_image_is_not_let_go_under_its_clones",
    "an lvol is deleted while something works on its blob": "test_what_a_request_touches_is_in_doubt_with_it",
    "what lies on each other is worked on at once": "test_what_lies_on_each_other_is_worked_on_one_at_a_time",
    "an lvol that was busy comes back after its deletion": "test_bytes_that_were_said_to_be_destroyed_and_are_there",
    "an unexported lvol is shrunk": "test_an_lvol_never_shrinks",
    "a late grow shrinks what was grown further": "test_a_late_grow_never_shrinks",
    "a snapshot with clones is deleted or merged away": "test_a_snapshot_that_has_clones_is_never_deleted",
    "a merge forgets what was grown since": "test_a_snapshot_of_a_volume_that_has_grown_is_kept",
    "a populated store is overwritten by another": "test_a_store_is_not_made_over_one_that_is_loading",
    "two stores are made on one device at once": "test_only_one_of_two_takes_a_device",
    "a namespace vanishes with its bdev and stays away": "test_a_namespace_that_was_removed_frees_its_bdev",
    "limits are changed on a bdev that nobody has open": "test_limits_are_set_on_exported_volumes_only_and_all_at_once",
    "a crypto, passthru or delay device waits unseen for its base": "test_a_stack_is_taken_down_from_the_top",
    "a raid is made over what its members hold": "test_a_mirror_is_not_made_of_devices_that_hold_something",
    "any key is taken, and shows noise": "test_another_key_is_refused_before_anything_is_decrypted_with_it",
    "an answer beyond 32 MiB is cut off": "test_an_answer_that_was_cut_off_at_32_mib_is_an_error",
    "a request runs on when its client is gone": "test_what_lands_late_meets_nobody_unprepared",
    "a thin pool runs full": "test_a_pool_below_its_reserve_takes_no_snapshots_and_makes_no_clones",
    "a deleted lvol is readable in the next": "test_bad",
    "a clone stays degraded without the uuid of its image": "test_a_renamed_image_is_known_to_its_clones",
    "a key in use is taken out of the ring": "test_a_withdrawn_key_is_taken_from_the_host_first",
    "a saved configuration hides a restart": "test_a_saved_configuration_does_not_hide_a_restart",
}
NEVER_ASKED = (
    "bdev_lvol_start_shallow_copy",  # its end is told once, and never again
    "bdev_lvol_rename",  # of a read-only lvol: refused, and half done
    "bdev_lvol_set_parent",
    "nvmf_delete_target",  # never answers
    "nvmf_set_max_subsystems",
    "bdev_lvol_rename_lvstore",
)


@pytest.fixture
def site() -> Iterator[World]:
    with world() as made:
        yield made


@functools.cache
def defined() -> frozenset[str]:
    """The name of every test."""
    texts = (path.read_text("utf-8") for path in TESTS.rglob("test_*.py"))
    return frozenset(name for text in texts for name in re.findall(r"^ *def (test_\w+)", text, re.MULTILINE))


@pytest.mark.parametrize("case", ELSEWHERE)
def test_it_is_proven_elsewhere(case: str) -> None:
    """Guards this list: the test that it names is there, wherever it stands by now."""
    assert ELSEWHERE[case] in defined()


@pytest.mark.parametrize("method", NEVER_ASKED)
def test_it_is_never_asked(method: str) -> None:
    """Guards against what has no safe way to be asked: no feature of ours needs it."""
    assert method not in allowlist(NEEDED)


# --- deaths


@pytest.mark.parametrize("other", ["create", "snapshot"])
def test_a_store_is_not_deleted_beside_a_request_that_may_be_at_work_in_it(other: str) -> None:
    """Guards crash 1: bdev_lvol_delete_lvstore with a create or snapshot in the same store in flight."""
    pool_record = record(base()[-1], resource("StoragePool", "n1-pool"), Phase.RETAINED)
    lost = ObjectKey(ObjectKind.LVOL, f"{pool_record.key.name}/hf-late")
    manifests = [removal("n1-pool", pool_record.uid, kind="StoragePool")]
    case = Case(manifests, base(), [record(disk(), resource("BlockDevice", "n1-disk")), pool_record])
    case.nodes = case.nodes[:2]
    assert any(step.startswith("delete lvolstore") for step in steps(case.plan()))
    case.owned = {"quarantined": {lost: Doubt(Action.CREATE, {"snapshot_of": "x"} if other == "snapshot" else {}, 0.0)}}
    assert "OutcomeUnknown" in held(case.plan()).values()
    assert not any(step.startswith("delete lvolstore") for step in steps(case.plan()))


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_stays_while_a_device_may_still_wait_with_it(kind: str) -> None:
    """Guards crash 3: a crypto device whose base went is unseen, and comes back with its key, destroyed or not."""
    started = simulated() if kind == "simulated" else live(Path(os.environ["SPDK_TGT"]))
    with started as lab:
        lab.disk()
        lab.attach()
        halves = {"key": KEY[:32], "key2": KEY[32:]}
        lab.call("accel_crypto_key_create", name="k", cipher="AES_XTS", **halves)
        lab.call("bdev_crypto_create", base_bdev_name="disk", name="vault", key_name="k")
        vault = lab.live(ObjectKey(ObjectKind.BDEV, "vault"))
        assert vault
        lab.call("bdev_aio_delete", name="disk")
        assert lab.apply(deleted(vault)).error is None
        lab.attach()
        assert lab.live(vault.key) is not None


@pytest.mark.parametrize("driver", ["passthru", "delay"])
@pytest.mark.parametrize("what", ["name", "alias", "uuid"])
def test_no_device_takes_the_name_of_an_lvol(site: World, driver: str, what: str) -> None:
    """Guards against a passthru whose name or uuid is taken, at which the target dies."""
    site.commit(volume("a"), file(site, "b"))
    site.converge()
    uid = site.uid("a")
    alias = next(b["aliases"][0] for b in site.call("bdev_get_bdevs") if b["uuid"] == uid)
    named = {"name": {"bdevName": uid}, "alias": {"bdevName": alias}, "uuid": {"uuid": uid}}[what]
    site.push([*site.nodes(), volume("a"), file(site, "b"), device("x", **{driver: {"deviceRef": "b"}}, **named)])
    tick = site.converge()
    assert site.simulators["n1"].died is None
    assert "NameTaken" in site.reasons(tick)


def test_an_array_is_no_member_of_itself(site: World) -> None:
    """Guards against a rebuild that never ends."""
    report = site.push([*site.nodes(), file(site, "a"), device("x", raid={"level": "raid1", "members": ["a", "x"]})])
    assert "reference-cycle" in {finding.rule for finding in report.findings if report.blocks}


def test_blocks_do_not_change_under_a_store(site: World) -> None:
    """Guards against an examination that never ends: 512-byte blocks brought back as 4096."""
    grown = "77777777-0000-4000-8000-000000000002"
    small = file(site, "a", uuid=grown)
    small["spec"]["aio"]["blockSize"] = 512
    site.commit(small, pool("a", grown, 64 * MIB))
    assert site.converge().verdict is Verdict.CONVERGED
    large = file(site, "a", uuid=grown)
    site.push([*site.nodes(), large, pool("a", grown, 64 * MIB)], unchecked=True)
    site.converge()
    site.restart_target()
    tick = site.converge()
    assert "TargetIdentityMismatch" in site.reasons(tick)
    assert "a" not in bdevs(site)


# --- bytes


def test_sizes_do_not_wrap() -> None:
    """Guards against size_in_mib × 2^20 modulo 2^64: 2^44 + 5 made 5 MiB."""
    assert parse_bytes(LARGEST) + (1 << 20) < 1 << 64
    with pytest.raises(ValueError, match="no device can have"):
        parse_bytes(str((2**44 + 5) * MIB))


def test_a_store_with_anybodys_lvol_in_it_is_kept() -> None:
    """Guards against bdev_lvol_delete_lvstore, which deletes all lvols in it without asking."""
    live = [*base(), lvol("x", name="somebodys")]
    store_record = record(base()[-1], resource("StoragePool", "n1-pool"), Phase.RETAINED)
    case = Case([removal("n1-pool", store_record.uid, kind="StoragePool")], live)
    case.ledger = [record(disk(), resource("BlockDevice", "n1-disk")), store_record]
    case.nodes = case.nodes[:2]
    assert "PoolNotEmpty" in held(case.plan()).values()


def test_an_exported_lvol_is_not_deleted_under_a_foreign_namespace(site: World) -> None:
    """Guards against an exported lvol's deletion, at which its namespace silently vanishes."""
    site.commit(volume("a", reclaimPolicy="Delete"))
    site.converge()
    uid = site.uid("a")
    site.call("nvmf_create_subsystem", {"nqn": f"{NQN}theirs"})
    site.call("nvmf_subsystem_add_ns", {"nqn": f"{NQN}theirs", "namespace": {"bdev_name": uid}})
    site.commit(removal("a", uid))
    tick = site.converge()
    assert "StillExported" in site.reasons(tick)
    assert uid in site.lvols().values()


def test_a_file_is_not_opened_twice(site: World) -> None:
    """Guards against the same AIO file under two names, which SPDK allows: two writers."""
    path = str(site.disk("n1"))
    site.call("bdev_aio_create", {"name": "theirs", "filename": path, "block_size": 4096})
    site.commit()
    tick = site.converge()
    assert "DeviceOpenedTwice" in site.reasons(tick)
    assert len([b for b in site.call("bdev_get_bdevs") if b["product_name"] == "AIO disk"]) == 1


def test_a_device_goes_only_when_its_store_is_unused(site: World) -> None:
    """Guards against deleting the device under a store, at which the store and its exports are gone."""
    site.commit(volume("a"), subsystem("s", {1: "a"}))
    site.converge()
    target, *_ = site.nodes()
    site.push([target], unchecked=True)
    site.converge()
    assert any(b["product_name"] == "AIO disk" for b in site.call("bdev_get_bdevs"))


def test_no_more_is_in_flight_than_a_store_bears() -> None:
    """Guards against 512 operations on one store, beyond which they fail."""
    assert IN_FLIGHT <= 256


def test_a_base_is_there_before_what_stands_on_it() -> None:
    """Guards against crypto, passthru, delay and raid devices that are made on nothing, and wait unseen."""
    slow = manifest("BlockDevice", "slow", {"targetRef": "n1", "delay": {"deviceRef": "n1-disk"}})
    live = [thing for thing in base() if not isinstance(thing, Bdev) or thing.driver == "null"]
    case = Case([slow], live, records(*live), unchecked=True)
    case.nodes = case.nodes[:2]
    made = [step.change for step in case.plan().steps]
    places = {change.key.name.rpartition("-")[2]: place for place, change in enumerate(made)}
    assert places["disk"] < places["slow"]
    assert reasons(case.plan()).get("slow") is None
