"""What outlives a process: stores on AIO files, inside their files, and nothing else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from simulated import MIB, Rig

from backends.spdk.simulator.lvols import Geometry
from backends.spdk.simulator.media import Medium, Window
from backends.spdk.simulator.persistence import Journal

NQN = "nqn.2026-01.io.example:s"


def attach(rig: Rig, path: Path, name: str = "disk") -> None:
    rig.call("bdev_aio_create", name=name, filename=str(path), block_size=4096)


def is_blank(path: Path, begin: int = 0) -> bool:
    with path.open("rb") as handle:
        handle.seek(begin)
        return not any(handle.read(MIB))


def test_a_store_is_visible_in_its_file_and_a_blank_file_stays_blank(rig: Rig) -> None:
    """Guards the check for foreign data: a device nobody wrote to reads as zeros, a store's first MiB does not."""
    path = rig.aio()
    assert is_blank(path)
    assert is_blank(path, 63 * MIB)
    rig.call("bdev_lvol_create_lvstore", bdev_name="disk", lvs_name="pool")
    assert not is_blank(path)
    assert is_blank(path, 63 * MIB)


def test_everything_about_volumes_survives_kill_9(rig: Rig) -> None:
    """Guards that what was answered is there after a restart, to the last property, and loaded on attach."""
    path = rig.store()
    rig.lvol("thin", 20, thin=True)
    rig.lvol("thick", 5)
    rig.call("bdev_lvol_snapshot", lvol_name="pool/thick", snapshot_name="s")
    rig.call("bdev_lvol_clone", snapshot_name="pool/s", clone_name="c")
    rig.call("bdev_lvol_rename", old_name="pool/c", new_name="d")
    rig.call("bdev_lvol_resize", name="pool/d", size_in_mib=9)
    rig.call("bdev_lvol_set_read_only", name="pool/thin")
    rig.call("bdev_lvol_rename_lvstore", old_name="pool", new_name="lake")

    def state() -> tuple[object, ...]:
        lists = rig.call("bdev_lvol_get_lvols"), rig.call("bdev_lvol_get_lvstores")
        aliases = [lvol["alias"] for lvol in lists[0]]
        devices = [rig.call("bdev_get_bdevs", name=alias) for alias in aliases]
        return *lists, devices, [rig.simulator.content(alias) for alias in aliases]

    rig.restart()
    attach(rig, path)  # from now on the device of the read-only volume says so, too
    before = state()
    rig.restart()
    assert rig.names() == []
    attach(rig, path)

    assert state() == before


def test_everything_else_is_gone_after_a_restart(rig: Rig) -> None:
    """Guards that limits, exports and devices in memory must be put back by whoever wants them."""
    path = rig.store()
    rig.lvol("v")
    rig.call("bdev_set_qos_limit", name="pool/v", rw_ios_per_sec=1000)
    rig.call("nvmf_create_subsystem", nqn=NQN)
    rig.call("nvmf_subsystem_add_ns", nqn=NQN, namespace={"bdev_name": "pool/v"})
    rig.call("bdev_malloc_create", num_blocks=8, block_size=512)
    rig.restart()
    attach(rig, path)
    assert rig.names() == ["disk", "pool/v"]
    assert rig.call("bdev_get_bdevs", name="pool/v")[0]["assigned_rate_limits"]["rw_ios_per_sec"] == 0
    assert [subsystem["subtype"] for subsystem in rig.call("nvmf_get_subsystems")] == ["Discovery"]
    assert rig.call("nvmf_get_transports") == []


def test_volumes_are_announced_before_the_device_that_carries_them(rig: Rig) -> None:
    """Guards the order of a load, which a reader of notifications relies on."""
    path = rig.store()
    uuids = [rig.lvol(name) for name in "ab"]
    rig.restart()
    attach(rig, path)
    assert rig.events() == [("register", uuids[1]), ("register", uuids[0]), ("register", "disk")]


def test_an_attach_is_answered_when_its_store_is_loaded(rig: Rig) -> None:
    """Guards bdev_wait_for_examine and the answer to the attach: both mean that volumes can be used."""
    path = rig.store()
    rig.lvol("v")
    rig.restart()
    asked = ("bdev_aio_create", {"name": "disk", "filename": str(path), "block_size": 4096})
    early, attached, waited = rig.ask(("bdev_get_bdevs", {"name": "pool/v"}), asked, ("bdev_wait_for_examine", None))
    assert early["error"]["code"] == -19
    assert (attached["result"], waited["result"]) == ("disk", True)
    assert rig.call("bdev_get_bdevs", name="pool/v")


def test_a_new_store_overwrites_one_that_is_not_loaded(rig: Rig) -> None:
    """Guards the danger of creating a store where one already is: nothing warns, and the old one is gone."""
    path = rig.store()
    rig.lvol("v")
    rig.restart()
    rig.store("pool", "elsewhere")  # of the same name: the one on the old device stays unloaded
    attach(rig, path)
    assert rig.names() == ["elsewhere", "disk"]
    rig.call("bdev_lvol_create_lvstore", bdev_name="disk", lvs_name="new", cluster_sz=MIB)
    rig.restart()
    attach(rig, path)
    assert [store["name"] for store in rig.call("bdev_lvol_get_lvstores")] == ["new"]
    assert rig.call("bdev_lvol_get_lvols") == []


def test_a_deleted_store_leaves_a_device_that_carries_none(rig: Rig) -> None:
    """Guards that deleting a store is not undone by a restart."""
    path = rig.store()
    rig.call("bdev_lvol_delete_lvstore", lvs_name="pool")
    rig.restart()
    attach(rig, path)
    assert rig.call("bdev_lvol_get_lvstores") == []


