"""Snapshots, clones, images and growing pools, from manifests to a target and back; on simulated and live targets."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live_world import KINDS, LiveTarget
from planning import Case, base, held, lvol, reasons, record, records, steps, uid_of
from world import DISK, SITE, START, World, host, manifest, removal, subsystem, volume, world

from backends.contract import Action
from backends.objects import Bdev, LiveObject
from backends.spdk.simulator import DropBefore, Simulator
from reconciler import identity
from reconciler.demo.initiator import Initiator
from reconciler.demo.witness import Witness
from reconciler.plan import Phase
from reconciler.planner.view import Doubt, reading
from reconciler.reconcile import Verdict
from schemas.resources import ResourceKey

MIB = 1 << 20


@pytest.fixture(params=KINDS)
def site(request: pytest.FixtureRequest) -> Iterator[World]:
    """A site with one target that is simulated or live, an empty ledger and a clock that stands still."""
    settings: dict[str, Any] = {"begin": lambda socket: LiveTarget(socket).start(), "patience": 5.0}
    with world(**(settings if request.param == "live" else {})) as made:
        yield made


def snap(name: str, of: str, **spec: Any) -> dict[str, Any]:
    return manifest("VolumeSnapshot", name, {"volumeRef": of} | spec, "team")


def clone(name: str, size: str = "8Mi", **source: str) -> dict[str, Any]:
    return volume(name, size=size, source=source)


def image(name: str, path: Path, target: str = "n1") -> dict[str, Any]:
    return manifest("Image", name, {"targetRef": target, "path": str(path)})


def parent(site: World, name: str) -> str | None:
    """Name of the lvol that a volume lies on, as the target tells."""
    about = site.call("bdev_get_bdevs", {"name": site.uid(name)})[0]["driver_specific"]["lvol"]
    below: str | None = about.get("base_snapshot")
    return below


def content(site: World, name: str) -> str:
    """What stands for the bytes of a volume: equal tokens, equal bytes. A live target has none."""
    target: Any = site.simulators["n1"]
    return target.content(site.uid(name)) if isinstance(target, Simulator) else ""


def size_of(site: World, name: str) -> int:
    bdev = site.call("bdev_get_bdevs", {"name": site.uid(name)})[0]
    return int(bdev["num_blocks"] * bdev["block_size"])


def test_a_snapshot_is_taken_once_and_clones_of_it_share_its_bytes(site: World) -> None:
    """Guards the whole path: snapshot, clone in the same commit, grown to its declared size, then nothing more."""
    site.commit(volume("a"))
    site.converge()
    site.commit(volume("a"), snap("s", "a"), clone("c", "16Mi", snapshotRef="s"), subsystem("x", {1: "c"}))

    assert site.converge().verdict is Verdict.CONVERGED

    assert content(site, "c") == content(site, "s") == content(site, "a")
    assert (parent(site, "a"), parent(site, "c")) == (parent(site, "c"), parent(site, "a"))
    assert (size_of(site, "c"), site.exports()["x", 1]) == (16 * MIB, site.uid("c"))
    again = site.tick()
    assert (again.settled, again.execution.results) == (True, ())


def test_a_copy_of_a_volume_goes_through_a_snapshot_of_its_own(site: World) -> None:
    """Guards volumeRef: one intermediate snapshot, taken first, and never a second one."""
    site.commit(volume("a"), clone("copy", volumeRef="a"))
    site.converge()
    names = sorted(site.lvols())
    assert len(names) == 3
    assert parent(site, "copy") == parent(site, "a") == next(n for n in names if n.endswith("copy.source"))
    site.restart_target()
    site.converge()
    assert sorted(site.lvols()) == names


def test_a_snapshot_that_is_lost_is_never_taken_again(site: World) -> None:
    """Guards DataMissing for snapshots: what a volume held at one moment cannot be had at another."""
    site.commit(volume("a"), snap("s", "a"))
    site.converge()
    site.call("bdev_lvol_delete", {"name": site.uid("s")})

    tick = site.converge()

    assert ("DataMissing" in site.reasons(tick), len(site.lvols())) == (True, 1)
    assert [drift.kind for drift in tick.plan.drifts] == ["DataMissing"]


def test_a_snapshot_outlives_the_manifest_of_its_volume(site: World) -> None:
    """Guards that a volume may be withdrawn, and even destroyed, while its snapshots stay declared and whole."""
    site.commit(volume("a", reclaimPolicy="Delete"), snap("s", "a"))
    site.converge()
    uid, bytes_ = site.uid("s"), content(site, "s")
    report = site.commit(snap("s", "a"), removal("a", site.uid("a")))
    assert not report.blocks

    last = site.converge()

    assert (last.verdict, site.lvols().keys()) == (Verdict.CONVERGED, {n for n in site.lvols() if n.endswith("-s")})
    assert (site.uid("s"), content(site, "s")) == (uid, bytes_)
    site.restart_target()
    assert site.converge().verdict is Verdict.CONVERGED


def test_destroying_a_snapshot_merges_it_into_its_volume(site: World) -> None:
    """Guards Delete and Removal for snapshots: the volume goes on with the same bytes, and its other snapshot stays."""
    site.commit(volume("a"), snap("s", "a", reclaimPolicy="Delete"), snap("t", "a"))
    site.converge()
    bytes_ = content(site, "a")
    site.commit(volume("a"), snap("t", "a"), removal("s", site.uid("s"), kind="VolumeSnapshot"))

    assert site.converge().verdict is Verdict.CONVERGED

    assert {name.rpartition("-")[2] for name in site.lvols()} == {"a", "t"}
    assert content(site, "a") == bytes_
    assert "DataDestroyed" in site.events()


def test_a_snapshot_that_has_clones_is_never_deleted(site: World) -> None:
    """Guards clones: a Removal of what they were made from is held, however it came about."""
    site.commit(volume("a"), snap("s", "a", reclaimPolicy="Delete"), clone("c", snapshotRef="s"))
    site.converge()
    uid = site.uid("s")
    site.commit(volume("a"), removal("s", uid, kind="VolumeSnapshot"))

    last = site.converge()

    assert ("HasClones" in site.reasons(last), site.uid("s")) == (True, uid)
    site.commit(volume("a"), removal("s", uid, kind="VolumeSnapshot"), removal("c", site.uid("c")))
    site.converge()
    assert {name.rpartition("-")[2] for name in site.lvols()} == {"a"}


def test_a_snapshot_is_kept_for_the_one_clone_that_is_left(site: World) -> None:
    """Guards clones also when nothing else lies on the snapshot: it is not merged into what was made from it."""
    site.commit(volume("a", reclaimPolicy="Delete"), snap("s", "a"), clone("c", snapshotRef="s"))
    site.converge()
    site.commit(snap("s", "a"), clone("c", snapshotRef="s"), removal("a", site.uid("a")))
    assert site.converge().verdict is Verdict.CONVERGED
    uid = site.uid("s")
    site.commit(removal("s", uid, kind="VolumeSnapshot"))

    assert "HasClones" in site.reasons(site.converge())
    assert site.uid("s") == uid


def test_a_volume_is_left_alone_while_its_snapshot_may_still_be_taken() -> None:
    """Guards observed.md, crash 4: what an unanswered request also works on is in doubt with it."""
    with world() as site:
        site.commit(volume("a", reclaimPolicy="Delete"))
        site.converge()
        site.simulators["n1"].before("bdev_lvol_snapshot", lambda *_: DropBefore())
        site.commit(volume("a", reclaimPolicy="Delete"), snap("s", "a"))
        site.tick()
        site.simulators["n1"].forget_hooks()
        site.commit(snap("s", "a"), removal("a", site.uid("a")))

        assert "OutcomeUnknown" in site.reasons(site.tick())
        assert len(site.lvols()) == 1


def test_a_thick_volume_that_a_snapshot_made_thin_has_not_drifted(site: World) -> None:
    """Guards against false drift: SPDK makes every volume thin that a snapshot was taken of."""
    site.commit(volume("a", thin=False), snap("s", "a"))
    site.converge()
    assert site.tick().settled


def test_volumes_are_clones_of_an_image_that_is_never_written(site: World) -> None:
    """Guards images: opened read-only under a pinned uuid, found again after a restart, never deleted under a clone."""
    path = site.folder / "golden.raw"
    path.write_bytes(bytes(8 * MIB))
    golden = image("golden", path)
    site.commit(golden, clone("vm", "16Mi", imageRef="golden"), subsystem("x", {1: "vm"}))
    assert site.converge().verdict is Verdict.CONVERGED
    [base] = [b for b in site.call("bdev_get_bdevs") if b["driver_specific"].get("aio", {}).get("readonly")]
    about = site.call("bdev_get_bdevs", {"name": site.uid("vm")})[0]["driver_specific"]["lvol"]
    assert (about["external_snapshot_name"], size_of(site, "vm")) == (base["uuid"], 16 * MIB)

    site.restart_target()
    assert site.converge().verdict is Verdict.CONVERGED
    assert site.exports()["x", 1] == site.uid("vm")

    site.commit()  # all withdrawn: the volume is Retained, and so is what it lies on
    site.converge()
    assert any(b["name"] == base["name"] for b in site.call("bdev_get_bdevs"))
    site.commit(removal("vm", site.uid("vm")))
    site.converge()
    assert (site.lvols(), [b for b in site.call("bdev_get_bdevs") if b["name"] == base["name"]]) == ({}, [])
    assert path.exists()


def test_an_image_whose_file_was_replaced_is_not_cloned(site: World) -> None:
    """Guards the bytes below clones: another file under the image's path is found, and nothing new is made from it."""
    path = site.folder / "golden.raw"
    path.write_bytes(bytes(8 * MIB))
    site.commit(image("golden", path))
    site.converge()
    path.write_bytes(bytes(16 * MIB))
    [base] = [b for b in site.call("bdev_get_bdevs") if b["driver_specific"].get("aio", {}).get("readonly")]
    site.call("bdev_aio_delete", {"name": base["name"]})
    site.commit(image("golden", path), clone("vm", imageRef="golden"))

    last = site.converge()

    assert ({"ImageChanged", "SourceNotReady"} <= site.reasons(last), site.lvols()) == (True, {})


