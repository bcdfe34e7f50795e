"""Snapshots, clones, images and growth through the backend; on simulated and live targets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import lab as labs
import pytest
from lab import MIB, Lab, created, deleted, guard, updated

from backends.contract import GuardMismatch, Terminal
from backends.objects import Bdev, Lvol, LvolStore

IMAGE_UUID = "33333333-3333-4333-8333-333333333333"


@pytest.fixture(params=["simulated", pytest.param("live", marks=pytest.mark.spdk)])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    opened = labs.simulated() if request.param == "simulated" else labs.live(Path(os.environ["SPDK_TGT"]))
    with opened as made:
        yield made


def seen(lab: Lab, thing: Lvol | LvolStore | Bdev) -> Lvol | LvolStore | Bdev:
    live = lab.live(thing.key)
    assert isinstance(live, type(thing))
    return live


def test_a_snapshot_and_its_clone_are_made_and_told_apart(lab: Lab) -> None:
    """Guards what is sent and what is read back: uid of the new lvol, who lies on whom, what can be written."""
    lab.pool()
    volume = lab.lvol("v")
    taken = Lvol("pool", "s", snapshot_of=volume.alias)
    made = lab.apply(created(taken), guard(volume, uuid=volume.uuid))
    clone = Lvol("pool", "c", thin=True, clone_of=taken.alias)
    copied = lab.apply(created(clone))
    assert made.error is copied.error is None
    snapshot, child, origin = seen(lab, taken), seen(lab, clone), seen(lab, volume)
    assert (snapshot.uuid, child.uuid) == (made.uid, copied.uid)
    assert isinstance(snapshot, Lvol)
    assert isinstance(child, Lvol)
    assert isinstance(origin, Lvol)
    assert (snapshot.read_only, sorted(snapshot.clones)) == (True, ["c", "v"])
    assert (child.parent, origin.parent, child.read_only) == ("s", "s", False)
    grown = updated(child, replace(child, size=8 * MIB))
    assert lab.apply(grown, guard(child, uuid=child.uuid, size=4 * MIB)).error is None
    assert lab.apply(created(taken)).error is not None  # never twice under one name
    assert lab.apply(deleted(snapshot)).error is not None  # SPDK refuses under two
    assert lab.live(taken.key) is not None


def test_what_a_snapshot_is_taken_of_must_be_what_was_seen(lab: Lab) -> None:
    """Guards the guards: another volume under the name has other bytes."""
    lab.pool()
    volume = lab.lvol("v")
    applied = lab.apply(created(Lvol("pool", "s", snapshot_of=volume.alias)), guard(volume, uuid=IMAGE_UUID))
    assert isinstance(applied.error, GuardMismatch)
    assert lab.live(Lvol("pool", "s").key) is None


def test_a_clone_of_an_image_finds_it_again(lab: Lab) -> None:
    """Guards images: read-only, by uuid; a clone without it is degraded, and comes back with it."""
    lab.pool()
    image = replace(lab.disk("golden", 4 * MIB, IMAGE_UUID), size=None, read_only=True)
    clone = Lvol("pool", "vm", thin=True, image=IMAGE_UUID)
    lab.make(image, clone)
    child, base = seen(lab, clone), seen(lab, image)
    assert isinstance(child, Lvol)
    assert isinstance(base, Bdev)
    assert (child.image, child.degraded, child.size) == (IMAGE_UUID, False, 4 * MIB)
    assert (base.read_only, base.claimed) == (True, True)
    assert lab.apply(deleted(child)).error is None
    assert not getattr(lab.live(image.key), "claimed", True)


def test_a_store_takes_in_what_its_device_has_grown_by(lab: Lab) -> None:
    """Guards growing: not before the file has grown, once it has, and again without harm."""
    store = lab.pool()
    device = seen(lab, Bdev("disk", "aio"))
    assert isinstance(device, Bdev)
    larger = updated(device, replace(device, size=128 * MIB))
    assert isinstance(lab.apply(larger).error, Terminal)
    os.truncate(lab.folder / "disk.img", 128 * MIB)
    assert lab.apply(larger).error is None
    for _ in range(2):
        assert lab.apply(updated(store, replace(store, size=128 * MIB))).error is None
    grown = seen(lab, store)
    assert isinstance(grown, LvolStore)
    assert grown.total_clusters > 2 * store.total_clusters - 8
    gone = replace(store, uuid=IMAGE_UUID)
    assert lab.apply(updated(gone, replace(gone, size=1))).error is not None
