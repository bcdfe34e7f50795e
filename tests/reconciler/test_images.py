"""Images that say their checksum, and images that are withdrawn under clones; on simulated and on live targets."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from live_world import KINDS, LiveTarget
from stacking import settled
from world import World, manifest, removal, subsystem, volume, world

from reconciler.digests import Digests
from reconciler.planner.view import Digest

MIB = 1 << 20
WRONG = hashlib.sha256(b"another").hexdigest()


@pytest.fixture(params=KINDS)
def site(request: pytest.FixtureRequest) -> Iterator[World]:
    settings: dict[str, Any] = {"begin": lambda socket: LiveTarget(socket).start(), "patience": 5.0}
    with world(**(settings if request.param == "live" else {})) as made:
        yield made


def golden(site: World, content: bytes = b"golden", size: int = 8 * MIB) -> Path:
    path = site.folder / "golden.raw"
    with path.open("wb") as file:
        file.write(content)
        file.truncate(size)
    return path


def image(path: Path, sha256: str = "", **spec: Any) -> dict[str, Any]:
    said = {"sha256": sha256} if sha256 else {}
    return manifest("Image", "golden", {"targetRef": "n1", "path": str(path)} | said | spec)


def root(**spec: Any) -> dict[str, Any]:
    return volume("root", source={"imageRef": "golden"}, **spec)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def degraded(site: World) -> bool:
    """Whether the clone lacks the device that it lies on."""
    found: bool = next(v["is_degraded"] for v in site.call("bdev_lvol_get_lvols") if v["name"].endswith("-root"))
    return found


def test_an_image_is_compared_before_anything_is_cloned_from_it(site: World) -> None:
    """Guards sha256: the file that is meant is cloned from; another one is neither opened nor cloned from."""
    path = golden(site)
    site.commit(image(path, WRONG), root())
    tick = site.converge()
    assert "ImageChanged" in site.reasons(tick)
    assert not site.lvols()
    assert not [b for b in site.call("bdev_get_bdevs") if b["name"].endswith("-golden")]
    site.commit(image(path, digest(path)), root())
    settled(site)
    assert not degraded(site)


def test_a_file_that_was_written_since_is_not_cloned_from(site: World) -> None:
    """Guards the cache: another time of change, or another inode, is another file."""
    path = golden(site)
    said = digest(path)
    site.commit(image(path, said), root())
    settled(site)
    golden(site, b"tampered")
    site.commit(image(path, said), root(), volume("second", source={"imageRef": "golden"}))
    assert "ImageChanged" in site.reasons(site.converge())
    assert not any(name.endswith("-second") for name in site.lvols())


def test_a_file_that_was_replaced_together_with_its_checksum_is_not_put_under_clones(site: World) -> None:
    """Guards clones against a new golden image in the old one's place: they keep what they lie on, or stand still."""
    path = golden(site)
    first = digest(path)
    site.commit(image(path, first), root(), subsystem("s", {1: "root"}))
    settled(site)
    path.rename(path.with_name("first.raw"))
    other = digest(golden(site, b"another"))
    wanted = [image(path, other), root(), subsystem("s", {1: "root"})]
    site.commit(*wanted, volume("second", source={"imageRef": "golden"}))
    assert "ImageChanged" in site.reasons(site.converge())
    assert not any(name.endswith("-second") for name in site.lvols())
    site.commit(*wanted)
    site.restart_target()
    assert "ImageChanged" in site.reasons(site.converge())
    assert degraded(site)
    path.with_name("first.raw").rename(path)
    site.commit(image(path, first), *wanted[1:])
    settled(site)
    assert not degraded(site)


def test_an_image_on_which_nothing_lies_any_more_may_be_another(site: World) -> None:
    """Guards the way on: once nothing lies on it, a file that replaced it counts, opened anew."""
    path = golden(site)
    site.commit(image(path, digest(path)))
    settled(site)
    path.unlink()
    site.commit(image(path, digest(golden(site, b"another"))))
    assert "ImageChanged" in site.reasons(site.converge())  # the one before is still open
    site.restart_target()
    settled(site)
    site.commit(image(path, digest(path)), root())
    settled(site)
    assert not degraded(site)


def test_a_file_whose_time_was_put_back_is_read_again() -> None:
    """Guards the cache: who writes a file in place and puts its time of change back has another file."""
    with world() as site:
        path = golden(site)
        before, digests = path.stat(), Digests(site.house.ledger)
        assert digests.of(str(path)) == Digest(digest(path))
        with path.open("r+b") as file:
            file.write(b"GOLDEN")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert digests.of(str(path)) == Digest(digest(path))


def test_an_image_whose_file_cannot_be_read_is_not_used(site: World) -> None:
    """Guards remote targets: what nobody here can read is said, and never taken for granted."""
    path = golden(site)
    said = digest(path)
    path.unlink()
    site.commit(image(path, said), root())
    assert "ImageUnverified" in site.reasons(site.converge())
    golden(site)
    settled(site)


def test_a_withdrawn_image_stays_as_long_as_retained_bytes_lie_on_it(site: World) -> None:
    """Guards Retain: the clone is whole after a restart too, its manifest may return, and then the device may go."""
    path = golden(site)
    site.commit(image(path), root(), subsystem("s", {1: "root"}))
    settled(site)
    site.commit()
    settled(site)
    assert "KeptForClones" in site.reasons(site.tick())
    site.restart_target()
    settled(site)
    assert not degraded(site)
    site.commit(image(path), root(), subsystem("s", {1: "root"}))
    settled(site)
    site.commit(removal("root", site.uid("root")))
    settled(site)
    site.commit()
    settled(site)
    assert not [b for b in site.call("bdev_get_bdevs") if b["name"].endswith("-golden")]


def test_an_image_is_kept_for_the_snapshot_of_its_clone(site: World) -> None:
    """Guards lineage: when the clone is destroyed, what it held at one moment still lies on the image."""
    path = golden(site)
    snap = manifest("VolumeSnapshot", "snap", {"volumeRef": "root"}, "team")
    site.commit(image(path), root(reclaimPolicy="Delete"), snap)
    settled(site)
    uid = site.uid("root")
    site.commit(snap, removal("root", uid))
    settled(site)
    assert uid not in site.lvols().values()
    site.restart_target()
    settled(site)
    assert [v["is_degraded"] for v in site.call("bdev_lvol_get_lvols")] == [False]


class Aside:
    """Work that is done when a test says so."""

    def __init__(self) -> None:
        self.left: list[Callable[[], None]] = []

    def __call__(self, work: Callable[[], None]) -> None:
        self.left.append(work)


def test_a_large_file_is_read_beside_the_ticks_and_once() -> None:
    """Guards ticks: what takes long is asked for, is waited for, and is remembered also by the next daemon."""
    with world() as site:
        path, aside = golden(site, size=20 * MIB), Aside()
        digests = Digests(site.house.ledger, aside)
        assert digests.of(str(path)) == digests.of(str(path)) == Digest(percent=0)
        assert len(aside.left) == 1
        aside.left.pop()()
        assert digests.of(str(path)) == Digest(digest(path))
        again = Digests(site.house.ledger, aside)
        assert (again.of(str(path)), aside.left) == (Digest(digest(path)), [])
        os.truncate(path, 24 * MIB)
        assert (again.of(str(path)), len(aside.left)) == (Digest(percent=0), 1)


def test_what_is_no_file_is_not_read() -> None:
    """Guards the worker: it never hangs on a pipe."""
    with world() as site:
        os.mkfifo(site.folder / "pipe")
        assert "neither a file nor a disk" in Digests(site.house.ledger).of(str(site.folder / "pipe")).why
