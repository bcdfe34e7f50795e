"""A repository with a pull request, checked out on a runner as GitHub does it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fake_github import FakeGitHub
from runner import ROOT, Ran, Runner

IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.com",
    "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
}  # fmt: skip
NUMBER = 7
VOLUMES = "site/team-a/volumes.yaml"
OTHERS = "site/team-b/volumes.yaml"
STRAY = """\
apiVersion: storage.holdfast.dev/v1alpha1
kind: Volume
metadata: {name: %s, namespace: team-a} # holdfast: allow[unexported-volume] nothing uses it yet
spec: {poolRef: nowhere, size: 1Gi}
"""


def git(folder: Path, *words: str) -> str:
    ran = subprocess.run(
        ["git", "-C", str(folder), *words],  # noqa: S607  # whichever git there is
        check=True, capture_output=True, text=True, env=os.environ | IDENTITY,
    )  # fmt: skip
    return ran.stdout.strip()


@dataclass
class PullRequest:
    """examples/repo on main and a branch of it; `push` commits files to the branch and checks its merge out."""

    folder: Path
    github: FakeGitHub
    runner: Runner
    fork: bool = False
    depth: int = 0
    heads: int = 0
    event: dict[str, Any] = field(default_factory=dict)

    @property
    def upstream(self) -> Path:
        return self.folder / "upstream"

    def start(self) -> None:
        shutil.copytree(ROOT / "examples/repo", self.upstream / "site")
        git(self.upstream, "init", "-q", "-b", "main")
        git(self.upstream, "add", "-A")
        git(self.upstream, "commit", "-qm", "The site")
        git(self.upstream, "config", "uploadpack.allowAnySHA1InWant", "true")
        git(self.upstream, "checkout", "-qb", "topic")

    def commit(self, files: Mapping[str, str | None], message: str = "A change") -> str:
        """Files from the root; None takes one away."""
        for name, text in files.items():
            place = self.upstream / name
            place.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                place.unlink(missing_ok=True)
            else:
                place.write_text(text)
        git(self.upstream, "add", "-A")
        git(self.upstream, "commit", "-qm", message)
        return git(self.upstream, "rev-parse", "HEAD")

    def read(self, name: str) -> str:
        return (self.upstream / name).read_text()

    def push(self, files: Mapping[str, str | None]) -> str:
        """A commit to the branch; what is checked out afterwards is its merge into main, as actions/checkout does."""
        head = self.commit(files)
        base = git(self.upstream, "rev-parse", "main")
        tree = git(self.upstream, "merge-tree", "--write-tree", "main", "topic")
        merge = git(self.upstream, "commit-tree", tree, "-p", base, "-p", head, "-m", "Merge")
        git(self.upstream, "update-ref", f"refs/pull/{NUMBER}/merge", merge)
        self.event = {
            "number": NUMBER,
            "pull_request": {
                "number": NUMBER,
                "base": {"sha": base, "repo": {"full_name": "example/storage"}},
                "head": {"sha": head, "repo": {"full_name": "mallory/storage" if self.fork else "example/storage"}},
            },
        }
        self.check_out(f"refs/pull/{NUMBER}/merge")
        return merge

    def check_out(self, ref: str) -> None:
        shutil.rmtree(self.runner.workspace, ignore_errors=True)
        self.runner.workspace.mkdir()
        git(self.runner.workspace, "init", "-q")
        git(self.runner.workspace, "remote", "add", "origin", self.upstream.as_uri())
        depth = [f"--depth={self.depth}"] if self.depth else []
        git(self.runner.workspace, "fetch", "-q", "--no-tags", *depth, "origin", f"+{ref}:refs/remotes/{ref[5:]}")
        git(self.runner.workspace, "checkout", "-q", "--detach", f"refs/remotes/{ref[5:]}")

    def act(self, name: str = "pull_request", run: int = 1000, **inputs: str) -> Ran:
        """Run the action on what is checked out."""
        file = self.folder / "event.json"
        file.write_text(json.dumps(self.event))
        self.runner.environment |= {"GITHUB_API_URL": self.github.url, "GITHUB_RUN_ID": str(run)}
        chosen = {"path": "site", "comment": "update"} | {key.replace("_", "-"): text for key, text in inputs.items()}
        return self.runner.run(ROOT / "action.yml", name, file, chosen)

    def comment(self, event: Mapping[str, Any], report: Path) -> Ran:
        """Run the action that only comments, after a workflow that has left a report."""
        file = self.folder / "event.json"
        file.write_text(json.dumps(event))
        return self.runner.run(ROOT / "comment/action.yml", "workflow_run", file, {"comment-path": str(report)})

    @property
    def comments(self) -> list[str]:
        return [comment["body"] for comment in self.github.state.comments]


def broken(pull: PullRequest, pool: str = "nowhere") -> dict[str, str | None]:
    """A volume on a pool that is not there."""
    return {"site/stray.yaml": (STRAY % "stray").replace("nowhere", pool)}


def faster(pull: PullRequest) -> dict[str, str | None]:
    """A limit that is higher, and nothing else."""
    return {VOLUMES: pull.read(VOLUMES).replace("iops: 20000", "iops: 30000"), "site/stray.yaml": None}
