"""After the ledger was lost: snapshots, clones, images and devices are found again, and none of them is made anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from planning import Case, base, key, lvol, record, records, steps, uid_of
from stacking import device, key_file
from world import SITE, World, manifest, removal, subsystem, volume

from backends.objects import Bdev, LiveObject, Lvol, NvmePath, ObjectKind
from reconciler import identity
from reconciler.plan import Phase, Record
from reconciler.planner.view import attaching
from reconciler.reconcile import Verdict
from reconciler.recovery import recovered, unknown_uid
from schemas.resources import ResourceKey

OTHER = "bbbbbbbb-0000-4000-8000-000000000001"


def snap(name: str, of: str = "a", **spec: Any) -> dict[str, Any]:
    return manifest("VolumeSnapshot", name, {"volumeRef": of} | spec, "team")


def snap_key(name: str) -> ResourceKey:
    return ResourceKey("VolumeSnapshot", "team", name)


def clone(name: str, **source: str) -> dict[str, Any]:
    return volume(name, source=source)


def adopting(name: str, adopt: str) -> dict[str, Any]:
    annotations = {"holdfast.dev/adopt": adopt}
    return volume(name) | {"metadata": {"name": name, "namespace": "team", "annotations": annotations}}


def taken(name: str, **changes: Any) -> Lvol:
    """The lvol that stands for a snapshot."""
    own = identity.object_name(SITE, snap_key(name))
    return replace(lvol(name, name=own, read_only=True, snapshot=True), **changes)


def lose_the_ledger(site: World) -> None:
    site.die()
    for path in site.folder.glob("holdfast.db*"):
        path.unlink()
    site.wake()


def confirm(site: World, *manifests: Mapping[str, Any]) -> None:
    """A new ledger, a first revision, a first look, and a person's word."""
    site.commit(*manifests)
    site.converge()
    assert site.desired is not None
    site.keepers["n1"].confirm(site.desired)
    site.commit(*manifests)  # what is placed is known by now


def found_again(manifests: list[dict[str, Any]], *live: LiveObject) -> dict[ResourceKey, Record]:
    """What a person's confirmation writes down, by resource."""
    case = Case(manifests, [*base(), *live], ledger=[])
    view = case.view()
    return {r.resource: r for r in recovered(SITE, view.target, view.observed, [], view.desired)}


# --- on a target


def test_the_whole_family_is_found_and_nothing_is_made_twice(site: World, tmp_path: Path) -> None:
    """Guards import --confirm for every kind that bears data: the same lvols and exports, and nothing more to do."""
    golden = tmp_path / "golden.img"
    golden.write_bytes(bytes(8 << 20))
    image = manifest("Image", "golden", {"targetRef": "n1", "path": str(golden)})
    declared = [
        image,
        volume("a"),
        snap("s"),
        clone("c", snapshotRef="s"),
        clone("copy", volumeRef="a"),
        clone("i", imageRef="golden"),
        subsystem("x", {1: "a", 2: "c", 3: "copy", 4: "i"}),
    ]
    site.commit(*declared)
    site.converge()
    before = site.lvols(), site.exports()
    records = {r.key: r.applied for r in site.house.ledger.records("n1") if r.key.kind is ObjectKind.LVOL}
    lose_the_ledger(site)
    confirm(site, *declared)
    tick = site.converge()
    assert tick.verdict is Verdict.CONVERGED, (tick.plan.held, tick.plan.remarks)
    assert (site.lvols(), site.exports()) == before
    again = {r.key: r.applied for r in site.house.ledger.records("n1") if r.key.kind is ObjectKind.LVOL}
    origins = ("clone_of", "image", "snapshot_of")
    assert [{n: a.get(n) for n in origins} for _, a in sorted(again.items())] == [
        {n: a.get(n) for n in origins} for _, a in sorted(records.items())
    ]


