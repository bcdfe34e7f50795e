"""Applying one change: every kind created, changed and deleted, twice; refused, lost, guarded, and never too much."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import TypeAlias

import pytest
from lab import DISK_UUID, MIB, NQN, LiveLab, SimulatedLab, created, deleted, free_port, guard, simulated, updated
from peers import Moments, Script, line, refusal

from backends.contract import (
    Action,
    AllowedHost,
    Applied,
    BackendError,
    Bdev,
    Change,
    Guard,
    GuardMismatch,
    Latency,
    Listener,
    LiveObject,
    Lvol,
    LvolStore,
    Namespace,
    NvmePath,
    ObjectKey,
    ObjectKind,
    Observed,
    Provisioning,
    Qos,
    QosLimits,
    Referral,
    Subsystem,
    Terminal,
    Transient,
    Transport,
    Unknown,
    VisibleHost,
    fields_of,
    provisioning_of,
)
from backends.spdk.backend import SpdkBackend
from backends.spdk.simulator import DropAfter, DropBefore, Fault, Hold, Refuse

Target: TypeAlias = "SimulatedLab | LiveLab"
S = f"{NQN}s"
HOST = f"{NQN}host"
OTHER_UUID = "44444444-4444-4444-8444-444444444444"


def state(seen: Observed) -> dict[ObjectKey, tuple[LiveObject, QosLimits | None]]:
    """All there is, with limits, which are compared nowhere else."""
    return {key: (thing, getattr(thing, "limits", None)) for key, thing in seen.objects.items()}


def shows(live: LiveObject | None, wanted: LiveObject) -> bool:
    """Whether a live object has every declared value that can be read back."""
    have, want = fields_of(live), fields_of(wanted)
    for unseen in ("clear_method", "snapshot_of", "clone_of"):
        want.pop(unseen, None)
    return want.items() <= have.items()


# --- what can be created: the ground it stands on, and the object

Case: TypeAlias = "Callable[[Target], LiveObject]"


def a_transport(_: Target) -> LiveObject:
    return Transport("TCP", max_queue_depth=64, max_io_qpairs_per_ctrlr=100, in_capsule_data_size=8192)


def an_aio_device(target: Target) -> LiveObject:
    return target.disk(fallocate=True)


def a_memory_device(_: Target) -> LiveObject:
    return Bdev("memory", "malloc", OTHER_UUID, MIB, 4096)


def a_null_device(_: Target) -> LiveObject:
    return Bdev("null", "null", OTHER_UUID, 8 * MIB, 512)


def a_store(target: Target) -> LiveObject:
    target.make(target.disk())
    return LvolStore("pool", "disk", cluster_size=MIB, clear_method="write_zeroes")


def a_thin_lvol(target: Target) -> LiveObject:
    target.pool()
    return Lvol("pool", "v", size=4 * MIB, thin=True)


def a_thick_lvol(target: Target) -> LiveObject:
    target.pool()
    return Lvol("pool", "v", size=4 * MIB, thin=False, clear_method="write_zeroes")


def a_subsystem(_: Target) -> LiveObject:
    return Subsystem(S, "SERIAL", "Model", 16, 5, 500)


def an_open_subsystem(_: Target) -> LiveObject:
    return Subsystem(S, allow_any_host=True)


def a_host(target: Target) -> LiveObject:
    return AllowedHost(target.export("s"), HOST)


def a_key(target: Target) -> LiveObject:
    return target.key("k1")


def a_host_that_proves_itself(target: Target) -> LiveObject:
    target.make(target.key("k1"), target.key("k2"))
    return AllowedHost(target.export("s"), HOST, "k1", "k2")


def a_namespace(target: Target) -> LiveObject:
    target.pool()
    uuid = target.lvol("v").uuid or ""
    return Namespace(target.export("s"), 3, uuid, uuid, uuid.replace("-", "").upper())


def a_renamed_namespace(target: Target) -> LiveObject:
    target.make(Bdev("null", "null", OTHER_UUID, MIB, 512))
    return Namespace(target.export("s"), 1, OTHER_UUID, DISK_UUID, "A" * 32)


def a_masked_namespace(target: Target) -> LiveObject:
    target.make(Bdev("null", "null", OTHER_UUID, MIB, 512))
    return Namespace(target.export("s"), 1, OTHER_UUID, OTHER_UUID, masked=True)


def a_visible_host(target: Target) -> LiveObject:
    namespace = a_masked_namespace(target)
    target.make(namespace)
    return VisibleHost(S, 1, HOST)


def limits(target: Target) -> LiveObject:
    target.pool()
    target.lvol("v")
    target.export("s", n1="pool/v")
    return Qos("pool/v", QosLimits(2000, 1, 2, 3))


def a_listener(target: Target) -> LiveObject:
    target.make(Transport("TCP"))
    return Listener(target.export("s"), "TCP", "127.0.0.1", free_port())


def a_device_on_a_file_with_uring(target: Target) -> LiveObject:
    disk = target.disk()
    return Bdev("disk", "uring", disk.uuid, disk.size, disk.block_size, disk.path)


def a_passthru_device(target: Target) -> LiveObject:
    target.make(target.disk())
    return Bdev("above", "passthru", OTHER_UUID, bases=("disk",))


def a_delay_device(target: Target) -> LiveObject:
    target.make(target.disk())
    return Bdev("above", "delay", OTHER_UUID, bases=("disk",), latency=Latency(1, 2, 3, 4))


def a_mirror(target: Target) -> LiveObject:
    target.make(target.disk("a", uuid=None), target.disk("b", uuid=None))
    return Bdev("mirror", "raid", OTHER_UUID, bases=("a", "b"), level="raid1", superblock=False)


def a_path(target: Target) -> LiveObject:
    target.poll()
    target.make(Transport("TCP"), Bdev("null", "null", OTHER_UUID, MIB, 512))
    subsystem = target.export("s")
    way = Listener(subsystem, "TCP", "127.0.0.1", free_port())
    target.make(Namespace(subsystem, 1, OTHER_UUID, DISK_UUID), way)
    target.call("nvmf_subsystem_allow_any_host", nqn=subsystem, allow_any_host=True)
    return NvmePath("far", "TCP", way.address, way.port, subsystem)


def a_referral(_: Target) -> LiveObject:
    return Referral("TCP", "10.0.0.12", 8009, S)


def a_snapshot(target: Target) -> LiveObject:
    target.pool()
    target.lvol("v")
    return Lvol("pool", "snap", snapshot_of="pool/v")


def a_clone(target: Target) -> LiveObject:
    target.make(a_snapshot(target))
    return Lvol("pool", "clone", clone_of="pool/snap")


STATELESS: Mapping[str, Case] = {
    case.__name__: case
    for case in (
        a_transport,
        an_aio_device,
        a_memory_device,
        a_null_device,
        a_subsystem,
        an_open_subsystem,
        a_host,
        a_key,
        a_host_that_proves_itself,
        a_namespace,
        a_renamed_namespace,
        a_masked_namespace,
        a_visible_host,
        limits,
        a_listener,
        a_device_on_a_file_with_uring,
        a_passthru_device,
        a_delay_device,
        a_mirror,
        a_path,
        a_referral,
    )
}
BEARS_DATA: Mapping[str, Case] = {
    case.__name__: case for case in (a_store, a_thin_lvol, a_thick_lvol, a_snapshot, a_clone)
}
CASES: Mapping[str, Case] = {**STATELESS, **BEARS_DATA}
DELETED = [name for name in CASES if name not in ("a_transport", "limits")]


def live_of(target: Target, wanted: LiveObject) -> LiveObject | None:
    """The object as it is; limits are those of what they limit."""
    if isinstance(wanted, Provisioning):
        lvol = target.live(ObjectKey(ObjectKind.LVOL, wanted.lvol))
        return provisioning_of(lvol) if isinstance(lvol, Lvol) else None
    if not isinstance(wanted, Qos):
        return target.live(wanted.key)
    lvol = target.live(ObjectKey(ObjectKind.LVOL, wanted.bdev))
    return Qos(wanted.bdev, lvol.limits) if isinstance(lvol, Lvol) and lvol.limits else None


def test_every_kind_has_a_case() -> None:
    """Guards that a new kind of object is tested here."""
    kinds = set()
    for case in CASES.values():
        with simulated() as lab:
            kinds.add(case(lab).key.kind)
    assert kinds == set(ObjectKind) - {ObjectKind.PROVISIONING}  # which is only ever changed


@pytest.mark.parametrize("name", CASES)
def test_created_as_declared(target: Target, name: str) -> None:
    """Guards that every value that was declared is there, and that only what bears data is given a uid."""
    wanted = CASES[name](target)
    applied = target.apply(created(wanted))
    assert applied.error is None
    live = live_of(target, wanted)
    assert shows(live, wanted)
    assert applied.uid == (fields_of(live)["uuid"] if name in BEARS_DATA else None)


@pytest.mark.parametrize("name", STATELESS)
def test_created_twice_is_created_once(target: Target, name: str) -> None:
    """Guards that creating what is there already is done, by looking, and leaves everything as it is."""
    wanted = CASES[name](target)
    target.make(wanted)
    before = state(target.observe())
    assert target.apply(created(wanted)).error is None
    assert state(target.observe()) == before


@pytest.mark.parametrize("name", BEARS_DATA)
def test_bytes_that_were_there_before_are_not_what_was_created(target: Target, name: str) -> None:
    """Guards created-at-most-once: a store or lvol of the same name may hold other bytes, and is left as it is."""
    wanted = CASES[name](target)
    target.make(wanted)
    before = state(target.observe())
    applied = target.apply(created(wanted))
    assert isinstance(applied.error, Transient)
    assert applied.uid is None
    assert state(target.observe()) == before


@pytest.mark.parametrize("name", DELETED)
def test_deleted_and_deleted_again(target: Target, name: str) -> None:
    """Guards that a deleted object is gone and nothing else is, and that deleting it once more is done."""
    wanted = CASES[name](target)
    before = state(target.observe())
    target.make(wanted)
    live = live_of(target, wanted)
    assert live is not None
    assert target.apply(deleted(live)).error is None
    assert state(target.observe()) == before
    assert target.apply(deleted(live)).error is None
    assert state(target.observe()) == before


@pytest.mark.parametrize("name", ["a_host", "a_namespace", "a_visible_host", "a_listener"])
def test_deleted_with_its_subsystem(target: Target, name: str) -> None:
    """Guards that what went with its subsystem is gone, although the target refuses to tell of a subsystem unknown."""
    wanted = CASES[name](target)
    target.make(wanted)
    live = live_of(target, wanted)
    assert live is not None
    target.call("nvmf_delete_subsystem", nqn=S)
    assert target.apply(deleted(live)).error is None


# --- changing in place


def a_grown_lvol(target: Target) -> tuple[LiveObject, LiveObject]:
    target.pool()
    before = target.lvol("v", 4)
    return before, dataclasses.replace(before, size=8 * MIB)


def an_exported_lvol_that_grows(target: Target) -> tuple[LiveObject, LiveObject]:
    before, after = a_grown_lvol(target)
    target.export("s", n1="pool/v")
    return before, after


def a_device_whose_file_grew(target: Target) -> tuple[LiveObject, LiveObject]:
    before = target.disk()
    target.make(before)
    os.truncate(str(before.path), 128 * MIB)
    return before, dataclasses.replace(before, size=128 * MIB)


def latencies_that_change(target: Target) -> tuple[LiveObject, LiveObject]:
    a_delay = a_delay_device(target)
    target.make(a_delay)
    before = target.live(a_delay.key)
    assert isinstance(before, Bdev)
    return before, dataclasses.replace(before, latency=Latency(2, 2, 3, 4))


def a_namespace_that_moves_to_another_group(target: Target) -> tuple[LiveObject, LiveObject]:
    target.make(Bdev("null", "null", OTHER_UUID, MIB, 512), Subsystem(S, ana_reporting=True))
    before = Namespace(S, 1, OTHER_UUID, OTHER_UUID, anagrpid=2)
    target.make(before)
    return before, dataclasses.replace(before, anagrpid=3)


def a_subsystem_that_opens(target: Target) -> tuple[LiveObject, LiveObject]:
    before = target.live(ObjectKey(ObjectKind.SUBSYSTEM, target.export("s")))
    assert isinstance(before, Subsystem)
    return before, dataclasses.replace(before, allow_any_host=True)


def a_subsystem_that_closes(target: Target) -> tuple[LiveObject, LiveObject]:
    before, after = a_subsystem_that_opens(target)
    target.call("nvmf_subsystem_allow_any_host", nqn=S, allow_any_host=True)
    return after, before


def limits_that_change(target: Target) -> tuple[LiveObject, LiveObject]:
    before = limits(target)
    target.make(before)
    return before, Qos("pool/v", QosLimits(3000, 0, 0, 9))


def a_clone_that_is_inflated(target: Target) -> tuple[LiveObject, LiveObject]:
    before = provisioned(target, a_clone(target))
    return before, dataclasses.replace(before, thin=False, alone=None)


def a_clone_that_is_detached(target: Target) -> tuple[LiveObject, LiveObject]:
    before = provisioned(target, a_clone(target))
    return before, dataclasses.replace(before, thin=None, alone=True)


def provisioned(target: Target, lvol: LiveObject) -> Provisioning:
    target.make(lvol)
    live = target.live(lvol.key)
    assert isinstance(live, Lvol)
    return provisioning_of(live)


UPDATES: Mapping[str, Callable[[Target], tuple[LiveObject, LiveObject]]] = {
    case.__name__: case
    for case in (
        a_grown_lvol,
        an_exported_lvol_that_grows,
        a_device_whose_file_grew,
        latencies_that_change,
        a_namespace_that_moves_to_another_group,
        a_subsystem_that_opens,
        a_subsystem_that_closes,
        limits_that_change,
        a_clone_that_is_inflated,
        a_clone_that_is_detached,
    )
}


@pytest.mark.parametrize("name", UPDATES)
def test_changed_in_place_twice(target: Target, name: str) -> None:
    """Guards that a change in place is made, keeps everything else, and is the same when made again."""
    before, after = UPDATES[name](target)
    assert target.apply(updated(before, after)).error is None
    assert shows(live_of(target, after), after)
    first = state(target.observe())
    assert target.apply(updated(before, after)).error is None
    assert state(target.observe()) == first


def test_all_four_limits_are_sent(target: Target) -> None:
    """Guards that a limit which somebody else set is lifted, because the target keeps what is not named."""
    wanted = limits(target)
    target.call(
        "bdev_set_qos_limit",
        name="pool/v",
        rw_ios_per_sec=9000,
        rw_mbytes_per_sec=9,
        r_mbytes_per_sec=8,
        w_mbytes_per_sec=7,
    )
    for change in (
        updated(wanted, Qos("pool/v", QosLimits(iops=1000))),
        created(Qos("pool/v", QosLimits(write_mbps=2))),
        updated(wanted, Qos("pool/v", QosLimits())),
    ):
        assert target.apply(change).error is None
        assert live_of(target, wanted) == change.after


# --- never


def test_a_namespace_that_everybody_sees_is_not_taken_for_a_masked_one(target: Target) -> None:
    """Guards who sees a namespace that is there already: a refusal to make it anew is no success."""
    wanted = a_masked_namespace(target)
    target.call("nvmf_subsystem_add_ns", nqn=S, namespace={"nsid": 1, "bdev_name": "null", "uuid": OTHER_UUID})
    assert isinstance(target.apply(created(wanted)).error, BackendError)


def test_a_clone_that_has_outgrown_its_snapshot_is_not_detached(target: Target) -> None:
    """Guards against a read beyond the target's own list of clusters (v26.05 takes clusters by chance then)."""
    before, after = a_clone_that_is_detached(target)
    target.call("bdev_lvol_resize", name="pool/clone", size_in_mib=16)
    assert isinstance(target.apply(updated(before, after)).error, GuardMismatch)
    assert provisioned_still(target, "pool/clone")


