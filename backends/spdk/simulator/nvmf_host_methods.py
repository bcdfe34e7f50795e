"""nvmf_subsystem_*_host: hosts that may connect, their keys, and who is connected."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Final

from backends.spdk.simulator.errors import failed, internal_error, invalid_parameters
from backends.spdk.simulator.keyring import Key, Keyring
from backends.spdk.simulator.keyring_methods import is_psk
from backends.spdk.simulator.nvmf import Host, is_nqn
from backends.spdk.simulator.nvmf_lookups import find_nvmf, find_pausable, find_subsystem
from backends.spdk.simulator.steps import Handler, Pause, Steps
from backends.spdk.simulator.target import Target
from schemas.resources import Json


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
    subsystem = find_subsystem(target, nqn, tgt_name)
    key, controller_key = _keys(target.keyring, dhchap_key, dhchap_ctrlr_key)
    if not is_nqn(host) or subsystem.host(host) or (controller_key and not key):
        Keyring.release(key, controller_key)
        raise internal_error()
    added = Host(host, key, controller_key)
    if psk is not None and target.nvmf.transports:
        if not isinstance(psk, str) or psk not in target.keyring.ring or not is_psk(target.keyring.ring[psk]):
            release_keys(added)
            raise internal_error()
        added.psk = target.keyring.hold(psk)
    subsystem.hosts.insert(0, added)
    return True


def _keys(ring: Keyring, *names: str | None) -> list[Key | None]:
    if any(name is not None and name not in ring.ring for name in names):
        raise invalid_parameters()
    return [ring.hold(name) for name in names]


def release_keys(host: Host) -> None:
    Keyring.release(host.dhchap_key, host.dhchap_ctrlr_key, host.psk)


def remove_host(target: Target, *, nqn: str, host: str, tgt_name: str | None = None, timeout_ms: int = 0) -> Steps:
    del timeout_ms  # all let go at once
    subsystem = find_subsystem(target, nqn, tgt_name)
    known = subsystem.host(host)
    if known is None:
        raise internal_error()
    subsystem.hosts.remove(known)
    subsystem.disconnect(host=known)
    release_keys(known)
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
    find_nvmf(target, tgt_name, "Invalid parameters")
    subsystem = find_subsystem(target, nqn, tgt_name)
    keys = _keys(target.keyring, dhchap_key, dhchap_ctrlr_key)
    known = subsystem.host(host)
    if known is None or (dhchap_ctrlr_key is not None and dhchap_key is None):
        Keyring.release(*keys)
        raise failed(errno.EINVAL)
    Keyring.release(known.dhchap_key, known.dhchap_ctrlr_key)
    known.dhchap_key, known.dhchap_ctrlr_key = keys
    return True


# Who is connected


def get_controllers(target: Target, *, nqn: str, tgt_name: str | None = None) -> Steps:
    find_nvmf(target, tgt_name, "Unable to find a target")
    subsystem = find_pausable(target, nqn, tgt_name)
    yield Pause.MESSAGE
    return [controller.dump() for controller in subsystem.controllers]


def get_qpairs(target: Target, *, nqn: str, tgt_name: str | None = None) -> Steps:
    find_nvmf(target, tgt_name, "Unable to find a target")
    subsystem = find_pausable(target, nqn, tgt_name)
    yield Pause.MESSAGE
    return [qpair for controller in subsystem.controllers for qpair in controller.dump_qpairs()]


HANDLERS: Final[Mapping[str, Handler]] = {
    "nvmf_subsystem_add_host": add_host,
    "nvmf_subsystem_remove_host": remove_host,
    "nvmf_subsystem_set_keys": set_keys,
    "nvmf_subsystem_get_controllers": get_controllers,
    "nvmf_subsystem_get_qpairs": get_qpairs,
}
