"""The README says what is so."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from analyzer.analyze import analyze
from analyzer.render.text import render
from analyzer.snapshot import Blob, Snapshot, blob_id, from_directory
from reconciler.cli import VERBS
from reconciler.cli.exits import Exit
from reconciler.demo.stages import STAGES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def fences(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_its_manifest_is_sound() -> None:
    """Guards the first YAML that a newcomer copies: only the pool, which stands elsewhere, may be missing."""
    data = fences("yaml")[0].encode()
    report = analyze(Snapshot("", {"a.yaml": Blob("a.yaml", blob_id(data), data)}), as_of=date(2026, 11, 21))
    assert {finding.rule for finding in report.findings} <= {"dangling-reference"}


def test_its_finding_is_one_of_the_example(tmp_path: Path) -> None:
    """Guards the finding that it shows: it is what lint says of a slip in the example site."""
    site = tmp_path / "site"
    shutil.copytree(ROOT / "examples/repo", site)
    subsystems = site / "team-b/subsystems.yaml"
    subsystems.write_text(subsystems.read_text().replace("volumeRef: warehouse-1", "volumeRef: warehouse-0"))
    shown = next(block for block in fences("text") if block.startswith("error["))
    assert shown in render(analyze(replace(from_directory(site), root=""), as_of=date(2026, 11, 21)))


def test_its_commands_exist() -> None:
    """Guards every `holdfast VERB` and `make TARGET` that it names."""
    spoken = re.findall(r"`holdfast [^`]+`|^.*bin/holdfast .*$", README, re.MULTILINE)
    verbs = set(re.findall(r"holdfast ([a-z-]+)", "\n".join(spoken)))
    assert verbs <= set(VERBS)
    targets = set(re.findall(r"^make ([a-z-]+)", "\n".join(fences("sh")), re.MULTILINE)) | set(
        re.findall(r"`make ([a-z-]+)", README)
    )
    assert targets <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_its_tour_has_the_stages_of_the_tour() -> None:
    """Guards the tour's output as it is shown."""
    shown = next(block for block in fences("text") if block.startswith("ok converged"))
    assert [line.split()[1] for line in shown.splitlines()] == [name for name, _ in STAGES]


@pytest.mark.parametrize("path", re.findall(r"\]\(([A-Za-z/.-]+)\)|^\| `([a-z/]+)`", README, re.MULTILINE))
def test_its_links_lead_somewhere(path: tuple[str, str]) -> None:
    """Guards links and the table of folders."""
    assert (ROOT / (path[0] or path[1])).exists()


def test_its_exit_codes_are_those_of_the_command() -> None:
    """Guards the line on exit codes."""
    line = re.search(r"Exit codes are the same everywhere:(.*?)\n\n", README, re.DOTALL)
    assert line
    assert set(map(int, re.findall(r"\b(\d+) ", line[1]))) == {int(code) for code in Exit}


def test_the_version_has_an_entry_in_the_changelog() -> None:
    """Guards that no version goes out without a word."""
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    assert f"## {version[1]}" in (ROOT / "CHANGELOG.md").read_text()
