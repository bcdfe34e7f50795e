"""framework_get_config: the calls that would make the present state again, subsystem by subsystem."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from backends.spdk.simulator.bdevs import Bdev
from backends.spdk.simulator.errors import INVALID_PARAMS, RpcError
from backends.spdk.simulator.nvmf import Namespace, Subsystem
from backends.spdk.simulator.options import ACCEL, BDEV_NVME, BDEV_NVME_HOTPLUG, IOBUF, SCHEDULER, SOCK_IMPLEMENTATIONS
from backends.spdk.simulator.raid import State
from backends.spdk.simulator.steps import Handler
from backends.spdk.simulator.target import Target
from schemas.resources import Json

Calls = Iterator[tuple[str, Any]]
DEPENDS_ON: Final[Mapping[str, list[str]]] = {
    "scheduler": [],
    "vmd": [],
    "sock": [],
    "iobuf": [],
    "keyring": [],
    "accel": ["iobuf"],
    "bdev": ["accel", "keyring", "vmd", "sock", "iobuf"],
    "nvmf": ["bdev", "keyring", "sock", "accel", "iobuf"],
    "nbd": ["bdev"],
}


def get_config(target: Target, *, name: str, with_batches: bool = False) -> Json:
    """Of one subsystem. Batches are never shown. The keys in `accel` are in clear text."""
    del with_batches
    if name not in DEPENDS_ON:
        raise RpcError(INVALID_PARAMS, f"Subsystem '{name}' not found")
    writer = WRITERS.get(name)
    return [_dump(method, params) for method, params in writer(target)] if writer else []


def _dump(method: str, params: Json) -> Json:
    named: dict[str, Json] = {"method": method}
    return named if params is None else named | {"params": params}


def _scheduler_calls(target: Target) -> Calls:
    del target
    yield "framework_set_scheduler", SCHEDULER


def _sock_calls(target: Target) -> Calls:
    del target
    yield "sock_set_default_impl", {"impl_name": "posix"}
    for name, options in SOCK_IMPLEMENTATIONS.items():
        yield "sock_impl_set_options", {"impl_name": name, **options}


def _iobuf_calls(target: Target) -> Calls:
    del target
    yield "iobuf_set_options", IOBUF


def _keyring_calls(target: Target) -> Calls:
    for key in target.keyring.ring.values():
        yield "keyring_file_add_key", {"name": key.name, "path": key.path}


def _accel_calls(target: Target) -> Calls:
    yield "accel_set_options", ACCEL
    for key in target.crypto.keys.values():
        yield "accel_crypto_key_create", key.dump()


# Block devices: some modules write all of theirs together, others one by one; limits stand with each device


def _bdev_calls(target: Target) -> Calls:
    yield "bdev_set_options", target.bdev_options | {"bdev_auto_examine": target.auto_examine}
    yield from _together(target, "crypto", "delay")
    yield "bdev_raid_set_options", target.raids.options
    yield from _together(target, "passthru", "malloc", "null")
    yield "bdev_nvme_set_options", BDEV_NVME
    for controller in target.controllers.values():
        for way in controller.calls():
            yield "bdev_nvme_attach_controller", way
    yield "bdev_nvme_set_hotplug", BDEV_NVME_HOTPLUG
    for bdev in target.bdevs:
        if bdev.driver in ALONE:
            yield from _creation(target, bdev)
        if bdev.limits is not None:
            limits = {kind: limit for kind, limit in bdev.limits.items() if limit}
            yield "bdev_set_qos_limit", {"name": bdev.name, **limits}
    yield "bdev_wait_for_examine", None


ALONE: Final = frozenset({"aio", "uring", "raid"})


def _together(target: Target, *drivers: str) -> Calls:
    for driver in drivers:
        there = target.delays if driver == "delay" else list(target.bdevs)
        for bdev in there:
            if bdev.driver == driver:
                yield from _creation(target, bdev)


def _creation(target: Target, bdev: Bdev) -> Calls:
    if bdev.driver == "raid":
        yield from _raid(target, bdev)
        return
    shown = bdev.details().get(bdev.driver)
    told = dict(shown) if isinstance(shown, dict) else {}
    told.pop("block_size_override", None)
    if "nowait" in told:
        told |= {"uuid": bdev.uuid, "nowait": told.pop("nowait")}
    made: dict[str, dict[str, Json]] = {
        "crypto": told,
        "delay": told,
        "passthru": {"base_bdev_name": told.get("base_bdev_name"), "name": bdev.name, "uuid": bdev.uuid},
        "aio": {"name": bdev.name, "block_size": bdev.block_size, **told},
        "uring": {"name": bdev.name, "block_size": bdev.block_size, **told, "uuid": bdev.uuid},
    }
    yield f"bdev_{bdev.driver}_create", made.get(bdev.driver) or _in_memory(bdev)


def _in_memory(bdev: Bdev) -> dict[str, Json]:
    size: dict[str, Json] = {"name": bdev.name, "num_blocks": bdev.num_blocks, "block_size": bdev.block_size}
    return {**size, **bdev.recipe, "uuid": bdev.uuid}


def _raid(target: Target, bdev: Bdev) -> Calls:
    """One with a superblock comes back by itself."""
    raid = target.raids.by_name[bdev.name]
    if raid.has_superblock or raid.state is not State.ONLINE:
        return
    strip = {"strip_size_kb": raid.strip_size_kb} if raid.strip_size_kb else {}
    legs = [leg.name or f"removed_base_bdev_{slot}" for slot, leg in enumerate(raid.legs)]
    made = {"name": raid.name, "uuid": bdev.uuid, **strip, "raid_level": raid.level, "base_bdevs": legs}
    yield "bdev_raid_create", made


# NVMe-oF


def _nvmf_calls(target: Target) -> Calls:
    """Phase by phase over all subsystems, as they would have to be made."""
    nvmf = target.nvmf
    yield "nvmf_set_config", nvmf.config
    yield "nvmf_set_max_subsystems", {"max_subsystems": nvmf.max_subsystems}
    yield "nvmf_set_crdt", nvmf.crdt
    for options in nvmf.transports.values():
        yield "nvmf_create_transport", options
    for referral in nvmf.referrals:
        shown = {"address": referral.address.dump(), "secure_channel": referral.secure_channel}
        yield "nvmf_discovery_add_referral", shown | {"subnqn": referral.subnqn}
    subsystems = [subsystem for subsystem in nvmf if subsystem.subtype == "NVMe"]
    for phase in (_creations, _hosts, _namespaces, _visibilities):
        for subsystem in subsystems:
            yield from phase(subsystem)
    for subsystem in nvmf:
        yield from _listeners(subsystem)


def _creations(subsystem: Subsystem) -> Calls:
    names = (
        "nqn",
        "allow_any_host",
        "serial_number",
        "model_number",
        "max_namespaces",
        "min_cntlid",
        "max_cntlid",
        "ana_reporting",
        "dmrsl",
        "wzsl",
        "passthrough",
        "enable_nssr",
    )
    yield "nvmf_create_subsystem", {name: getattr(subsystem, name) for name in names}


def _hosts(subsystem: Subsystem) -> Calls:
    for host in subsystem.hosts:
        shown = host.dump()
        psk = {"psk": host.psk.name} if host.psk else {}
        yield "nvmf_subsystem_add_host", {"nqn": subsystem.nqn, "host": shown.pop("nqn")} | psk | shown


def _namespaces(subsystem: Subsystem) -> Calls:
    for nsid in sorted(subsystem.namespaces):
        namespace = subsystem.namespaces[nsid]
        yield "nvmf_subsystem_add_ns", {"nqn": subsystem.nqn, "namespace": _namespace(subsystem, namespace)}


def _namespace(subsystem: Subsystem, namespace: Namespace) -> dict[str, Json]:
    shown: dict[str, Json] = {"nsid": namespace.nsid, "bdev_name": namespace.bdev.name}
    shown |= namespace.identity()
    if subsystem.ana_reporting:
        shown["anagrpid"] = namespace.anagrpid
    shown["no_auto_visible"] = namespace.no_auto_visible
    return shown | ({"ptpl_file": namespace.ptpl_file} if namespace.ptpl_file else {})


def _visibilities(subsystem: Subsystem) -> Calls:
    for nsid in sorted(subsystem.namespaces):
        for host in subsystem.namespaces[nsid].hosts:
            yield "nvmf_ns_add_host", {"nqn": subsystem.nqn, "nsid": nsid, "host": host}


def _listeners(subsystem: Subsystem) -> Calls:
    for listener in subsystem.listeners:
        shown = {"listen_address": listener.address.dump(), "secure_channel": listener.secure_channel}
        implementation = {"sock_impl": listener.sock_impl} if listener.sock_impl else {}
        yield "nvmf_subsystem_add_listener", {"nqn": subsystem.nqn} | shown | implementation


WRITERS: Final[Mapping[str, Callable[[Target], Calls]]] = {
    "scheduler": _scheduler_calls,
    "sock": _sock_calls,
    "iobuf": _iobuf_calls,
    "keyring": _keyring_calls,
    "accel": _accel_calls,
    "bdev": _bdev_calls,
    "nvmf": _nvmf_calls,
}
HANDLERS: Final[Mapping[str, Handler]] = {"framework_get_config": get_config}
