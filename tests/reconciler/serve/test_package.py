"""What is shipped."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from reconciler.serve.render import HERE

ROOT = HERE.parents[1]


def test_the_wheel_carries_the_page(tmp_path: Path) -> None:
    """Guards an installed daemon: templates and static files travel with the code."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=60)

    (wheel,) = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    files = {str(file.relative_to(ROOT)) for folder in ("templates", "static") for file in (HERE / folder).iterdir()}
    assert len(files) > 5
    assert files <= packed
