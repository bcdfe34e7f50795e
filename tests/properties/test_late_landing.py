"""Every change of a commit is one that the target may get to late: after its answer was lost and minds were changed."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from world import World, host, subsystem, volume, world

from backends.spdk.errors import RpcError
from backends.spdk.simulator import DropBefore
from reconciler.reconcile import Tick

Manifests = list[dict[str, Any]]
MANY = 9  # changes of the largest commit below

LITTLE: Manifests = [
    host("web"),
    host("guest"),
    volume("a", size="8Mi", qos={"iops": 1000}),
    subsystem("s", {1: "a"}, hosts=["web"]),
]
MUCH: Manifests = [
    host("web"),
    host("guest"),
    volume("a", size="12Mi", qos={"iops": 2000}),
    volume("b"),
    subsystem(
        "s", {1: "a", 2: "b"}, hosts=["web", "guest"], exports=[{"targetRef": "n1", "portals": ["front", "back"]}]
    ),
    subsystem("t", {}, hosts=["web"]),
]
MORE: Manifests = [
    host("web"),
    host("guest"),
    volume("a", size="24Mi", qos={"iops": 5000}),
    volume("b"),
    subsystem("s", {1: "b", 2: "a"}, hosts=["guest"]),
]


def lose(site: World, at: int) -> list[tuple[str, dict[str, Any]]]:
    """A tick in which the n-th change is lost with its connection, before the target gets to it."""
    lost: list[tuple[str, dict[str, Any]]] = []
    first = site.mutations()

    def hook(method: str, params: dict[str, Any]) -> Any:
        if not lost and "_get_" not in method and site.mutations() - first == at:
            lost.append((method, params))
            return DropBefore()
        return None

    site.simulators["n1"].before("*", hook)
    site.tick()
    site.simulators["n1"].forget_hooks()
    return lost


def rest(site: World, seconds: float) -> Tick:
    """Ticks until none of them does anything, with so much time before each."""
    for _ in range(12):
        site.clock.advance(seconds)
        tick = site.tick()
        if not tick.execution.results:
            return tick
    raise AssertionError("it does not come to rest")


def land(site: World, lost: list[tuple[str, dict[str, Any]]]) -> None:
    for method, params in lost:
        with suppress(RpcError):
            site.call(method, params)


def sizes(site: World) -> dict[str, int]:
    """Bytes of every lvol, by its uid."""
    ours = site.lvols().values()
    return {b["uuid"]: b["num_blocks"] * b["block_size"] for b in site.call("bdev_get_bdevs") if b["uuid"] in ours}


def what_hosts_see(site: World) -> Any:
    inside = {
        nqn: (sorted(h["nqn"] for h in s["hosts"]), s["listen_addresses"], s["namespaces"])
        for nqn, s in site.subsystems().items()
    }
    return sizes(site), {nqn: found for nqn, found in inside.items() if any(found)}  # an empty subsystem is no harm


@pytest.mark.parametrize("seconds", [1.0, 70.0])
@pytest.mark.parametrize(
    ("before", "lost_in", "after"),
    [(LITTLE, MUCH, LITTLE), (LITTLE, MUCH, MORE), (MUCH, LITTLE, MUCH), (MUCH, LITTLE, MORE), (MUCH, MORE, LITTLE)],
    ids=["taken back", "overtaken", "restored", "replaced", "turned"],
)
@pytest.mark.parametrize("at", range(1, MANY + 1))
def test_what_lands_late_meets_nobody_unprepared(
    at: int, before: Manifests, lost_in: Manifests, after: Manifests, seconds: float
) -> None:
    """Guards converged: what may still come was either said to be in doubt, or changes nothing that hosts see."""
    with world() as site:
        site.commit(*before)
        site.converge()
        site.commit(*lost_in)
        lost, sent = lose(site, at), site.mutations()
        site.commit(*after)
        settled = rest(site, seconds).settled
        overtaken = all(request in site.simulators["n1"].mutations[sent:] for request in lost)
        seen, had = what_hosts_see(site), sizes(site)
        land(site, lost)
        assert not settled or overtaken or what_hosts_see(site) == seen
        assert all(sizes(site)[uid] >= size for uid, size in had.items())
        if settled:
            assert site.converge().settled