def provisioned_still(target: Target, alias: str) -> bool:
    """Whether an lvol still lies on something."""
    live = target.live(ObjectKey(ObjectKind.LVOL, alias))
    return isinstance(live, Lvol) and live.parent is not None


def test_an_lvol_never_shrinks(target: Target) -> None:
    """Guards the request that destroys bytes without asking, also when the size that was known is out of date."""
    target.pool()
    small = target.lvol("v", 4)
    target.call("bdev_lvol_resize", name="pool/v", size_in_mib=16)
    large = target.live(small.key)
    assert isinstance(large, Lvol)
    assert isinstance(target.apply(updated(large, small)).error, Terminal)
    assert isinstance(target.apply(updated(small, dataclasses.replace(small, size=0))).error, Terminal)
    assert target.apply(updated(small, dataclasses.replace(small, size=8 * MIB))).error is None
    assert target.live(small.key) == large


def test_an_lvol_that_is_another_now_does_not_grow(target: Target) -> None:
    """Guards that a size is changed of exactly the bytes that were meant: an lvol goes by uuid, not by name."""
    target.pool()
    old = target.lvol("v", 4)
    target.call("bdev_lvol_delete", name="pool/v")
    new = target.lvol("v", 4)
    assert isinstance(target.apply(updated(old, dataclasses.replace(old, size=8 * MIB))).error, BackendError)
    assert target.live(new.key) == new
    assert target.apply(deleted(old)).error is None
    assert target.live(new.key) == new


