"""What a workflow asks for: the inputs of action.yml, which arrive as variables, and what GitHub tells of the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.cli.exits import UsageError
from schemas.validation import did_you_mean

MODES: Final = ("lint", "impact", "check")
SEVERITIES: Final = ("error", "warning", "info")
COMMENTS: Final = ("off", "update", "new")
_SWITCHES: Final = {"true": True, "false": False, "": False}
_PREFIX = "HOLDFAST_INPUT_"


@dataclass(frozen=True)
class Inputs:
    """Checked values of the inputs; the empty text is what nobody set."""

    path: str
    config: str
    base: str
    mode: str
    fail_on: str
    baseline: str
    changed_only: bool
    comment: str
    sarif_file: str
    working_directory: Path


@dataclass(frozen=True)
class Run:
    """What GitHub tells of the run. Everything may be missing on a machine that is none of GitHub's."""

    workspace: Path
    temporary: Path
    server: str
    api: str
    repository: str  # OWNER/NAME
    event: str
    event_file: str
    summary_file: str
    output_file: str
    number: int  # of the run; grows
    attempt: int
    token: str

    @property
    def home(self) -> str:
        """Where the repository can be looked at."""
        return f"{self.server}/{self.repository}" if self.server and self.repository else ""

    @property
    def page(self) -> str:
        """Where this run can be looked at."""
        return f"{self.home}/actions/runs/{self.number}" if self.home and self.number else ""


def inputs_of(environment: Mapping[str, str]) -> Inputs:
    """Raises UsageError, which says what stands there and what may."""

    def said(name: str) -> str:
        return environment.get(_PREFIX + name.upper().replace("-", "_"), "").strip()

    workspace = Path(environment.get("GITHUB_WORKSPACE") or ".")
    return Inputs(
        path=_inside("path", said("path")),
        config=_inside("config", said("config")),
        base=said("base"),
        mode=_one_of("mode", said("mode") or "check", MODES),
        fail_on=_one_of("fail-on", said("fail-on"), ("", *SEVERITIES)),
        baseline=said("baseline"),
        changed_only=_switch("changed-only", said("changed-only")),
        comment=_one_of("comment", said("comment") or "off", COMMENTS),
        sarif_file=said("sarif-file"),
        working_directory=workspace / said("working-directory"),
    )


def run_of(environment: Mapping[str, str]) -> Run:
    workspace = Path(environment.get("GITHUB_WORKSPACE") or ".")
    return Run(
        workspace=workspace,
        temporary=Path(environment.get("RUNNER_TEMP") or workspace),
        server=environment.get("GITHUB_SERVER_URL", "").rstrip("/"),
        api=environment.get("GITHUB_API_URL", "").rstrip("/"),
        repository=environment.get("GITHUB_REPOSITORY", ""),
        event=environment.get("GITHUB_EVENT_NAME", ""),
        event_file=environment.get("GITHUB_EVENT_PATH", ""),
        summary_file=environment.get("GITHUB_STEP_SUMMARY", ""),
        output_file=environment.get("GITHUB_OUTPUT", ""),
        number=_number(environment.get("GITHUB_RUN_ID", "")),
        attempt=_number(environment.get("GITHUB_RUN_ATTEMPT", "")),
        token=environment.get("GITHUB_TOKEN", ""),
    )


def _inside(name: str, text: str) -> str:
    """A folder or file of the repository as Git names it."""
    parts = [part for part in text.split("/") if part not in {"", "."}]
    if ".." in parts or text.startswith("/"):
        raise UsageError(f"input {name}: {text!r} leads out of the repository; name what is inside it")
    return "/".join(parts)


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        known = [choice for choice in allowed if choice]
        raise UsageError(f"input {name}: {value!r} is none of {', '.join(known)}{did_you_mean(value, known)}")
    return value


def _switch(name: str, value: str) -> bool:
    if value.lower() not in _SWITCHES:
        raise UsageError(f"input {name}: {value!r} is neither true nor false")
    return _SWITCHES[value.lower()]


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