def test_a_pool_takes_in_what_its_device_has_grown_by(site: World) -> None:
    """Guards growing: the file first, then the manifest; the device is read again and the store grown, once."""
    site.commit()
    site.converge()
    nodes = site.nodes()
    nodes[2]["spec"]["size"] = 2 * DISK
    site.push(nodes)
    last = site.converge(limit=3)
    assert any("make it larger first" in result.message for result in last.execution.results) or "BackingOff" in (
        site.reasons(last)
    )
    with site.disk("n1").open("r+b") as file:
        file.truncate(2 * DISK)

    site.clock.advance(4000)
    assert site.converge().verdict is Verdict.CONVERGED

    [store] = site.call("bdev_lvol_get_lvstores")
    assert store["total_data_clusters"] == 2 * DISK // store["cluster_size"] - 1
    again = site.tick()
    assert (again.settled, again.execution.results) == (True, ())
    site.restart_target()
    assert site.converge().verdict is Verdict.CONVERGED


@pytest.mark.parametrize("what", ["snapshot", "clone"])
def test_a_pool_below_its_reserve_takes_no_snapshots_and_makes_no_clones(site: World, what: str) -> None:
    """Guards PoolLow: copies on write would fill the pool and fail the writes of everybody on it."""
    nodes = site.nodes()
    thick = volume("a", thin=False)
    site.push([*nodes, thick, snap("first", "a")])
    site.converge()
    nodes[2]["spec"]["reserve"] = "100%"
    more = snap("s", "a") if what == "snapshot" else clone("s", snapshotRef="first")
    site.push([*nodes, thick, snap("first", "a"), more])

    last = site.converge()

    assert ("PoolLow" in site.reasons(last), len(site.lvols())) == (True, 2)


