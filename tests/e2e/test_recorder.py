"""The tour counts writes at the target: what counts must itself be beyond doubt."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.spdk.simulator import Simulator
from reconciler.demo.recorder import Reader, Recorder
from reconciler.demo.witness import Witness, WitnessError


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Simulator]:
    """A simulated target, which counts for itself what reaches it."""
    with Simulator(tmp_path / "target.sock") as simulator:
        yield simulator


@pytest.fixture
def recorder(target: Simulator, tmp_path: Path) -> Iterator[Recorder]:
    """A recorder in front of it, in place of a symbolic link that led straight there."""
    door = tmp_path / "spdk.sock"
    door.symlink_to(target.socket_path)
    recorder = Recorder(door, target.socket_path)
    recorder.open()
    yield recorder
    recorder.close()


def test_everything_that_reaches_the_target_is_recorded(target: Simulator, recorder: Recorder) -> None:
    """The record and the target's own count agree, and only what may change something counts as a write."""
    through = Witness(recorder.door)
    through.call("bdev_malloc_create", name="M0", num_blocks=8192, block_size=4096)
    through.bdevs()
    with pytest.raises(WitnessError):
        through.call("bdev_malloc_delete", name="nobody")
    assert recorder.calls == list(target.calls.elements())
    assert recorder.writes == ["bdev_malloc_create", "bdev_malloc_delete"]


def test_many_requests_in_pieces(recorder: Recorder) -> None:
    """Requests that follow one another, cut anywhere, are each counted once."""
    stream = b"".join(
        json.dumps(
            {"jsonrpc": "2.0", "id": i, "method": f"m{i}", "params": {"name": "Größe"}}, ensure_ascii=False
        ).encode()
        for i in range(5)
    )
    for size in range(1, 40):
        reader = Reader()
        found = [m for at in range(0, len(stream), size) for m in reader.methods(stream[at : at + size])]
        assert found == ["m0", "m1", "m2", "m3", "m4"]


def test_a_batch_counts_for_each_of_its_requests() -> None:
    """An array of requests is not one call."""
    batch = json.dumps([{"method": "bdev_get_bdevs", "id": 1}, {"method": "bdev_malloc_create", "id": 2}])
    assert Reader().methods(batch.encode()) == ["bdev_get_bdevs", "bdev_malloc_create"]


def test_a_shut_door_lets_nobody_pass(recorder: Recorder) -> None:
    """Closing it hangs up on who is connected; opening it again lets people in."""
    with socket.socket(socket.AF_UNIX) as connected:
        connected.connect(str(recorder.door))
        assert Witness(recorder.door).answers
        recorder.close()
        connected.settimeout(5)
        assert connected.recv(1) == b""
        assert not Witness(recorder.door).answers
    recorder.open()
    assert Witness(recorder.door).answers


def test_the_witness_imports_nothing_of_ours() -> None:
    """Who checks Holdfast must not be Holdfast: the witness knows the standard library alone."""
    from reconciler.demo import witness  # noqa: PLC0415  # its source is what is looked at

    source = Path(witness.__file__).read_text()
    assert not any(
        f"{verb} {name}" in source
        for verb in ("from", "import")
        for name in ("backends", "reconciler", "analyzer", "schemas")
    )
