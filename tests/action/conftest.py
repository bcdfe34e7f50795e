"""A repository with a pull request, a runner, and GitHub's interface."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fake_github
import pytest
from fake_github import FakeGitHub
from pull_requests import PullRequest
from runner import Runner


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with fake_github.serving() as server:
        yield server


@pytest.fixture
def pull_request(tmp_path: Path, github: FakeGitHub) -> PullRequest:
    """A pull request without commits yet."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    made = PullRequest(tmp_path, github, Runner(temporary, tmp_path / "workspace"))
    made.start()
    return made