def test_a_snapshot_that_is_not_there_is_not_taken_again(site: World) -> None:
    """Guards DataMissing: the lost ledger may have known a snapshot of this name, and another moment is not it."""
    site.commit(volume("a"), snap("s"))
    site.converge()
    site.call("bdev_lvol_delete", {"name": site.uid("s")})
    lose_the_ledger(site)
    confirm(site, volume("a"), snap("s"))
    tick = site.converge()
    assert ("DataMissing" in site.reasons(tick), len(site.lvols())) == (True, 1)


def test_a_snapshot_outlives_its_volumes_manifest_and_the_ledger(site: World) -> None:
    """Guards a snapshot whose volume is gone: no manifest says in which pool it is, its name does."""
    site.commit(volume("a", reclaimPolicy="Delete"), snap("s"))
    site.converge()
    uid = site.uid("s")
    site.commit(snap("s"), removal("a", site.uid("a")))
    site.converge()
    lose_the_ledger(site)
    confirm(site, snap("s"))
    assert site.converge().verdict is Verdict.CONVERGED
    assert [r.resource for r in site.house.ledger.records("n1") if r.uid == uid] == [snap_key("s")]


def test_a_key_that_bytes_were_written_with_is_known_again(site: World) -> None:
    """Guards WrongKey: what a confirmed device shows of its key binds its bytes to that key once more."""
    sealed = device("vault", crypto={"deviceRef": "memory", "keyFrom": {"file": key_file(site)}}, bdevName="Vault")
    declared = [device("memory", malloc={"size": "64Mi"}), sealed]
    site.commit(*declared)
    site.converge()
    before = site.house.ledger.sealed()
    lose_the_ledger(site)
    confirm(site, *declared)
    assert site.house.ledger.sealed() == before != {}
    assert site.converge().verdict is Verdict.CONVERGED


# --- record by record


@pytest.mark.parametrize("adopt", ["true", uid_of("db")])
def test_adopted_bytes_are_found_by_name_or_by_uuid(adopt: str) -> None:
    """Guards adoption: the lvol that a manifest named is its volume's again, and no other of that name."""
    theirs = lvol("db", name="db")
    volumes = [adopting("db", adopt)]
    found = found_again(volumes, theirs, replace(theirs, name="other", uuid=OTHER))
    assert found[key("Volume", "db")].uid == uid_of("db")
    elsewhere = found_again(volumes, replace(theirs, store="theirs", uuid=uid_of("db")))
    assert elsewhere[key("Volume", "db")].uid == unknown_uid(SITE, key("Volume", "db"))


def test_a_device_with_a_name_of_its_own_is_ours_again() -> None:
    """Guards devices that only the manifest names: they are not foreign once a person has confirmed."""
    named = device("shelf", bdevName="Shelf", null={"size": "1Mi"})
    live = Bdev("Shelf", "null", None, 1 << 20, 512)
    assert found_again([named], live)[ResourceKey("BlockDevice", "", "shelf")].key == live.key
    case = Case([named], [*base(), live])
    case.ledger = [*found_again([named], live).values()]
    assert "Foreign" not in {remark.reason for remark in case.plan().remarks}


def test_a_former_name_finds_a_snapshot() -> None:
    """Guards renamed-from for snapshots: the lvol of the former name is the renamed snapshot's."""
    metadata = {"name": "new", "namespace": "team", "annotations": {"holdfast.dev/renamed-from": "old"}}
    found = found_again([volume("a"), snap("new") | {"metadata": metadata}], lvol("a"), taken("old"))
    assert found[snap_key("new")].uid == uid_of("old")


def test_what_nobody_declares_is_retained_as_what_it_is() -> None:
    """Guards Retain: undeclared lvols of ours are kept, a snapshot as one, what lies on another as its clone."""
    undeclared = lvol("b", parent=taken("s").name)
    found = found_again([], taken("s", clones=(undeclared.name,)), undeclared)
    kept = {(r.resource.kind, r.phase): r for r in found.values() if r.key.kind is ObjectKind.LVOL}
    assert set(kept) == {("VolumeSnapshot", Phase.RETAINED), ("Volume", Phase.RETAINED)}
    assert kept["Volume", Phase.RETAINED].applied["clone_of"] == taken("s").alias


