"""Keys of hosts through crashes: nobody is ever let in without the declared key, and every crash ends in the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from crashing import crashing, tick_until_the_target_dies
from hostkeys import dhchap, keyed, put
from world import NQN, World, manifest, subsystem, volume

from reconciler.reconcile import Verdict

S, WEB = f"{NQN}s", f"{NQN}host-web"


def commit(site: World, key: int | None) -> None:
    proof = keyed(keyFrom={"file": put(site, "web.key", dhchap(key))}) if key else manifest("Host", "web", {"nqn": WEB})
    site.commit(proof, volume("a"), subsystem("s", {1: "a"}, hosts=["web"]))


def ring(site: World) -> list[str]:
    return [key["name"] for key in site.call("keyring_get_keys")]


def shown(site: World) -> list[dict[str, Any]]:
    return [host for found in site.subsystems().values() for host in found["hosts"]]


@pytest.fixture
def watched(site: World) -> Iterator[World]:
    """A site whose target is looked at with every change: while a key is declared, no entry is made without one."""
    naked: list[Any] = []

    def look(_: str, params: Any) -> None:
        naked.extend([] if "dhchap_key" in params else [params])

    for method in ("nvmf_subsystem_add_host", "nvmf_subsystem_set_keys"):
        site.simulators["n1"].before(method, look)
    yield site
    assert naked == []


def whole(site: World) -> bool:
    """One key, which the host proves itself with, in one file."""
    files = [path.name for path in (site.folder / "keys" / "n1").iterdir()]
    return [host.get("dhchap_key") for host in shown(site)] == ring(site) == files and len(files) == 1


@pytest.mark.parametrize("where", ["before", "after", "answered"])
@pytest.mark.parametrize("at", range(1, 11))
def test_killed_while_letting_a_host_in(watched: World, at: int, where: str) -> None:
    """From a kill at any change of a first convergence: one key, one file, the host with it, and nothing to do."""
    commit(watched, 1)
    with crashing(watched, at, where):
        watched.tick()
    if "OutcomeUnknown" in watched.reasons(watched.converge(limit=20)):  # of the store, which only a restart ends
        watched.restart_target()
        watched.converge(limit=20)
    assert whole(watched)


@pytest.mark.parametrize("where", ["before", "after", "answered"])
@pytest.mark.parametrize("ticks", [0, 1])
@pytest.mark.parametrize("at", range(1, 4))
def test_killed_while_renewing_a_key(watched: World, at: int, ticks: int, where: str) -> None:
    """From a kill at any change of a rotation, the removal of the old key included: the new one is all there is."""
    commit(watched, 1)
    watched.converge()
    (old,) = ring(watched)
    put(watched, "web.key", dhchap(2))
    for _ in range(ticks):
        watched.tick()
    with crashing(watched, at, where):
        watched.tick()
    assert watched.converge(limit=20).verdict is Verdict.CONVERGED
    assert whole(watched)
    assert ring(watched) != [old]


@pytest.mark.parametrize("at", range(1, 12))
def test_target_killed_while_letting_a_host_in(watched: World, at: int) -> None:
    """From a death of the target at any change: it is set up again, and the host proves itself from the first on."""
    commit(watched, 1)
    tick_until_the_target_dies(watched, at)
    watched.converge(limit=20)
    assert whole(watched)


@pytest.mark.parametrize("where", ["before", "after", "answered"])
@pytest.mark.parametrize("at", [1, 2])
def test_killed_while_a_key_is_withdrawn(site: World, at: int, where: str) -> None:
    """From a kill while a host is told that it need prove nothing any more: no key stays behind, and no file."""
    commit(site, 1)
    site.converge()
    commit(site, None)
    with crashing(site, at, where):
        site.tick()
    assert site.converge(limit=20).verdict is Verdict.CONVERGED
    assert (shown(site), ring(site)) == ([{"nqn": WEB}], [])
    assert not [*(site.folder / "keys" / "n1").iterdir()]


@pytest.mark.parametrize("lost", [False, True])
def test_a_lost_ledger(watched: World, lost: bool) -> None:  # noqa: FBT001  # pytest's way
    """With the ledger gone, keys that carry our name are ours still; those of a rotation half done go as ever."""
    commit(watched, 1)
    watched.converge()
    put(watched, "web.key", dhchap(2))
    if lost:
        watched.tick()
    watched.die()
    watched.database.unlink()
    watched.wake()
    commit(watched, 2)
    watched.converge(limit=20)
    watched.keepers["n1"].confirm(watched.desired)  # type: ignore[arg-type]
    watched.converge(limit=20)
    assert whole(watched)
