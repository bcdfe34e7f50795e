"""nvmf_subsystem_*_ns, nvmf_ns_*: namespaces, their ANA groups, and the hosts that see them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from backends.spdk.simulator.errors import invalid_parameters
from backends.spdk.simulator.nvmf import Namespace, Subsystem, is_nqn
from backends.spdk.simulator.nvmf_lookups import find_pausable
from backends.spdk.simulator.steps import Handler, Pause, Steps
from backends.spdk.simulator.target import Target


def add_ns(target: Target, *, nqn: str, namespace: dict[str, Any], tgt_name: str | None = None) -> Steps:
    subsystem = find_pausable(target, nqn, tgt_name)
    yield Pause.MESSAGE
    return _add_namespace(target, subsystem, **namespace).nsid


def _add_namespace(  # noqa: PLR0913  # the method's parameters
    target: Target,
    subsystem: Subsystem,
    *,
    bdev_name: str,
    nsid: int = 0,
    nguid: str | None = None,
    eui64: str | None = None,
    uuid: str | None = None,
    ptpl_file: str | None = None,
    anagrpid: int = 0,
    no_auto_visible: bool = False,
    hide_metadata: bool = False,
) -> Namespace:
    """A device is in one namespace of one subsystem: the claim sees to it."""
    del hide_metadata
    nsid = nsid or _free_nsid(subsystem)
    group = anagrpid or nsid
    bdev = target.bdevs.find(bdev_name)
    if bdev is None or nsid > subsystem.max_namespaces or nsid in subsystem.namespaces:
        raise invalid_parameters()
    has_bytes_beside = bool(bdev.metadata.get("md_size")) and not bdev.metadata.get("md_interleave")
    if group > subsystem.max_namespaces or bdev.claim is not None or subsystem.passthrough or has_bytes_beside:
        raise invalid_parameters()
    namespace = Namespace(
        nsid,
        bdev,
        uuid or bdev.uuid,
        nguid or bdev.uuid.replace("-", "").upper(),
        eui64,
        group,
        no_auto_visible,
        ptpl_file,
    )
    bdev.take(namespace, partial(drop_namespace, subsystem, namespace))
    subsystem.namespaces[nsid] = namespace
    return namespace


def _free_nsid(subsystem: Subsystem) -> int:
    return next(nsid for nsid in range(1, len(subsystem.namespaces) + 2) if nsid not in subsystem.namespaces)


def drop_namespace(subsystem: Subsystem, namespace: Namespace) -> None:
    """Also what happens, silently, when the device goes."""
    del subsystem.namespaces[namespace.nsid]
    namespace.bdev.close(namespace)


def remove_ns(target: Target, *, nqn: str, nsid: int, tgt_name: str | None = None) -> Steps:
    subsystem = find_pausable(target, nqn, tgt_name)
    yield Pause.MESSAGE
    drop_namespace(subsystem, _namespace(subsystem, nsid))
    return True


def _namespace(subsystem: Subsystem, nsid: int) -> Namespace:
    if nsid not in subsystem.namespaces:
        raise invalid_parameters()
    return subsystem.namespaces[nsid]


def set_ns_ana_group(target: Target, *, nqn: str, nsid: int, anagrpid: int, tgt_name: str | None = None) -> Steps:
    subsystem = find_pausable(target, nqn, tgt_name)
    yield Pause.MESSAGE
    if not 1 <= anagrpid <= subsystem.max_namespaces:
        raise invalid_parameters()
    _namespace(subsystem, nsid).anagrpid = anagrpid
    return True


def ns_add_host(target: Target, *, nqn: str, nsid: int, host: str, tgt_name: str | None = None) -> Steps:
    """Only where the namespace is not visible to everybody; a host that the subsystem does not know is accepted."""
    subsystem = find_pausable(target, nqn, tgt_name)
    yield Pause.MESSAGE
    namespace = _hidden_namespace(subsystem, nsid, host)
    if host not in namespace.hosts:
        namespace.hosts.insert(0, host)
    return True


def ns_remove_host(target: Target, *, nqn: str, nsid: int, host: str, tgt_name: str | None = None) -> Steps:
    subsystem = find_pausable(target, nqn, tgt_name)
    yield Pause.MESSAGE
    namespace = _hidden_namespace(subsystem, nsid, host)
    if host in namespace.hosts:
        namespace.hosts.remove(host)
    return True


def _hidden_namespace(subsystem: Subsystem, nsid: int, host: str) -> Namespace:
    namespace = _namespace(subsystem, nsid)
    if not is_nqn(host) or not namespace.no_auto_visible:
        raise invalid_parameters()
    return namespace


HANDLERS: Final[Mapping[str, Handler]] = {
    "nvmf_subsystem_add_ns": add_ns,
    "nvmf_subsystem_remove_ns": remove_ns,
    "nvmf_subsystem_set_ns_ana_group": set_ns_ana_group,
    "nvmf_ns_add_host": ns_add_host,
    "nvmf_ns_remove_host": ns_remove_host,
}
