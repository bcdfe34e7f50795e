"""Devices: names, claims, limits, notifications."""

from __future__ import annotations

import os

import pytest
from simulated import MIB, RefusedError, Rig, simulated

UUID = "55555555-5555-4555-8555-555555555555"
NQN = "nqn.2026-01.io.example:s"
BUSY, EXISTS, NOT_THERE = (-16, "Device or resource busy"), (-17, "File exists"), (-19, "No such device")
NOT_PERMITTED, INVALID = (-1, "Operation not permitted"), (-22, "Invalid argument")


def null(rig: Rig, name: str = "N", **more: object) -> None:
    rig.call("bdev_null_create", name=name, num_blocks=8192, block_size=4096, **more)


def test_a_device_is_found_by_name_alias_and_uuid(rig: Rig) -> None:
    """Guards the three ways in which manifests and people refer to a device."""
    rig.store()
    uuid = rig.lvol("a")
    found = [rig.call("bdev_get_bdevs", name=name) for name in (uuid, "pool/a")]
    assert found[0] == found[1]
    assert found[0][0]["aliases"] == ["pool/a"]
    null(rig, uuid=UUID)
    assert rig.call("bdev_get_bdevs", name=UUID)[0]["name"] == "N"
    assert rig.refusal("bdev_get_bdevs", name="pool/b") == NOT_THERE


def test_names_and_uuids_are_taken_once(rig: Rig) -> None:
    """Guards that a second device of the same name, alias or UUID is refused, and that a removed one frees both."""
    null(rig, uuid=UUID)
    size = {"num_blocks": 8, "block_size": 512}
    assert rig.refusal("bdev_malloc_create", name="N", **size) == EXISTS
    assert rig.refusal("bdev_malloc_create", name="M", uuid=UUID, **size) == EXISTS
    rig.call("bdev_null_delete", name="N")
    assert rig.call("bdev_malloc_create", name="N", uuid=UUID, **size) == "N"


@pytest.mark.parametrize(
    ("size", "error"),
    [
        ({"num_blocks": 0, "block_size": 512}, INVALID),
        ({"num_blocks": 8, "block_size": 500}, INVALID),
        ({"num_blocks": 8, "block_size": 0}, (-12, "Cannot allocate memory")),
        ({"num_blocks": 2**40, "block_size": 4096}, (-12, "Cannot allocate memory")),
        ({"num_blocks": 8, "block_size": 512, "md_size": 7}, INVALID),
        ({"num_blocks": 8, "block_size": 512, "dif_type": 1}, INVALID),
        ({"num_blocks": 8, "block_size": 512, "numa_id": 3}, INVALID),
    ],
)
def test_sizes_of_memory_devices_are_checked(rig: Rig, size: dict[str, int], error: tuple[int, str]) -> None:
    """Guards the refusals that were observed for malloc devices."""
    assert rig.refusal("bdev_malloc_create", name="M", **size) == error
    assert rig.names() == []


def test_metadata_makes_interleaved_blocks_longer(rig: Rig) -> None:
    """Guards the block size that a device with metadata shows."""
    null(rig, md_size=8)
    assert rig.call("bdev_get_bdevs", name="N")[0]["block_size"] == 4104


def test_an_aio_device_is_as_large_as_its_file(rig: Rig) -> None:
    """Guards that sizes come from real files, and that a rescan follows one that has grown."""
    path = rig.aio("disk", rig.file("d.img", 3 * MIB))
    assert rig.call("bdev_get_bdevs", name="disk")[0]["num_blocks"] == 3 * MIB // 4096
    os.truncate(path, 5 * MIB)
    assert rig.call("bdev_aio_rescan", name="disk") is True
    assert rig.call("bdev_get_bdevs", name="disk")[0]["num_blocks"] == 5 * MIB // 4096
    assert rig.events()[-1] == ("resize", "disk")


@pytest.mark.parametrize(
    ("block_size", "error"),
    [(0, INVALID), (512, None), (256, INVALID), (768, INVALID), (1 << 20, None), (1 << 21, INVALID)],
)
def test_block_sizes_of_aio_devices_are_powers_of_two_that_fill_the_file(
    rig: Rig, block_size: int, error: tuple[int, str] | None
) -> None:
    """Guards the rules for block sizes of AIO devices."""
    asked = {"name": "A", "filename": str(rig.file("a.img", 3 * MIB)), "block_size": block_size}
    if error:
        assert rig.refusal("bdev_aio_create", **asked) == error
    else:
        assert rig.call("bdev_aio_create", **asked) == "A"


def test_an_aio_device_without_a_file_is_refused(rig: Rig) -> None:
    """Guards the error of the operating system, which comes through."""
    missing = str(rig.directory / "none.img")
    assert rig.refusal("bdev_aio_create", name="A", filename=missing, block_size=512)[0] == -2