def test_a_store_is_not_made_over_one_that_is_loaded(target: Target) -> None:
    """Guards the store on a device, under whatever name the new one is asked for."""
    target.pool()
    target.lvol("v")
    before = state(target.observe())
    for name in ("pool", "other"):
        assert isinstance(target.apply(created(LvolStore(name, "disk"))).error, Transient)
    assert state(target.observe()) == before


def test_a_store_is_not_made_over_one_that_is_loading(target: Target) -> None:
    """Guards the store on a device that is examined still: the target would overwrite it (observed on v26.05)."""
    store = target.pool()
    lvol = target.lvol("v")
    target.backend.close()
    target.restart()
    disk = Bdev("disk", "aio", path=str(target.folder / "disk.img"), block_size=4096)
    tickets = [target.backend.begin(created(thing), ()) for thing in (disk, LvolStore("other", "disk"))]
    ended = {applied.ticket: applied.error for applied in target.ended(2)}
    assert ended[tickets[0]] is None
    assert isinstance(ended[tickets[1]], Transient)
    assert (target.live(store.key), target.live(lvol.key)) == (store, lvol)


def test_a_store_is_not_made_before_everything_was_examined(lab: SimulatedLab) -> None:
    """Guards the barrier itself: where it cannot be passed, not even a blank device gets a store."""
    lab.make(lab.disk())
    lab.simulator.before("bdev_wait_for_examine", lambda *_: Refuse(-12, "Cannot allocate memory"))
    before = lab.mutations
    assert isinstance(lab.apply(created(LvolStore("pool", "disk"))).error, Transient)
    assert lab.mutations == before


