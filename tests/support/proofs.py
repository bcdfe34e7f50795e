"""Drifts of how hosts prove themselves, each made by somebody else."""

from __future__ import annotations

from collections.abc import Callable

from world import NQN, World

S = f"{NQN}s"


def rekeyed(site: World, *kept: str) -> None:
    """Somebody takes keys from a host, but for these."""
    (known,) = site.subsystems()[S]["hosts"]
    keys = {name: known[name] for name in kept}
    site.call("nvmf_subsystem_set_keys", {"nqn": S, "host": known["nqn"]} | keys)


def readmitted(site: World) -> None:
    """Somebody lets a host in anew, without its pre-shared key."""
    (known,) = site.subsystems()[S]["hosts"]
    about = {"nqn": S, "host": known.pop("nqn")}
    site.call("nvmf_subsystem_remove_host", about)
    site.call("nvmf_subsystem_add_host", about | known)


def plainly(site: World) -> None:
    """Somebody opens the secure portal again, without TLS."""
    address = {"trtype": "TCP", "adrfam": "IPv4", "traddr": "127.0.0.3", "trsvcid": "4421"}
    for verb in ("remove", "add"):
        site.call(f"nvmf_subsystem_{verb}_listener", {"nqn": S, "listen_address": address})


PROOFS: dict[str, Callable[[World], object]] = {
    "Host.dhchap": rekeyed,
    "Host.dhchap.controllerKeyFrom": lambda site: rekeyed(site, "dhchap_key"),
    "Host.tls": readmitted,
    "Target.portals.secureChannel": plainly,
    "a key in the ring": lambda site: [
        site.call("keyring_file_remove_key", {"name": key["name"]}) for key in site.call("keyring_get_keys")
    ],
}
