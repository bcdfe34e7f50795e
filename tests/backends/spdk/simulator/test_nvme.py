"""Controllers that are attached: how one that is there already is refused, and under which identity its disks are."""

from __future__ import annotations

import errno
from typing import Any

from simulated import Rig

NQN, HOST = "nqn.2026-01.com.example:q", "nqn.2026-01.com.example:h"
NGUID = "33333333-3333-4333-8333-333333333333"
PORTS = ("4420", "4421")


def way(port: str) -> dict[str, str]:
    return {"trtype": "TCP", "adrfam": "IPv4", "traddr": "127.0.0.1", "trsvcid": port}


def attachment(name: str, port: str, **more: str) -> dict[str, Any]:
    return {"name": name, **way(port), "subnqn": NQN, "hostnqn": HOST, **more}


def offer(rig: Rig, nguid: str = NGUID) -> None:
    """A disk in memory as namespace 3, at two ports."""
    rig.call("bdev_malloc_create", name="M", num_blocks=8192, block_size=4096, uuid=NGUID.replace("3", "1"))
    rig.call("nvmf_create_subsystem", nqn=NQN, allow_any_host=True)
    namespace = {"bdev_name": "M", "nsid": 3, "uuid": NGUID.replace("3", "2"), "nguid": nguid.replace("-", "").upper()}
    rig.call("nvmf_subsystem_add_ns", nqn=NQN, namespace=namespace)
    for port in PORTS:
        rig.call("nvmf_subsystem_add_listener", nqn=NQN, listen_address=way(port))


def test_an_attachment_is_refused_as_a_live_target_refuses_it(rig: Rig) -> None:
    """Guards the answers of SPDK v26.05 to what is attached already: the same way, no second way, another name."""
    offer(rig)
    assert rig.call("bdev_nvme_attach_controller", **attachment("N", "4420")) == ["Nn3"]
    same = "A controller named N already exists with the specified network path"
    assert rig.refusal("bdev_nvme_attach_controller", **attachment("N", "4420")) == (-errno.EALREADY, same)
    alone = "A controller named N already exists and multipath is disabled"
    second = attachment("N", "4421", multipath="disable")
    assert rig.refusal("bdev_nvme_attach_controller", **second) == (-errno.EALREADY, alone)
    assert rig.refusal("bdev_nvme_attach_controller", **attachment("O", "4420")) == (-errno.EEXIST, "File exists")
    assert rig.call("bdev_nvme_attach_controller", **attachment("N", "4421")) == ["Nn3"]


def test_a_disk_goes_by_its_nguid(rig: Rig) -> None:
    """Guards identity: SPDK as a host takes the NGUID of a namespace before its UUID."""
    offer(rig)
    rig.call("bdev_nvme_attach_controller", **attachment("N", "4420"))
    assert rig.call("bdev_get_bdevs", name="Nn3")[0]["uuid"] == NGUID


def test_a_disk_whose_identity_is_taken_is_left_out(rig: Rig) -> None:
    """Guards what a target says of its own export: well, and there is no device."""
    offer(rig, nguid=NGUID.replace("3", "1"))
    assert rig.call("bdev_nvme_attach_controller", **attachment("N", "4420")) == []
    assert rig.refusal("bdev_get_bdevs", name="Nn3")[0] == -errno.ENODEV