def test_classes_and_policies_reach_the_volume(site: World) -> None:
    """Guards StorageClass and QoSPolicy: pool and thinness come from the class; limits follow their policy in place."""
    gold = manifest("QoSPolicy", "gold", {"selector": {"matchLabels": {"tier": "gold"}}, "iops": 4000}, "team")
    fast = manifest("StorageClass", "fast", {"poolRef": "n1-pool", "thin": True, "qosPolicyRef": "silver"})
    silver = manifest("QoSPolicy", "silver", {"readMBps": 7})
    by_class = manifest("Volume", "a", {"storageClassName": "fast", "size": "8Mi"}, "team")
    picked = manifest("Volume", "b", {"storageClassName": "fast", "size": "8Mi"}, "team")
    picked["metadata"]["labels"] = {"tier": "gold"}
    shown = subsystem("x", {1: "a", 2: "b"}, hosts=["web"])
    site.commit(gold, fast, silver, by_class, picked, shown, host("web"))
    assert site.converge().verdict is Verdict.CONVERGED
    assert limits(site, "a") == {"r_mbytes_per_sec": 7}
    assert limits(site, "b") == {"rw_ios_per_sec": 4000}
    uid = site.uid("b")

    gold["spec"]["iops"] = 9000
    site.commit(gold, fast, silver, by_class, picked, shown, host("web"))
    site.converge()

    assert (limits(site, "b"), site.uid("b")) == ({"rw_ios_per_sec": 9000}, uid)
    assert all(lvol["is_thin_provisioned"] for lvol in site.call("bdev_lvol_get_lvols"))


