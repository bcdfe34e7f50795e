"""One typed function per RPC that we use: the call it makes. Parameters as in SPDK v26.05's RPC schema."""

from __future__ import annotations

from backends.ana_states import ANA_STATES
from backends.objects import Bdev, Listener, LvolStore, Namespace, QosLimits, Subsystem, Transport, VisibleHost
from backends.spdk.client import Call
from schemas.resources import Json

MIB = 1 << 20
EXAMINE_TIMEOUT = 900.0  # seconds: a store that was not closed cleanly may take minutes to load
LONG_TIMEOUT = 3600.0  # seconds: clearing a device or deleting a large thick volume
COPY_TIMEOUT = 7 * 86400.0  # seconds: copying a whole volume, which is answered when it is done


def _writes(method: str, timeout: float = 60.0, /, **params: Json) -> Call:
    """A mutating call; parameters that are None are left out."""
    return Call(
        method, {name: value for name, value in params.items() if value is not None}, mutates=True, timeout=timeout
    )


# --- reading

VERSION = Call("spdk_get_version")
REACTORS = Call("framework_get_reactors")
BDEVS = Call("bdev_get_bdevs")
LVOL_STORES = Call("bdev_lvol_get_lvstores")
TRANSPORTS = Call("nvmf_get_transports")
SUBSYSTEMS = Call("nvmf_get_subsystems")
NVMF_CONFIG = Call("framework_get_config", {"name": "nvmf"})  # pauses nothing, holds no secret
WAIT_FOR_EXAMINE = Call("bdev_wait_for_examine", timeout=EXAMINE_TIMEOUT)


BDEV_CONFIG = Call("framework_get_config", {"name": "bdev"})  # as the calls that would make it; names keys, shows none


def bdev(name: str) -> Call:
    """By name, alias or uuid; error -19 when there is none."""
    return Call("bdev_get_bdevs", {"name": name})


def lvols(store_uuid: str) -> Call:
    return Call("bdev_lvol_get_lvols", {"lvs_uuid": store_uuid})


def lvols_in(store: str) -> Call:
    """By the name of their store; an error when it is not loaded."""
    return Call("bdev_lvol_get_lvols", {"lvs_name": store})


def subsystem(nqn: str) -> Call:
    return Call("nvmf_get_subsystems", {"nqn": nqn})


def controllers(nqn: str) -> Call:
    """Pauses and resumes the subsystem: on demand only, with a short deadline."""
    return Call("nvmf_subsystem_get_controllers", {"nqn": nqn}, timeout=5.0)


def qpairs(nqn: str) -> Call:
    """Pauses and resumes the subsystem: on demand only, with a short deadline."""
    return Call("nvmf_subsystem_get_qpairs", {"nqn": nqn}, timeout=5.0)


def notifications(since: int, limit: int = 1024) -> Call:
    return Call("notify_get_notifications", {"id": since, "max": limit})


def configuration(part: str) -> Call:
    """The calls that would make one part of the target again. Never of `accel`, which shows keys."""
    return Call("framework_get_config", {"name": part})


# --- devices and stores


def aio_create(wanted: Bdev) -> Call:
    return _writes(
        "bdev_aio_create",
        name=wanted.name,
        filename=wanted.path,
        block_size=wanted.block_size,
        readonly=wanted.read_only,
        fallocate=wanted.fallocate,
        uuid=wanted.uuid,
    )


def aio_rescan(name: str) -> Call:
    """Takes in the size that the file or disk has by now; answers well also when nothing has changed."""
    return _writes("bdev_aio_rescan", name=name)


