"""nvmf_*: nearly every refusal is -32602 "Invalid parameters", whether something is malformed, absent or taken.

A change to a subsystem pauses it, which takes one message; changes wait for each other in the order of arrival.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from backends.spdk.simulator.errors import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    RpcError,
    TargetCrashed,
    failed,
    internal_error,
    invalid_parameters,
)
from backends.spdk.simulator.keyring import Key, Keyring
from backends.spdk.simulator.keyring_methods import is_psk
from backends.spdk.simulator.listeners import Endpoint
from backends.spdk.simulator.nvmf import (
    DEFAULT_NAMESPACES,
    DEFAULT_SUBSYSTEMS,
    DISCOVERY_NQN,
    MAX_CNTLID,
    MAX_LISTENERS,
    TRANSPORT_DEFAULTS,
    Address,
    Host,
    Listener,
    Namespace,
    Nvmf,
    Port,
    Referral,
    Subsystem,
    is_nqn,
)
from backends.spdk.simulator.steps import Handler, Pause, Steps
from backends.spdk.simulator.target import Target
from schemas.resources import Json

ENODEV, EINVAL = 19, 22
FAMILIES: Final = {"ipv4": "IPv4", "ipv6": "IPv6", "ib": "IB", "fc": "FC"}
NETWORKS: Final = frozenset({"TCP", "RDMA"})  # transports whose addresses have ports, and IPv4 unless said otherwise
MAX_TARGET_NAME: Final = 255
MAX_TYPE, MAX_ADDRESS, MAX_SERVICE = 32, 256, 32
MAX_SERIAL, MAX_MODEL = 20, 40
MAX_PORT: Final = 65_535
IMPLEMENTATIONS: Final = frozenset({"posix", "ssl", "uring"})
_PORT: Final = re.compile(r"\s*\+?([0-9]+)", re.ASCII)
KATO_UNIT: Final = 100  # milliseconds that one unit of KAS stands for


def _nvmf(target: Target, tgt_name: str | None, message: str = "Unable to find a target.") -> Nvmf:
    """One need not be named while there is but one."""
    if tgt_name == target.nvmf.name or (tgt_name is None and not target.more_nvmf):
        return target.nvmf
    if tgt_name in target.more_nvmf:
        return target.more_nvmf[tgt_name]
    raise RpcError(INTERNAL_ERROR, message)


def _subsystem(target: Target, nqn: str, tgt_name: str | None) -> Subsystem:
    subsystem = _nvmf(target, tgt_name).find(nqn)
    if subsystem is None:
        raise invalid_parameters()
    return subsystem


def _pausable(target: Target, nqn: str, tgt_name: str | None) -> Subsystem:
    """A subsystem that can still change: one that is being deleted cannot be paused."""
    subsystem = _subsystem(target, nqn, tgt_name)
    if subsystem.is_going:
        raise internal_error()
    return subsystem


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
    nvmf = _nvmf(target, tgt_name)
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
    if options["sock_priority"] > 16:
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
    transports = _nvmf(target, tgt_name).transports
    if trtype is None:
        return [dict(options) for options in transports.values()]
    if trtype.upper() not in transports:
        raise failed(ENODEV)
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
    nvmf = _nvmf(target, tgt_name, f"Unable to find target {tgt_name}")
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
    subsystem = _subsystem(target, nqn, tgt_name)
    if subsystem.is_going:
        raise RpcError(INTERNAL_ERROR, "Subsystem is already being destroyed.")
    subsystem.is_going = True
    yield Pause.MESSAGE
    _take_down(target, _nvmf(target, tgt_name), subsystem)
    return True


def _take_down(target: Target, nvmf: Nvmf, subsystem: Subsystem) -> None:
    for namespace in list(subsystem.namespaces.values()):
        _drop_namespace(subsystem, namespace)
    for listener in subsystem.listeners:
        _hang_up(target, listener.address)
    for host in subsystem.hosts:
        _release_keys(host)
    nvmf.remove(subsystem)


def get_subsystems(target: Target, *, nqn: str | None = None, tgt_name: str | None = None) -> Json:
    nvmf = _nvmf(target, tgt_name)
    if nqn is None:
        return [subsystem.dump() for subsystem in nvmf]
    subsystem = nvmf.find(nqn)
    if subsystem is None:
        raise failed(ENODEV)
    return [subsystem.dump()]


def allow_any_host(target: Target, *, nqn: str, allow_any_host: bool, tgt_name: str | None = None) -> Json:
    _subsystem(target, nqn, tgt_name).allow_any_host = allow_any_host
    return True


# Namespaces


def add_ns(target: Target, *, nqn: str, namespace: dict[str, Any], tgt_name: str | None = None) -> Steps:
    subsystem = _pausable(target, nqn, tgt_name)
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
    bdev.take(namespace, partial(_drop_namespace, subsystem, namespace))
    subsystem.namespaces[nsid] = namespace
    return namespace


def _free_nsid(subsystem: Subsystem) -> int:
    return next(nsid for nsid in range(1, len(subsystem.namespaces) + 2) if nsid not in subsystem.namespaces)


def _drop_namespace(subsystem: Subsystem, namespace: Namespace) -> None:
    """Also what happens, silently, when the device goes."""
    del subsystem.namespaces[namespace.nsid]
    namespace.bdev.close(namespace)


def remove_ns(target: Target, *, nqn: str, nsid: int, tgt_name: str | None = None) -> Steps:
    subsystem = _pausable(target, nqn, tgt_name)
    yield Pause.MESSAGE
    _drop_namespace(subsystem, _namespace(subsystem, nsid))
    return True


def _namespace(subsystem: Subsystem, nsid: int) -> Namespace:
    if nsid not in subsystem.namespaces:
        raise invalid_parameters()
    return subsystem.namespaces[nsid]


def set_ns_ana_group(target: Target, *, nqn: str, nsid: int, anagrpid: int, tgt_name: str | None = None) -> Steps:
    subsystem = _pausable(target, nqn, tgt_name)
    yield Pause.MESSAGE
    if not 1 <= anagrpid <= subsystem.max_namespaces:
        raise invalid_parameters()
    _namespace(subsystem, nsid).anagrpid = anagrpid
    return True


def ns_add_host(target: Target, *, nqn: str, nsid: int, host: str, tgt_name: str | None = None) -> Steps:
    """Only where the namespace is not visible to everybody; a host that the subsystem does not know is accepted."""
    subsystem = _pausable(target, nqn, tgt_name)
    yield Pause.MESSAGE
    namespace = _hidden_namespace(subsystem, nsid, host)
    if host not in namespace.hosts:
        namespace.hosts.insert(0, host)
    return True


def ns_remove_host(target: Target, *, nqn: str, nsid: int, host: str, tgt_name: str | None = None) -> Steps:
    subsystem = _pausable(target, nqn, tgt_name)
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


# Listeners


def _address(given: dict[str, str]) -> Address:
    """Invalid unless the family is known; any transport may be meant."""
    trtype, traddr, trsvcid = given["trtype"].upper(), given["traddr"], given.get("trsvcid", "")
    family = given.get("adrfam", "ipv4" if trtype in NETWORKS else None)
    adrfam = "unknown" if family is None else FAMILIES.get(family.lower())
    too_long = len(trtype) > MAX_TYPE or len(traddr) > MAX_ADDRESS or len(trsvcid) > MAX_SERVICE
    if adrfam is None or too_long:
        raise invalid_parameters()
    return Address(trtype, adrfam, traddr, trsvcid)


def add_listener(  # noqa: PLR0913  # the method's parameters
    target: Target,
    *,
    nqn: str,
    listen_address: dict[str, str],
    tgt_name: str | None = None,
    secure_channel: bool = False,
    ana_state: str = "optimized",
    sock_impl: str | None = None,
) -> Steps:
    subsystem = _subsystem(target, nqn, tgt_name)
    address = _address(listen_address)
    if subsystem.allow_any_host and secure_channel:
        raise RpcError(INTERNAL_ERROR, "Cannot establish secure channel, when 'allow_any_host' is set")
    _pausable(target, nqn, tgt_name)
    yield Pause.MESSAGE
    if subsystem.listener(address) or len(subsystem.listeners) >= MAX_LISTENERS:
        raise invalid_parameters()
    _listen(target, address, sock_impl, secure=secure_channel)
    states = [ana_state] * subsystem.max_namespaces
    subsystem.listeners.insert(0, Listener(address, secure_channel, sock_impl, states))
    return True


def _listen(target: Target, address: Address, sock_impl: str | None, *, secure: bool) -> None:
    """One socket serves every subsystem that listens on its address.

    Observed: one who names an implementation, on a socket for which none was named, kills the target.
    """
    port = target.nvmf.ports.get(address.identity)
    if port is None:
        target.nvmf.ports[address.identity] = _open_port(target, address, sock_impl, secure=secure)
        return
    if sock_impl is not None and port.sock_impl is None:
        raise TargetCrashed
    if sock_impl is not None and port.sock_impl is not None and not sock_impl.startswith(port.sock_impl):
        raise invalid_parameters()
    port.users += 1


def _open_port(target: Target, address: Address, sock_impl: str | None, *, secure: bool) -> Port:
    implementation = sock_impl or ("ssl" if secure else "posix")
    is_possible = implementation == "ssl" if secure else implementation in IMPLEMENTATIONS
    if address.trtype not in target.nvmf.transports or not is_possible:
        raise invalid_parameters()
    endpoint = _endpoint(address)
    try:
        target.listening.open(endpoint)
    except OSError:
        raise invalid_parameters() from None
    return Port(endpoint, sock_impl)


def _endpoint(address: Address) -> Endpoint:
    """The port is read as strtoull reads it; the family that was named is that of the address."""
    number = _PORT.fullmatch(address.trsvcid)
    port = int(number[1]) if number else 0
    if not 1 <= port <= MAX_PORT or address.adrfam != ("IPv6" if ":" in address.traddr else "IPv4"):
        raise invalid_parameters()
    return address.traddr, port


def _hang_up(target: Target, address: Address) -> None:
    port = target.nvmf.ports[address.identity]
    port.users -= 1
    if not port.users:
        del target.nvmf.ports[address.identity]
        target.listening.close_one(port.endpoint)


def remove_listener(target: Target, *, nqn: str, listen_address: dict[str, str], tgt_name: str | None = None) -> Steps:
    subsystem = _subsystem(target, nqn, tgt_name)
    address = _address(listen_address)
    if address.trtype not in target.nvmf.transports:
        raise invalid_parameters()
    _pausable(target, nqn, tgt_name)
    yield Pause.MESSAGE
    listener = subsystem.listener(address)
    if listener is None:
        raise invalid_parameters()
    subsystem.listeners.remove(listener)
    subsystem.disconnect(listener=listener)
    _hang_up(target, listener.address)
    return True


def set_ana_state(  # noqa: PLR0913  # the method's parameters
    target: Target,
    *,
    nqn: str,
    listen_address: dict[str, str],
    ana_state: str,
    anagrpid: int = 0,
    tgt_name: str | None = None,
) -> Steps:
    """Group 0 is all groups."""
    subsystem = _nvmf(target, tgt_name).find(nqn)
    if subsystem is None:
        raise RpcError(INVALID_PARAMS, f"Unable to find subsystem with NQN {nqn}")
    address = _address(listen_address)
    _pausable(target, nqn, tgt_name)
    yield Pause.MESSAGE
    listener = subsystem.listener(address)
    if listener is None or not subsystem.ana_reporting or anagrpid > subsystem.max_namespaces:
        raise RpcError(INTERNAL_ERROR, f"error setting ANA state: {-EINVAL}")
    groups = range(1, subsystem.max_namespaces + 1) if anagrpid == 0 else [anagrpid]
    for group in groups:
        listener.ana_states[group - 1] = ana_state
    return True


def get_listeners(target: Target, *, nqn: str, tgt_name: str | None = None) -> Steps:
    _nvmf(target, tgt_name, "Unable to find a target")
    subsystem = _pausable(target, nqn, tgt_name)
    yield Pause.MESSAGE
    return [_dump_listener(listener, with_ana=subsystem.ana_reporting) for listener in subsystem.listeners]


def _dump_listener(listener: Listener, *, with_ana: bool) -> Json:
    states: list[Json] = [
        {"ana_group": group, "ana_state": state} for group, state in enumerate(listener.ana_states, 1)
    ]
    return {"address": listener.address.dump()} | ({"ana_states": states} if with_ana else {})


# Hosts


def add_host(  # noqa: PLR0913  # the method's parameters
    target: Target,
    *,
    nqn: str,
    host: str,
    tgt_name: str | None = None,
    psk: object = None,
    dhchap_key: str | None = None,
    dhchap_ctrlr_key: str | None = None,
) -> Json:
    """A PSK is handed to the transports that exist; where there is none, it is silently absent."""
    subsystem = _subsystem(target, nqn, tgt_name)
    key, controller_key = _keys(target.keyring, dhchap_key, dhchap_ctrlr_key)
    if not is_nqn(host) or subsystem.host(host) or (controller_key and not key):
        Keyring.release(key, controller_key)
        raise internal_error()
    added = Host(host, key, controller_key)
    if psk is not None and target.nvmf.transports:
        if not isinstance(psk, str) or psk not in target.keyring.ring or not is_psk(target.keyring.ring[psk]):
            _release_keys(added)
            raise internal_error()
        added.psk = target.keyring.hold(psk)
    subsystem.hosts.insert(0, added)
    return True


def _keys(ring: Keyring, *names: str | None) -> list[Key | None]:
    if any(name is not None and name not in ring.ring for name in names):
        raise invalid_parameters()
    return [ring.hold(name) for name in names]


def _release_keys(host: Host) -> None:
    Keyring.release(host.dhchap_key, host.dhchap_ctrlr_key, host.psk)


def remove_host(target: Target, *, nqn: str, host: str, tgt_name: str | None = None, timeout_ms: int = 0) -> Steps:
    del timeout_ms  # all let go at once
    subsystem = _subsystem(target, nqn, tgt_name)
    known = subsystem.host(host)
    if known is None:
        raise internal_error()
    subsystem.hosts.remove(known)
    subsystem.disconnect(host=known)
    _release_keys(known)
    yield Pause.MESSAGE
    return True


def set_keys(  # noqa: PLR0913  # the method's parameters
    target: Target,
    *,
    nqn: str,
    host: str,
    tgt_name: str | None = None,
    dhchap_key: str | None = None,
    dhchap_ctrlr_key: str | None = None,
) -> Json:
    """Replaces both: a key that is not named is cleared."""
    _nvmf(target, tgt_name, "Invalid parameters")
    subsystem = _subsystem(target, nqn, tgt_name)
    keys = _keys(target.keyring, dhchap_key, dhchap_ctrlr_key)
    known = subsystem.host(host)
    if known is None or (dhchap_ctrlr_key is not None and dhchap_key is None):
        Keyring.release(*keys)
        raise failed(EINVAL)
    Keyring.release(known.dhchap_key, known.dhchap_ctrlr_key)
    known.dhchap_key, known.dhchap_ctrlr_key = keys
    return True


# Who is connected


def get_controllers(target: Target, *, nqn: str, tgt_name: str | None = None) -> Steps:
    _nvmf(target, tgt_name, "Unable to find a target")
    subsystem = _pausable(target, nqn, tgt_name)
    yield Pause.MESSAGE
    return [controller.dump() for controller in subsystem.controllers]


def get_qpairs(target: Target, *, nqn: str, tgt_name: str | None = None) -> Steps:
    _nvmf(target, tgt_name, "Unable to find a target")
    subsystem = _pausable(target, nqn, tgt_name)
    yield Pause.MESSAGE
    return [qpair for controller in subsystem.controllers for qpair in controller.dump_qpairs()]


def get_stats(target: Target, *, tgt_name: str | None = None) -> Json:
    transports: list[Json] = [{"trtype": name} for name in _nvmf(target, tgt_name).transports]
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
    referrals = _nvmf(target, tgt_name).referrals
    referral = Referral(_address(address), subnqn, secure_channel)
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
    referrals = _nvmf(target, tgt_name).referrals
    known = _same_referral(referrals, _address(address), subnqn)
    if known is None:
        raise RpcError(INTERNAL_ERROR, "Unable to remove a referral.")
    referrals.remove(known)
    return True


def get_referrals(target: Target, *, tgt_name: str | None = None) -> Json:
    referrals = _nvmf(target, tgt_name, "Unable to find a target").referrals
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
    "nvmf_subsystem_add_ns": add_ns,
    "nvmf_subsystem_remove_ns": remove_ns,
    "nvmf_subsystem_set_ns_ana_group": set_ns_ana_group,
    "nvmf_ns_add_host": ns_add_host,
    "nvmf_ns_remove_host": ns_remove_host,
    "nvmf_subsystem_add_listener": add_listener,
    "nvmf_subsystem_remove_listener": remove_listener,
    "nvmf_subsystem_listener_set_ana_state": set_ana_state,
    "nvmf_subsystem_get_listeners": get_listeners,
    "nvmf_subsystem_add_host": add_host,
    "nvmf_subsystem_remove_host": remove_host,
    "nvmf_subsystem_set_keys": set_keys,
    "nvmf_subsystem_get_controllers": get_controllers,
    "nvmf_subsystem_get_qpairs": get_qpairs,
    "nvmf_discovery_add_referral": add_referral,
    "nvmf_discovery_remove_referral": remove_referral,
    "nvmf_discovery_get_referrals": get_referrals,
    "nvmf_get_stats": get_stats,
}
