"""The benchmark runs, what it says has a stable shape, and where it says that nothing was to be done nothing was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

RUN = Path(__file__).parents[2] / "bench" / "run.py"
NAMES = ("apply", "no-op", "drift", "restart", "lint", "revisions", "renders")


def bench(*words: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "SPDK_TGT"}
    command = [sys.executable, str(RUN), "--quick", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    """Every measure of one run, by name."""
    found = json.loads(bench("--json"))
    assert found["machine"]["cores"] >= 1
    return {result["name"]: result for result in found["results"]}


@pytest.mark.parametrize("name", NAMES)
def test_every_measure_has_times_and_says_what_they_are_compared_with(results: dict[str, Any], name: str) -> None:
    """Guards the machine form: rows with times, a ratio wherever there is a floor, and a target where one was used."""
    result = results[name]
    assert result["target"] == ("none" if name in ("lint", "revisions", "renders") else "simulator")
    assert result["title"]
    assert result["rows"]
    for row in result["rows"]:
        assert 0 < row["min"] <= row["median"]
        assert (row["ratio"] is not None) == bool(row["against"])


def test_the_measures_are_these(results: dict[str, Any]) -> None:
    """Guards against a measure that silently drops out of `make bench`."""
    assert tuple(results) == NAMES


def test_a_tick_with_nothing_to_do_writes_nothing(results: dict[str, Any]) -> None:
    """Guards that no request of an idle tick could change the target, whether or not its replies are read anew."""
    assert results["no-op"]["facts"]["writes"] == 0
    assert results["no-op"]["facts"]["RPCs"] > 0


@pytest.mark.parametrize(("name", "least"), [("apply", 5 * 20), ("drift", 5), ("restart", 4 * 20)])
def test_what_was_measured_was_done(results: dict[str, Any], name: str, least: int) -> None:
    """Guards that the work happened while the clock ran: a volume is five requests, four of which a restart undoes."""
    assert results[name]["facts"]["writes"] >= least


def test_the_table_fits_a_terminal() -> None:
    """Guards that the text for people has no line of more than 80 columns, and names the machine."""
    lines = bench("--only", "apply,lint").splitlines()
    assert max(map(len, lines)) <= 80
    assert "cores" in lines[0]
