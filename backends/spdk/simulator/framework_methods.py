"""What the process says about itself: version, methods, start-up, configuration, notifications."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Final

from backends.spdk.simulator.bdev_methods import TICK_RATE
from backends.spdk.simulator.config_methods import DEPENDS_ON
from backends.spdk.simulator.errors import TargetDied, failed
from backends.spdk.simulator.methods import METHODS
from backends.spdk.simulator.nvmf_methods import add_discovery
from backends.spdk.simulator.options import IOBUF_STATS, MODULES, OPERATIONS, SCHEDULER
from backends.spdk.simulator.params import MAX_UINT64
from backends.spdk.simulator.steps import Handler, Pause, Steps
from backends.spdk.simulator.target import Target
from schemas.resources import Json

VERSION: Final[dict[str, Json]] = {
    "version": "SPDK v26.05 git sha1 d519b163cb",
    "fields": {"major": 26, "minor": 5, "patch": 0, "suffix": "", "commit": "d519b163cb"},
}
NOTIFICATION_TYPES: Final = ("bdev_register", "bdev_unregister", "bdev_resize")


def get_version(target: Target) -> Json:
    del target
    return VERSION


def get_methods(target: Target, *, current: bool = False, include_aliases: bool = True) -> Json:
    """What this simulator can do, which is less than a live target can."""
    del include_aliases
    shown = METHODS.values()
    offered = (m for m in shown if not current or (m.runtime if target.initialized else m.startup))
    return [m.name for m in offered if target.permits(m.name)]


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


# What there is to say about modules that have no state here


def get_scheduler(target: Target) -> Json:
    del target
    return {"scheduler_name": SCHEDULER["name"], "scheduler_period": 0, "isolated_core_mask": "0", "scheduling_core": 0}


def get_default_sock(target: Target) -> Json:
    del target
    return {"impl_name": "posix"}


def get_assignments(target: Target) -> Json:
    del target
    return dict.fromkeys(OPERATIONS, "software")


def get_accel_modules(target: Target) -> Json:
    del target
    return [{"module": name, "supported ops": list(operations)} for name, operations in MODULES.items()]


def get_iobuf_stats(target: Target) -> Json:
    """Nothing is ever buffered."""
    modules = ["accel", "bdev", *(["nvmf_TCP"] if target.nvmf.transports else [])]
    return [{"module": name, "small_pool": {**IOBUF_STATS}, "large_pool": {**IOBUF_STATS}} for name in modules]


def get_mem_stats(target: Target) -> Json:
    """Names the file that a live target writes. No file is written here."""
    del target
    return {"filename": "/tmp/spdk_mem_dump.txt"}  # noqa: S108  # the answer's words


def start_disk(target: Target, *, bdev_name: str, nbd_device: str | None = None) -> Json:
    """As on a machine whose kernel has no nbd."""
    del nbd_device
    target.bdevs.get(bdev_name)
    raise failed(errno.ENOENT)


def stop_disk(target: Target, *, nbd_device: str) -> Json:
    del target, nbd_device
    raise failed(errno.ENODEV)


def get_disks(target: Target, *, nbd_device: str | None = None) -> Json:
    del target
    if nbd_device is not None:
        raise failed(errno.ENODEV)
    return []


HANDLERS: Final[Mapping[str, Handler]] = {
    "spdk_get_version": get_version,
    "rpc_get_methods": get_methods,
    "spdk_kill_instance": kill_instance,
    "framework_start_init": start_init,
    "framework_wait_init": wait_init,
    "framework_get_subsystems": get_subsystems,
    "framework_get_reactors": get_reactors,
    "framework_get_scheduler": get_scheduler,
    "sock_get_default_impl": get_default_sock,
    "accel_get_opc_assignments": get_assignments,
    "accel_get_module_info": get_accel_modules,
    "iobuf_get_stats": get_iobuf_stats,
    "nbd_start_disk": start_disk,
    "nbd_stop_disk": stop_disk,
    "nbd_get_disks": get_disks,
    "env_dpdk_get_mem_stats": get_mem_stats,
    "notify_get_types": get_notification_types,
    "notify_get_notifications": get_notifications,
}