def test_a_copy_is_made_through_a_new_snapshot_only_by_consent() -> None:
    """Guards `source.volumeRef`: the copy itself is what may have been there; its snapshot is no loss of its own."""
    found = found_again([volume("a"), clone("copy", volumeRef="a")], lvol("a"))
    assert found[key("Volume", "copy")].uid == unknown_uid(SITE, key("Volume", "copy"))
    assert not [resource for resource in found if resource.name == "copy.source"]


# --- one owner


def test_two_devices_of_one_name_do_not_share_it() -> None:
    """Guards "bytes have one owner" for devices that name their bdev: the second gets nothing, and says so."""
    first = device("one", bdevName="Shelf", null={"size": "1Mi"})
    second = device("two", bdevName="Shelf", null={"size": "1Mi"}) | {"metadata": adopting("two", "true")["metadata"]}
    second["metadata"].pop("namespace")
    live = Bdev("Shelf", "null", None, 1 << 20, 512)
    case = Case([first, second], [*base(), live], unchecked=True)
    case.ledger = [*records(*base()), record(live, key("BlockDevice", "one"))]
    found = case.plan()
    assert {r.resource.name: r.reason for r in found.remarks}.get("two") == "NotAdoptable"
    assert not [r for r in found.records if r.key == live.key and r.resource.name == "two"]


def test_a_namespace_that_another_target_attaches_waits_for_a_person() -> None:
    """Guards NVMe over fabrics: two targets that write to one namespace would destroy it."""
    about = {"address": {"transport": "TCP", "address": "127.0.0.9"}, "subsystemNQN": "nqn.2026-01.com.example:remote"}
    case = Case([device("remote", nvme=about, uuid=OTHER)])
    assert [step for step in steps(case.plan()) if "nvme" in step] != []
    case.owned = {"opened": {attaching(OTHER): "n2"}}
    held = [h for h in case.plan().held if h.change.key.kind is ObjectKind.NVME_PATH]
    assert [(h.reason, h.approvable) for h in held] == [("DeviceOpenedTwice", True)]


# --- what is not ours


def test_nothing_of_ours_is_called_foreign() -> None:
    """Guards ForeignObjects: images, stacked devices and a controller's other namespaces are no strangers."""
    golden = identity.object_name(SITE, ResourceKey("Image", "", "golden"))
    memory, slow, remote = (identity.object_name(SITE, key("BlockDevice", n)) for n in ("memory", "slow", "remote"))
    nqn = "nqn.2026-01.com.example:remote"
    declared = [
        manifest("Image", "golden", {"targetRef": "n1", "path": "/srv/golden.img"}),
        device("memory", malloc={"size": "64Mi"}),
        device("slow", delay={"deviceRef": "memory", "readMicroseconds": 5}),
        device("remote", nvme={"address": {"transport": "TCP", "address": "127.0.0.9"}, "subsystemNQN": nqn}),
        volume("a"),
        snap("s"),
    ]
    devices: list[LiveObject] = [
        Bdev(golden, "aio", uid_of("i"), 1 << 20, 512, path="/srv/golden.img"),
        Bdev(memory, "malloc", uid_of("m")),
        Bdev(slow, "delay", uid_of("d"), bases=(memory,)),
        Bdev(f"{remote}n1", "nvme", uid_of("n")),
        Bdev(f"{remote}n2", "nvme", uid_of("nn")),
    ]
    ours = [*base(), *devices, NvmePath(remote, "TCP", "127.0.0.9", 4420, nqn), lvol("a"), taken("s")]
    theirs = [Bdev("theirs", "null"), Bdev("Nvme9n1", "nvme", OTHER)]
    case = Case(declared, [*ours, *theirs])
    case.ledger = [record(lvol("a"), key("Volume", "a")), record(taken("s"), snap_key("s")), *records(*base())]
    (told,) = [remark.message for remark in case.plan().remarks if remark.reason == "ForeignObjects"]
    assert told == "not ours, and left alone: bdev Nvme9n1, bdev theirs"