def limits(site: World, name: str) -> dict[str, int]:
    assigned = site.call("bdev_get_bdevs", {"name": site.uid(name)})[0]["assigned_rate_limits"]
    return {limit: value for limit, value in assigned.items() if value}


def test_a_class_that_moves_leaves_its_volumes_where_they_are(site: World) -> None:
    """Guards that a class is resolved once: another pool or thinness is for new volumes only."""
    fast = manifest("StorageClass", "fast", {"poolRef": "n1-pool", "thin": True})
    old = manifest("Volume", "a", {"storageClassName": "fast", "size": "8Mi"}, "team")
    site.commit(fast, old)
    site.converge()
    uid = site.uid("a")
    disk = manifest(
        "BlockDevice",
        "mem",
        {"targetRef": "n1", "malloc": {"size": "64Mi"}, "uuid": "00000000-0000-4000-8000-00000000abcd"},
    )
    consent = {"deviceUUID": "00000000-0000-4000-8000-00000000abcd", "sizeBytes": "64Mi", "expires": "2031-12-31"}
    pool = manifest("StoragePool", "other", {"deviceRef": "mem", "initialize": consent})
    fast["spec"] = {"poolRef": "other", "thin": False}
    new = manifest("Volume", "b", {"storageClassName": "fast", "size": "8Mi"}, "team")

    site.commit(fast, old, new, disk, pool)
    last = site.converge()

    lvols = {lvol["uuid"]: lvol for lvol in site.call("bdev_lvol_get_lvols")}
    stores = {lvol["lvs"]["name"] for lvol in lvols.values()}
    assert (last.verdict, site.uid("a"), len(stores), len(lvols)) == (Verdict.CONVERGED, uid, 2, 2)
    assert (lvols[uid]["is_thin_provisioned"], lvols[site.uid("b")]["is_thin_provisioned"]) == (True, False)


def test_what_is_retained_counts_in_the_quota(site: World) -> None:
    """Guards quotas: bytes that a tenant left behind are shown beside what it declares."""
    quota = manifest("Quota", "team", {"capacity": "12Mi"}, "team")
    site.commit(volume("a"), quota)
    site.converge()
    site.commit(volume("b"), quota)

    assert "QuotaExceeded" in site.reasons(site.converge())


# --- what the planner holds back


def standing(*more: dict[str, Any], live: list[LiveObject], **owned: Any) -> Case:
    return Case([volume("a"), *more], live=[*base(), *live], owned=owned)


def test_no_snapshot_is_taken_while_something_may_be_at_work_on_its_volume() -> None:
    """Guards observed.md, crash 4: an unanswered request about a volume holds whatever else would work on it."""
    case = standing(snap("s", "a"), live=[lvol("a")])
    assert steps(case.plan()) == ["create lvol n1-pool/s"]
    case.owned = {"quarantined": {lvol("a").key: Doubt(Action.UPDATE, {}, START)}}
    assert (steps(case.plan()), set(held(case.plan()).values())) == ([], {"OutcomeUnknown"})


@pytest.mark.parametrize("landed", [False, True])
def test_what_a_request_touches_is_in_doubt_with_it(*, landed: bool) -> None:
    """Guards observed.md, crash 4: a snapshot that may be running holds its volume, until it is seen to be there."""
    taken = Doubt(Action.CREATE, {}, START, touches=(lvol("a").key,), landed=landed)
    case = Case([volume("a", size="16Mi")], [*base(), lvol("a")], owned={})
    case.ledger = records(*base(), lvol("a"))
    assert steps(case.plan()) == ["update lvol n1-pool/a"]
    case.owned = {"quarantined": {lvol("s").key: taken}}
    assert steps(case.plan()) == (["update lvol n1-pool/a"] if landed else [])


