"""A target with everything on it that can be observed."""

from __future__ import annotations

from lab import MIB, NQN, LaidDown, LiveLab, SimulatedLab

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
    Referral,
    Subsystem,
    Transport,
    VisibleHost,
    index,
)

LISTENER = {"trtype": "TCP", "adrfam": "IPv4", "traddr": "127.0.0.1", "trsvcid": "4477"}

REFERRAL = Referral("TCP", "10.0.0.12", 8009, "nqn.2014-08.org.nvmexpress.discovery")

EXPORTS = {ObjectKind.SUBSYSTEM, ObjectKind.HOST, ObjectKind.NAMESPACE, ObjectKind.LISTENER}


def furnish(target: SimulatedLab | LiveLab) -> dict[ObjectKey, LiveObject]:
    """One of everything, made past the backend; as it ought to be observed."""
    target.pool()
    uuid = target.call("bdev_lvol_create", lvs_name="pool", lvol_name="v", size_in_mib=4, thin_provision=True)
    target.call("bdev_null_create", name="null", num_blocks=2048, block_size=512)
    null = target.call("bdev_get_bdevs", name="null")[0]["uuid"]
    disk = target.call("bdev_get_bdevs", name="disk")[0]["uuid"]
    store = target.call("bdev_lvol_get_lvstores")[0]["uuid"]
    target.call("nvmf_create_transport", trtype="TCP", max_queue_depth=64)
    nqn = target.export("s", n1="pool/v")
    target.call("nvmf_subsystem_add_ns", nqn=nqn, namespace={"nsid": 7, "bdev_name": "null", "no_auto_visible": True})
    target.call("nvmf_ns_add_host", nqn=nqn, nsid=7, host=f"{NQN}other")
    key = target.key("k1")
    LaidDown().deposit(key)
    target.call("keyring_file_add_key", name=key.name, path=key.path)
    target.call("nvmf_subsystem_add_host", nqn=nqn, host=f"{NQN}host", dhchap_key="k1")
    target.call("nvmf_subsystem_add_listener", nqn=nqn, listen_address=LISTENER)
    target.call("bdev_set_qos_limit", name="pool/v", rw_ios_per_sec=1500, r_mbytes_per_sec=7)
    target.make(REFERRAL)
    (transport,) = target.call("nvmf_get_transports")
    return index(
        [
            Transport(
                "TCP",
                64,
                127,
                4096,
                transport["max_io_size"],
                max_aq_depth=128,
                abort_timeout_sec=1,
                c2h_success=True,
                zcopy=False,
            ),
            Bdev(
                "disk",
                "aio",
                disk,
                64 * MIB,
                4096,
                str(target.folder / "disk.img"),
                fallocate=False,
                read_only=False,
            ),
            Bdev("null", "null", null, MIB, 512),
            LvolStore("pool", "disk", store, MIB),
            Lvol("pool", "v", uuid, 4 * MIB, thin=True),
            key,
            Subsystem(nqn, "0" * 20, "SPDK bdev Controller", 32, 1, 65519, ana_reporting=False),
            AllowedHost(nqn, f"{NQN}host", "k1", psk=""),
            Namespace(nqn, 1, uuid, uuid, uuid.replace("-", "").upper(), masked=False),
            Namespace(nqn, 7, null, null, null.replace("-", "").upper(), masked=True),
            VisibleHost(nqn, 7, f"{NQN}other"),
            Listener(nqn, "TCP", "127.0.0.1", 4477, secure_channel=False),
            REFERRAL,
        ]
    )
