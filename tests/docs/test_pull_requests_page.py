"""The page on pull requests can be copied from: its workflows are sound, and what it names is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from workflow_linters import actionlint, zizmor

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/pull-requests.md").read_text()
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
FENCES = re.findall(r"^```yaml(?: ([a-z-]+))?\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
WORKFLOWS = [text for kind, text in FENCES if not kind]


def fence(kind: str) -> list[Any]:
    return [yaml.safe_load(text) for given, text in FENCES if given == kind]


def steps() -> list[dict[str, Any]]:
    """Every step that the page shows."""
    found = [step for listed in fence("steps") for step in listed]
    return found + [
        step for text in WORKFLOWS for job in yaml.safe_load(text)["jobs"].values() for step in job["steps"]
    ]


def test_every_fence_is_yaml() -> None:
    """Guards copies: what the page shows parses."""
    assert [yaml.safe_load(text) for _, text in FENCES]


@pytest.mark.parametrize("text", WORKFLOWS)
@pytest.mark.parametrize("linter", [actionlint, zizmor])
def test_its_workflows_are_sound(linter: Any, text: str, tmp_path: Path) -> None:
    """Guards its workflows: both linters find nothing in them."""
    folder = tmp_path / ".github/workflows"
    folder.mkdir(parents=True)
    (folder / "holdfast.yml").write_text(text)
    assert linter(tmp_path) == ""


def test_what_it_uses_is_pinned() -> None:
    """Guards the supply chain of whoever copies: other people's actions are named by commit."""
    assert [step["uses"] for step in steps() if not re.search(r"@[0-9a-f]{40}$", step["uses"])] == []


def test_it_names_inputs_and_outputs_as_they_are() -> None:
    """Guards its tables: every input and output of the action is there, and no other."""
    tables = [re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for table in PAGE.split("|---|---|")[1:]]
    named = [[name for cell in cells for name in re.findall(r"`([a-z-]+)`", cell)] for cells in tables]
    assert [sorted(names) for names in named] == [sorted(ACTION["inputs"]), sorted(ACTION["outputs"])]
    given = [step.get("with", {}) for step in steps() if re.match(r"holdfast/holdfast@", step["uses"])]
    assert given
    assert {name for inputs in given for name in inputs} <= ACTION["inputs"].keys()
    assert set(re.findall(r"steps\.holdfast\.outputs\.([a-z-]+)", PAGE)) <= ACTION["outputs"].keys()


def test_its_hook_is_one_of_ours() -> None:
    """Guards the hook by its id."""
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    (config,) = fence("pre-commit")
    assert {hook["id"] for hook in config["repos"][0]["hooks"]} <= {hook["id"] for hook in hooks}
