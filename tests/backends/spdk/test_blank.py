"""The proof that a device is blank: what is zero, what is not, and what nobody can tell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lab import MIB, SimulatedLab, created, free_port, guard

from backends.contract import GuardMismatch, Interest
from backends.objects import LvolStore
from backends.spdk.blank import is_blank
from backends.spdk.simulator import Simulator
from backends.spdk.transport import connect_tcp

SIZE = 8 * MIB


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A file of zeroes."""
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.truncate(SIZE)
    return path


def write(path: Path, offset: int, data: bytes = b"\1") -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def test_zeroes_are_blank(disk: Path) -> None:
    """Guards that a fresh device can be proven blank, also when it is smaller than what is looked at."""
    assert is_blank(str(disk), SIZE) is True
    assert is_blank(str(disk), 4096) is True


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, MIB - 1) | st.just(MIB - 1), st.booleans(), st.integers(1, 255))
def test_any_byte_in_the_first_or_last_mib_is_found(disk: Path, place: int, at_end: bool, byte: int) -> None:  # noqa: FBT001
    """Guards that one byte is enough, wherever in either edge it is."""
    offset = SIZE - 1 - place if at_end else place
    write(disk, offset, bytes([byte]))
    assert is_blank(str(disk), SIZE) is False
    write(disk, offset, b"\0")
    assert is_blank(str(disk), SIZE) is True


def test_the_end_is_where_the_target_says(disk: Path) -> None:
    """Guards that the last MiB is the device's, not the file's: a longer file may go on with something else."""
    write(disk, SIZE // 2 - 1)
    assert is_blank(str(disk), SIZE // 2) is False
    assert is_blank(str(disk), SIZE) is True


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(bytes(SIZE - 1)),
        lambda path: path.write_bytes(bytes(MIB)),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), path.symlink_to(path)),
    ],
    ids=["missing", "empty", "one byte short", "one MiB only", "a directory", "a loop"],
)
def test_what_cannot_be_read_whole_is_not_blank(disk: Path, spoil: Callable[[Path], object]) -> None:
    """Guards that unknown is not blank: a device that is shorter than the target says, or that cannot be read."""
    spoil(disk)
    assert is_blank(str(disk), SIZE) is None


@pytest.mark.parametrize("size", [0, -1])
def test_a_device_of_no_size_is_not_blank(disk: Path, size: int) -> None:
    """Guards against the proof by looking at nothing."""
    assert is_blank(str(disk), size) is None


# --- as an observation finds it


def test_who_asks_is_told_of_the_devices_that_were_asked_for(lab: SimulatedLab) -> None:
    """Guards that a target on this machine proves blank and not blank alike, and that nobody else's disk is read."""
    lab.make(lab.disk("fresh", uuid=None), lab.disk("used", uuid=None), lab.disk("other", uuid=None))
    write(lab.folder / "used.img", 0)
    seen = lab.observe(Interest(blank=frozenset({"fresh", "used"})))
    assert seen.blank == {"fresh": True, "used": False}


def test_what_is_no_file_or_not_there_is_not_proven_blank(lab: SimulatedLab) -> None:
    """Guards that memory devices and devices that are gone are unknown."""
    lab.call("bdev_malloc_create", name="memory", num_blocks=8192, block_size=512)
    assert lab.observe(Interest(blank=frozenset({"memory", "gone"}))).blank == {"memory": None, "gone": None}


def test_a_target_elsewhere_proves_nothing(lab: SimulatedLab) -> None:
    """Guards that behind TCP, where the path may name a file of another machine, nothing is blank."""
    address = ("127.0.0.1", free_port())
    with Simulator(lab.folder / "t", tcp=address):
        there = SimulatedLab(lab.folder, connect=lambda: connect_tcp("{}:{}".format(*address)))
        there.make(lab.disk())
        assert there.observe(Interest(blank=frozenset({"disk"}))).blank == {"disk": None}
        there.backend.close()


def test_another_process_at_the_socket_proves_nothing(lab: SimulatedLab) -> None:
    """Guards against a forwarder on this machine: the process that answers is not the one that it names."""
    lab.restart()  # a simulated target's second life has a pid that is not this process's
    lab.make(lab.disk())
    assert lab.observe(Interest(blank=frozenset({"disk"}))).blank == {"disk": None}


def test_a_store_is_not_made_on_bytes_that_came_meanwhile(lab: SimulatedLab) -> None:
    """Guards the last look: a device that was blank when planned is read again right before it is overwritten."""
    disk, last = lab.disk(), 64 * MIB - 1
    lab.make(disk)
    assert lab.observe(Interest(blank=frozenset({"disk"}))).blank == {"disk": True}
    write(lab.folder / "disk.img", last)
    applied = lab.apply(created(LvolStore("pool", "disk")), guard(disk, blank=True))
    assert isinstance(applied.error, GuardMismatch)
    assert lab.call("bdev_lvol_get_lvstores") == []
    write(lab.folder / "disk.img", last, b"\0")
    assert lab.apply(created(LvolStore("pool", "disk")), guard(disk, blank=True)).error is None
