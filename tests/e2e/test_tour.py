"""The tour, as a person or CI runs it: every stage, on simulated targets and on live ones."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playing import environment

from reconciler.cli import main
from reconciler.cli.verbs.demo import _line
from reconciler.demo import tour
from reconciler.demo.processes import HOLDFAST
from reconciler.demo.stages import STAGES, Failed

LIMIT = 60.0  # seconds that the tour may take
IN_ORDER = [
    "converged",
    "no-op",
    "change",
    "drift-closed",
    "bad-commit-blocked",
    "data-kept",
    "data-loss-blocked",
    "removal-honoured",
    "reverted",
    "target-restarted",
    "git-down",
]


def play(folder: Path, *words: str) -> list[dict[str, Any]]:
    """The tour's stages; nothing but JSON is printed, it ends well, and its lines for people fit 80 columns."""
    command = [*HOLDFAST, "demo", "--tour", "--json", *words]
    ran = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=2 * LIMIT, env=environment(TMPDIR=str(folder))
    )
    stages = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [stage for stage in stages if not stage["ok"]] == [], ran.stderr
    assert (ran.returncode, ran.stderr) == (0, "")
    assert [stage["stage"] for stage in stages] == IN_ORDER
    assert all(stage.keys() == {"stage", "ok", "seconds", "detail"} for stage in stages)
    assert list(folder.iterdir()) == []
    assert [line for stage in stages if len(line := _line(tour.Result(**stage))) > 80] == []
    return stages


@pytest.mark.timeout(240)
def test_tour_on_simulated_targets(portals: None, tmp_path: Path) -> None:
    """From a commit to two targets and back: every promise is kept, in under a minute, and nothing is left behind."""
    stages = play(tmp_path)
    assert sum(stage["seconds"] for stage in stages) < LIMIT
    assert "0 of them writes" in stages[1]["detail"]


@pytest.mark.spdk
@pytest.mark.timeout(240)
def test_tour_on_live_targets(portals: None, tmp_path: Path) -> None:
    """The same on nvmf_tgt, where a host also reads back what it wrote, after a revert and after kill -9."""
    stages = play(tmp_path, "--spdk-tgt", os.environ["SPDK_TGT"])
    details = {stage["stage"]: stage["detail"] for stage in stages}
    assert "same bytes" in details["reverted"]
    assert details["target-restarted"].endswith("same bytes")


def test_a_failed_stage_ends_the_story(
    portals: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line per stage also then: what was seen, and that the later ones were not tried; exit code 1."""

    def fail(_: object) -> str:
        raise Failed("the namespace is not there")

    stages = (("no-op", lambda _: "nothing to do"), ("change", fail), ("reverted", fail))
    monkeypatch.setattr(tour, "STAGES", stages)
    assert main(["demo", "--tour", "--dir", str(tmp_path / "tour")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["ok", "no-op"], ["NO", "change"], ["NO", "reverted"]]
    assert "the namespace is not there" in lines[1]
    assert "not tried after change failed" in lines[2]


def test_the_stages_are_those_that_are_promised() -> None:
    """Names and order of the stages are an interface: scripts read them."""
    assert [name for name, _ in STAGES] == IN_ORDER
