"""Encrypted volumes through the real reconciler; on simulated and on live targets."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from crashing import crashing
from live_world import KINDS, LiveTarget
from stacking import KEY, OTHER_KEY, come_true, key_file, settled
from world import NQN, World, host, manifest, removal, subsystem, volume, world

from analyzer.finding import Severity
from reconciler.demo.initiator import Initiator
from reconciler.demo.witness import Witness


@pytest.fixture(params=KINDS)
def site(request: pytest.FixtureRequest) -> Iterator[World]:
    settings: dict[str, Any] = {"begin": lambda socket: LiveTarget(socket).start(), "patience": 5.0}
    with world(**(settings if request.param == "live" else {})) as made:
        yield made


def sealed(site: World, name: str = "a", **spec: Any) -> dict[str, Any]:
    return volume(name, encryption={"keyFrom": {"file": key_file(site)}}, **spec)


def shown(site: World, nsid: int = 1, name: str = "s") -> dict[str, Any]:
    """The namespace that hosts see."""
    return next(ns for ns in site.subsystems()[f"{NQN}{name}"]["namespaces"] if ns["nsid"] == nsid)


def device(site: World, name: str = "a") -> dict[str, Any]:
    """The encrypting device on a volume's lvol; empty when there is none."""
    uid = site.uid(name)
    found = [b for b in site.call("bdev_get_bdevs") if b["product_name"] == "crypto"]
    return next((b for b in found if b["driver_specific"]["crypto"]["base_bdev_name"] == uid), {})


def raw(site: World) -> set[str]:
    """Lvols that hosts see as they are."""
    lvols = set(site.lvols().values())
    return {ns["bdev_name"] for s in site.subsystems().values() for ns in s["namespaces"]} & lvols


def export(*names: str, hosts: Iterable[str] = ()) -> dict[str, Any]:
    return subsystem("s", dict(enumerate(names, 1)), hosts=hosts)


def test_an_encrypted_volume_is_exported_under_its_own_identity(site: World) -> None:
    """Guards what hosts see: the encrypting device, never the lvol, under the lvol's uuid; the same after a restart."""
    site.commit(sealed(site, qos={"iops": 3000}), export("a"))
    settled(site)
    before = shown(site)
    assert before["bdev_name"] == device(site)["name"]
    assert before["uuid"] == site.uid("a")
    assert device(site)["assigned_rate_limits"]["rw_ios_per_sec"] == 3000

    site.restart_target()

    settled(site)
    assert shown(site) == before
    assert device(site)["assigned_rate_limits"]["rw_ios_per_sec"] == 3000
    assert not raw(site)


def test_an_encrypted_volume_grows_and_changes_its_limits(site: World) -> None:
    """Guards what changes in place: the device on top follows the lvol, and carries the limits."""
    site.commit(sealed(site), export("a"))
    settled(site)
    before = device(site)["uuid"]
    site.commit(sealed(site, size="16Mi", qos={"readMBps": 7}), export("a"))
    settled(site)
    assert device(site)["num_blocks"] * device(site)["block_size"] == 16 << 20
    assert device(site)["assigned_rate_limits"]["r_mbytes_per_sec"] == 7
    assert device(site)["uuid"] == before
    site.call("bdev_set_qos_limit", {"name": device(site)["name"], "r_mbytes_per_sec": 9})
    drifts = site.tick().plan.drifts
    assert [d.differences[0].path for d in drifts] == ["spec.qos.readMBps"]


def test_a_clone_keeps_the_key_of_its_source(site: World) -> None:
    """Guards clones: what lies on encrypted bytes is encrypted with their key, whoever declares it, or not made."""
    snap = manifest("VolumeSnapshot", "snap", {"volumeRef": "a"}, "team")
    copy = volume("b", source={"snapshotRef": "snap"})
    site.commit(sealed(site), snap, copy, export("a", "b"))
    settled(site)
    keys = {device(site, name)["driver_specific"]["crypto"]["key_name"].rpartition("-")[2] for name in "ab"}
    assert len(keys) == 1
    assert shown(site, 2)["uuid"] == site.uid("b")
    site.restart_target()
    settled(site)
    assert not raw(site)
    other = Path(key_file(site)).with_name("other")
    other.write_text(OTHER_KEY)
    other.chmod(0o600)
    wrong = volume("c", source={"snapshotRef": "snap"}, encryption={"keyFrom": {"file": str(other)}})
    site.commit(sealed(site), snap, copy, wrong, export("a", "b"))
    assert "WrongKey" in site.reasons(site.converge())
    assert not any(name.endswith("-c") for name in site.lvols())


