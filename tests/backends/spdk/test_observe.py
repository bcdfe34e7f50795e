"""Observing: the whole target in few calls, nothing unread taken for absent, nothing unchanged read twice."""

from __future__ import annotations

import pytest
from furnished import furnish
from lab import MIB, LiveLab, SimulatedLab

from backends.contract import Interest
from backends.objects import Bdev, Lvol, LvolStore, ObjectKey, ObjectKind, QosLimits
from backends.spdk.simulator import Simulator

APART = {
    ObjectKind.QOS,
    ObjectKind.NVME_PATH,
    ObjectKind.PROVISIONING,
}  # part of what is limited or provisioned; elsewhere

EVERYTHING = frozenset(ObjectKind) - APART


def test_a_whole_target(target: SimulatedLab | LiveLab) -> None:
    """Guards that every kind is found, each declared field as it is, namespaces by the uuid of what they show."""
    wanted = furnish(target)
    seen = target.observe()
    assert {key.kind for key in wanted} == EVERYTHING
    assert seen.objects == wanted
    assert seen.gaps == ()
    assert seen.version.startswith("SPDK v26.05")
    disk, lvol = seen.objects[ObjectKey(ObjectKind.BDEV, "disk")], seen.objects[ObjectKey(ObjectKind.LVOL, "pool/v")]
    assert isinstance(disk, Bdev)
    assert isinstance(lvol, Lvol)
    assert (disk.claimed, disk.limits) == (True, QosLimits())
    assert (lvol.claimed, lvol.limits, lvol.clones) == (True, QosLimits(iops=2000, read_mbps=7), ())


def test_an_empty_target(target: SimulatedLab | LiveLab) -> None:
    """Guards that a target with nothing on it has no objects, no owner, and no gaps."""
    seen = target.observe()
    assert (seen.objects, seen.gaps, seen.incarnation.owner) == ({}, (), None)
    assert seen.last_notification == -1


def test_snapshots_and_clones(target: SimulatedLab | LiveLab) -> None:
    """Guards that what must not be deleted is known as such: a snapshot with the clones that stand on it."""
    target.pool()
    target.lvol("v")
    target.call("bdev_lvol_snapshot", lvol_name="pool/v", snapshot_name="snap")
    target.call("bdev_lvol_clone", snapshot_name="pool/snap", clone_name="clone")
    found = {lvol.name: lvol for lvol in target.observe().objects.values() if isinstance(lvol, Lvol)}
    assert (found["snap"].snapshot, found["snap"].read_only, sorted(found["snap"].clones)) == (
        True,
        True,
        ["clone", "v"],
    )
    assert [(found[name].snapshot, found[name].read_only, found[name].clones) for name in ("v", "clone")] == [
        (False, False, ())
    ] * 2


@pytest.mark.parametrize("stores", [0, 1, 3])
def test_a_whole_target_takes_one_call_for_each_kind_and_store(lab: SimulatedLab, stores: int) -> None:
    """Guards that what an observation costs does not grow with lvols, devices, subsystems, hosts or namespaces."""
    for number in range(stores):
        lab.pool(f"pool{number}", f"disk{number}")
        for name in range(20):
            lab.call("bdev_lvol_create", lvs_name=f"pool{number}", lvol_name=f"v{name}", size_in_mib=1)
        lab.export(f"s{number}", **{f"n{name + 1}": f"pool{number}/v{name}" for name in range(20)})
    lab.backend.close()
    lab.calls()
    assert len(lab.observe().objects) == stores * (2 + 20 + 1 + 20)
    first = lab.calls()
    assert set(first.values()) <= {1, stores}
    assert sum(first.values()) == 13 + stores
    lab.observe()
    assert sum(lab.calls().values()) == 11 + stores


def test_clusters_that_were_given_out_twice_are_counted(lab: SimulatedLab) -> None:
    """Guards the one sign of a store that SPDK broke: its volumes have more clusters than it gave out."""
    lab.pool()
    lab.lvol("v", thin=False)
    lab.lvol("w", thin=False)
    key = ObjectKey(ObjectKind.LVOL_STORE, "pool")
    whole = lab.live(key)
    lab.simulator._target.stores[0].used_clusters -= 3
    broken = lab.live(key)
    assert isinstance(whole, LvolStore)
    assert isinstance(broken, LvolStore)
    assert (whole.shared_clusters, broken.shared_clusters) == (0, 3)


def test_observing_changes_nothing(lab: SimulatedLab) -> None:
    """Guards that looking is only looking, and that connections are asked about (which pauses I/O) only on demand."""
    furnish(lab)
    before = lab.mutations
    lab.calls()
    lab.observe()
    assert lab.mutations == before
    assert not [method for method in lab.calls() if method.startswith("nvmf_subsystem_")]


def test_an_lvol_without_its_bdev_is_there_without_a_size(target: SimulatedLab | LiveLab) -> None:
    """Guards that a clone whose image is not attached (yet) after a restart is neither absent nor empty."""
    target.pool()
    image = target.disk("image", 8 * MIB, uuid="77777777-7777-4777-8777-777777777777")
    target.make(image)
    target.call("bdev_lvol_clone_bdev", bdev=image.uuid, lvs_name="pool", clone_name="clone")
    key = ObjectKey(ObjectKind.LVOL, "pool/clone")
    whole = target.live(key)
    target.backend.close()
    target.restart()
    target.attach()
    degraded = target.live(key)
    assert isinstance(whole, Lvol)
    assert isinstance(degraded, Lvol)
    assert (whole.size, degraded.size, degraded.limits, degraded.uuid) == (8 * MIB, None, None, whole.uuid)
    target.make(image)
    assert target.live(key) == whole


def test_a_store_that_is_not_loaded_is_not_there_and_its_device_not_blank(lab: SimulatedLab) -> None:
    """Guards what never may be taken for a free disk: an unclaimed device whose store nobody has examined."""
    lab.pool()
    lab.lvol("v")
    lab.backend.close()
    lab.simulator.stop()
    with Simulator(lab.socket, wait_for_rpc=True):
        lab.call("bdev_set_options", bdev_auto_examine=False)
        lab.call("framework_start_init")
        lab.attach()
        seen = lab.observe(Interest(blank=frozenset({"disk"})))
        assert [str(key) for key in seen.objects] == ["bdev disk"]
        (disk,) = seen.objects.values()
        assert isinstance(disk, Bdev)
        assert (disk.claimed, seen.blank, seen.gaps) == (False, {"disk": False}, ())
        lab.call("bdev_examine", name="disk")
        assert {key.name for key in lab.observe().objects} == {"disk", "pool", "pool/v"}
        lab.backend.close()
    lab.simulator.start()
