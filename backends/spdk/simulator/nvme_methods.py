"""bdev_nvme_*: controllers of simulated targets in this very process, found by address and NQN. There is no PCIe."""

from __future__ import annotations

import contextlib
import errno
import uuid
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from backends.spdk.simulator.bdevs import Bdev
from backends.spdk.simulator.errors import RpcError, failed
from backends.spdk.simulator.nvmf import Address, Subsystem
from backends.spdk.simulator.steps import Handler, Pause, Steps
from backends.spdk.simulator.target import Target
from schemas.resources import Json

TIMEOUTS: Final = ("ctrlr_loss_timeout_sec", "reconnect_delay_sec", "fast_io_fail_timeout_sec")
NVME_IO: Final = ("read", "write", "unmap", "flush", "reset", "nvme_admin", "nvme_io", "write_zeroes", "compare")


@dataclass(eq=False, slots=True)
class Controller:
    """One controller with the ways to it, and the devices of its namespaces."""

    name: str
    subnqn: str
    hostnqn: str
    ways: list[Address] = field(default_factory=list)
    bdevs: list[Bdev] = field(default_factory=list)
    policy: str = "active_passive"
    options: dict[str, Json] = field(default_factory=dict)  # how it was attached

    def calls(self) -> Iterator[dict[str, Json]]:
        """Parameters of the calls that attach it."""
        times = {name: self.options.get(name, 0) for name in TIMEOUTS}
        for way in self.ways:
            yield {
                "name": self.name,
                **way.dump(),
                "subnqn": self.subnqn,
                "prchk_reftag": False,
                "prchk_guard": False,
                **times,
                "hostnqn": self.hostnqn,
                "hdgst": self.options.get("hdgst", False),
                "ddgst": self.options.get("ddgst", False),
                "multipath": "multipath",
                "fabrics_connect_timeout_us": 0,
                "num_io_queues": 1024,
            }

    def has(self, way: Address, subnqn: str, hostnqn: str) -> bool:
        """Whether this host is connected there already, under this name."""
        same = self.subnqn == subnqn and self.hostnqn == hostnqn
        return same and any(way.identity == other.identity for other in self.ways)


_TARGETS: weakref.WeakSet[Target] = weakref.WeakSet()


def introduce(target: Target) -> None:
    """Let the targets of this process find each other."""
    _TARGETS.add(target)


def forget(target: Target) -> None:
    _TARGETS.discard(target)


def attach(  # noqa: PLR0913  # the method's parameters
    target: Target,
    *,
    name: str,
    trtype: str,
    traddr: str,
    adrfam: str = "IPv4",
    trsvcid: str = "",
    subnqn: str = "",
    hostnqn: str = "",
    multipath: str = "multipath",
    **options: Json,
) -> Steps:
    """Observed: an address that nobody listens on is EIO; a device that cannot be registered is left out."""
    way = Address(trtype.upper(), adrfam, traddr, trsvcid)
    hostnqn = hostnqn or target.host_nqn
    known = target.controllers.get(name)
    if known and multipath == "disable":
        raise RpcError(-errno.EALREADY, f"A controller named {name} already exists and multipath is disabled")
    if known and any(way.identity == other.identity for other in known.ways):
        text = f"A controller named {name} already exists with the specified network path"
        raise RpcError(-errno.EALREADY, text)
    if any(other.has(way, subnqn, hostnqn) for other in target.controllers.values() if other is not known):
        raise failed(errno.EEXIST)
    yield Pause.IO
    if way.trtype == "PCIE":
        raise failed(errno.ENODEV)
    offered = _find(way, subnqn)
    if offered is None or not (offered.allow_any_host or offered.host(hostnqn)):
        raise failed(errno.EIO)
    known = target.controllers.get(name)
    controller = known or Controller(name, subnqn, hostnqn, options=options)
    controller.ways.append(way)
    target.controllers[name] = controller
    if known is None:
        for nsid, identity, block_size, blocks in _namespaces(offered, hostnqn):
            bdev = Bdev(
                f"{name}n{nsid}", "NVMe disk", "nvme", block_size, blocks, identity, NVME_IO, lambda: _shown(controller)
            )
            with contextlib.suppress(RpcError):
                controller.bdevs.append(target.register(bdev))
    return [bdev.name for bdev in controller.bdevs]


def _find(way: Address, subnqn: str) -> Subsystem | None:
    for other in list(_TARGETS):
        subsystem = other.nvmf.find(subnqn)
        if subsystem and any(listener.address.identity == way.identity for listener in subsystem.listeners):
            return subsystem
    return None


def _namespaces(subsystem: Subsystem, host: str) -> Iterator[tuple[int, str, int, int]]:
    """Those that a host sees, each under its NGUID, which SPDK as a host takes before its UUID (observed)."""
    for nsid, namespace in sorted(subsystem.namespaces.items()):
        if namespace.no_auto_visible and host not in namespace.hosts:
            continue
        yield nsid, str(uuid.UUID(namespace.nguid)), namespace.bdev.block_size, namespace.bdev.num_blocks


def _trid(controller: Controller, way: Address) -> dict[str, Json]:
    return {**way.dump(), "subnqn": controller.subnqn}


def _shown(controller: Controller) -> dict[str, Json]:
    return {
        "nvme": [{"trid": _trid(controller, way)} for way in controller.ways],
        "mp_policy": controller.policy,
    }


def get_controllers(target: Target, *, name: str | None = None) -> Json:
    if name is not None and name not in target.controllers:
        raise RpcError(-errno.EINVAL, f"Controller {name} does not exist")
    found = [target.controllers[name]] if name is not None else list(target.controllers.values())
    return [
        {
            "name": controller.name,
            "ctrlrs": [
                {
                    "state": "enabled" if _find(way, controller.subnqn) else "reconnect_is_delayed",
                    "trid": _trid(controller, way),
                    "cntlid": 1,
                    "host": {"nqn": controller.hostnqn, "addr": "", "svcid": "", "no_shn_notification": False},
                }
                for way in controller.ways
            ],
        }
        for controller in found
    ]


def detach(target: Target, *, name: str, **where: str) -> Steps:
    """One way, or all; the devices go with the last."""
    controller = target.controllers.get(name)
    if controller is None:
        raise failed(errno.ENODEV)
    gone = [way for way in controller.ways if all(way.dump().get(k, v) == v for k, v in where.items())]
    if not gone:
        raise failed(errno.ENXIO)
    yield Pause.IO
    controller.ways = [way for way in controller.ways if way not in gone]
    if not controller.ways:
        del target.controllers[name]
        for bdev in controller.bdevs:
            target.bdevs.remove(bdev)
    return True


def set_policy(target: Target, *, name: str, policy: str, **_how: Json) -> Json:
    target.bdevs.get(name, "nvme")
    controller = next(c for c in target.controllers.values() if any(b.name == name for b in c.bdevs))
    controller.policy = policy
    return True


HANDLERS: Final[Mapping[str, Handler]] = {
    "bdev_nvme_attach_controller": attach,
    "bdev_nvme_detach_controller": detach,
    "bdev_nvme_get_controllers": get_controllers,
    "bdev_nvme_set_multipath_policy": set_policy,
}
