"""actionlint and zizmor over a folder, as `make check` of a workflow would be. Both are installed with the tests."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def actionlint(folder: Path) -> str:
    """What is wrong with the workflows below a folder; empty: nothing."""
    files = sorted(map(str, (folder / ".github/workflows").glob("*.yml")))
    return _told([_program("actionlint"), "-no-color", "-shellcheck=", "-pyflakes=", *files], folder)


def zizmor(folder: Path) -> str:
    """What is risky in the workflows and actions below a folder; empty: nothing."""
    words = ["--offline", "--no-progress", "--quiet", "--color", "never", "--format", "plain", "."]
    told = _told([_program("zizmor"), *words], folder)
    return "" if told.startswith("No findings") else told


def _told(command: list[str], folder: Path) -> str:
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    told = ran.stdout.strip() or ran.stderr.strip()
    return told or ("" if ran.returncode == 0 else f"{command[0]} ended with {ran.returncode}")


def _program(name: str) -> str:
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name}, which has no build for this machine: pip install -r requirements/dev.txt brings it")
    return found
