"""Every kind of object that can be applied, with the ground it stands on, and what may change of it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import TypeAlias

from lab import DISK_UUID, MIB, NQN, LiveLab, SimulatedLab, free_port

from backends.contract import Observed
from backends.fields import fields_of
from backends.objects import (
    AllowedHost,
    Bdev,
    Latency,
    Listener,
    LiveObject,
    Lvol,
    LvolStore,
    Namespace,
    NvmePath,
    ObjectKey,
    ObjectKind,
    Provisioning,
    Qos,
    QosLimits,
    Referral,
    Subsystem,
    Transport,
    VisibleHost,
    provisioning_of,
)

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
