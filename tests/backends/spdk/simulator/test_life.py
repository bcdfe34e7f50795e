"""Starting, dying and mishaps: what tests of Holdfast do to a target."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from simulated import Rig, request, simulated

from backends.spdk.simulator import DropAfter, DropBefore, Hold, Refuse, Simulator, SocketInUseError
from backends.spdk.simulator.engine import HANDLERS
from backends.spdk.simulator.methods import METHODS

SIZE = {"num_blocks": 8, "block_size": 512}


def test_every_method_of_the_table_has_a_handler_and_the_other_way_round() -> None:
    """Guards the two tables, which are written in different places."""
    assert HANDLERS.keys() == METHODS.keys()


def test_methods_that_can_be_called_are_listed(rig: Rig) -> None:
    """Guards rpc_get_methods, by which a client learns what a target can do."""
    assert set(rig.call("rpc_get_methods")) == set(METHODS)
    callable_now = set(rig.call("rpc_get_methods", current=True))
    assert callable_now == {name for name, method in METHODS.items() if method.runtime}


def test_a_target_that_waits_is_set_up_before_it_starts() -> None:
    """Guards --wait-for-rpc: until framework_start_init only methods of the start may be called."""
    with simulated(wait_for_rpc=True) as rig:
        code, text = rig.refusal("bdev_get_bdevs")
        assert (code, "framework_start_init" in text) == (-1, True)
        assert rig.call("bdev_set_options", bdev_auto_examine=False) is True
        waited, started = rig.ask(("framework_wait_init", None), ("framework_start_init", None))
        assert (waited["result"], started["result"]) == (True, True)
        assert rig.call("bdev_get_bdevs") == []
        assert rig.refusal("framework_start_init")[0] == -1


def test_without_auto_examine_a_device_is_examined_when_asked() -> None:
    """Guards the start-up option: a store on a device stays unseen until bdev_examine."""
    with simulated() as rig:
        path = rig.store()
        with simulated(wait_for_rpc=True) as careful:
            rig.simulator.kill()
            careful.call("bdev_set_options", bdev_auto_examine=False)
            careful.call("framework_start_init")
            careful.aio("disk", path)
            assert careful.call("bdev_lvol_get_lvstores") == []
            careful.call("bdev_examine", name="disk")
            assert [store["name"] for store in careful.call("bdev_lvol_get_lvstores")] == ["pool"]
        rig.simulator.start()


def test_a_socket_belongs_to_one_target(rig: Rig) -> None:
    """Guards against two targets behind one path, and for one behind a path that a dead one left."""
    with pytest.raises(SocketInUseError, match="in use"):
        Simulator(rig.simulator.socket_path).start()
    rig.simulator.kill()
    assert rig.simulator.socket_path.exists()
    with Simulator(rig.simulator.socket_path):
        rig.reconnect()
        assert rig.call("bdev_get_bdevs") == []
    assert not rig.simulator.socket_path.exists()
    rig.simulator.start()


def test_death_ends_connections_without_a_word(rig: Rig) -> None:
    """Guards kill(): whoever waits for an answer learns nothing of what became of the call."""
    rig.simulator.before("bdev_malloc_create", lambda _method, _params: Hold())
    rig.wire.send(json.dumps(request("bdev_malloc_create", SIZE)).encode())
    with rig.connect() as other:
        other.send(json.dumps(request("notify_get_types")).encode())
        other.receive()
        rig.simulator.kill()
        assert rig.wire.is_hung_up()
        assert other.is_hung_up()
    rig.simulator.start()


def test_spdk_kill_instance_ends_the_target() -> None:
    """Guards the method by which a target is told to end itself."""
    with simulated() as rig, pytest.raises(EOFError):
        rig.call("spdk_kill_instance", sig_name="SIGTERM")


def test_calls_are_counted_over_all_lives(rig: Rig) -> None:
    """Guards the measure of "writes nothing": reads are counted, changes are listed with their parameters."""
    rig.call("bdev_malloc_create", name="M", **SIZE)
    rig.restart()
    rig.call("bdev_get_bdevs")
    rig.refusal("bdev_malloc_delete", name="M")
    assert rig.simulator.calls["bdev_get_bdevs"] == 1
    assert rig.simulator.mutations[1:] == [
        ("bdev_malloc_create", {"name": "M", **SIZE}),
        ("bdev_malloc_delete", {"name": "M"}),
    ]


def test_a_mishap_before_execution_leaves_nothing_done(rig: Rig) -> None:
    """Guards DropBefore: the connection ends and the call was never made."""
    rig.simulator.before("bdev_malloc_create", lambda _method, _params: DropBefore())
    with pytest.raises(EOFError):
        rig.call("bdev_malloc_create", **SIZE)
    rig.simulator.forget_hooks()
    rig.reconnect()
    assert rig.names() == []


def test_a_mishap_after_execution_leaves_it_done(rig: Rig) -> None:
    """Guards DropAfter: the connection ends, and only a look tells that the call was made."""
    hits = iter([DropAfter()])
    rig.simulator.before("bdev_malloc_create", lambda _method, _params: next(hits, None))
    with pytest.raises(EOFError):
        rig.call("bdev_malloc_create", **SIZE)
    rig.reconnect()
    assert rig.names() == ["Malloc0"]
    assert rig.call("bdev_malloc_create", **SIZE) == "Malloc1"


def test_a_refusal_can_be_ordered_by_parameters(rig: Rig) -> None:
    """Guards Refuse, and that hooks see what is asked for."""
    rig.simulator.before("*", lambda _method, params: Refuse(-28, "No") if params.get("name") == "bad" else None)
    assert rig.refusal("bdev_malloc_create", name="bad", **SIZE) == (-28, "No")
    assert rig.call("bdev_malloc_create", name="good", **SIZE) == "good"


def test_an_answer_can_be_late(rig: Rig) -> None:
    """Guards Hold: others are answered first, and the held answer comes when its time is over."""
    rig.simulator.before("bdev_malloc_create", lambda _method, _params: Hold(0.05))
    begin = time.monotonic()
    rig.wire.send(json.dumps(request("bdev_malloc_create", SIZE, "late")).encode())
    rig.wire.send(json.dumps(request("notify_get_types", None, "early")).encode())
    assert [rig.wire.receive()["id"] for _ in "ab"] == ["early", "late"]
    assert time.monotonic() - begin >= 0.05


def test_a_target_may_look_at_its_socket_only_now_and_then() -> None:
    """Guards poll_interval, the pace of a live target."""
    with simulated(poll_interval=0.004) as rig:
        begin = time.monotonic()
        for _ in range(5):
            rig.call("notify_get_types")
        assert time.monotonic() - begin >= 0.02


def test_a_state_directory_is_made() -> None:
    """Guards --state, in which nothing needs to be kept."""
    with simulated() as rig:
        state = rig.directory / "some" / "state"
        with Simulator(rig.directory / "other.sock", state_dir=state):
            assert state.is_dir()


def test_small_calls_are_fast(rig: Rig) -> None:
    """Guards the pace that big tests live on, with much room for slow machines."""
    data = json.dumps(request("spdk_get_version")).encode()
    begin = time.process_time()
    for _ in range(10):
        rig.wire.send(data * 200)
        for _ in range(200):
            rig.wire.receive()
    assert time.process_time() - begin < 2


def test_socket_paths_that_are_too_long_are_an_error(tmp_path: Path) -> None:
    """Guards the limit of the kernel, which is met as an error and not as a target at another path."""
    with pytest.raises(OSError, match="too long"):
        Simulator(tmp_path / ("x" * 120)).start()
