"""Fixtures of the end-to-end tests."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playing import PORTALS, is_free

from reconciler.demo.patience import until


@pytest.fixture(scope="module")
def portals() -> Iterator[None]:
    """The example's addresses, ours alone: another test run or demo on this machine is waited for."""
    with (Path(tempfile.gettempdir()) / "holdfast-portals.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        until(lambda: all(map(is_free, PORTALS)), "the portals to be free", 60)
        yield
