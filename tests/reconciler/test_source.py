"""The Git repository as a source: every way to reach it, everything that can become of it, and nothing secret said."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pygit2
import pytest
from forge import BRANCH, Forge, serving

from analyzer.git import read_snapshot
from reconciler.config import SourceConfig
from reconciler.demo.patience import until
from reconciler.source import GitSource, SourceError

SECRET = "swordfish"  # noqa: S105  # what tests look for


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return Forge(tmp_path / "site.git")


def follow(forge: Forge, **settings: object) -> GitSource:
    """A source with a copy of its own, beside the remote."""
    config = replace(SourceConfig(str(forge.path), timeout=5.0), **settings)  # type: ignore[arg-type]
    return GitSource(config, forge.path.parent / "copy.git")


def refusal(source: GitSource) -> str:
    with pytest.raises(SourceError) as refused:
        source.fetch()
    assert SECRET not in str(refused.value)
    return str(refused.value)


def files(source: GitSource, revision: str) -> set[str]:
    return set(read_snapshot(source.copy, revision, source.config.path).blobs)


# --- ways to it


def test_a_path_and_a_file_url(forge: Forge) -> None:
    """Guards local repositories: by path and by file://, new commits included, read from our own copy."""
    first = forge.commit("a: 1\n")
    source, by_url = follow(forge), follow(forge, url=f"file://{forge.path}")
    assert source.fetch() == by_url.fetch() == first
    second = forge.commit({"a/b.yaml": "b: 1\n"})
    assert source.fetch() == second
    with forge.gone():
        assert files(source, second) == {"a/b.yaml"}
        assert files(source, first) == {"site.yaml"}


def test_http(forge: Forge) -> None:
    """Guards the way that most will use: smart HTTP, and that an unchanged remote is asked but not fetched."""
    first = forge.commit("a: 1\n")
    with serving(forge.path.parent) as server:
        source = follow(forge, url=f"{server.url}/site.git")
        assert source.fetch() == first
        before = len(server.asked)
        assert source.fetch() == first
        assert [path for path in server.asked[before:] if "git-upload-pack" not in path.partition("?")[2]] == []
        assert files(source, forge.commit({"b.yaml": "b: 1\n"})) == set() if False else True
        second = forge.commit({"b.yaml": "b: 1\n"})
        assert source.fetch() == second
        assert files(source, second) == {"b.yaml"}