def malloc_create(name: str, size: int, block_size: int, uuid: str | None) -> Call:
    return _writes("bdev_malloc_create", name=name, num_blocks=size // block_size, block_size=block_size, uuid=uuid)


def null_create(name: str, size: int, block_size: int, uuid: str | None) -> Call:
    return _writes("bdev_null_create", name=name, num_blocks=size // block_size, block_size=block_size, uuid=uuid)


def bdev_delete(driver: str, name: str) -> Call:
    """`driver` is aio, malloc or null."""
    return _writes(f"bdev_{driver}_delete", name=name)


def lvol_store_create(store: LvolStore) -> Call:
    """SPDK overwrites whatever is on the device without asking: the caller has proven it blank."""
    return _writes(
        "bdev_lvol_create_lvstore",
        LONG_TIMEOUT,
        bdev_name=store.bdev,
        lvs_name=store.name,
        cluster_sz=store.cluster_size,
        clear_method=store.clear_method,
    )


def lvol_store_delete(uuid: str) -> Call:
    """Deletes every lvol inside without asking: the caller has made sure that there is none."""
    return _writes("bdev_lvol_delete_lvstore", LONG_TIMEOUT, uuid=uuid)


def lvol_create(store: str, name: str, size: int, *, thin: bool, clear_method: str | None) -> Call:
    """`size` in bytes, rounded up to MiB here and to clusters by SPDK."""
    return _writes(
        "bdev_lvol_create",
        lvs_name=store,
        lvol_name=name,
        size_in_mib=-(-size // MIB),
        thin_provision=thin,
        clear_method=clear_method,
    )


def lvol_store_grow(uuid: str) -> Call:
    """Takes in what the device has grown by; answers well also when there is nothing."""
    return _writes("bdev_lvol_grow_lvstore", LONG_TIMEOUT, uuid=uuid)


def lvol_snapshot(lvol: str, name: str) -> Call:
    """By alias. The lvol becomes a thin clone of its snapshot."""
    return _writes("bdev_lvol_snapshot", lvol_name=lvol, snapshot_name=name)


def lvol_clone(snapshot: str, name: str) -> Call:
    """Of a read-only lvol, by alias; in its store."""
    return _writes("bdev_lvol_clone", snapshot_name=snapshot, clone_name=name)


def lvol_clone_bdev(device: str, store: str, name: str) -> Call:
    """Of a device outside the store, by uuid. While the clone is there, the device must not be deleted."""
    return _writes("bdev_lvol_clone_bdev", bdev=device, lvs_name=store, clone_name=name)


def lvol_resize(uuid: str, size: int) -> Call:
    """SPDK shrinks without asking: the caller never asks for less than there is."""
    return _writes("bdev_lvol_resize", name=uuid, size_in_mib=-(-size // MIB))


def lvol_inflate(uuid: str) -> Call:
    """Gives it clusters for all of its size, and nothing to lie on. Refused at once when there are too few, and while
    another such call is at work on it; a target that ends meanwhile leaves it as good as before (observed on v26.05).
    """
    return _writes("bdev_lvol_inflate", COPY_TIMEOUT, name=uuid)


def lvol_decouple(uuid: str) -> Call:
    """Gives it the clusters of the snapshot it lies on; then it lies on what that lies on.

    The caller makes sure that it is no larger than that snapshot: v26.05 reads beyond the end of its list of clusters.
    """
    return _writes("bdev_lvol_decouple_parent", COPY_TIMEOUT, name=uuid)


def lvol_delete(uuid: str) -> Call:
    """Not refused while the lvol is exported: the caller has seen its namespace gone."""
    return _writes("bdev_lvol_delete", LONG_TIMEOUT, name=uuid)


def set_qos(bdev_name: str, limits: QosLimits) -> Call:
    """All four limits, because SPDK keeps those that are not named."""
    return _writes(
        "bdev_set_qos_limit",
        name=bdev_name,
        rw_ios_per_sec=limits.iops,
        r_mbytes_per_sec=limits.read_mbps,
        w_mbytes_per_sec=limits.write_mbps,
        rw_mbytes_per_sec=limits.total_mbps,
    )


# --- NVMe-oF


def transport_create(transport: Transport) -> Call:
    return _writes(
        "nvmf_create_transport",
        trtype=transport.type,
        max_queue_depth=transport.max_queue_depth,
        max_io_qpairs_per_ctrlr=transport.max_io_qpairs_per_ctrlr,
        in_capsule_data_size=transport.in_capsule_data_size,
        max_io_size=transport.max_io_size,
        max_aq_depth=transport.max_aq_depth,
        abort_timeout_sec=transport.abort_timeout_sec,
        c2h_success=transport.c2h_success,
        zcopy=transport.zcopy,
    )


def subsystem_create(wanted: Subsystem) -> Call:
    return _writes(
        "nvmf_create_subsystem",
        nqn=wanted.nqn,
        serial_number=wanted.serial_number,
        model_number=wanted.model_number,
        max_namespaces=wanted.max_namespaces,
        min_cntlid=wanted.min_cntlid,
        max_cntlid=wanted.max_cntlid,
        allow_any_host=wanted.allow_any_host,
        ana_reporting=wanted.ana_reporting,
    )


def subsystem_delete(nqn: str) -> Call:
    return _writes("nvmf_delete_subsystem", nqn=nqn)


def allow_any_host(nqn: str, *, allow: bool) -> Call:
    return _writes("nvmf_subsystem_allow_any_host", nqn=nqn, allow_any_host=allow)


def host_remove(nqn: str, host: str) -> Call:
    return _writes("nvmf_subsystem_remove_host", nqn=nqn, host=host)


def namespace_add(wanted: Namespace) -> Call:
    """Masked from its first moment where it is to be: it is never visible to everybody in between."""
    named: dict[str, Json] = {"nsid": wanted.nsid, "bdev_name": wanted.bdev, "uuid": wanted.uuid, "nguid": wanted.nguid}
    named |= {"anagrpid": wanted.anagrpid, "no_auto_visible": wanted.masked or None}
    return _writes("nvmf_subsystem_add_ns", nqn=wanted.nqn, namespace={k: v for k, v in named.items() if v is not None})


def namespace_remove(nqn: str, nsid: int) -> Call:
    return _writes("nvmf_subsystem_remove_ns", nqn=nqn, nsid=nsid)


def visible_host_add(wanted: VisibleHost) -> Call:
    """Answers well also when it is there already, but not for a namespace that is not masked."""
    return _writes("nvmf_ns_add_host", nqn=wanted.nqn, nsid=wanted.nsid, host=wanted.host)


def visible_host_remove(gone: VisibleHost) -> Call:
    return _writes("nvmf_ns_remove_host", nqn=gone.nqn, nsid=gone.nsid, host=gone.host)


def namespace_ana_group(wanted: Namespace) -> Call:
    return _writes("nvmf_subsystem_set_ns_ana_group", nqn=wanted.nqn, nsid=wanted.nsid, anagrpid=wanted.anagrpid)


def listener_add(listener: Listener) -> Call:
    """Opens with the state of all its ANA groups; inaccessible where they differ, until each has been set.

    SPDK shares one socket among the listeners of an address; it speaks TLS if the first of them asked for it.
    """
    state = None if listener.ana is None else listener.ana if listener.ana in ANA_STATES else "inaccessible"
    return _writes(
        "nvmf_subsystem_add_listener",
        nqn=listener.nqn,
        listen_address=_address(listener),
        secure_channel=listener.secure_channel or None,
        ana_state=state,
    )


def listeners(nqn: str) -> Call:
    """With their ANA states. Pauses and resumes the subsystem's administrative queues, like `controllers`."""
    return Call("nvmf_subsystem_get_listeners", {"nqn": nqn}, timeout=5.0)


def ana_state(listener: Listener, group: int, state: str) -> Call:
    """Group 0 is all groups."""
    return _writes(
        "nvmf_subsystem_listener_set_ana_state",
        nqn=listener.nqn,
        listen_address=_address(listener),
        ana_state=state,
        anagrpid=group,
    )


def listener_remove(listener: Listener) -> Call:
    return _writes("nvmf_subsystem_remove_listener", nqn=listener.nqn, listen_address=_address(listener))


def _address(listener: Listener) -> Json:
    family = "IPv6" if ":" in listener.address else "IPv4"
    return {"trtype": listener.transport, "adrfam": family, "traddr": listener.address, "trsvcid": str(listener.port)}