@pytest.mark.parametrize("apart", [{"thin": False}, {"source": {"snapshotRef": "snap", "detach": True}}])
def test_a_clone_that_is_copied_apart_keeps_its_key(site: World, apart: dict[str, Any]) -> None:
    """Guards inflating and detaching: what was copied is encrypted as it was, and shown through the device."""
    snap = manifest("VolumeSnapshot", "snap", {"volumeRef": "a"}, "team")
    copy = volume("b", **({"source": {"snapshotRef": "snap"}} | apart))
    site.commit(sealed(site), snap, copy, export("a", "b"))
    come_true(site, lambda: "base_snapshot" not in lvol_of(site, "b"))
    settled(site)
    before = shown(site, 2)
    assert (before["bdev_name"], raw(site)) == (device(site, "b")["name"], set())
    site.restart_target()
    settled(site)
    assert (shown(site, 2), raw(site)) == (before, set())


def lvol_of(site: World, name: str) -> dict[str, Any]:
    """What the target tells of a volume's lvol; something that lies on nothing known while it is not there."""
    uids = [uid for lvol, uid in site.lvols().items() if lvol.endswith(f"-{name}")]
    found = [site.call("bdev_get_bdevs", {"name": uid})[0]["driver_specific"]["lvol"] for uid in uids]
    return found[0] if found else {"base_snapshot": ""}


def test_what_lies_on_plain_bytes_is_never_encrypted(site: World) -> None:
    """Guards clones of plain volumes: read through a key, their bytes would be noise."""
    snap = manifest("VolumeSnapshot", "snap", {"volumeRef": "a"}, "team")
    wanted = (volume("a"), snap, sealed(site, "b", source={"snapshotRef": "snap"}))
    report = site.commit(*wanted)
    assert [finding.rule for finding in report.at_least(Severity.ERROR)] == ["clone-key-mismatch"]

    site.push([*site.nodes(), *wanted], unchecked=True)

    assert "SourceUnfit" in site.reasons(site.converge())
    assert not any(name.endswith("-b") for name in site.lvols())


@pytest.mark.parametrize("change", ["added", "withdrawn"])
def test_encryption_does_not_change_on_bytes_that_exist(site: World, change: str) -> None:
    """Guards bytes: what was written with a key is read with it, what was written without one is read as it is."""
    plain, secret = volume("a"), sealed(site)
    first, then = (plain, secret) if change == "added" else (secret, plain)
    site.commit(first, export("a"))
    settled(site)
    before = shown(site)
    report = site.commit(then, export("a"))
    assert "immutable-field-change" in {finding.rule for finding in report.findings}

    site.push([*site.nodes(), then, export("a")], unchecked=True)

    assert "EncryptionFixed" in site.reasons(site.converge())
    assert shown(site) == before
    site.restart_target()
    site.converge()
    if change == "withdrawn":
        assert shown(site) == before
    assert site.lvols()[next(iter(n for n in site.lvols() if n.endswith("-a")))] == before["uuid"]


def test_another_key_shows_nothing(site: World) -> None:
    """Guards WrongKey: no device is made, and the lvol is not shown in its place; the right key brings it back."""
    site.commit(sealed(site), export("a"))
    settled(site)
    before = shown(site)
    site.restart_target()
    key_file(site, OTHER_KEY)

    tick = site.converge()

    assert "WrongKey" in site.reasons(tick)
    assert not device(site)
    assert not raw(site)
    assert site.call("accel_crypto_keys_get") == []
    key_file(site)
    settled(site)
    assert shown(site) == before


