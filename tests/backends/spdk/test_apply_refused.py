"""What the target refuses, and what is never sent: no change is made, and it is said why."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pytest
from creations import HOST, OTHER_UUID, Case, S, Target, a_clone_that_is_detached, a_masked_namespace, state
from lab import DISK_UUID, MIB, SimulatedLab, created, deleted, updated

from backends.contract import Action, BackendError, Change, GuardMismatch, Terminal, Transient
from backends.objects import (
    AllowedHost,
    Bdev,
    Listener,
    LiveObject,
    Lvol,
    LvolStore,
    Namespace,
    ObjectKey,
    ObjectKind,
    Qos,
    QosLimits,
    Subsystem,
    Transport,
)
from backends.spdk.simulator import Refuse


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
