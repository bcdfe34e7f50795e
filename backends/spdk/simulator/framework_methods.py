"""What the process says about itself: version, methods, start-up, configuration, notifications."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from backends.spdk.simulator.bdev_methods import TICK_RATE
from backends.spdk.simulator.bdevs import Bdev
from backends.spdk.simulator.errors import INVALID_PARAMS, RpcError, TargetDied
from backends.spdk.simulator.methods import METHODS
from backends.spdk.simulator.nvmf import Namespace, Subsystem
from backends.spdk.simulator.nvmf_methods import add_discovery
from backends.spdk.simulator.params import MAX_UINT64
from backends.spdk.simulator.steps import Handler, Pause, Steps
from backends.spdk.simulator.target import Target
from schemas.resources import Json

VERSION: Final[dict[str, Json]] = {
    "version": "SPDK v26.05 git sha1 d519b163cb",
    "fields": {"major": 26, "minor": 5, "patch": 0, "suffix": "", "commit": "d519b163cb"},
}
DEPENDS_ON: Final[Mapping[str, list[str]]] = {
    "scheduler": [],
    "vmd": [],
    "sock": [],
    "iobuf": [],
    "keyring": [],
    "accel": ["iobuf"],
    "bdev": ["accel", "keyring", "vmd", "sock", "iobuf"],
    "nvmf": ["bdev", "keyring", "sock", "accel", "iobuf"],
}
NOTIFICATION_TYPES: Final = ("bdev_register", "bdev_unregister", "bdev_resize")


def get_version(target: Target) -> Json:
    del target
    return VERSION


def get_methods(target: Target, *, current: bool = False, include_aliases: bool = True) -> Json:
    """What this simulator can do, which is less than a live target can."""
    del include_aliases
    shown = METHODS.values()
    return [m.name for m in shown if not current or (m.runtime if target.initialized else m.startup)]


def kill_instance(target: Target, *, sig_name: str) -> Json:
    """The connection ends before an answer, as it may with a live target."""
    del target
    raise TargetDied(sig_name)


def start_init(target: Target) -> Steps:
    yield Pause.IO
    initialize(target)
    return True


def initialize(target: Target) -> None:
    target.initialized = True
    add_discovery(target)


def wait_init(target: Target) -> Steps:
    while not target.initialized:
        yield Pause.POLL
    return True


def get_subsystems(target: Target) -> Json:
    del target
    return [{"subsystem": name, "depends_on": [*needs]} for name, needs in DEPENDS_ON.items()]


def get_reactors(target: Target) -> Json:
    """Restart is told by the pid, and by the ids of notifications that begin again."""
    ticks = int(target.now() * TICK_RATE)
    threads: list[Json] = [
        {"name": name, "id": number, "cpumask": "1", "elapsed": ticks}
        for number, name in enumerate(("app_thread", "nvmf_tgt_poll_group_000"), 1)
    ]
    reactor: dict[str, Json] = {"lcore": 0, "numa_id": 0, "tid": target.pid, "busy": 0, "idle": ticks}
    reactor |= {"in_interrupt": False, "irq": 0, "sys": 0, "usr": 0, "lw_threads": threads}
    return {"tick_rate": TICK_RATE, "pid": target.pid, "reactors": [reactor]}


def get_notification_types(target: Target) -> Json:
    del target
    return [*NOTIFICATION_TYPES]


def get_notifications(target: Target, *, id: int = 0, max: int = MAX_UINT64) -> Json:  # noqa: A002  # the RPC's words
    return target.notifications.since(id, max)


# Configuration: the calls that would make the present state again


def get_config(target: Target, *, name: str, with_batches: bool = False) -> Json:
    """Of one subsystem. Batches are never shown. The keys in `accel` are in clear text."""
    del with_batches
    if name not in DEPENDS_ON:
        raise RpcError(INVALID_PARAMS, f"Subsystem '{name}' not found")
    writers = {"keyring": _keyring_calls, "accel": _accel_calls, "bdev": _bdev_calls, "nvmf": _nvmf_calls}
    writer = writers.get(name)
    return [{"method": method, "params": params} for method, params in writer(target)] if writer else []


Calls = Iterator[tuple[str, Any]]


def _keyring_calls(target: Target) -> Calls:
    for key in target.keyring.ring.values():
        yield "keyring_file_add_key", {"name": key.name, "path": key.path}


def _accel_calls(target: Target) -> Calls:
    for key in target.crypto.keys.values():
        yield "accel_crypto_key_create", key.dump()


def _bdev_calls(target: Target) -> Calls:
    yield "bdev_set_options", {"bdev_auto_examine": target.auto_examine}
    for driver in ("crypto", "raid", "malloc", "null", "aio"):
        for bdev in target.bdevs:
            if bdev.driver == driver:
                yield f"bdev_{driver}_create", _creation(bdev)
    for bdev in target.bdevs:
        if bdev.limits is not None:
            yield "bdev_set_qos_limit", {"name": bdev.name, **bdev.limits}


def _creation(bdev: Bdev) -> dict[str, Json]:
    shown = bdev.details().get(bdev.driver)
    made: dict[str, Json] = {"name": bdev.name, "block_size": bdev.block_size, "uuid": bdev.uuid}
    if isinstance(shown, dict):
        made |= {name: value for name, value in shown.items() if name != "block_size_override"}
    else:
        made["num_blocks"] = bdev.num_blocks
    return made


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


HANDLERS: Final[Mapping[str, Handler]] = {
    "spdk_get_version": get_version,
    "rpc_get_methods": get_methods,
    "spdk_kill_instance": kill_instance,
    "framework_start_init": start_init,
    "framework_wait_init": wait_init,
    "framework_get_subsystems": get_subsystems,
    "framework_get_config": get_config,
    "framework_get_reactors": get_reactors,
    "notify_get_types": get_notification_types,
    "notify_get_notifications": get_notifications,
}