def test_a_copied_file_carries_its_store_and_comes_up_once(rig: Rig) -> None:
    """Guards that the store is in the file: a copy of it is the same store, which is loaded only once at a time."""
    path = rig.store()
    rig.lvol("v")
    copy = rig.directory / "copy.img"
    rig.call("bdev_aio_delete", name="disk")
    shutil.copyfile(path, copy)
    attach(rig, copy, "copy")
    assert rig.names() == ["copy", "pool/v"]
    attach(rig, path)
    assert rig.names() == ["copy", "pool/v", "disk"]
    assert rig.pool()["base_bdev"] == "copy"


def test_a_replaced_file_is_what_it_is_now(rig: Rig) -> None:
    """Guards that nothing is remembered beside the file: a blank one in its place carries nothing."""
    path = rig.store()
    rig.call("bdev_aio_delete", name="disk")
    rig.file(path.name)
    attach(rig, path)
    assert rig.call("bdev_lvol_get_lvstores") == []


def end_of_journal(path: Path) -> int:
    medium = Medium(os.open(path, os.O_RDONLY), writable=False)
    found = Journal.open(lambda: (Window(medium, 0, medium.size()),))
    assert found is not None
    medium.close()
    return found[0]._position


def test_what_a_killed_process_did_not_finish_writing_is_as_if_it_had_not_begun(rig: Rig) -> None:
    """Guards crash consistency: a store whose last record is cut anywhere loads with all records before it."""
    path = rig.store()
    rig.lvol("a")
    rig.call("bdev_aio_delete", name="disk")
    begin = end_of_journal(path)
    attach(rig, path)
    rig.lvol("b")
    rig.call("bdev_aio_delete", name="disk")
    end = end_of_journal(path)
    for cut in reversed(range(begin, end)):
        with path.open("r+b") as handle:
            handle.seek(cut)
            handle.write(b"\0")
        attach(rig, path)
        assert rig.names() == ["disk", "pool/a"], cut
        rig.call("bdev_aio_delete", name="disk")


def test_a_cut_record_is_written_over(rig: Rig) -> None:
    """Guards that remnants of a crash do not come to life behind later records."""
    path = rig.store()
    rig.lvol("a")
    rig.call("bdev_aio_delete", name="disk")
    end = end_of_journal(path)
    attach(rig, path)
    for name in ("long" * 10, "b"):
        rig.lvol(name)
    rig.call("bdev_aio_delete", name="disk")
    with path.open("r+b") as handle:
        handle.seek(end)
        handle.write(b"x")
    attach(rig, path)
    rig.lvol("c")
    rig.restart()
    attach(rig, path)
    assert rig.names() == ["disk", "pool/a", "pool/c"]


def test_a_journal_is_written_anew_when_it_is_full(rig: Rig) -> None:
    """Guards compaction: thousands of changes fit a small region, and the last state of each volume is kept."""
    path = rig.store()
    rig.lvol("kept", 3)
    for _ in range(100):
        for size in range(40, 60):
            rig.ask(("bdev_lvol_resize", {"name": "pool/kept", "size_in_mib": size}))
    rig.lvol("last", thin=True)
    assert end_of_journal(path) < MIB
    rig.restart()
    attach(rig, path)
    assert rig.call("bdev_get_bdevs", name="pool/kept")[0]["num_blocks"] == 59 * MIB // 4096
    assert sorted(rig.names()) == ["disk", "pool/kept", "pool/last"]


def test_a_read_only_device_shows_its_store(rig: Rig) -> None:
    """Guards that a store can be looked at where nothing can be written."""
    path = rig.store()
    rig.lvol("v")
    rig.call("bdev_aio_delete", name="disk")
    rig.call("bdev_aio_create", name="disk", filename=str(path), block_size=4096, readonly=True)
    assert rig.names() == ["disk", "pool/v"]


def test_a_store_grows_with_its_device(rig: Rig) -> None:
    """Guards that a larger file is taken in when asked, and that this lasts."""
    path = rig.store()
    with path.open("r+b") as handle:
        handle.truncate(96 * MIB)
    rig.call("bdev_aio_rescan", name="disk")
    assert rig.pool()["total_data_clusters"] == 63
    rig.call("bdev_lvol_grow_lvstore", lvs_name="pool")
    assert rig.pool()["total_data_clusters"] == 95
    rig.restart()
    attach(rig, path)
    assert rig.pool()["total_data_clusters"] == 95


def test_volumes_that_cannot_be_written_are_refused_and_not_there(rig: Rig) -> None:
    """Guards a full region: what could not be made durable is not answered as done."""
    path = rig.aio("disk", rig.file("d.img", 8 * MIB))
    rig.call("bdev_lvol_create_lvstore", bdev_name="disk", lvs_name="pool", cluster_sz=MIB)
    creates = [
        ("bdev_lvol_create", {"lvs_name": "pool", "lvol_name": f"{i}", "size_in_mib": 0, "thin_provision": True})
        for i in range(500)
    ]
    made = [i for i, answer in enumerate(rig.ask(*creates)) if "result" in answer]
    assert 0 < len(made) < 500
    rig.restart()
    attach(rig, path)
    assert len(rig.call("bdev_lvol_get_lvols")) == len(made)


@pytest.mark.parametrize("size", [64 * MIB, 1 << 30, 1 << 40])
def test_metadata_has_room_for_all_volumes_that_a_store_can_have(size: int) -> None:
    """Guards the region at the front: all pages fit into it."""
    geometry = Geometry.of(size, MIB, 100, 4096)
    assert geometry.region >= geometry.pages * 4096
    assert geometry.metadata_clusters * MIB == geometry.region
