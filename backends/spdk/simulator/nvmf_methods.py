"""nvmf_*: targets, transports, subsystems, referrals.

Nearly every refusal is -32602 "Invalid parameters", whether something is malformed, absent or taken. A change to a
subsystem pauses it, which takes one message; changes wait for each other in the order of arrival.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any, Final

from backends.spdk.simulator.errors import INTERNAL_ERROR, INVALID_PARAMS, RpcError, failed, invalid_parameters
from backends.spdk.simulator.nvmf import (
    DEFAULT_NAMESPACES,
    DEFAULT_SUBSYSTEMS,
    DISCOVERY_NQN,
    MAX_CNTLID,
    TRANSPORT_DEFAULTS,
    Address,
    Nvmf,
    Referral,
    Subsystem,
    is_nqn,
)
from backends.spdk.simulator.nvmf_host_methods import release_keys
from backends.spdk.simulator.nvmf_listener_methods import hang_up
from backends.spdk.simulator.nvmf_lookups import NETWORKS, address_of, find_nvmf, find_subsystem
from backends.spdk.simulator.nvmf_namespace_methods import drop_namespace
from backends.spdk.simulator.steps import Handler, Pause, Steps
from backends.spdk.simulator.target import Target
from schemas.resources import Json

MAX_TARGET_NAME: Final = 255
MAX_SERIAL, MAX_MODEL = 20, 40
KATO_UNIT: Final = 100  # milliseconds that one unit of KAS stands for
LARGEST_IO: Final = 2 << 20  # bytes; NVMe over TCP takes no more


# Before the framework is initialised


def set_config(target: Target, **given: Json) -> Json:
    target.nvmf.config |= given
    return True


def set_max_subsystems(target: Target, *, max_subsystems: int) -> Json:
    target.nvmf.max_subsystems = max_subsystems
    return True


def set_crdt(target: Target, **given: Json) -> Json:
    target.nvmf.crdt |= given
    return True


# Targets beside the one that is there from the start


def create_target(target: Target, *, name: str, max_subsystems: int = 0, **_policies: object) -> Json:
    name = name.encode()[:MAX_TARGET_NAME].decode(errors="ignore")
    if name == target.nvmf.name or name in target.more_nvmf:
        raise RpcError(INVALID_PARAMS, "Target already exists.")
    target.more_nvmf[name] = Nvmf(name, max_subsystems or DEFAULT_SUBSYSTEMS, ports=target.nvmf.ports)
    return name


def delete_target(target: Target, *, name: str) -> Steps:
    """Observed: deleting the first one is never answered."""
    if name not in target.more_nvmf and name != target.nvmf.name:
        raise RpcError(INVALID_PARAMS, "The specified target doesn't exist, cannot delete it.")
    yield Pause.NEVER if name == target.nvmf.name else Pause.MESSAGE
    nvmf = target.more_nvmf.pop(name)
    for subsystem in list(nvmf):
        _take_down(target, nvmf, subsystem)
    return True


def get_targets(target: Target) -> Json:
    """Newest first."""
    return [*reversed(target.more_nvmf), target.nvmf.name]


# Transports


def create_transport(target: Target, *, trtype: str, tgt_name: str | None = None, **given: Any) -> Steps:  # noqa: ANN401
    """TCP is the only one built in. Its options cannot be changed afterwards."""
    nvmf = find_nvmf(target, tgt_name)
    if trtype.upper() != "TCP":
        raise RpcError(INVALID_PARAMS, f"Invalid transport type '{trtype}'")
    if nvmf.transports:
        raise RpcError(INTERNAL_ERROR, f"Transport type '{trtype}' already exists")
    options: dict[str, Any] = TRANSPORT_DEFAULTS | {
        name: value for name, value in given.items() if name in TRANSPORT_DEFAULTS
    }
    if not _is_possible(**options):
        raise RpcError(INTERNAL_ERROR, f"Transport type '{trtype}' create failed")
    yield Pause.MESSAGE
    if options["sock_priority"] > 16 or options["max_io_size"] > LARGEST_IO:
        raise RpcError(INTERNAL_ERROR, "Failed to create transport.")
    nvmf.transports["TCP"] = _settled(**options)
    return True


def _is_possible(*, max_io_size: int, kas: int, min_kato: int, **_others: Json) -> bool:
    is_power = max_io_size >= 8192 and not max_io_size & (max_io_size - 1)
    return (is_power or not max_io_size) and kas > 0 and min_kato > 0


def _settled(**options: Any) -> dict[str, Json]:  # noqa: ANN401
    """Options out of range are put right without a word."""
    unit = options["kas"] * KATO_UNIT
    in_range = 32 <= options["max_aq_depth"] <= 4096
    options["max_aq_depth"] = options["max_aq_depth"] if in_range else 32 if options["max_aq_depth"] < 32 else 128
    options["max_queue_depth"] = options["max_queue_depth"] if options["max_queue_depth"] >= 2 else 128
    options["in_capsule_data_size"] = min(options["in_capsule_data_size"], options["max_io_size"])
    options["min_kato"] = -(-options["min_kato"] // unit) * unit
    return options


def get_transports(target: Target, *, trtype: str | None = None, tgt_name: str | None = None) -> Json:
    transports = find_nvmf(target, tgt_name).transports
    if trtype is None:
        return [dict(options) for options in transports.values()]
    if trtype.upper() not in transports:
        raise failed(errno.ENODEV)
    return [dict(transports[trtype.upper()])]


# Subsystems


def create_subsystem(  # noqa: PLR0913  # the method's parameters
    target: Target,
    *,
    nqn: str,
    tgt_name: str | None = None,
    serial_number: str = "0" * MAX_SERIAL,
    model_number: str = "SPDK bdev Controller",
    max_namespaces: int = DEFAULT_NAMESPACES,
    min_cntlid: int = 1,
    max_cntlid: int = MAX_CNTLID,
    max_discard_size_kib: int | None = None,
    max_write_zeroes_size_kib: int | None = None,
    **given: Any,  # noqa: ANN401
) -> Steps:
    """Takes its name at once, so that a second one of it fails even while the first is not answered."""
    if not (_is_printable(serial_number, MAX_SERIAL) and _is_printable(model_number, MAX_MODEL)):
        raise invalid_parameters()
    nvmf = find_nvmf(target, tgt_name, f"Unable to find target {tgt_name}")
    if max_discard_size_kib is not None:
        given["dmrsl"] = max_discard_size_kib * 2 & 0xFFFFFFFF
    if max_write_zeroes_size_kib is not None:
        given["wzsl"] = _write_zeroes_limit(max_write_zeroes_size_kib)
    if nvmf.find(nqn) or not is_nqn(nqn) or nvmf.is_full:
        raise RpcError(INTERNAL_ERROR, f"Unable to create subsystem {nqn}")
    if not 1 <= min_cntlid <= max_cntlid <= MAX_CNTLID:
        raise RpcError(INVALID_PARAMS, f"Invalid cntlid range [{min_cntlid}-{max_cntlid}]")
    nvmf.add(
        Subsystem(
            nqn,
            serial_number=serial_number,
            model_number=model_number,
            max_namespaces=max_namespaces or DEFAULT_NAMESPACES,
            min_cntlid=min_cntlid,
            max_cntlid=max_cntlid,
            **given,
        )
    )
    yield Pause.MESSAGE
    return True


def _is_printable(text: str, at_most: int) -> bool:
    return len(text) <= at_most and all(" " <= character <= "~" for character in text)


def _write_zeroes_limit(kib: int) -> int:
    if kib == 0:
        return 0
    if kib < 8 or kib & (kib - 1):
        raise RpcError(INVALID_PARAMS, f"Invalid max_write_zeroes_size_kib {kib}")
    return kib.bit_length() - 3


def add_discovery(target: Target) -> None:
    """Is there from the start, and may be deleted like any other."""
    target.nvmf.add(Subsystem(DISCOVERY_NQN, "Discovery", allow_any_host=True, max_namespaces=0))


def delete_subsystem(target: Target, *, nqn: str, tgt_name: str | None = None) -> Steps:
    subsystem = find_subsystem(target, nqn, tgt_name)
    if subsystem.is_going:
        raise RpcError(INTERNAL_ERROR, "Subsystem is already being destroyed.")
    subsystem.is_going = True
    yield Pause.MESSAGE
    _take_down(target, find_nvmf(target, tgt_name), subsystem)
    return True


def _take_down(target: Target, nvmf: Nvmf, subsystem: Subsystem) -> None:
    for namespace in list(subsystem.namespaces.values()):
        drop_namespace(subsystem, namespace)
    for listener in subsystem.listeners:
        hang_up(target, listener.address)
    for host in subsystem.hosts:
        release_keys(host)
    nvmf.remove(subsystem)


def get_subsystems(target: Target, *, nqn: str | None = None, tgt_name: str | None = None) -> Json:
    nvmf = find_nvmf(target, tgt_name)
    if nqn is None:
        return [subsystem.dump() for subsystem in nvmf]
    subsystem = nvmf.find(nqn)
    if subsystem is None:
        raise failed(errno.ENODEV)
    return [subsystem.dump()]


def allow_any_host(target: Target, *, nqn: str, allow_any_host: bool, tgt_name: str | None = None) -> Json:
    find_subsystem(target, nqn, tgt_name).allow_any_host = allow_any_host
    return True


def get_stats(target: Target, *, tgt_name: str | None = None) -> Json:
    transports: list[Json] = [{"trtype": name} for name in find_nvmf(target, tgt_name).transports]
    counters = (
        "admin_qpairs",
        "io_qpairs",
        "current_admin_qpairs",
        "current_io_qpairs",
        "current_unassociated_qpairs",
        "pending_bdev_io",
        "completed_nvme_io",
    )
    group: dict[str, Json] = {"name": "nvmf_tgt_poll_group_000"}
    group |= dict.fromkeys(counters, 0)
    return {"tick_rate": 1_000_000_000, "poll_groups": [group | {"transports": transports}]}


# Referrals


def add_referral(
    target: Target,
    *,
    address: dict[str, str],
    tgt_name: str | None = None,
    secure_channel: bool = False,
    subnqn: str = DISCOVERY_NQN,
) -> Json:
    """Adding what is there already is as good as adding it."""
    referrals = find_nvmf(target, tgt_name).referrals
    referral = Referral(address_of(address), subnqn, secure_channel)
    if referral.address.trtype in NETWORKS and not referral.address.trsvcid:
        raise RpcError(INTERNAL_ERROR, "Service ID is required.")
    if not _same_referral(referrals, referral.address, subnqn):
        referrals.insert(0, referral)
    return True


def _same_referral(referrals: list[Referral], address: Address, subnqn: str) -> Referral | None:
    wanted = (address.identity, subnqn)
    return next((known for known in referrals if (known.address.identity, known.subnqn) == wanted), None)


def remove_referral(
    target: Target, *, address: dict[str, str], tgt_name: str | None = None, subnqn: str = DISCOVERY_NQN
) -> Json:
    referrals = find_nvmf(target, tgt_name).referrals
    known = _same_referral(referrals, address_of(address), subnqn)
    if known is None:
        raise RpcError(INTERNAL_ERROR, "Unable to remove a referral.")
    referrals.remove(known)
    return True


def get_referrals(target: Target, *, tgt_name: str | None = None) -> Json:
    referrals = find_nvmf(target, tgt_name, "Unable to find a target").referrals
    return [
        {"address": known.address.dump(), "secure_channel": known.secure_channel, "subnqn": known.subnqn}
        for known in referrals
    ]


HANDLERS: Final[Mapping[str, Handler]] = {
    "nvmf_set_config": set_config,
    "nvmf_set_max_subsystems": set_max_subsystems,
    "nvmf_set_crdt": set_crdt,
    "nvmf_create_target": create_target,
    "nvmf_delete_target": delete_target,
    "nvmf_get_targets": get_targets,
    "nvmf_create_transport": create_transport,
    "nvmf_get_transports": get_transports,
    "nvmf_create_subsystem": create_subsystem,
    "nvmf_delete_subsystem": delete_subsystem,
    "nvmf_get_subsystems": get_subsystems,
    "nvmf_subsystem_allow_any_host": allow_any_host,
    "nvmf_discovery_add_referral": add_referral,
    "nvmf_discovery_remove_referral": remove_referral,
    "nvmf_discovery_get_referrals": get_referrals,
    "nvmf_get_stats": get_stats,
}
