"""What nvmf_* methods are asked about: an NVMe-oF target, a subsystem, an address."""

from __future__ import annotations

from typing import Final

from backends.spdk.simulator.errors import INTERNAL_ERROR, RpcError, internal_error, invalid_parameters
from backends.spdk.simulator.nvmf import Address, Nvmf, Subsystem
from backends.spdk.simulator.target import Target

FAMILIES: Final = {"ipv4": "IPv4", "ipv6": "IPv6", "ib": "IB", "fc": "FC"}
NETWORKS: Final = frozenset({"TCP", "RDMA"})  # transports whose addresses have ports, and IPv4 unless said otherwise
MAX_TYPE, MAX_ADDRESS, MAX_SERVICE = 32, 256, 32


def find_nvmf(target: Target, tgt_name: str | None, message: str = "Unable to find a target.") -> Nvmf:
    """One need not be named while there is but one."""
    if tgt_name == target.nvmf.name or (tgt_name is None and not target.more_nvmf):
        return target.nvmf
    if tgt_name in target.more_nvmf:
        return target.more_nvmf[tgt_name]
    raise RpcError(INTERNAL_ERROR, message)


def find_subsystem(target: Target, nqn: str, tgt_name: str | None) -> Subsystem:
    subsystem = find_nvmf(target, tgt_name).find(nqn)
    if subsystem is None:
        raise invalid_parameters()
    return subsystem


def find_pausable(target: Target, nqn: str, tgt_name: str | None) -> Subsystem:
    """A subsystem that can still change: one that is being deleted cannot be paused."""
    subsystem = find_subsystem(target, nqn, tgt_name)
    if subsystem.is_going:
        raise internal_error()
    return subsystem


def address_of(given: dict[str, str]) -> Address:
    """Invalid unless the family is known; any transport may be meant."""
    trtype, traddr, trsvcid = given["trtype"].upper(), given["traddr"], given.get("trsvcid", "")
    family = given.get("adrfam", "ipv4" if trtype in NETWORKS else None)
    adrfam = "unknown" if family is None else FAMILIES.get(family.lower())
    too_long = len(trtype) > MAX_TYPE or len(traddr) > MAX_ADDRESS or len(trsvcid) > MAX_SERVICE
    if adrfam is None or too_long:
        raise invalid_parameters()
    return Address(trtype, adrfam, traddr, trsvcid)