@pytest.mark.parametrize("doubt", [{"bases": ["memory"]}, {"image": uid_of("m")}, {"bdev": "memory"}])
def test_a_device_stays_while_something_may_yet_stand_on_it(doubt: dict[str, Any]) -> None:
    """Guards what may yet come about: a base, a pool's device or an image that was asked for as such is not let go."""
    memory = Bdev("memory", "null", uid_of("m"))
    case = Case([], [*base(), memory])
    case.ledger = [*records(*base()), record(memory, ResourceKey("BlockDevice", "", "gone"))]
    assert steps(case.plan()) == ["delete bdev memory"]
    case.owned = {"quarantined": {lvol("s").key: Doubt(Action.CREATE, doubt, START)}}
    assert steps(case.plan()) == []


def test_no_snapshot_is_taken_beside_another_sites() -> None:
    """Guards a lost site id: what an earlier site took under another name is not shadowed by a new one."""
    theirs = lvol("s", name=identity.object_name("0" * 36, ResourceKey("VolumeSnapshot", "team", "s")))
    case = standing(snap("s", "a"), live=[lvol("a"), theirs])
    case.ledger = records(*base(), lvol("a"))
    assert (steps(case.plan()), reasons(case.plan())["s"]) == ([], "ForeignSite")


def test_a_renamed_image_is_known_to_its_clones(site: World, tmp_path: Path) -> None:
    """Guards clones of images: they find theirs by its uuid after a restart, whatever it is called by then."""
    file = tmp_path / "golden.img"
    file.write_bytes(bytes(8 << 20))
    site.commit(image("golden", file), clone("c", imageRef="golden"), subsystem("x", {1: "c"}))
    site.converge()
    renamed = image("silver", file)
    renamed["metadata"]["annotations"] = {"holdfast.dev/renamed-from": "golden"}
    site.commit(renamed, clone("c", imageRef="golden") | clone("c", imageRef="silver"), subsystem("x", {1: "c"}))
    site.converge()
    site.restart_target()
    tick = site.converge()
    assert (tick.verdict, site.exports()) == (Verdict.CONVERGED, {("x", 1): site.uid("c")})


def test_an_image_is_one_file_for_good() -> None:
    """Guards clones: under the uuid by which they know theirs, no other file is opened, nor one that is written."""
    declared = image("golden", Path("/srv/golden.img"))
    uuid = identity.derived_uuid(SITE, ResourceKey("Image", "", "golden"))
    case = Case([declared])
    assert [step for step in steps(case.plan()) if "golden" in step] == ["create bdev golden"]
    case.owned = {"shown": {f"bdev {uuid}": "/srv/other.img"}}
    assert reasons(case.plan())["golden"] == "IdentityReused"
    case.owned = {"opened": {"/srv/golden.img": "n2"}}
    assert reasons(case.plan())["golden"] == "DeviceOpenedTwice"
    case.owned = {"opened": {reading("/srv/golden.img"): "n2"}}
    assert "golden" not in reasons(case.plan())


def test_what_lies_on_each_other_is_worked_on_one_at_a_time() -> None:
    """Guards the serials: snapshots and clones of one volume share what they touch, plain new volumes share nothing."""
    case = standing(snap("s", "a"), snap("t", "a"), volume("b"), volume("c"), live=[lvol("a")])
    touches = {step.change.key.name.rpartition("-")[2]: step.touches for step in case.plan().steps}
    assert lvol("a").key in touches["s"]
    assert lvol("a").key in touches["t"]
    assert (touches["b"], touches["c"]) == ((), ())


def test_a_snapshot_under_somebody_elses_is_not_merged_away() -> None:
    """Guards foreign lvols: one that lies on a snapshot of ours is a clone of it, whatever it is."""
    taken = lvol("s", read_only=True, clones=("foreign",))
    foreign = lvol("a", name="foreign", uuid=uid_of("foreign"), parent=taken.name)
    case = standing(removal("s", uid_of("s"), kind="VolumeSnapshot"), live=[lvol("a"), taken, foreign])
    case.ledger = [
        *records(*base(), lvol("a")),
        record(taken, ResourceKey("VolumeSnapshot", "team", "s"), Phase.RETAINED),
    ]
    assert held(case.plan())["delete lvol n1-pool/s"] == "HasClones"
    ours = dataclasses.replace(taken, clones=(lvol("a").name,))
    case.live = [*base(), lvol("a", parent=taken.name), ours]
    [step] = case.plan().steps
    assert (step.hazard, lvol("a").key in step.touches) == ("data-loss", True)


