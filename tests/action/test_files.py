"""The files that others take from this repository: the actions, the workflows, the hook for pre-commit."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from runner import ROOT
from workflow_linters import actionlint, zizmor

from reconciler.cli import build_parser
from reconciler.github.inputs import COMMENTS, MODES, SEVERITIES

ACTIONS = [ROOT / "action.yml", ROOT / "comment/action.yml"]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
INPUTS = [
    "path",
    "config",
    "base",
    "mode",
    "fail-on",
    "baseline",
    "changed-only",
    "comment",
    "sarif-file",
    "working-directory",
]
OUTPUTS = [
    "findings-count",
    "new-findings-count",
    "highest-severity",
    "impact-verdict",
    "plan-id",
    "report-path",
    "sarif-path",
]


def read(file: Path) -> dict[str, Any]:
    value: dict[str, Any] = yaml.safe_load(file.read_text())
    return value


@pytest.mark.parametrize("linter", [actionlint, zizmor])
def test_workflows_and_actions_are_sound(linter: Any) -> None:
    """Guards our own workflows and actions: both linters find nothing in them."""
    assert linter(ROOT) == ""


def test_the_linters_find_something(tmp_path: Path) -> None:
    """Guards the guard: an injection is found by both."""
    folder = tmp_path / ".github/workflows"
    folder.mkdir(parents=True)
    (folder / "bad.yml").write_text(
        "on: pull_request_target\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n"
        "      - run: echo ${{ github.event.pull_request.title }} ${{ nope.at.all }}\n"
    )
    assert actionlint(tmp_path)
    assert zizmor(tmp_path)


def test_inputs_and_outputs() -> None:
    """Guards what workflows rely on."""
    described = read(ACTIONS[0])
    assert list(described["inputs"]) == INPUTS
    assert set(OUTPUTS) <= described["outputs"].keys()
    for name, allowed in (("mode", MODES), ("fail-on", SEVERITIES), ("comment", COMMENTS)):
        assert set(allowed) <= set(re.findall(r"[a-z]+", described["inputs"][name]["description"]))


@pytest.mark.parametrize("file", ACTIONS, ids=str)
def test_no_expression_in_a_script(file: Path) -> None:
    """Guards against injection: inputs reach a script as variables, and no other action is used."""
    steps = read(file)["runs"]["steps"]
    assert [step for step in steps if "uses" in step or "${{" in step["run"]] == []


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: str(file.name))
def test_workflows_ask_for_little(file: Path) -> None:
    """Guards rights and the supply chain: actions of others by commit, and no right to write but the comment's."""
    workflow = read(file)
    jobs = list(workflow["jobs"].values())
    used = [step["uses"] for job in jobs for step in job["steps"] if "uses" in step]
    assert [name for name in used if not re.search(r"^\./|@[0-9a-f]{40}$", name)] == []
    rights = [workflow["permissions"], *(job.get("permissions", {}) for job in jobs)]
    assert {name for given in rights for name, right in given.items() if right == "write"} <= {"pull-requests"}
    assert {name for name, right in workflow["permissions"].items() if right != "read"} == set()
    checkouts = [s for job in jobs for s in job["steps"] if s.get("uses", "").startswith("actions/checkout@")]
    assert [step for step in checkouts if step["with"]["persist-credentials"]] == []


def test_the_hook_for_pre_commit() -> None:
    """Guards the hook: it has what pre-commit asks of one, its command is one of ours, and it is for YAML files."""
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert {"id", "name", "entry", "language"} <= hook.keys()
    assert (hook["language"], hook["pass_filenames"]) == ("python", False)
    program, *words = shlex.split(hook["entry"])
    scripts = re.search(r"\[project\.scripts\]\n(\w+) =", (ROOT / "pyproject.toml").read_text())
    assert scripts
    assert program == scripts[1]
    assert build_parser(words).parse_args(words).verb == "lint"
    assert [name for name in ("a.yaml", "b/c.yml", ".holdfast.yaml") if not re.search(hook["files"], name)] == []
    assert not re.search(hook["files"], "yaml.py")