def test_a_key_that_is_none_makes_nothing(site: World) -> None:
    """Guards mistakes in the key file: said before bytes exist that could only be written with it."""
    wanted = sealed(site)
    key_file(site, "not hex at all")
    site.commit(wanted, export("a"))
    assert "KeyUnavailable" in site.reasons(site.converge())
    assert not site.lvols()
    key_file(site)
    site.clock.advance(600)
    settled(site)
    assert shown(site)["uuid"] == site.uid("a")


def test_the_key_may_move(site: World) -> None:
    """Guards the place of a key: the same key elsewhere changes nothing on the target, and counts from then on."""
    site.commit(sealed(site), export("a"))
    settled(site)
    moved = Path(key_file(site)).with_name("moved")
    moved.write_text(KEY)
    moved.chmod(0o600)
    site.commit(volume("a", encryption={"keyFrom": {"file": str(moved)}}), export("a"))
    settled(site)
    Path(key_file(site)).unlink()
    site.restart_target()
    settled(site)
    assert shown(site)["uuid"] == site.uid("a")


def test_a_class_decides_once(site: World) -> None:
    """Guards classes: what one says about encryption counts when a volume is created, and stays with it."""
    name = key_file(site)
    spec = {"poolRef": "n1-pool", "thin": True}
    plain = manifest("StorageClass", "sc", spec)
    secret = manifest("StorageClass", "sc", spec | {"encryption": {"keyFrom": {"file": name}}})
    a, b = (manifest("Volume", n, {"storageClassName": "sc", "size": "8Mi"}, "team") for n in "ab")
    site.commit(secret, a, export("a"))
    settled(site)
    site.commit(plain, a, b, export("a", "b"))
    settled(site)
    assert device(site, "a")
    assert not device(site, "b")
    site.commit(secret, a, b, export("a", "b"))
    site.restart_target()
    settled(site)
    assert device(site, "a")
    assert raw(site) == {site.uid("b")}


def test_a_withdrawn_volume_keeps_its_bytes_and_comes_back_with_its_key(site: World) -> None:
    """Guards Retain: the device goes, the lvol stays; a manifest that returns shows the same disk."""
    site.commit(sealed(site), export("a"))
    settled(site)
    before, uid = shown(site), site.uid("a")
    site.commit()
    settled(site)
    assert site.uid("a") == uid
    assert not device(site)
    assert site.call("accel_crypto_keys_get") == []
    site.commit(sealed(site), export("a"))
    settled(site)
    assert shown(site) == before


def test_a_removal_takes_the_device_before_the_bytes(site: World) -> None:
    """Guards the order: an lvol deleted under its device leaves a name that nobody can free (observed on v26.05)."""
    site.commit(sealed(site, reclaimPolicy="Delete"), export("a"))
    settled(site)
    site.commit(removal("a", site.uid("a")))
    settled(site)
    assert not site.lvols()
    assert not [b for b in site.call("bdev_get_bdevs") if b["product_name"] == "crypto"]
    site.commit(sealed(site, "b"), subsystem("s", {2: "b"}))
    settled(site)
    assert shown(site, 2)["uuid"] == site.uid("b")


def test_bytes_that_were_deleted_under_their_device_can_be_made_anew(site: World) -> None:
    """Guards spec.recreate: the name that a lost device leaves taken does not stand in the way of the next."""
    site.commit(sealed(site), export("a"))
    settled(site)
    lost = site.uid("a")
    site.call("bdev_lvol_delete", {"name": lost})
    assert "DataMissing" in site.reasons(site.converge())
    site.commit(sealed(site, recreate=lost), export("a"))
    settled(site)
    assert shown(site)["uuid"] == site.uid("a") != lost


def test_a_renamed_volume_keeps_its_device(site: World) -> None:
    """Guards renaming: no second device is made on the same bytes."""
    site.commit(sealed(site), export("a"))
    settled(site)
    before = shown(site)
    renamed = sealed(site, "b")
    renamed["metadata"]["annotations"] = {"holdfast.dev/renamed-from": "team/a"}
    site.commit(renamed, export("b"))
    settled(site)
    assert shown(site) == before


