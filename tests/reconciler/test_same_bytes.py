"""Identity follows the bytes: whatever is declared, deleted or restarted, hosts never take one disk for another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from stacking import bdevs, device, file, pool
from world import NQN, World, host, manifest, removal, subsystem, volume, world

from backends.spdk.simulator import DropBefore
from reconciler.reconcile import Tick, Verdict

RAM = "77777777-0000-4000-8000-000000000001"
MARKER = "holdfast.owner"


@pytest.fixture
def site() -> Iterator[World]:
    with world() as made:
        yield made


def shown(name: str, target: str = "n1") -> dict[str, Any]:
    """A device of the node, exported as it is."""
    export = subsystem("s", {}, target)
    export["spec"]["namespaces"] = [{"nsid": 1, "deviceRef": name}]
    return export


def seen(site: World, name: str = "s", target: str = "n1") -> list[str]:
    """The identities that hosts meet in a subsystem."""
    found = site.subsystems(target).get(f"{NQN}{name}", {"namespaces": []})
    return [namespace["uuid"] for namespace in found["namespaces"]]


def unchecked(site: World, *manifests: dict[str, Any]) -> Tick:
    """What the analyzer would have refused, carried out as far as it goes, also after the target was restarted."""
    site.push([*site.nodes(), *manifests], unchecked=True)
    site.converge()
    site.restart_target()
    return site.converge()


# --- devices


def striped(*members: str, **more: Any) -> dict[str, Any]:
    return device("array", raid={"level": "raid0", "members": [*members], "superblock": False} | more)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (striped("a", "b"), striped("b", "a")),
        (striped("a", "b"), striped("a", "b", stripSizeKiB=128)),
        (striped("a", "b"), striped("a", "b", level="concat")),
        (device("array", delay={"deviceRef": "a"}), device("array", delay={"deviceRef": "b"})),
        (device("array", passthru={"deviceRef": "a"}), device("array", passthru={"deviceRef": "b"})),
    ],
    ids=["members change places", "wider strips", "another level", "delay over another", "passthru over another"],
)
def test_a_device_is_not_laid_out_otherwise_after_a_restart(
    site: World, before: dict[str, Any], after: dict[str, Any]
) -> None:
    """Guards invariant 3: a restart is no occasion to show other bytes under the uuid of a device."""
    files = [file(site, "a"), file(site, "b")]
    site.commit(*files, before, shown("array"))
    site.converge()
    assert len(seen(site)) == 1

    tick = unchecked(site, *files, after, shown("array"))

    assert (seen(site), tick.verdict) == ([], Verdict.HELD)
    assert "IdentityReused" in site.reasons(tick)

    unchecked(site, *files, before, shown("array"))
    assert len(seen(site)) == 1


def test_identity_is_not_to_be_ignored(site: World) -> None:
    """Guards drift-ignore: it leaves differences alone, and never takes another file for the declared one."""
    disk = file(site, "a", uuid=RAM)
    site.commit(disk, shown("a"))
    site.converge()
    name = bdevs(site)["a"]["name"]
    file(site, "other")
    site.call("nvmf_subsystem_remove_ns", {"nqn": f"{NQN}s", "nsid": 1})
    site.call("bdev_aio_delete", {"name": name})
    path = str(site.folder / "other.img")
    site.call("bdev_aio_create", {"name": name, "filename": path, "block_size": 4096, "uuid": RAM})
    disk["metadata"]["annotations"] = {"holdfast.dev/drift-ignore": "spec spec.aio.path spec.uuid"}
    site.commit(disk, shown("a"))
    tick = site.converge()
    assert "TargetIdentityMismatch" in site.reasons(tick)
    assert seen(site) == []


def test_only_one_of_two_takes_a_device(site: World) -> None:
    """Guards what is made at the same time: two pools would both find the device free, and write over each other."""
    *others, first = site.nodes()
    second = manifest("StoragePool", "second", first["spec"])
    site.push([*others, first, second], unchecked=True)
    tick = site.tick()
    assert [held.reason for held in tick.plan.held] == ["DeviceInUse"]
    assert len(site.call("bdev_lvol_get_lvstores")) == 1


# --- memory


def test_memory_that_was_taken_away_comes_back_as_another_disk(site: World) -> None:
    """Guards invariant 3 for malloc devices: one that somebody deletes is made again, blank, in the same life."""
    site.commit(device("ram", malloc={"size": "16Mi"}), shown("ram"))
    site.converge()
    before = seen(site)
    site.call("bdev_malloc_delete", {"name": bdevs(site)["ram"]["name"]})
    site.converge()
    assert len(seen(site)) == len(before) == 1
    assert seen(site) != before


def test_memory_is_another_disk_in_every_life_of_the_target(site: World) -> None:
    """Guards invariant 3 for malloc devices, whose bytes are gone after a restart."""
    site.commit(device("ram", malloc={"size": "16Mi"}), shown("ram"))
    site.converge()
    before = seen(site)
    site.restart_target()
    site.converge()
    assert len(seen(site)) == len(before) == 1
    assert seen(site) != before


def restore(site: World) -> None:
    """The target comes back over a saved configuration, the owner marker included."""
    saved = [b for b in site.call("bdev_get_bdevs") if b["name"] == MARKER or b["product_name"] == "Malloc disk"]
    site.restart_target()
    for bdev in saved:
        method = "bdev_null_create" if bdev["name"] == MARKER else "bdev_malloc_create"
        site.call(method, {name: bdev[name] for name in ("name", "uuid", "num_blocks", "block_size")})


def test_a_saved_configuration_does_not_hide_a_restart(site: World) -> None:
    """Guards against a marker that was copied: it is another life, told as such, and memory another disk, each time."""
    site.commit(device("ram", malloc={"size": "16Mi"}), shown("ram"))
    site.converge()
    known = set(seen(site))
    for count in (1, 2):
        restore(site)
        site.converge()
        assert site.events().count("TargetRestarted") == count
        assert not known & set(seen(site))
        known |= set(seen(site))
    assert len(known) == 3


def test_what_was_asked_of_a_former_life_died_with_it(site: World) -> None:
    """Guards doubt: also a restart that a saved configuration hides ends what was never answered."""
    site.commit(volume("a", reclaimPolicy="Delete"))
    site.converge()
    uid = site.uid("a")
    site.commit(removal("a", uid))
    site.simulators["n1"].before("bdev_lvol_delete", lambda *_: DropBefore())
    site.tick()
    site.simulators["n1"].forget_hooks()
    assert "OutcomeUnknown" in site.reasons(site.converge())
    restore(site)
    assert site.converge().verdict is Verdict.CONVERGED
    assert uid not in site.lvols().values()


def test_memory_that_a_host_wrote_to_is_not_blank(site: World) -> None:
    """Guards bytes: a pool is not initialised on memory that was exported before, unless a person says so."""
    ram = device("ram", malloc={"size": "64Mi"}, uuid=RAM)
    site.commit(ram, shown("ram"))
    site.converge()
    site.commit(ram)
    site.converge()
    site.commit(ram, pool("ram", RAM, 64 << 20))
    tick = site.converge()
    assert "BlankUnproven" in site.reasons(tick)
    assert len(site.call("bdev_lvol_get_lvstores")) == 1


# --- volumes and snapshots


def test_a_uuid_is_not_exported_twice_at_once() -> None:
    """Guards a pinned uid: not while another target shows the bytes that it came from; then it is free to follow."""
    with world(targets=("n1", "n2")) as site:
        first = [volume("a"), subsystem("s", {1: "a"})]
        site.commit(*first)
        site.converge("n1")
        site.converge("n2")
        uid = site.uid("a")
        copy = [volume("b", "n2", uid=uid), subsystem("t", {1: "b"}, "n2")]
        site.commit(*first, *copy)
        site.converge("n1")
        tick = site.converge("n2")
        assert (seen(site, "s"), seen(site, "t", "n2")) == ([uid], [])
        assert "IdentityReused" in site.reasons(tick)

        site.commit(volume("a"), *copy)
        site.converge("n1")
        site.converge("n2")
        assert seen(site, "t", "n2") == [uid]


def test_a_snapshot_stays_one_of_the_volume_it_was_taken_of(site: World) -> None:
    """Guards what is cloned: a snapshot that comes back as one of another volume is no source of it."""
    site.commit(volume("a"), volume("b"), manifest("VolumeSnapshot", "p", {"volumeRef": "a"}, "team"))
    site.converge()
    site.commit(volume("a"), volume("b"))
    site.converge()
    again = manifest("VolumeSnapshot", "p", {"volumeRef": "b"}, "team")
    site.commit(volume("a"), volume("b"), again, volume("c", source={"snapshotRef": "p"}))
    tick = site.converge()
    assert tick.verdict is Verdict.HELD
    assert "TargetIdentityMismatch" in site.reasons(tick)
    assert not any(name.endswith("-c") for name in site.lvols())


def test_a_size_is_what_the_target_makes_of_it(site: World) -> None:
    """Guards against false drift: clusters may be smaller than the MiB in which the target is asked."""
    nodes = site.nodes()
    nodes[2]["spec"]["clusterSize"] = "64Ki"
    site.push([*nodes, volume("a", size="1536Ki"), host("web")])
    tick = site.converge()
    assert (tick.verdict, tick.plan.drifts) == (Verdict.CONVERGED, ())
    assert "KeptLarger" not in site.reasons(tick)


def renamed(to: str, former: str) -> dict[str, Any]:
    made = volume(to)
    return made | {"metadata": made["metadata"] | {"annotations": {"holdfast.dev/renamed-from": former}}}


def test_a_rename_that_is_reverted_leads_back_to_the_bytes(site: World) -> None:
    """Guards rollback: nothing is made anew, nothing retained, and hosts notice neither way."""
    site.commit(volume("a"), subsystem("s", {1: "a"}))
    site.converge()
    uid, before = site.uid("a"), site.mutations()
    for again in (renamed("b", "a"), volume("a")):
        name = again["metadata"]["name"]
        site.commit(again, subsystem("s", {1: name}))
        assert site.converge().verdict is Verdict.CONVERGED
        owners = [r.resource.name for r in site.house.ledger.records("n1") if r.uid == uid and r.key.kind == "lvol"]
        assert owners == [name]
    assert (seen(site), site.mutations()) == ([uid], before)


def test_a_name_is_free_again_only_when_its_bytes_are_gone(site: World) -> None:
    """Guards names: what was renamed keeps the lvol's name, and a new volume of the old name says so."""
    site.commit(volume("a"))
    site.converge()
    site.commit(renamed("b", "a"))
    site.converge()
    site.commit(volume("b"), volume("a"))
    tick = site.converge()
    assert "NameTaken" in site.reasons(tick)
    assert len(site.lvols()) == 1


def test_two_renames_that_are_pushed_together_do_not_make_a_blank_disk(site: World) -> None:
    """Guards renamed-from: the name in between was never in force, so a person says which bytes are meant."""
    site.commit(volume("a"))
    site.converge()
    uid = site.uid("a")
    site.commit(renamed("c", "b"))
    tick = site.converge()
    assert "RenamedFromNothing" in site.reasons(tick)
    assert {*site.lvols().values()} == {uid}
    site.commit(renamed("c", "a"), subsystem("s", {1: "c"}))
    assert site.converge().verdict is Verdict.CONVERGED
    assert (seen(site), {*site.lvols().values()}) == ([uid], {uid})


def test_a_repository_that_remembers_renames_can_be_begun_anew() -> None:
    """Guards a fresh site: what was renamed long ago elsewhere begins like anything else."""
    with world() as site:
        site.commit(renamed("c", "b"), volume("a"))
        assert site.converge().verdict is Verdict.CONVERGED
        assert len(site.lvols()) == 2
