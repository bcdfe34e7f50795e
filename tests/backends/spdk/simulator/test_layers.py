"""Devices on devices, and what they carry."""

from __future__ import annotations

import errno
import json
from typing import Any

import pytest
from simulated import MIB, Rig

SIZE = {"num_blocks": 8192, "block_size": 4096}
LATENCIES = {"avg_read_latency": 1, "p99_read_latency": 2, "avg_write_latency": 3, "p99_write_latency": 4}
KEY = "0123456789abcdef" * 2


def details(rig: Rig, name: str, driver: str) -> dict[str, Any]:
    return dict(rig.call("bdev_get_bdevs", name=name)[0]["driver_specific"][driver])


def test_a_delay_can_be_changed_while_it_is_there(rig: Rig) -> None:
    """Guards bdev_delay_update_latency: what is changed is shown, and lost when the base goes and returns."""
    rig.call("bdev_malloc_create", name="M", **SIZE)
    rig.call("bdev_delay_create", name="D", base_bdev_name="M", **LATENCIES)
    rig.call("bdev_delay_update_latency", delay_bdev_name="D", latency_type="p99_write", latency_us=9)
    assert details(rig, "D", "delay")["p99_write_latency"] == 9
    rig.call("bdev_malloc_delete", name="M")
    assert rig.names() == []
    rig.call("bdev_malloc_create", name="M", **SIZE)
    assert details(rig, "D", "delay")["p99_write_latency"] == 4


def test_a_p99_below_the_average_is_refused(rig: Rig) -> None:
    """Guards the one rule of delays."""
    assert rig.refusal("bdev_delay_create", name="D", base_bdev_name="M", **(LATENCIES | {"p99_read_latency": 0})) == (
        -errno.EINVAL,
        "Invalid argument",
    )


@pytest.mark.parametrize("driver", ["passthru", "delay"])
def test_a_name_is_taken_by_a_device_that_never_came(rig: Rig, driver: str) -> None:
    """Guards an observed trap: a create that fails keeps the name, and it cannot be deleted."""
    more = LATENCIES if driver == "delay" else {}
    rig.store()
    wanted = {"name": "L", "base_bdev_name": "disk", **more}
    assert rig.refusal(f"bdev_{driver}_create", **wanted)[0] == -errno.EPERM
    assert rig.refusal(f"bdev_{driver}_create", **wanted)[0] == -errno.EEXIST
    assert rig.refusal(f"bdev_{driver}_delete", name="L")[0] == -errno.ENODEV


def test_the_same_base_gives_the_same_uuid(rig: Rig) -> None:
    """Guards derived UUIDs, which a host may know a namespace by."""
    rig.call("bdev_malloc_create", name="M", uuid="00000000-0000-4000-8000-000000000001", **SIZE)
    rig.call("bdev_passthru_create", name="P", base_bdev_name="M")
    before = rig.call("bdev_get_bdevs", name="P")[0]["uuid"]
    rig.call("bdev_passthru_delete", name="P")
    rig.call("bdev_passthru_create", name="Q", base_bdev_name="M")
    assert rig.call("bdev_get_bdevs", name="Q")[0]["uuid"] == before


def test_a_store_is_found_through_what_it_was_made_through(rig: Rig) -> None:
    """Guards keys: a store on a crypto device is seen through the same key alone; a passthru hides nothing."""
    path = rig.aio("disk")
    for name, second in (("right", KEY[::-1]), ("wrong", "f" * 32)):
        rig.call("accel_crypto_key_create", name=name, cipher="AES_XTS", key=KEY, key2=second)
    rig.call("bdev_crypto_create", name="C", base_bdev_name="disk", key_name="right")
    rig.call("bdev_lvol_create_lvstore", bdev_name="C", lvs_name="pool", cluster_sz=MIB)
    rig.call("bdev_aio_delete", name="disk")
    rig.call("bdev_crypto_create", name="X", base_bdev_name="other", key_name="wrong")
    rig.aio("other", path)
    rig.call("bdev_wait_for_examine")
    assert rig.call("bdev_lvol_get_lvstores") == []
    rig.call("bdev_aio_delete", name="other")
    rig.aio("disk", path)
    rig.call("bdev_wait_for_examine")
    assert rig.pool()["base_bdev"] == "C"


def test_a_uring_device_carries_what_an_aio_device_left(rig: Rig) -> None:
    """Guards that a file is a file, whatever reads it."""
    path = rig.store()
    rig.lvol("v")
    rig.call("bdev_aio_delete", name="disk")
    rig.call("bdev_uring_create", name="ring", filename=str(path), block_size=4096)
    rig.call("bdev_wait_for_examine")
    assert rig.names() == ["ring", "pool/v"]
    assert rig.refusal("bdev_uring_create", name="ring", filename=str(path), block_size=4096) == (
        -32603,
        "Unable to create URING bdev.",
    )


def test_nothing_can_be_kept_on_a_null_device(rig: Rig) -> None:
    """Guards an observed refusal: a store cannot be made where nothing can be read back."""
    rig.call("bdev_null_create", name="N", **SIZE)
    refused = rig.refusal("bdev_lvol_create_lvstore", bdev_name="N", lvs_name="pool", cluster_sz=MIB)
    assert refused == (-32602, "Invalid argument")


def test_the_configuration_makes_the_devices_again(rig: Rig) -> None:
    """Guards framework_get_config: its calls, made to an empty target, bring about the same configuration."""
    rig.aio("disk")
    rig.call("bdev_malloc_create", name="M", **SIZE)
    rig.call("bdev_malloc_create", name="N", **SIZE)
    rig.call("bdev_passthru_create", name="P", base_bdev_name="M")
    rig.call("bdev_delay_create", name="D", base_bdev_name="P", **LATENCIES)
    rig.call("bdev_raid_create", name="r", raid_level="concat", strip_size_kb=4, base_bdevs=["N"])
    rig.call("bdev_set_qos_limit", name="D", rw_ios_per_sec=2000)
    before = rig.call("framework_get_config", name="bdev")
    rig.restart()
    for call in before:
        if call["method"] not in ("bdev_set_options", "bdev_nvme_set_options", "bdev_nvme_set_hotplug"):
            rig.result(call["method"], call.get("params"))
    after = rig.call("framework_get_config", name="bdev")
    assert sorted(after, key=json.dumps) == sorted(before, key=json.dumps)
