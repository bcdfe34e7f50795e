"""A runner of GitHub Actions, as far as one composite action needs it: steps from the file, run by bash.

It knows the expressions that action.yml uses and refuses any other, so that none is taken for what it is not.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
_COMPARED = re.compile(r"(\S+) (==|!=) '([^']*)'")
TIMEOUT = 60.0
KEPT = ("PATH", "HOME", "LANG", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")


@dataclass
class Ran:
    """What one run of the action left."""

    code: int = 0
    log: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    steps: dict[str, dict[str, str]] = field(default_factory=dict)

    def annotations(self, level: str) -> list[str]:
        return [line for line in self.log.splitlines() if line.startswith(f"::{level} ")]


@dataclass
class Runner:
    """A machine with a workspace. `environment` is what a workflow sets for its job."""

    temporary: Path
    workspace: Path
    token: str = "the-token-of-this-run"  # noqa: S105  # a test's
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, action: Path, event: str, event_file: Path, inputs: Mapping[str, str] | None = None) -> Ran:
        """Each step in turn until one fails; then only the conclusion is left."""
        described: dict[str, Any] = yaml.safe_load(action.read_text())
        given = {name: str(one.get("default", "")) for name, one in described["inputs"].items()} | dict(inputs or {})
        assert given.keys() <= described["inputs"].keys()
        ran = Ran()
        summary = self.temporary / "summary.md"
        summary.write_text("")
        for number, step in enumerate(described["runs"]["steps"]):
            if not self._wanted(str(step.get("if", "")), given, ran):
                continue
            assert step["shell"] == "bash", "a composite action names its shell"
            assert not _EXPRESSION.search(step["run"]), "an expression in a script is an injection"
            variables = {name: self._filled(str(text), given, ran) for name, text in step.get("env", {}).items()}
            ran.code = self._step(number, step, variables, ran, self._github(action, event, event_file, summary))
            if ran.code:
                break
        ran.summary = summary.read_text()
        ran.outputs = {
            name: self._filled(str(output["value"]), given, ran)
            for name, output in described.get("outputs", {}).items()
        }
        return ran

    def _github(self, action: Path, event: str, event_file: Path, summary: Path) -> dict[str, str]:
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        return {
            **kept,
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(action.parent),
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": str(event_file),
            "GITHUB_REPOSITORY": "example/storage",
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_RUN_ID": "1000",
            "GITHUB_SERVER_URL": "https://github.example.com",
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_WORKSPACE": str(self.workspace),
            "HOLDFAST_PYTHON": sys.executable,
            "RUNNER_OS": "Linux",
            "XDG_CACHE_HOME": str(self.temporary / "cache"),
            "RUNNER_TEMP": str(self.temporary),
            **self.environment,
        }

    def _step(
        self, number: int, step: Mapping[str, Any], variables: Mapping[str, str], ran: Ran, github: Mapping[str, str]
    ) -> int:
        script = self.temporary / f"step-{number}.sh"
        script.write_text(step["run"])
        output = self.temporary / f"output-{number}"
        output.write_text("")
        done = subprocess.run(
            ["/bin/bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            env={**github, "GITHUB_OUTPUT": str(output), **variables},
            cwd=self.workspace,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=TIMEOUT,
        )
        ran.log += done.stdout
        if "id" in step:
            ran.steps[step["id"]] = _outputs(output.read_text())
        return done.returncode

    def _wanted(self, condition: str, given: Mapping[str, str], ran: Ran) -> bool:
        if not condition:
            return True
        told = _EXPRESSION.fullmatch(condition)
        compared = _COMPARED.fullmatch(told[1] if told else condition)
        assert compared, f"this runner does not know the condition {condition}"
        return (self._value(compared[1], given, ran) == compared[3]) is (compared[2] == "==")

    def _filled(self, text: str, given: Mapping[str, str], ran: Ran) -> str:
        return _EXPRESSION.sub(lambda match: self._value(match[1], given, ran), text)

    def _value(self, expression: str, given: Mapping[str, str], ran: Ran) -> str:
        if expression == "github.token":
            return self.token
        context, _, name = expression.partition(".")
        if context == "inputs":
            return given[name]
        assert context == "steps", f"this runner does not know {expression}"
        step, part, output = name.split(".")
        assert part == "outputs"
        return ran.steps.get(step, {}).get(output, "")


def _outputs(text: str) -> dict[str, str]:
    """The file of outputs as GitHub reads it: `name=value`, or `name<<END`, lines, `END`."""
    found: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        name, heredoc, end = line.partition("<<")
        if heredoc and "=" not in name:
            inside = []
            for part in lines:
                if part == end:
                    break
                inside.append(part)
            found[name] = "\n".join(inside)
        else:
            name, _, value = line.partition("=")
            found[name] = value
    return found