def test_somebody_elses_deletion_of_the_device_is_drift(site: World) -> None:
    """Guards drift: the device and its namespace come back, and the bytes are never shown without their key."""
    site.commit(sealed(site), export("a"))
    settled(site)
    before = shown(site)
    site.call("bdev_crypto_delete", {"name": device(site)["name"]})
    tick = site.tick()
    assert {d.differences[0].path for d in tick.plan.drifts} == {"spec.encryption", "spec.namespaces[nsid=1]"}
    settled(site)
    assert shown(site) == before


def test_raw_bytes_that_somebody_shows_are_taken_back(site: World) -> None:
    """Guards against noise: a host that met the lvol itself would take it for a blank disk."""
    site.commit(sealed(site), export("a"))
    settled(site)
    before, uid = shown(site), site.uid("a")
    site.call("nvmf_subsystem_remove_ns", {"nqn": f"{NQN}s", "nsid": 1})
    site.call("bdev_crypto_delete", {"name": device(site)["name"]})
    site.call("nvmf_subsystem_add_ns", {"nqn": f"{NQN}s", "namespace": {"nsid": 1, "bdev_name": uid}})
    settled(site)
    assert shown(site) == before


def test_after_the_ledger_was_lost_nothing_is_shown_without_its_key(site: World) -> None:
    """Guards recovery: the clone of an encrypted volume is known by its lineage, though it says nothing itself."""
    snap = manifest("VolumeSnapshot", "snap", {"volumeRef": "a"}, "team")
    wanted = [sealed(site), snap, volume("b", source={"snapshotRef": "snap"}), export("a", "b")]
    site.commit(*wanted)
    settled(site)
    before = [shown(site, nsid) for nsid in (1, 2)]
    site.die()
    for file in site.folder.glob("holdfast.db*"):
        file.unlink()
    site.restart_target()
    site.wake()
    site.commit(*wanted)
    site.converge()
    assert not raw(site)
    assert site.desired
    site.keepers["n1"].confirm(site.desired)
    approved(site)
    assert [shown(site, nsid) for nsid in (1, 2)] == before


def approved(site: World) -> None:
    """A person says that the keys are the ones with which the bytes were written."""
    held = site.converge()
    assert {item.reason for item in held.plan.held} == {"KeyUnproven"}
    assert not raw(site)
    site.house.ledger.approve(held.plan.approval_id, "me", site.clock.now(), site.clock.now() + 3600)
    settled(site)


def forgotten(site: World) -> None:
    """The daemon is gone, and so is its ledger."""
    site.die()
    for file in site.folder.glob("holdfast.db*"):
        file.unlink()


def recovered(site: World, *wanted: dict[str, Any]) -> None:
    """Another daemon, and a person who confirms what it found."""
    site.wake()
    site.commit(*wanted)
    site.converge()
    assert site.desired
    site.keepers["n1"].confirm(site.desired)


def test_after_the_ledger_was_lost_a_key_is_not_taken_for_the_one_that_it_replaced(site: World) -> None:
    """Guards against noise: where nothing tells the key of the bytes, a person does, and it binds from then on."""
    wanted = [sealed(site), export("a")]
    site.commit(*wanted)
    settled(site)
    before = shown(site)
    forgotten(site)
    site.restart_target()
    key_file(site, OTHER_KEY)
    recovered(site, *wanted)
    assert "KeyUnproven" in site.reasons(site.converge())
    assert not device(site)
    assert not raw(site)
    key_file(site)
    approved(site)
    assert shown(site) == before
    site.restart_target()
    key_file(site, OTHER_KEY)
    assert "WrongKey" in site.reasons(site.converge())