IMPOSSIBLE: Mapping[str, Change] = {
    "a transport is deleted": deleted(Transport("TCP")),
    "a transport is changed": updated(Transport("TCP", 128), Transport("TCP", 64)),
    "limits are deleted": deleted(Qos("pool/v", QosLimits(1000))),
    "a device of no known driver": created(Bdev("x", "raid", size=MIB)),
    "a file device without a path": created(Bdev("x", "aio", size=MIB)),
    "a memory device without a size": created(Bdev("x", "malloc")),
    "an lvol without a size": created(Lvol("pool", "v")),
    "an lvol without a uuid is deleted": deleted(Lvol("pool", "v")),
    "a store without a uuid is deleted": deleted(LvolStore("pool", "disk")),
    "a store is changed": updated(LvolStore("pool", "a", DISK_UUID), LvolStore("pool", "b", DISK_UUID)),
    "an lvol becomes thick": updated(
        Lvol("pool", "v", DISK_UUID, MIB, thin=True), Lvol("pool", "v", DISK_UUID, 2 * MIB, thin=False)
    ),
    "a subsystem gets another serial number": updated(Subsystem(S, "A"), Subsystem(S, "B", allow_any_host=True)),
    "a namespace is changed": updated(Namespace(S, 1, "a"), Namespace(S, 1, "b")),
    "a listener is changed": updated(Listener(S, "TCP", "127.0.0.1", 1), Listener(S, "TCP", "127.0.0.1", 2)),
    "a host is changed": updated(AllowedHost(S, "a"), AllowedHost(S, "b")),
    "a device is changed": updated(Bdev("x", "null", size=MIB), Bdev("x", "null", size=2 * MIB)),
    "nothing is created": Change(Action.CREATE, Subsystem(S).key, None, None),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_cannot_be_done_is_said_and_nothing_is_sent(lab: SimulatedLab, name: str) -> None:
    """Guards that a change for which there is no safe request is Terminal before anything went out."""
    applied = lab.apply(IMPOSSIBLE[name])
    assert isinstance(applied.error, Terminal)
    assert lab.mutations == []


# --- refused


def _missing_file(target: Target) -> LiveObject:
    return Bdev("disk", "aio", path=str(target.folder / "missing"), block_size=4096)


def _odd_blocks(_: Target) -> LiveObject:
    return Bdev("memory", "malloc", size=MIB, block_size=100)


def _other_device(target: Target) -> LiveObject:
    target.make(Bdev("memory", "malloc", OTHER_UUID, MIB, 512))
    return Bdev("memory", "malloc", OTHER_UUID, 2 * MIB, 512)


def _other_driver(target: Target) -> LiveObject:
    target.make(Bdev("memory", "malloc", size=MIB, block_size=512))
    return Bdev("memory", "null", size=MIB, block_size=512)


def _store_without_device(_: Target) -> LiveObject:
    return LvolStore("pool", "gone")


def _lvol_without_store(_: Target) -> LiveObject:
    return Lvol("gone", "v", size=MIB)


def _thick_lvol_too_large(target: Target) -> LiveObject:
    target.pool()
    return Lvol("pool", "v", size=512 * MIB, thin=False)


def _other_subsystem(target: Target) -> LiveObject:
    target.export("s")
    return Subsystem(S, "OTHER")


def _no_nqn(_: Target) -> LiveObject:
    return Subsystem("not-an-nqn")


def _host_without_subsystem(_: Target) -> LiveObject:
    return AllowedHost(S, HOST)


def _namespace_without_bdev(target: Target) -> LiveObject:
    return Namespace(target.export("s"), 1, OTHER_UUID)


def _other_namespace(target: Target) -> LiveObject:
    target.make(Bdev("a", "null", size=MIB, block_size=512), Bdev("b", "null", OTHER_UUID, MIB, 512))
    return Namespace(target.export("s", n1="a"), 1, OTHER_UUID)


def _bdev_of_another_namespace(target: Target) -> LiveObject:
    target.make(Bdev("a", "null", OTHER_UUID, MIB, 512))
    target.export("other", n1="a")
    return Namespace(target.export("s"), 1, OTHER_UUID)


def _limits_of_nothing(_: Target) -> LiveObject:
    return Qos("pool/gone", QosLimits(1000))


def _listener_without_transport(target: Target) -> LiveObject:
    return Listener(target.export("s"), "TCP", "127.0.0.1", 4420)


def _other_transport(target: Target) -> LiveObject:
    target.make(Transport("TCP", max_queue_depth=64))
    return Transport("TCP", max_queue_depth=128)


REFUSED: Mapping[str, Case] = {
    case.__name__.strip("_"): case
    for case in (
        _missing_file,
        _odd_blocks,
        _other_device,
        _other_driver,
        _store_without_device,
        _lvol_without_store,
        _thick_lvol_too_large,
        _other_subsystem,
        _no_nqn,
        _host_without_subsystem,
        _namespace_without_bdev,
        _other_namespace,
        _bdev_of_another_namespace,
        _limits_of_nothing,
        _listener_without_transport,
        _other_transport,
    )
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(target: Target, name: str) -> None:
    """Guards that what the target refuses, or what is there with other values, is Transient and changes nothing."""
    wanted = REFUSED[name](target)
    before = state(target.observe())
    applied = target.apply(created(wanted))
    assert isinstance(applied.error, Transient)
    assert "(code -" in str(applied.error)
    assert state(target.observe()) == before


def test_a_transport_that_the_target_was_built_without_need_not_be_tried_again(target: Target) -> None:
    """Guards that what only another build of SPDK could do is said to be so, instead of being tried for ever."""
    applied = target.apply(created(Transport("CARRIER-PIGEON")))
    assert isinstance(applied.error, Terminal)
    assert "NotSupported" in str(applied.error)
    assert target.observe().objects == {}


def test_a_snapshot_with_clones_is_not_deleted(target: Target) -> None:
    """Guards that a refused deletion is Transient, because the object is seen to be there still."""
    target.pool()
    target.lvol("v")
    target.call("bdev_lvol_snapshot", lvol_name="pool/v", snapshot_name="snap")
    target.call("bdev_lvol_clone", snapshot_name="pool/snap", clone_name="clone")
    snapshot = target.live(ObjectKey(ObjectKind.LVOL, "pool/snap"))
    assert snapshot is not None
    before = state(target.observe())
    assert isinstance(target.apply(deleted(snapshot)).error, Transient)
    assert state(target.observe()) == before


@pytest.mark.parametrize("action", Action)
def test_a_method_that_is_not_offered_need_not_be_tried_again(lab: SimulatedLab, action: Action) -> None:
    """Guards that a target which lacks a method, or forbids it, is told from one that is busy."""
    lab.pool()
    lvol = lab.lvol("v")
    changes = {
        Action.CREATE: created(Lvol("pool", "w", size=MIB)),
        Action.UPDATE: updated(lvol, dataclasses.replace(lvol, size=8 * MIB)),
        Action.DELETE: deleted(lvol),
    }
    for method in ("bdev_lvol_create", "bdev_lvol_resize", "bdev_lvol_delete"):
        lab.simulator.before(method, lambda *_: Refuse(-32601, "Method not found"))
    applied = lab.apply(changes[action])
    assert isinstance(applied.error, Terminal)
    assert "does not offer the method" in str(applied.error)


@pytest.mark.parametrize("method", ["bdev_get_bdevs", "nvmf_get_subsystems"])
def test_a_refusal_stands_when_nothing_can_be_read(lab: SimulatedLab, method: str) -> None:
    """Guards that neither presence nor absence is concluded from a question that was refused as well."""
    lab.make(Bdev("null", "null", OTHER_UUID, MIB, 512))
    nqn = lab.export("s", n1="null")
    lab.simulator.before(method, lambda *_: Refuse(-12, "Cannot allocate memory"))
    things: dict[str, LiveObject] = {
        "bdev_get_bdevs": Bdev("null", "null", OTHER_UUID, MIB, 512),
        "nvmf_get_subsystems": Namespace(nqn, 1, OTHER_UUID),
    }
    for refusing in ("bdev_null_create", "bdev_null_delete", "nvmf_subsystem_add_ns", "nvmf_subsystem_remove_ns"):
        lab.simulator.before(refusing, lambda *_: Refuse(-32602, "Invalid parameters"))
    before = lab.mutations
    for change in (created(things[method]), deleted(things[method])):
        assert isinstance(lab.apply(change).error, Transient)
    lab.simulator.forget_hooks()
    assert len(lab.mutations) == len(before) + 2
    assert {thing.key for thing in things.values()} <= set(lab.observe().objects)


# --- lost answers


def _lost(lab: SimulatedLab, fault: Fault, change: Change) -> BackendError | None:
    """How a change ends when its request meets a mishap; questions are answered."""
    known = len(lab.mutations)
    lab.simulator.before("*", lambda *_: fault if len(lab.mutations) > known else None)
    error = lab.apply(change).error
    lab.simulator.forget_hooks()
    return error


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("fault", [DropAfter(), DropBefore()], ids=["done", "not done"])
def test_a_creation_without_an_answer_is_unknown(lab: SimulatedLab, name: str, fault: Fault) -> None:
    """Guards that a request which was sent is Unknown whether it was carried out or not, and sent only once."""
    wanted = CASES[name](lab)
    before = len(lab.mutations)
    assert isinstance(_lost(lab, fault, created(wanted)), Unknown)
    assert len(lab.mutations) == before + 1
    assert shows(live_of(lab, wanted), wanted) is (fault == DropAfter())


@pytest.mark.parametrize("name", DELETED)
@pytest.mark.parametrize("fault", [DropAfter(), DropBefore()], ids=["done", "not done"])
def test_a_deletion_without_an_answer_is_unknown(lab: SimulatedLab, name: str, fault: Fault) -> None:
    """Guards the same where bytes may be gone, or may be still there."""
    wanted = CASES[name](lab)
    lab.make(wanted)
    live = live_of(lab, wanted)
    assert live is not None
    assert isinstance(_lost(lab, fault, deleted(live)), Unknown)
    assert (lab.live(live.key) is None) is (fault == DropAfter())


@pytest.mark.parametrize("name", UPDATES)
@pytest.mark.parametrize("fault", [DropAfter(), DropBefore()], ids=["done", "not done"])
def test_a_change_without_an_answer_is_unknown(lab: SimulatedLab, name: str, fault: Fault) -> None:
    """Guards the same for what is changed in place."""
    before, after = UPDATES[name](lab)
    assert isinstance(_lost(lab, fault, updated(before, after)), Unknown)
    assert shows(live_of(lab, after), after) is (fault == DropAfter())


@pytest.mark.parametrize("name", ["a_thin_lvol", "a_namespace", "limits"])
def test_an_answer_that_never_comes_is_unknown(lab: SimulatedLab, name: str) -> None:
    """Guards that a deadline ends the change but not the doubt: the request was carried out after all."""
    clock = Moments()
    lab.backend.close()
    lab.backend = SpdkBackend(lab.backend.connect, clock)
    wanted = CASES[name](lab)
    known = len(lab.mutations)
    lab.simulator.before("*", lambda *_: Hold(None) if len(lab.mutations) > known else None)
    ticket = lab.backend.begin(created(wanted), ())
    assert lab.backend.wait(0.0) == []
    clock.now += 60.0
    (applied,) = lab.backend.wait(0.0)
    assert applied.ticket == ticket
    assert isinstance(applied.error, Unknown)
    assert "no answer within 60 s" in str(applied.error)
    lab.simulator.forget_hooks()
    assert shows(live_of(lab, wanted), wanted)


@pytest.mark.parametrize("answer", [None, True, 7, ["x"]])
def test_a_created_lvol_whose_uuid_was_not_told_is_unknown(answer: object) -> None:
    """Guards that bytes without an identity are never taken into the books as created."""
    script = Script()
    script.answer(line(1, answer))
    backend = SpdkBackend(lambda: script, script.clock)
    backend.begin(created(Lvol("pool", "v", size=MIB)), ())
    (applied,) = backend.wait(1.0)
    assert isinstance(applied.error, Unknown)


def test_a_refusal_whose_proof_is_lost_is_no_success(lab: SimulatedLab) -> None:
    """Guards that the connection may break between a refusal and the look that would explain it."""
    lab.make(Bdev("null", "null", OTHER_UUID, MIB, 512))
    lab.simulator.before("bdev_get_bdevs", lambda *_: DropBefore())
    assert isinstance(lab.apply(created(Bdev("null", "null", OTHER_UUID, MIB, 512))).error, Transient)
    lab.simulator.before("bdev_null_delete", lambda *_: Refuse(-16, "Device or resource busy"))
    assert isinstance(lab.apply(deleted(Bdev("null", "null"))).error, Transient)


# --- guards


def test_guards_that_hold_let_a_change_through(target: Target) -> None:
    """Guards that every fact which guards use is read as it was observed."""
    store = target.pool()
    lvol = target.lvol("v")
    nqn = target.export("s", n1="pool/v")
    namespace = Namespace(nqn, 1, lvol.uuid or "", lvol.uuid)
    guards = [
        guard(lvol, uuid=lvol.uuid, size=4 * MIB, claimed=True, clones=[]),
        guard(store, uuid=store.uuid, lvols=["v"]),
        guard(Bdev("disk", "aio"), claimed=True, size=64 * MIB),
        guard(Subsystem(nqn), connected=[], allow_any_host=False),
        guard(namespace, uuid=lvol.uuid, connected=[], paths={}),
    ]
    assert target.apply(deleted(namespace), *guards).error is None
    assert target.apply(deleted(lvol), guard(lvol, claimed=False), guard(store, lvols=["v"])).error is None
    assert target.apply(deleted(store), guard(store, uuid=store.uuid, lvols=[])).error is None
    assert [str(key) for key in target.observe().objects] == ["bdev disk", f"subsystem {nqn}"]


BROKEN: Mapping[str, Callable[[Lvol, LvolStore], Guard]] = {
    "another lvol": lambda lvol, store: guard(lvol, uuid=OTHER_UUID),
    "another size": lambda lvol, store: guard(lvol, uuid=lvol.uuid, size=8 * MIB),
    "not claimed": lambda lvol, store: guard(lvol, claimed=True),
    "no such clone": lambda lvol, store: guard(lvol, clones=["c"]),
    "not empty": lambda lvol, store: guard(store, lvols=[]),
    "another store": lambda lvol, store: guard(store, uuid=OTHER_UUID),
    "no lvol": lambda lvol, store: guard(Lvol("pool", "gone"), claimed=False),
    "no store": lambda lvol, store: guard(LvolStore("gone", "disk"), lvols=[]),
    "no device": lambda lvol, store: guard(Bdev("gone", "aio"), claimed=False),
    "claimed": lambda lvol, store: guard(Bdev("disk", "aio"), claimed=False),
    "not blank": lambda lvol, store: guard(Bdev("disk", "aio"), blank=True),
    "not connected": lambda lvol, store: guard(Subsystem(S), connected=[HOST]),
    "not through these paths": lambda lvol, store: guard(Subsystem(S), paths={HOST: [f"{S}#TCP:127.0.0.1:4477"]}),
    "no subsystem": lambda lvol, store: guard(Subsystem(f"{NQN}gone"), connected=[]),
    "no namespace": lambda lvol, store: guard(Namespace(S, 1, "x"), uuid=OTHER_UUID),
    "no host": lambda lvol, store: guard(AllowedHost(S, HOST), nqn=S),
    "no such fact": lambda lvol, store: guard(lvol, no_such_fact=1),
}


def test_a_snapshot_with_a_clone_is_guarded(target: Target) -> None:
    """Guards that a clone which came since is noticed: without it the bytes under the clone might go."""
    target.pool()
    target.lvol("v")
    target.call("bdev_lvol_snapshot", lvol_name="pool/v", snapshot_name="snap")
    snapshot = target.live(ObjectKey(ObjectKind.LVOL, "pool/snap"))
    assert isinstance(snapshot, Lvol)
    assert snapshot.clones == ("v",)
    assert isinstance(target.apply(deleted(snapshot), guard(snapshot, clones=[])).error, GuardMismatch)
    assert target.live(snapshot.key) == snapshot
    assert target.apply(deleted(snapshot), guard(snapshot, clones=["v"])).error is None


def test_a_guard_that_does_not_hold_stops_the_change(target: Target) -> None:
    """Guards that a fact which is another now, or of something that is gone, means that nothing is sent."""
    store = target.pool()
    lvol = target.lvol("v")
    target.export("s")
    before = state(target.observe())
    for name, broken in BROKEN.items():
        applied = target.apply(deleted(lvol), guard(lvol, uuid=lvol.uuid), broken(lvol, store))
        assert isinstance(applied.error, GuardMismatch), name
    assert state(target.observe()) == before


@pytest.mark.parametrize(("fault", "error"), [(Refuse(-12, "no memory"), GuardMismatch), (DropBefore(), Transient)])
def test_a_guard_that_cannot_be_read_stops_the_change(
    lab: SimulatedLab, fault: Fault, error: type[BackendError]
) -> None:
    """Guards that what cannot be asked does not hold, and that nothing happened."""
    lab.pool()
    lvol = lab.lvol("v")
    before = lab.mutations
    lab.simulator.before("bdev_get_bdevs", lambda *_: fault)
    assert isinstance(lab.apply(deleted(lvol), guard(lvol, uuid=lvol.uuid)).error, error)
    assert lab.mutations == before


# --- a namespace is seen gone


def _removal(*answers: Callable[[int], bytes]) -> tuple[Script, list[Applied]]:
    """How the deletion of namespace 1 goes with these answers to removal, look, look …; its pauses take no time."""
    script = Script()
    script.answer(*(answer(number) for number, answer in enumerate(answers, 1)))

    def sleep(seconds: float) -> None:
        script.clock.now += seconds

    backend = SpdkBackend(lambda: script, script.clock, sleep)
    backend.begin(deleted(Namespace(S, 1, OTHER_UUID)), ())
    ended = list(backend.wait(30.0))
    return script, ended


def removed(number: int) -> bytes:
    return line(number, True)  # noqa: FBT003  # what SPDK answers


def listed(*nsids: int) -> Callable[[int], bytes]:
    namespaces = [{"nsid": nsid, "bdev_name": "x", "uuid": OTHER_UUID, "nguid": "A" * 32} for nsid in nsids]
    plain = {
        "nqn": S,
        "subtype": "NVMe",
        "listen_addresses": [],
        "allow_any_host": False,
        "hosts": [],
        "serial_number": "",
        "model_number": "",
        "max_namespaces": 32,
        "min_cntlid": 1,
        "max_cntlid": 2,
    }
    return lambda number: line(number, [plain | {"namespaces": namespaces}])


def refused(number: int) -> bytes:
    return refusal(number, -32602, "Invalid parameters")


def test_a_namespace_is_gone_before_its_deletion_ends() -> None:
    """Guards the bdev under a namespace: the target lets go of it later than it answers, and it is waited for."""
    script, (applied,) = _removal(removed, listed(1, 2), listed(1, 2), listed(2))
    assert applied.error is None
    assert [request["method"] for request in script.sent] == ["nvmf_subsystem_remove_ns"] + ["nvmf_get_subsystems"] * 3
    assert 0.2 <= script.clock.now - Moments().now < 0.5


def test_a_namespace_that_stays_is_unknown() -> None:
    """Guards that the wait has an end, at which nothing is concluded."""
    script, (applied,) = _removal(removed, *[listed(1)] * 200)
    assert isinstance(applied.error, Unknown)
    assert "still listed" in str(applied.error)
    assert script.clock.now - Moments().now < 15


def test_a_namespace_is_not_concluded_gone_from_a_refusal() -> None:
    """Guards that a subsystem which cannot be read is looked for in the list of all, and nothing follows without it."""
    _, (applied,) = _removal(removed, refused, lambda number: line(number, []))
    assert applied.error is None
    _, (applied,) = _removal(removed, refused, listed(), refused, listed(), refused, refused)
    assert isinstance(applied.error, Unknown)
    _, (applied,) = _removal(refused, listed(1))
    assert isinstance(applied.error, Transient)
    _, (applied,) = _removal(refused, listed(), listed())
    assert applied.error is None


@pytest.mark.parametrize("answers", [1, 2], ids=["while it is looked for", "between two looks"])
def test_a_namespace_that_was_not_seen_gone_is_unknown(answers: int) -> None:
    """Guards that a connection lost between removal and look leaves the bdev under doubt."""
    script = Script()
    script.answer(*(answer(number) for number, answer in enumerate([removed, listed(1)][:answers], 1)))
    backend = SpdkBackend(lambda: script, script.clock, lambda _: None)
    backend.begin(deleted(Namespace(S, 1, OTHER_UUID)), ())
    while script.entries:
        backend.wait(0.0)
    backend.close()
    (applied,) = backend.wait(0.0)
    assert isinstance(applied.error, Unknown)


def test_a_namespace_that_was_removed_frees_its_bdev(target: Target) -> None:
    """Guards the sequence that matters on a live target: namespace, then bdev, with a host's eyes on neither."""
    target.pool()
    lvol = target.lvol("v")
    nqn = target.export("s", n1="pool/v")
    assert target.apply(deleted(Namespace(nqn, 1, lvol.uuid or ""))).error is None
    assert target.apply(deleted(lvol), guard(lvol, claimed=False)).error is None
    assert target.live(lvol.key) is None
