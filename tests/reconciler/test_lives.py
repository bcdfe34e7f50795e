"""One process for each target, one target for each store and device: who else may be there, and what is held for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from world import World, host, subsystem, volume, world

from backends.spdk.simulator import DropBefore, Simulator
from reconciler.plan import Phase
from reconciler.reconcile import Tick, Verdict

SHOP = [host("web"), volume("a"), subsystem("s", {1: "a"}, hosts=["web"])]


@pytest.fixture
def pair() -> Iterator[World]:
    """Two targets on one machine; n1 has a pool."""
    with world(targets=("n1", "n2")) as made:
        yield made


@contextmanager
def elsewhere(site: World) -> Iterator[Simulator]:
    """Another process, to which a Target may be pointed."""
    other = Simulator(site.folder / "other.sock").start()
    try:
        yield other
    finally:
        other.stop()


def point(site: World, name: str, target: str = "n1") -> None:
    """Declare another socket for a target; the daemon keeps it through that one from now on."""
    nodes = site.nodes()
    declared = next(m for m in nodes if m["kind"] == "Target" and m["metadata"]["name"] == target)
    declared["spec"]["connection"] = {"unixSocket": str(site.folder / name)}
    assert not site.push([*nodes, *SHOP]).blocks
    site.keepers[target].backend.close()
    site.keepers[target] = site.keeper(target, site.folder / name)


def both(site: World) -> tuple[Tick, Tick]:
    return site.converge("n1"), site.converge("n2")


def without(site: World, *names: str) -> list[dict[str, Any]]:
    return [m for m in site.nodes() if m["metadata"]["name"] not in names]


# --- another process under one name


def test_another_process_is_not_taken_over_silently(site: World) -> None:
    """Guards a store against two processes: while the one that was kept may be alive, the new one gets no write."""
    site.commit(*SHOP)
    site.converge()
    with elsewhere(site) as other:
        point(site, "other.sock")
        tick = site.tick()
        assert (tick.verdict, "ConnectionChanged" in site.reasons(tick)) == (Verdict.HELD, True)
        assert other.mutations == []

        point(site, "n1.sock")
        assert site.converge().verdict is Verdict.CONVERGED
        assert "TargetRestarted" not in site.events()


def test_another_process_is_kept_once_the_former_is_gone(site: World) -> None:
    """Guards a target that moves for good: a socket on which nobody listens any more is proof enough."""
    site.commit(*SHOP)
    site.converge()
    uid = site.uid("a")
    with elsewhere(site):
        site.simulators["n1"].kill()
        point(site, "other.sock")
        assert site.converge().verdict is Verdict.CONVERGED
        assert [found["uuid"] for found in site.call("bdev_lvol_get_lvols", target="other")] == [uid]
    site.simulators["n1"].start()


def test_another_process_is_kept_when_a_person_says_so(site: World) -> None:
    """Guards the way out where no proof is to be had: one approval, and the site goes on with the new process."""
    site.commit(*SHOP)
    site.converge()
    with elsewhere(site) as other:
        point(site, "other.sock")
        first, second = site.tick().plan.approval_id, site.tick().plan.approval_id
        assert first == second != ""
        site.house.ledger.approve(first, "ada", site.clock.now(), site.clock.now() + 60)
        assert site.converge().verdict is Verdict.CONVERGED
        assert other.mutations != []
        assert "ConnectionChanged" in site.events()
        session = site.house.ledger.session("n1")
        assert session
        assert "other.sock" in session.address


def test_what_was_asked_of_the_former_process_stays_in_doubt(site: World) -> None:
    """Guards quarantine: another address and another pid do not say that the former process is gone."""
    site.commit(*SHOP)
    site.converge()
    site.commit(volume("a"), subsystem("s", {1: "a"}))
    site.simulators["n1"].before("nvmf_subsystem_remove_host", lambda *_: DropBefore())
    site.tick()
    site.simulators["n1"].forget_hooks()
    assert site.house.journal.open("n1")
    with elsewhere(site):
        point(site, "other.sock")
        site.tick()
        assert site.house.journal.open("n1")


def test_the_same_process_by_another_way(site: World) -> None:
    """Guards against a false alarm: a socket that moved leads to the very process that was kept, as its marker says."""
    site.commit(*SHOP)
    site.converge()
    before = site.mutations()
    (site.folder / "alias.sock").symlink_to(site.socket("n1"))
    point(site, "alias.sock")
    assert site.converge().verdict is Verdict.CONVERGED
    assert site.mutations() == before
    session = site.house.ledger.session("n1")
    assert session
    assert "alias.sock" in session.address


# --- one process under two names


def test_one_process_is_one_target(pair: World) -> None:
    """Guards a process against two writers of one site: the second Target that reaches it only says so."""
    (pair.folder / "alias.sock").symlink_to(pair.socket("n1"))
    pair.commit(*SHOP)
    pair.converge("n1")
    before = pair.mutations("n1")
    point(pair, "alias.sock", "n2")
    tick = pair.tick("n2")
    assert "TargetDeclaredTwice" in pair.reasons(tick)
    assert (tick.verdict, pair.mutations("n1")) == (Verdict.HELD, before)
    assert pair.house.ledger.get("recovering/n2") == ""
    assert pair.converge("n1").verdict is Verdict.CONVERGED


# --- one device, one store


def test_a_device_is_opened_by_one_process(pair: World) -> None:
    """Guards a disk that moves in Git: it is opened by the new target once the old one has let go of it."""
    pair.commit(volume("a"))
    both(pair)
    store = next(record for record in pair.house.ledger.records("n1") if record.key.kind.value == "lvolstore")
    kept = without(pair, "n1-disk", "n1-pool")
    disk = next(m for m in pair.nodes() if m["metadata"]["name"] == "n1-disk")
    pool = next(m for m in pair.nodes() if m["metadata"]["name"] == "n1-pool")
    pair.push(kept)
    both(pair)
    disk["spec"]["targetRef"] = "n2"
    pool["spec"] = {name: value for name, value in pool["spec"].items() if name != "initialize"}
    pool["spec"]["lvstoreUUID"] = store.uid
    assert not pair.push([*kept, disk, pool]).blocks

    tick = pair.converge("n2")
    assert (tick.verdict, "DeviceOpenedTwice" in pair.reasons(tick)) == (Verdict.HELD, True)
    assert [found["name"] for found in pair.call("bdev_lvol_get_lvstores", target="n2")] != [store.key.name]

    pair.call("bdev_aio_delete", {"name": pair.call("bdev_lvol_get_lvstores")[0]["base_bdev"]})
    both(pair)
    assert store.uid in [found["uuid"] for found in pair.call("bdev_lvol_get_lvstores", target="n2")]


def test_one_file_is_opened_by_one_process(pair: World) -> None:
    """Guards the same path under two BlockDevices; a person who knows better may let it through, and once is enough."""
    pair.push(without(pair, "n2-disk", "n2-pool"))
    both(pair)
    nodes = pair.nodes()
    second = next(m for m in nodes if m["metadata"]["name"] == "n2-disk")
    second["spec"]["aio"]["path"] = str(pair.disk("n1"))
    pair.push([m for m in nodes if m["metadata"]["name"] != "n2-pool"], unchecked=True)
    tick = pair.converge("n2")
    assert "DeviceOpenedTwice" in pair.reasons(tick)
    assert not any(r.key.kind.value == "bdev" for r in pair.house.ledger.records("n2"))

    pair.house.ledger.approve(tick.plan.approval_id, "ada", pair.clock.now(), pair.clock.now() + 60)
    pair.converge("n2")
    assert Phase.CREATED in {r.phase for r in pair.house.ledger.records("n2") if r.key.kind.value == "bdev"}
    pair.restart_target("n2")
    assert "DeviceOpenedTwice" not in pair.reasons(pair.converge("n2"))


def split(pair: World) -> None:
    """The disk of n1 under another path, which n2 opens, too."""
    pair.push(without(pair, "n2-disk", "n2-pool"))
    both(pair)
    (pair.folder / "alias.img").symlink_to(pair.disk("n1"))
    nodes = without(pair, "n2-pool")
    second = next(m for m in nodes if m["metadata"]["name"] == "n2-disk")
    second["spec"]["aio"]["path"] = str(pair.folder / "alias.img")
    assert not pair.push([*nodes, volume("a")]).blocks
    pair.tick("n2")
    pair.tick("n2")


def test_a_store_on_two_targets_stops_writes_on_both(pair: World) -> None:
    """Guards a store against two writers: nothing is written on either, and both say so."""
    split(pair)
    ticks = both(pair)
    assert [tick.verdict for tick in ticks] == [Verdict.HELD, Verdict.HELD]
    assert all("SplitStore" in pair.reasons(tick) for tick in ticks)
    assert pair.lvols("n1") == {}
    assert "SplitStore" not in {h.reason for tick in ticks for h in tick.plan.held if h.approvable}


def test_a_split_ends_with_one_of_the_processes(pair: World) -> None:
    """Guards the way out: once the socket of one of them is deserted, the other goes on; not before."""
    split(pair)
    pair.simulators["n2"].kill()
    assert "SplitStore" in pair.reasons(pair.tick("n1"))
    assert pair.tick("n2").verdict is Verdict.UNREACHABLE
    assert "SplitStore" not in pair.reasons(pair.converge("n1"))
    assert len(pair.lvols("n1")) == 1
    pair.simulators["n2"].start()


def test_a_split_with_a_target_that_is_no_longer_declared(pair: World) -> None:
    """Guards a target that left the manifests and cannot be asked: a person says that its process is gone."""
    split(pair)
    pair.push([*without(pair, "n2", "n2-disk", "n2-pool"), volume("a")])
    tick = pair.tick("n1")
    assert ({h.reason for h in tick.plan.held}, tick.verdict) == ({"SplitStore"}, Verdict.HELD)
    pair.house.ledger.approve(tick.plan.approval_id, "ada", pair.clock.now(), pair.clock.now() + 60)
    assert pair.converge("n1").verdict is Verdict.CONVERGED
    assert len(pair.lvols("n1")) == 1
