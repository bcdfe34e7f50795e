"""Mishaps by plan, and things that take time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from simulated import Rig, request, simulated

from backends.spdk.simulator import (
    Deny,
    DropAfter,
    DropBefore,
    Hold,
    Late,
    Pace,
    PlanError,
    Pretend,
    Refuse,
    Restart,
    parse_plan,
)

SIZE = {"num_blocks": 8192, "block_size": 4096}
HOLDFAST = Path(sys.executable).with_name("holdfast")


def test_a_plan_is_read_as_it_is_written() -> None:
    """Guards the grammar: every mishap, every way to count, comments and two on a line."""
    plan = parse_plan(
        "# a plan\n"
        "bdev_aio_create 1 drop-before; * 2-4 drop-after\n"
        "bdev_aio_create 5+ error -32602 No space left on device\n"
        "a 1 delay 0.5\n"
        "a 1 late 2\n"
        "a 1 hang  # for ever\n"
        "a 1 restart-before\n"
        "a 1 restart-after 3\n"
        "a 1 deny -19 No such device\n"
        'a 1 pretend {"b": [1]}\n'
    )
    assert [(order.method, order.first, order.last) for order in plan[:3]] == [
        ("bdev_aio_create", 1, 1),
        ("*", 2, 4),
        ("bdev_aio_create", 5, None),
    ]
    assert [order.fault for order in plan] == [
        DropBefore(),
        DropAfter(),
        Refuse(-32602, "No space left on device"),
        Hold(0.5),
        Late(2.0),
        Hold(),
        Restart(0.0, after=False),
        Restart(3.0, after=True),
        Deny(-19, "No such device"),
        Pretend({"b": [1]}),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "a",
        "a 1",
        "a 0 hang",
        "a x hang",
        "a 1-x hang",
        "a 1-2+ hang",
        "a 1 explode",
        "a 1 hang 3",
        "a 1 delay",
        "a 1 delay -1",
        "a 1 late inf",
        "a 1 error no",
        "a 1 deny no",
        "a 1 pretend {",
    ],
)
def test_a_plan_that_cannot_be_understood_is_refused(line: str) -> None:
    """Guards against a mishap that silently never happens; the message holds the line."""
    with pytest.raises(PlanError, match=line.replace("+", r"\+")):
        parse_plan(line)


def test_calls_are_counted_per_method(rig: Rig) -> None:
    """Guards WHEN: the second and third call of the method are struck, whatever else is called."""
    rig.simulator.order(parse_plan("bdev_malloc_create 2-3 error -5 Broken"))
    rig.call("bdev_malloc_create", name="a", **SIZE)
    rig.call("bdev_get_bdevs")
    assert rig.refusal("bdev_malloc_create", name="b", **SIZE) == (-5, "Broken")
    assert rig.refusal("bdev_malloc_create", name="c", **SIZE) == (-5, "Broken")
    rig.call("bdev_malloc_create", name="d", **SIZE)
    assert rig.names() == ["a", "d"]


def test_a_call_that_is_executed_late_has_not_happened_before(rig: Rig) -> None:
    """Guards Late against Hold: until its time is over the world is as it was."""
    rig.simulator.order(parse_plan("bdev_malloc_create 1 late 0.05"))
    rig.wire.send(json.dumps(request("bdev_malloc_create", {"name": "M", **SIZE}, "late")).encode())
    rig.wire.send(json.dumps(request("bdev_get_bdevs", None, "look")).encode())
    answers = [rig.wire.receive() for _ in "ab"]
    assert [(answer["id"], answer["result"]) for answer in answers] == [("look", []), ("late", "M")]


@pytest.mark.parametrize(("when", "there"), [("restart-before", []), ("restart-after", ["v"])])
def test_a_target_restarts_by_itself(rig: Rig, when: str, there: list[str]) -> None:
    """Guards Restart: the connection ends, and the next life has what lies in files, done or not done."""
    path = rig.store()
    pid = rig.call("framework_get_reactors")["pid"]
    rig.simulator.order(parse_plan(f"bdev_lvol_create 1 {when}"))
    with pytest.raises(EOFError):
        rig.lvol("v")
    assert _next_life(rig) != pid
    rig.aio("disk", path)
    assert [lvol["name"] for lvol in rig.call("bdev_lvol_get_lvols")] == there


def _next_life(rig: Rig) -> int:
    """The process that answers, once one does."""
    while True:
        try:
            rig.reconnect()
            return int(rig.call("framework_get_reactors")["pid"])
        except (OSError, EOFError):
            continue


def test_a_target_that_is_away_can_be_stopped() -> None:
    """Guards the end of a test: nobody waits for a target to come back."""
    with simulated() as rig:
        rig.simulator.order(parse_plan("* 1 restart-before 1000"))
        with pytest.raises(EOFError):
            rig.call("bdev_get_bdevs")


def test_examination_takes_its_time() -> None:
    """Guards Pace: what a device carries is not there before it was looked at, and waiting for it is possible."""
    with simulated(pace=Pace(examine=0.05)) as rig:
        path = rig.store()
        rig.lvol("v")
        rig.restart()
        create = {"name": "disk", "filename": str(path), "block_size": 4096}
        rig.wire.send(json.dumps(request("bdev_aio_create", create, "aio")).encode())
        rig.wire.send(json.dumps(request("bdev_lvol_get_lvols", None, "look")).encode())
        rig.wire.send(json.dumps(request("bdev_wait_for_examine", None, "wait")).encode())
        answers = {answer["id"]: answer["result"] for answer in (rig.wire.receive() for _ in "abc")}
        assert answers == {"look": [], "aio": "disk", "wait": True}
        assert [lvol["name"] for lvol in rig.call("bdev_lvol_get_lvols")] == ["v"]


def test_copying_takes_its_time() -> None:
    """Guards Pace: while a volume is inflated nothing else can be done with it."""
    with simulated(pace=Pace(copy=64 * 2.0**20)) as rig:
        rig.store()
        rig.lvol("v", 4)
        rig.call("bdev_lvol_snapshot", lvol_name="pool/v", snapshot_name="s")
        rig.wire.send(json.dumps(request("bdev_lvol_inflate", {"name": "pool/v"}, "inflate")).encode())
        rig.wire.send(json.dumps(request("bdev_lvol_resize", {"name": "pool/v", "size_in_mib": 8}, "resize")).encode())
        answers = [rig.wire.receive() for _ in "ab"]
        assert [answer["id"] for answer in answers] == ["resize", "inflate"]
        assert answers[0]["error"]["message"] == "Device or resource busy"
        assert answers[1]["result"] is True


def test_a_plan_comes_from_the_command_line_or_a_file(tmp_path: Path) -> None:
    """Guards --fault: a plan in a file, and a wrong one that ends the command with its line."""
    plan = tmp_path / "plan.txt"
    plan.write_text("bdev_get_bdevs 1 explode\n", encoding="utf-8")
    command = [HOLDFAST, "sim", "--socket", str(tmp_path / "s"), "--fault", f"@{plan}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, "explode is no mishap" in done.stderr) == (2, True)
