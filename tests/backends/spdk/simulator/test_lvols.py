"""Stores and volumes: arithmetic, refusals, snapshots and clones, and whose bytes are whose."""

from __future__ import annotations

from typing import Any

import pytest
from simulated import MIB, Rig, simulated

NQN = "nqn.2026-01.io.example:s"
EXISTS, NOT_THERE, INVALID = (-17, "File exists"), (-19, "No such device"), (-22, "Invalid argument")
FULL = (-32602, "No space left on device")


@pytest.fixture(autouse=True)
def _pool(rig: Rig) -> None:
    """A store of 64 MiB in clusters of 1 MiB: 63 of them hold data."""
    rig.store()


def volume(rig: Rig, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(lvol for lvol in rig.call("bdev_lvol_get_lvols") if lvol["alias"] == name)
    return found


def free(rig: Rig) -> int:
    clusters: int = rig.pool()["free_clusters"]
    return clusters


def test_a_new_store_is_empty(rig: Rig) -> None:
    """Guards the arithmetic of a store: what metadata needs is not data."""
    pool = rig.pool()
    assert (pool["total_data_clusters"], pool["free_clusters"], pool["cluster_size"]) == (63, 63, MIB)
    assert (pool["base_bdev"], pool["block_size"]) == ("disk", 4096)


def test_thick_volumes_take_their_clusters_at_once_and_thin_ones_none(rig: Rig) -> None:
    """Guards the accounting of both kinds."""
    rig.lvol("thick", 10)
    assert free(rig) == 53
    rig.lvol("thin", 10, thin=True)
    assert free(rig) == 53
    assert volume(rig, "pool/thin")["num_allocated_clusters"] == 0
    rig.call("bdev_lvol_delete", name="pool/thick")
    assert free(rig) == 63


def test_sizes_round_up_to_clusters(rig: Rig) -> None:
    """Guards that a volume is never smaller than what was asked for."""
    rig.store("big", "other", 4 * MIB)
    rig.lvol("v", 5, "big")
    assert rig.call("bdev_get_bdevs", name="big/v")[0]["num_blocks"] * 4096 == 8 * MIB


def test_a_thick_volume_must_fit_and_a_thin_one_need_not(rig: Rig) -> None:
    """Guards ENOSPC, which leaves nothing behind, and thin overcommitment."""
    assert rig.refusal("bdev_lvol_create", lvs_name="pool", lvol_name="v", size_in_mib=64) == FULL
    assert rig.call("bdev_lvol_get_lvols") == []
    assert free(rig) == 63
    rig.lvol("v", 10_000, thin=True)
    assert rig.call("bdev_get_bdevs", name="pool/v")[0]["num_blocks"] == 10_000 * MIB // 4096


def test_a_size_beyond_64_bits_wraps(rig: Rig) -> None:
    """Guards an overflow that was observed: 2^44 + 5 MiB make a volume of 5 MiB."""
    rig.lvol("v", 2**44 + 5)
    assert free(rig) == 58


def test_names_are_unique_in_their_store_alone(rig: Rig) -> None:
    """Guards that two stores may hold volumes of one name."""
    rig.store("other", "second")
    rig.lvol("v")
    rig.lvol("v", store="other")
    assert rig.refusal("bdev_lvol_create", lvs_name="pool", lvol_name="v", size_in_mib=1) == EXISTS


@pytest.mark.parametrize("name", ["", "n" * 64])
def test_names_have_limits(rig: Rig, name: str) -> None:
    """Guards that a name is 1 to 63 bytes long."""
    assert rig.refusal("bdev_lvol_create", lvs_name="pool", lvol_name=name, size_in_mib=1) == INVALID


def test_two_stores_of_one_name_are_refused(rig: Rig) -> None:
    """Guards the names of stores, which aliases are made of."""
    rig.aio("other")
    assert rig.refusal("bdev_lvol_create_lvstore", bdev_name="other", lvs_name="pool") == EXISTS


@pytest.mark.parametrize(
    ("cluster", "error"),
    [
        (1000, INVALID),
        (8192, None),
        (4096, (-32602, "Cannot allocate memory")),
        (128 * MIB, (-32602, "Invalid argument")),
    ],
)
def test_clusters_are_whole_blocks_and_fit_the_device(rig: Rig, cluster: int, error: tuple[int, str] | None) -> None:
    """Guards the rules for cluster sizes."""
    rig.aio("other")
    asked = {"bdev_name": "other", "lvs_name": "p", "cluster_sz": cluster}
    if error:
        assert rig.refusal("bdev_lvol_create_lvstore", **asked) == error
    else:
        assert rig.call("bdev_lvol_create_lvstore", **asked)


def test_volumes_shrink_in_silence_unless_they_are_in_use(rig: Rig) -> None:
    """Guards the danger that Holdfast exists to prevent: nobody is asked before data goes."""
    rig.lvol("v", 10)
    assert rig.call("bdev_lvol_resize", name="pool/v", size_in_mib=4) is True
    assert free(rig) == 59
    rig.call("nvmf_create_subsystem", nqn=NQN)
    rig.call("nvmf_subsystem_add_ns", nqn=NQN, namespace={"bdev_name": "pool/v"})
    assert rig.refusal("bdev_lvol_resize", name="pool/v", size_in_mib=2) == (-32602, "Device or resource busy")
    assert rig.call("bdev_lvol_resize", name="pool/v", size_in_mib=6) is True
    assert rig.call("bdev_get_bdevs", name="pool/v")[0]["num_blocks"] == 6 * MIB // 4096


def test_a_snapshot_takes_the_clusters_and_its_volume_becomes_a_clone(rig: Rig) -> None:
    """Guards who owns what after a snapshot, and after it is merged back."""
    rig.lvol("v", 10)
    rig.call("bdev_lvol_snapshot", lvol_name="pool/v", snapshot_name="s")
    assert (volume(rig, "pool/s")["num_allocated_clusters"], volume(rig, "pool/v")["num_allocated_clusters"]) == (10, 0)
    assert (volume(rig, "pool/s")["is_snapshot"], volume(rig, "pool/v")["is_clone"]) == (True, True)
    assert rig.call("bdev_lvol_delete", name="pool/s") is True
    assert (volume(rig, "pool/v")["num_allocated_clusters"], volume(rig, "pool/v")["is_clone"]) == (10, False)
    assert free(rig) == 53


def test_what_a_shorter_clone_cannot_hold_is_free_after_a_merge(rig: Rig) -> None:
    """Guards the accounting where a snapshot is longer than the one clone that it is merged into."""
    rig.lvol("v", 10)
    rig.call("bdev_lvol_snapshot", lvol_name="pool/v", snapshot_name="s")
    rig.call("bdev_lvol_resize", name="pool/v", size_in_mib=4)
    rig.call("bdev_lvol_delete", name="pool/s")
    assert volume(rig, "pool/v")["num_allocated_clusters"] == 4
    assert free(rig) == 59


def test_a_snapshot_with_two_clones_stays(rig: Rig) -> None:
    """Guards that nothing which others stand on is deleted."""
    rig.lvol("v", 10)
    rig.call("bdev_lvol_snapshot", lvol_name="pool/v", snapshot_name="s")
    rig.call("bdev_lvol_clone", snapshot_name="pool/s", clone_name="c")
    assert rig.refusal("bdev_lvol_delete", name="pool/s") == (-32603, "Operation not permitted")
    rig.call("bdev_lvol_delete", name="pool/c")
    assert rig.call("bdev_lvol_delete", name="pool/s") is True


def test_inflating_and_decoupling_make_clusters_ones_own(rig: Rig) -> None:
    """Guards the two ways away from a parent: all clusters, or only what the parent holds."""
    rig.lvol("v", 10, thin=True)
    for snapshot in ("s", "t"):
        rig.call("bdev_lvol_snapshot", lvol_name="pool/v", snapshot_name=snapshot)
    rig.call("bdev_lvol_decouple_parent", name="pool/v")
    assert volume(rig, "pool/v")["num_allocated_clusters"] == 0
    rig.call("bdev_lvol_inflate", name="pool/v")
    assert volume(rig, "pool/v")["num_allocated_clusters"] == 10
    assert not volume(rig, "pool/v")["is_clone"]
    assert free(rig) == 53


def test_a_renamed_volume_is_found_by_its_new_name(rig: Rig) -> None:
    """Guards that the alias follows the name and the UUID stays."""
    uuid = rig.lvol("v")
    rig.call("bdev_lvol_rename", old_name="pool/v", new_name="w")
    assert rig.call("bdev_get_bdevs", name="pool/w")[0]["name"] == uuid
    assert rig.refusal("bdev_get_bdevs", name="pool/v") == NOT_THERE


def test_tokens_tell_the_same_bytes_from_blank_ones(rig: Rig) -> None:
    """Guards the token that stands for a volume's bytes: it follows them, and a new volume of an old name is blank."""
    content = rig.simulator.content
    rig.lvol("v", 4)
    kept = content("pool/v")
    rig.call("bdev_lvol_snapshot", lvol_name="pool/v", snapshot_name="s")
    rig.call("bdev_lvol_clone", snapshot_name="pool/s", clone_name="c")
    rig.call("bdev_lvol_rename", old_name="pool/v", new_name="w")
    assert {content(f"pool/{name}") for name in "swc"} == {kept}
    rig.call("bdev_lvol_delete", name="pool/w")
    rig.lvol("v", 4)
    assert content("pool/v") != kept


def test_an_external_snapshot_keeps_its_base_from_writers(rig: Rig) -> None:
    """Guards clones of devices outside the store, degraded while their base is not there."""
    base = {"name": "E", "num_blocks": 1024, "block_size": 4096, "uuid": "55555555-5555-4555-8555-555555555555"}
    rig.call("bdev_malloc_create", **base)
    rig.call("bdev_lvol_clone_bdev", bdev="E", lvs_name="pool", clone_name="c")
    assert rig.call("bdev_get_bdevs", name="E")[0]["claim_type"] == "read_many_write_none"
    assert rig.refusal("bdev_passthru_create", name="P", base_bdev_name="E") == (-1, "Operation not permitted")
    rig.restart()
    rig.aio("disk", rig.directory / "disk.img")
    assert volume(rig, "pool/c")["is_degraded"]
    assert rig.names() == ["disk"]
    rig.call("bdev_malloc_create", **base)
    assert not volume(rig, "pool/c")["is_degraded"]
    assert "pool/c" in rig.names()


def test_requests_in_one_go_meet_each_other_half_done(rig: Rig) -> None:
    """Guards what pipelining does: the second create of a name fails at once, and an export comes too early."""
    rig.call("nvmf_create_subsystem", nqn=NQN)
    create = ("bdev_lvol_create", {"lvs_name": "pool", "lvol_name": "v", "size_in_mib": 1})
    export = ("nvmf_subsystem_add_ns", {"nqn": NQN, "namespace": {"bdev_name": "pool/v"}})
    first, second, exported = rig.ask(create, create, export)
    assert "result" in first
    assert second["error"]["code"] == -17
    assert exported["error"]["code"] == -32602
    assert rig.names() == ["disk", "pool/v"]


def test_deleting_a_store_under_a_create_kills_the_target() -> None:
    """Guards a crash that was observed, after which a plan must be able to go on."""
    with simulated() as rig:
        rig.store()
        creates = [("bdev_lvol_create", {"lvs_name": "pool", "lvol_name": str(i), "size_in_mib": 1}) for i in range(20)]
        with pytest.raises(EOFError):
            rig.ask(*creates, ("bdev_lvol_delete_lvstore", {"lvs_name": "pool"}))
        assert rig.simulator.died is not None


def test_a_volume_smaller_than_its_snapshot_is_lost_when_that_is_merged(rig: Rig) -> None:
    """Guards an observed loss of data: shrink, delete the only snapshot, restart, and the volume is gone."""
    rig.lvol("v", 3)
    rig.call("bdev_lvol_snapshot", lvol_name="pool/v", snapshot_name="s")
    rig.call("bdev_lvol_resize", name="pool/v", size_in_mib=1)
    rig.call("bdev_lvol_delete", name="pool/s")
    assert [lvol["name"] for lvol in rig.call("bdev_lvol_get_lvols")] == ["v"]
    rig.restart()
    rig.aio("disk", rig.directory / "disk.img")
    assert rig.call("bdev_lvol_get_lvols") == []
    assert rig.pool()["free_clusters"] == rig.pool()["total_data_clusters"] - 1


def test_a_volume_larger_than_its_snapshot_is_cut_when_that_is_merged(rig: Rig) -> None:
    """Guards an observed loss of data: grow, delete the only snapshot, restart, and the growth is gone."""
    rig.lvol("v", 2)
    rig.call("bdev_lvol_snapshot", lvol_name="pool/v", snapshot_name="s")
    rig.call("bdev_lvol_resize", name="pool/v", size_in_mib=9)
    rig.call("bdev_lvol_delete", name="pool/s")
    assert rig.call("bdev_get_bdevs", name="pool/v")[0]["num_blocks"] == 9 * MIB // 4096
    rig.restart()
    rig.aio("disk", rig.directory / "disk.img")
    assert rig.call("bdev_get_bdevs", name="pool/v")[0]["num_blocks"] == 2 * MIB // 4096