def test_a_pool_says_when_it_promises_too_much() -> None:
    """Guards capacity in status: what is Retained was promised, too, and is not in any manifest."""
    kept = [lvol(name, size=100 * MIB) for name in ("k", "l", "m")]
    case = standing(live=[lvol("a"), *kept])
    case.nodes[2]["spec"]["overcommitRatio"] = 1
    assert {remark.reason for remark in case.plan().remarks if remark.resource.kind == "StoragePool"} == {
        "Overcommitted"
    }
    case.live = [*base(), lvol("a")]
    assert case.plan().remarks == ()


def test_an_image_is_not_let_go_under_its_clones() -> None:
    """Guards observed.md, crash 2: deleting the device under a clone is never planned, claimed or not."""
    golden = Bdev("hf-golden", "aio", uid_of("golden"), 8 * MIB, 4096, "/srv/golden.raw", read_only=True)
    vm = lvol("vm", image=golden.uuid)
    case = standing(live=[lvol("a"), golden, vm])
    opened = record(golden, ResourceKey("Image", "", "golden"), reclaim="")
    kept = record(vm, ResourceKey("Volume", "team", "vm"), Phase.RETAINED)
    case.ledger = [*records(*base(), lvol("a")), opened, kept]
    assert steps(case.plan()) == []
    case.live.remove(vm)
    case.ledger.remove(kept)
    assert [step.change.key for step in case.plan().steps] == [golden.key]


@pytest.mark.spdk
@pytest.mark.parametrize("site", ["live"], indirect=True)
def test_real_bytes_stay_what_they_were(site: World) -> None:
    """Guards bytes on a real target: a clone shows what its volume held, through writes, merges and a restart."""
    dd = Path(os.environ["SPDK_TGT"]).with_name("spdk_dd")
    host_ = Initiator(dd, site.folder)
    eye = Witness(site.socket("n1"))
    shop = [host("web"), volume("a")]
    site.commit(*shop, subsystem("x", {1: "a"}, hosts=["web"]))
    site.converge()
    first = host_.write(eye, site.uid("a"))
    shop += [snap("s", "a", reclaimPolicy="Delete"), snap("t", "a"), clone("c", "16Mi", snapshotRef="t")]
    shop.append(subsystem("x", {1: "a", 2: "c"}, hosts=["web"]))
    site.commit(*shop)
    assert site.converge().verdict is Verdict.CONVERGED
    second = host_.write(eye, site.uid("a"))
    assert (host_.read(eye, site.uid("a")), host_.read(eye, site.uid("c"))) == (second, first)

    site.commit(*(m for m in shop if m["metadata"]["name"] != "s"), removal("s", site.uid("s"), kind="VolumeSnapshot"))
    assert site.converge().verdict is Verdict.CONVERGED
    assert {name.rpartition("-")[2] for name in site.lvols()} == {"a", "t", "c"}
    site.restart_target()
    assert site.converge().verdict is Verdict.CONVERGED
    assert (host_.read(eye, site.uid("a")), host_.read(eye, site.uid("c"))) == (second, first)


def test_a_snapshot_of_a_volume_that_has_grown_is_kept(site: World) -> None:
    """Guards bytes behind the old end: after such a merge SPDK v26.05 forgets the new size with its next restart."""
    site.commit(volume("a", size="8Mi"), snap("before", "a"))
    site.converge()
    uid = next(uid for name, uid in site.lvols().items() if name.endswith("-before"))
    site.commit(volume("a", size="16Mi"), snap("before", "a"))
    site.converge()
    consent = removal("before", uid, kind="VolumeSnapshot")
    consent["metadata"] = {"name": "rm-before", "namespace": "team"}
    site.commit(volume("a", size="16Mi"), consent)
    last = site.converge()
    assert "ResizedSince" in site.reasons(last)
    assert uid in site.lvols().values()
