"""Calls and answers recorded from a live SPDK v26.05 target, made again to the simulator and to a live target."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
SIMULATOR = f"{Path(sys.executable).with_name('holdfast')} sim --socket {{sock}} --state {{data}}/state"
JUDGED = {
    "spdk_get_version",
    "rpc_get_methods",
    "framework_wait_init",
    "framework_start_init",
    "bdev_get_bdevs",
    "bdev_malloc_create",
    "bdev_malloc_delete",
    "bdev_null_create",
    "bdev_null_delete",
    "bdev_aio_create",
    "bdev_aio_delete",
    "bdev_aio_rescan",
    "bdev_wait_for_examine",
    "bdev_lvol_create_lvstore",
    "bdev_lvol_delete_lvstore",
    "bdev_lvol_get_lvstores",
    "bdev_lvol_create",
    "bdev_lvol_delete",
    "bdev_lvol_resize",
    "bdev_lvol_get_lvols",
    "bdev_set_qos_limit",
    "nvmf_create_transport",
    "nvmf_get_transports",
    "nvmf_create_subsystem",
    "nvmf_delete_subsystem",
    "nvmf_get_subsystems",
    "nvmf_subsystem_add_ns",
    "nvmf_subsystem_remove_ns",
    "nvmf_subsystem_add_listener",
    "nvmf_subsystem_remove_listener",
    "nvmf_subsystem_add_host",
    "nvmf_subsystem_remove_host",
    "notify_get_notifications",
}


@dataclass(frozen=True)
class Outcome:
    """What a replay found: percentages, and (scenario, method or name of a raw exchange) of each miss."""

    figures: dict[str, Any]
    misses: set[tuple[str, str]]


def replay(start: str, timeout: float = 110.0) -> Outcome:
    scenarios = sorted(str(path) for path in (HERE / "transcripts").glob("*.jsonl"))
    command = [sys.executable, str(HERE / "replay.py"), "--start", start, "--json", "--show", "99"]
    done = subprocess.run([*command, *scenarios], capture_output=True, text=True, check=False, timeout=timeout)
    found = re.findall(r"^ +(?:OUTCOME|FULL|WIRE) +([^:\s]+):\S+ (\w+)", done.stdout, re.MULTILINE)
    return Outcome(json.loads(done.stdout.splitlines()[-1]), {(scenario, name) for scenario, name in found})


@pytest.fixture(scope="module")
def simulated() -> Outcome:
    return replay(SIMULATOR)


def test_the_simulator_answers_the_methods_holdfast_uses_as_recorded(simulated: Outcome) -> None:
    """Guards that what Holdfast meets in tests and in the demo is what a live target would have said."""
    assert simulated.figures["calls"] > 750
    assert {miss for miss in simulated.misses if miss[1] in JUDGED} == set()
    assert (simulated.figures["wires"], simulated.figures["wire_percent"]) == (61, 100)


def test_every_other_recorded_method_agrees(simulated: Outcome) -> None:
    """Guards the README's figures: nothing that was recorded is answered otherwise."""
    assert simulated.misses == set()
    assert (simulated.figures["outcome_percent"], simulated.figures["full_percent"]) == (100, 100)


@pytest.mark.spdk
@pytest.mark.timeout(420)
def test_a_live_target_answers_as_recorded() -> None:
    """Guards that the recordings, which the simulator is measured by, are still true of the target at hand."""
    quiet = "--interrupt-mode --disable-cpumask-locks"  # answers the same, and leaves the machine to others
    live = replay(f"{os.environ['SPDK_TGT']} -m 0x1 --no-huge -s 1024 {quiet} -r {{sock}}", timeout=400.0)

    still_copying = {("05-lvol-errors", "bdev_lvol_check_shallow_copy")}  # on a busy machine it may not be done yet
    assert live.misses <= still_copying
    assert (live.figures["outcome_percent"], live.figures["wire_percent"]) == (100, 100)
