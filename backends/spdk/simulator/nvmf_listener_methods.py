"""nvmf_subsystem_*_listener: listeners, the ports behind them, and their ANA states."""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from typing import Final

from backends.spdk.simulator.errors import INTERNAL_ERROR, INVALID_PARAMS, RpcError, TargetCrashed, invalid_parameters
from backends.spdk.simulator.listeners import Endpoint
from backends.spdk.simulator.nvmf import MAX_LISTENERS, Address, Listener, Port
from backends.spdk.simulator.nvmf_lookups import address_of, find_nvmf, find_pausable, find_subsystem
from backends.spdk.simulator.steps import Handler, Pause, Steps
from backends.spdk.simulator.target import Target
from schemas.resources import Json

MAX_PORT: Final = 65_535
IMPLEMENTATIONS: Final = frozenset({"posix", "ssl", "uring"})
_PORT: Final = re.compile(r"\s*\+?([0-9]+)", re.ASCII)


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
    subsystem = find_subsystem(target, nqn, tgt_name)
    address = address_of(listen_address)
    if subsystem.allow_any_host and secure_channel:
        raise RpcError(INTERNAL_ERROR, "Cannot establish secure channel, when 'allow_any_host' is set")
    find_pausable(target, nqn, tgt_name)
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


def hang_up(target: Target, address: Address) -> None:
    port = target.nvmf.ports[address.identity]
    port.users -= 1
    if not port.users:
        del target.nvmf.ports[address.identity]
        target.listening.close_one(port.endpoint)


def remove_listener(target: Target, *, nqn: str, listen_address: dict[str, str], tgt_name: str | None = None) -> Steps:
    subsystem = find_subsystem(target, nqn, tgt_name)
    address = address_of(listen_address)
    if address.trtype not in target.nvmf.transports:
        raise invalid_parameters()
    find_pausable(target, nqn, tgt_name)
    yield Pause.MESSAGE
    listener = subsystem.listener(address)
    if listener is None:
        raise invalid_parameters()
    subsystem.listeners.remove(listener)
    subsystem.disconnect(listener=listener)
    hang_up(target, listener.address)
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
    subsystem = find_nvmf(target, tgt_name).find(nqn)
    if subsystem is None:
        raise RpcError(INVALID_PARAMS, f"Unable to find subsystem with NQN {nqn}")
    address = address_of(listen_address)
    find_pausable(target, nqn, tgt_name)
    yield Pause.MESSAGE
    listener = subsystem.listener(address)
    if listener is None or not subsystem.ana_reporting or anagrpid > subsystem.max_namespaces:
        raise RpcError(INTERNAL_ERROR, f"error setting ANA state: {-errno.EINVAL}")
    groups = range(1, subsystem.max_namespaces + 1) if anagrpid == 0 else [anagrpid]
    for group in groups:
        listener.ana_states[group - 1] = ana_state
    return True


def get_listeners(target: Target, *, nqn: str, tgt_name: str | None = None) -> Steps:
    find_nvmf(target, tgt_name, "Unable to find a target")
    subsystem = find_pausable(target, nqn, tgt_name)
    yield Pause.MESSAGE
    return [_dump_listener(listener, with_ana=subsystem.ana_reporting) for listener in subsystem.listeners]


def _dump_listener(listener: Listener, *, with_ana: bool) -> Json:
    states: list[Json] = [
        {"ana_group": group, "ana_state": state} for group, state in enumerate(listener.ana_states, 1)
    ]
    return {"address": listener.address.dump()} | ({"ana_states": states} if with_ana else {})


HANDLERS: Final[Mapping[str, Handler]] = {
    "nvmf_subsystem_add_listener": add_listener,
    "nvmf_subsystem_remove_listener": remove_listener,
    "nvmf_subsystem_listener_set_ana_state": set_ana_state,
    "nvmf_subsystem_get_listeners": get_listeners,
}
