"""Portals that move: hosts keep the path that they have until there is another."""

from __future__ import annotations

from typing import Any

from world import NQN, World, host, subsystem, volume

from reconciler.reconcile import Verdict

NOWHERE = "198.51.100.7"  # no address of this machine


def moved(site: World, address: str) -> list[dict[str, Any]]:
    nodes = site.nodes()
    nodes[0]["spec"]["portals"][0]["address"] = address
    return [*nodes, host("web"), volume("a"), subsystem("s", {1: "a"}, hosts=["web"])]


def doors(site: World) -> list[str]:
    return [door["traddr"] for door in site.subsystems()[f"{NQN}s"]["listen_addresses"]]


def test_a_path_stays_until_the_next_is_open(site: World) -> None:
    """Guards against a slip in an address: SPDK refuses to listen there, and hosts go on over the old path."""
    site.push(moved(site, "127.0.0.2"))
    site.converge()

    site.push(moved(site, NOWHERE))
    site.converge()

    assert doors(site) == ["127.0.0.2"]


def test_a_path_goes_when_the_next_is_open(site: World) -> None:
    """Guards the move itself: in the end there is one path, where the manifest says."""
    site.push(moved(site, "127.0.0.2"))
    site.converge()

    site.push(moved(site, "127.0.0.7"))

    assert site.converge().verdict is Verdict.CONVERGED
    assert doors(site) == ["127.0.0.7"]