def test_what_a_class_encrypted_stays_shown_when_the_ledger_and_the_class_are_lost(site: World) -> None:
    """Guards exports: the device that is there says that the bytes are encrypted; only where their key is, is asked."""
    spec = {"poolRef": "n1-pool", "thin": True}
    plain = manifest("StorageClass", "sc", spec)
    secret = manifest("StorageClass", "sc", spec | {"encryption": {"keyFrom": {"file": key_file(site)}}})
    made = manifest("Volume", "a", {"storageClassName": "sc", "size": "8Mi"}, "team")
    site.commit(secret, made, export("a"))
    settled(site)
    site.commit(plain, made, export("a"))
    settled(site)
    before = shown(site)
    forgotten(site)
    recovered(site, plain, made, export("a"))
    assert "KeyUnavailable" in site.reasons(site.converge())
    assert shown(site) == before
    site.restart_target()
    site.converge()
    assert not raw(site)
    site.commit(secret, made, export("a"))
    settled(site)
    site.commit(plain, made, export("a"))
    settled(site)
    assert shown(site) == before


@pytest.mark.spdk
def test_what_a_host_writes_is_not_on_the_disk_in_the_clear() -> None:
    """Guards real bytes: the disk holds something else, and what was written is read back after restart and clone."""
    dd = Path(os.environ["SPDK_TGT"]).with_name("spdk_dd")
    with world(begin=lambda socket: LiveTarget(socket).start(), patience=5.0) as site:
        host_, eye = Initiator(dd, site.folder), Witness(site.socket("n1"))
        snap = manifest("VolumeSnapshot", "snap", {"volumeRef": "a"}, "team")
        shop = [host("web"), sealed(site, size="16Mi"), volume("p", size="16Mi"), export("a", "p", hosts=["web"])]
        site.commit(*shop)
        settled(site)
        first = host_.write(eye, site.uid("a"))
        pattern = (site.folder / "pattern.bin").read_bytes()
        assert pattern[4096:8192] not in site.disk("n1").read_bytes()
        host_.write(eye, site.uid("p"))
        plain = (site.folder / "pattern.bin").read_bytes()
        assert plain[4096:8192] in site.disk("n1").read_bytes()

        grown = sealed(site, size="32Mi", qos={"iops": 50000})
        copy = volume("c", size="16Mi", source={"snapshotRef": "snap"})
        site.commit(host("web"), grown, volume("p", size="16Mi"), snap, copy, export("a", "p", "c", hosts=["web"]))
        settled(site)
        assert (host_.read(eye, site.uid("a")), host_.read(eye, site.uid("c"))) == (first, first)
        second = host_.write(eye, site.uid("a"))
        site.restart_target()
        settled(site)
        assert (host_.read(eye, site.uid("a")), host_.read(eye, site.uid("c"))) == (second, first)


STEPS = 14  # changes until an encrypted volume, its snapshot and a clone of that are shown


def family(site: World) -> list[dict[str, Any]]:
    snap = manifest("VolumeSnapshot", "snap", {"volumeRef": "a"}, "team")
    return [sealed(site, qos={"iops": 1000}), snap, volume("b", source={"snapshotRef": "snap"}), export("a", "b")]


CRASHES = [(at, where) for at in range(1, STEPS + 1) for where in ("before", "after", "answered")]
EVERYDAY = {(5, "after"), (6, "answered")}


@pytest.mark.parametrize(
    ("at", "where"), [crash if crash in EVERYDAY else pytest.param(*crash, marks=pytest.mark.slow) for crash in CRASHES]
)
def test_from_any_crash_no_host_ever_sees_bytes_without_their_key(at: int, where: str) -> None:
    """Guards the way there: killed at any change, also with the target, the next daemon shows devices, and no lvol."""
    with world() as site:
        site.commit()
        site.converge()
        site.commit(*family(site))
        with crashing(site, at, where):
            for _ in range(4):
                site.tick()
                assert not raw(site)
        assert not raw(site)
        if at % 2:
            site.restart_target()
        if "OutcomeUnknown" in site.reasons(site.converge(limit=20)):  # a restart ends what may still come about
            site.restart_target()
            site.converge(limit=20)
        assert [shown(site, nsid)["uuid"] for nsid in (1, 2)] == [site.uid("a"), site.uid("b")]
        assert not raw(site)
        assert len(site.lvols()) == 3
        before = site.mutations()
        site.tick()
        assert site.mutations() == before
