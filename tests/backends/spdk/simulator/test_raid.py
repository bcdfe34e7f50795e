"""Arrays: their legs, their superblocks, and what lies on them."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
from simulated import MIB, Rig, simulated

from backends.spdk.simulator import Pace

UUID = "{}0000000-0000-4000-8000-000000000000"


def leg(rig: Rig, letter: str, size: int = 64 * MIB) -> Path:
    """An AIO device whose UUID is the same each time."""
    path = rig.directory / f"{letter}.img"
    if not path.exists():
        rig.file(path.name, size)
    rig.call("bdev_aio_create", name=letter, filename=str(path), block_size=4096, uuid=UUID.format(letter))
    return path


def mirror(rig: Rig, *letters: str, superblock: bool = True) -> None:
    for letter in letters:
        leg(rig, letter)
    rig.call("bdev_raid_create", name="r", raid_level="raid1", base_bdevs=list(letters), superblock=superblock)


def raid(rig: Rig) -> dict[str, Any]:
    """The only array, once nothing is copied any more."""
    while "process" in (found := rig.call("bdev_raid_get_bdevs", category="all")[0]):
        continue
    return dict(found)


def legs(rig: Rig) -> list[str | None]:
    return [base["name"] for base in raid(rig)["base_bdevs_list"]]


def test_an_array_with_a_superblock_comes_back_by_itself(rig: Rig) -> None:
    """Guards the superblock: after a restart the array is there with its last leg, and so is the store on it."""
    mirror(rig, "a", "b")
    rig.call("bdev_lvol_create_lvstore", bdev_name="r", lvs_name="pool", cluster_sz=MIB)
    rig.lvol("v")
    rig.restart()
    leg(rig, "b")
    assert (raid(rig)["state"], rig.call("bdev_lvol_get_lvols")) == ("configuring", [])
    leg(rig, "a")
    rig.call("bdev_wait_for_examine")
    assert (raid(rig)["state"], legs(rig)) == ("online", ["a", "b"])
    assert [lvol["alias"] for lvol in rig.call("bdev_lvol_get_lvols")] == ["pool/v"]


def test_an_array_without_a_superblock_does_not_come_back(rig: Rig) -> None:
    """Guards the difference: only its legs are there, and the store is found on the first of them."""
    mirror(rig, "a", "b", superblock=False)
    rig.call("bdev_lvol_create_lvstore", bdev_name="r", lvs_name="pool", cluster_sz=MIB)
    rig.restart()
    leg(rig, "a")
    assert rig.call("bdev_raid_get_bdevs", category="all") == []
    assert rig.pool()["base_bdev"] == "a"


def test_a_leg_that_was_given_up_is_rebuilt_when_it_returns(rig: Rig) -> None:
    """Guards re-adding: the newest superblock is right, the old leg joins as a target, and then holds the same."""
    mirror(rig, "a", "b")
    rig.call("bdev_lvol_create_lvstore", bdev_name="r", lvs_name="pool", cluster_sz=MIB)
    rig.call("bdev_raid_remove_base_bdev", name="b")
    rig.lvol("written without b")
    rig.restart()
    leg(rig, "b")
    leg(rig, "a")
    assert legs(rig) == ["a", None]
    rig.call("bdev_raid_add_base_bdev", raid_bdev="r", base_bdev="b")
    assert legs(rig) == ["a", "b"]
    rig.call("bdev_raid_remove_base_bdev", name="a")
    rig.restart()
    leg(rig, "b")
    rig.call("bdev_wait_for_examine")
    assert [lvol["name"] for lvol in rig.call("bdev_lvol_get_lvols")] == ["written without b"]


def test_a_rebuild_is_watched_and_refuses_a_second() -> None:
    """Guards progress: it is shown while it lasts, and no other leg joins meanwhile."""
    with simulated(pace=Pace(rebuild=1.0)) as rig:
        mirror(rig, "a", "b", superblock=False)
        leg(rig, "c")
        rig.call("bdev_raid_remove_base_bdev", name="b")
        rig.call("bdev_raid_add_base_bdev", raid_bdev="r", base_bdev="c")
        process = rig.call("bdev_raid_get_bdevs", category="online")[0]["process"]
        assert (process["type"], process["target"], process["progress"]["percent"]) == ("rebuild", "c", 0)
        assert rig.refusal("bdev_raid_add_base_bdev", raid_bdev="r", base_bdev="b")[0] == -errno.EPERM
        rig.call("bdev_raid_remove_base_bdev", name="a")
        assert rig.call("bdev_raid_get_bdevs", category="all") == []


@pytest.mark.parametrize(("clear", "back"), [(True, []), (False, ["online"])])
def test_a_deleted_array_stays_away_only_with_its_superblock_cleared(rig: Rig, back: list[str], *, clear: bool) -> None:
    """Guards the trap of deleting: what is left on the legs brings the array back when they are examined again."""
    mirror(rig, "a", "b")
    rig.call("bdev_raid_delete", name="r", clear_sb=clear)
    assert rig.call("bdev_raid_get_bdevs", category="all") == []
    rig.restart()
    leg(rig, "a")
    leg(rig, "b")
    rig.call("bdev_wait_for_examine")
    assert [found["state"] for found in rig.call("bdev_raid_get_bdevs", category="all")] == back


def test_a_leg_of_another_array_is_refused(rig: Rig) -> None:
    """Guards against taking bytes that belong to an array that is just not there."""
    mirror(rig, "a", "b")
    rig.call("bdev_raid_delete", name="r")
    leg(rig, "c")
    wanted = {"name": "n", "raid_level": "raid1", "base_bdevs": ["c", "a"]}
    assert rig.refusal("bdev_raid_create", **wanted) == (
        -errno.EEXIST,
        "Failed to create RAID bdev n: File exists",
    )


def test_a_leg_that_cannot_be_written_is_refused(rig: Rig) -> None:
    """Guards the refusal of a live target, after which the array is not there and the other leg is free."""
    leg(rig, "a")
    path = rig.file("b.img", 64 * MIB)
    rig.call("bdev_aio_create", name="b", filename=str(path), block_size=4096, readonly=True)
    wanted = {"name": "r", "raid_level": "raid1", "base_bdevs": ["b", "a"], "superblock": True}
    refused = -errno.EIO, "Failed to create RAID bdev r: Input/output error"
    assert rig.refusal("bdev_raid_create", **wanted) == refused
    assert rig.call("bdev_raid_get_bdevs", category="all") == []
    rig.call("bdev_lvol_create_lvstore", bdev_name="a", lvs_name="pool", cluster_sz=MIB)


def test_a_leg_that_was_given_up_does_not_mend_a_striped_array(rig: Rig) -> None:
    """Guards the refusal of a live target, which comes late: the superblock on the leg is looked at first."""
    leg(rig, "a")
    leg(rig, "b")
    stripe = {"name": "r", "raid_level": "raid0", "strip_size_kb": 64, "superblock": True}
    rig.call("bdev_raid_create", base_bdevs=["a", "b"], **stripe)
    rig.call("bdev_raid_remove_base_bdev", name="a")
    assert rig.refusal("bdev_raid_add_base_bdev", raid_bdev="r", base_bdev="a") == (
        -errno.EINVAL,
        "Failed to add base bdev to RAID bdev: Invalid argument",
    )


@pytest.mark.parametrize("legs", [["a", "b"], ["b", "a"]])
def test_no_store_is_found_where_the_legs_of_a_mirror_differ(rig: Rig, legs: list[str]) -> None:
    """Guards what a live target makes of a disk with a store that is put beside a blank one: none of it."""
    leg(rig, "a")
    rig.call("bdev_lvol_create_lvstore", bdev_name="a", lvs_name="pool", cluster_sz=MIB)
    rig.restart()
    leg(rig, "b")
    rig.call("bdev_raid_create", name="r", raid_level="raid1", base_bdevs=legs)
    leg(rig, "a")
    rig.call("bdev_wait_for_examine")
    assert raid(rig)["state"] == "online"
    assert rig.call("bdev_lvol_get_lvstores") == []


def test_a_striped_array_goes_with_a_leg(rig: Rig) -> None:
    """Guards the levels that can miss nothing: the device goes, the other leg is free when the array is deleted."""
    leg(rig, "a")
    leg(rig, "b")
    rig.call("bdev_raid_create", name="r", raid_level="raid0", strip_size_kb=64, base_bdevs=["a", "b"])
    rig.call("bdev_aio_delete", name="a")
    assert rig.names() == ["b"]
    assert raid(rig)["state"] == "offline"
    rig.call("bdev_raid_delete", name="r")
    rig.call("bdev_lvol_create_lvstore", bdev_name="b", lvs_name="pool", cluster_sz=MIB)