@pytest.mark.parametrize("taker", ["store", "namespace", "passthru"])
def test_a_claimed_device_is_nobody_elses(rig: Rig, taker: str) -> None:
    """Guards against two users of one device: a store, a namespace or a device on top claims it against all others."""
    rig.aio("disk")
    rig.call("nvmf_create_subsystem", nqn=NQN)
    match taker:
        case "store":
            rig.call("bdev_lvol_create_lvstore", bdev_name="disk", lvs_name="pool")
        case "namespace":
            rig.call("nvmf_subsystem_add_ns", nqn=NQN, namespace={"bdev_name": "disk"})
        case "passthru":
            rig.call("bdev_passthru_create", name="P", base_bdev_name="disk")
    claim = "read_many_write_one" if taker == "store" else "exclusive_write"
    assert rig.call("bdev_get_bdevs", name="disk")[0]["claim_type"] == claim
    assert rig.refusal("bdev_lvol_create_lvstore", bdev_name="disk", lvs_name="other") == NOT_PERMITTED
    assert rig.refusal("bdev_passthru_create", name="Q", base_bdev_name="disk") == NOT_PERMITTED
    assert rig.refusal("nvmf_subsystem_add_ns", nqn=NQN, namespace={"bdev_name": "disk"})[0] == -32602


def test_removing_a_device_takes_along_what_stands_on_it(rig: Rig) -> None:
    """Guards hot removal: nobody who uses a device is asked."""
    rig.store()
    rig.lvol("a")
    rig.call("nvmf_create_subsystem", nqn=NQN)
    rig.call("nvmf_subsystem_add_ns", nqn=NQN, namespace={"bdev_name": "pool/a"})
    assert rig.call("bdev_aio_delete", name="disk") is True
    assert rig.names() == []
    assert rig.call("bdev_lvol_get_lvstores") == []
    assert rig.call("nvmf_get_subsystems", nqn=NQN)[0]["namespaces"] == []


def test_devices_are_deleted_by_the_method_of_their_kind(rig: Rig) -> None:
    """Guards that a device of another kind is as good as none."""
    null(rig)
    assert rig.refusal("bdev_malloc_delete", name="N") == NOT_THERE
    assert rig.refusal("bdev_lvol_delete", name="N") == NOT_THERE
    assert rig.names() == ["N"]


def limits(rig: Rig, name: str = "N") -> dict[str, int]:
    shown: dict[str, int] = rig.call("bdev_get_bdevs", name=name)[0]["assigned_rate_limits"]
    return {key: value for key, value in shown.items() if value}


def test_limits_are_rounded_up_and_zero_lifts_them(rig: Rig) -> None:
    """Guards QoS on a device in use: thousands of operations, single MiB, and 0 for no limit."""
    null(rig)
    rig.call("nvmf_create_subsystem", nqn=NQN)
    rig.call("nvmf_subsystem_add_ns", nqn=NQN, namespace={"bdev_name": "N"})
    rig.call("bdev_set_qos_limit", name="N", rw_ios_per_sec=1001, r_mbytes_per_sec=7)
    assert limits(rig) == {"rw_ios_per_sec": 2000, "r_mbytes_per_sec": 7}
    rig.call("bdev_set_qos_limit", name="N", rw_ios_per_sec=0)
    assert limits(rig) == {"r_mbytes_per_sec": 7}
    rig.call("bdev_set_qos_limit", name="N", r_mbytes_per_sec=0)
    assert limits(rig) == {}


def test_limits_of_an_unused_device_can_be_set_once(rig: Rig) -> None:
    """Guards an oddity that was observed: nobody has the device open, so its second setting fails."""
    null(rig)
    assert rig.call("bdev_set_qos_limit", name="N", rw_ios_per_sec=1000) is True
    assert rig.refusal("bdev_set_qos_limit", name="N", rw_ios_per_sec=2000)[0] == -32602
    assert limits(rig) == {"rw_ios_per_sec": 1000}


def test_notifications_are_numbered_and_only_the_last_1024_are_kept(rig: Rig) -> None:
    """Guards the ring: whoever reads too late misses the oldest, and sees it from the numbers."""
    for _ in range(600):
        null(rig)
        rig.call("bdev_null_delete", name="N")
    notifications = rig.call("notify_get_notifications", max=2000)
    assert [event["id"] for event in notifications] == list(range(1200 - 1024, 1200))
    assert rig.events(1199) == [("unregister", "N")]
    assert rig.events(5000) == []


def test_devices_can_be_waited_for(rig: Rig) -> None:
    """Guards the timeout of bdev_get_bdevs, which answers as soon as the device is there, or not at all in time."""
    assert rig.refusal("bdev_get_bdevs", name="N", timeout=5) == (-110, "Connection timed out")
    size = {"name": "N", "num_blocks": 8, "block_size": 512}
    waiting, created = rig.ask(("bdev_get_bdevs", {"name": "N", "timeout": 10_000}), ("bdev_null_create", size))
    assert created["result"] == "N"
    assert waiting["result"][0]["name"] == "N"


@pytest.mark.parametrize(("name", "uuid"), [("N", None), ("P", UUID)])
def test_a_passthru_device_of_a_taken_name_kills_the_target(name: str, uuid: str | None) -> None:
    """Guards a crash that was observed, which a plan must not walk into."""
    with simulated() as rig:
        null(rig, uuid=UUID)
        null(rig, "M")
        with pytest.raises(EOFError):
            rig.call("bdev_passthru_create", name=name, base_bdev_name="M", **({"uuid": uuid} if uuid else {}))
        assert rig.simulator.died is not None


def test_a_refused_call_is_told_by_code_and_text(rig: Rig) -> None:
    """Guards the test's own client."""
    with pytest.raises(RefusedError, match="No such device"):
        rig.call("bdev_null_delete", name="N")
