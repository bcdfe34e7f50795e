"""Fixtures of the end-to-end tests."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playing import PORTALS, is_free

from reconciler.cli.exits import CommandError
from reconciler.demo.patience import until


@pytest.fixture(scope="session")
def portals() -> Iterator[None]:
    """The example's addresses, ours alone: another test run on this machine is waited for, anything else is not."""
    with (Path(tempfile.gettempdir()) / "holdfast-portals.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            until(lambda: all(map(is_free, PORTALS)), "the portals to be free", 10)
        except CommandError:
            taken = ", ".join(f"{host}:{port}" for host, port in PORTALS if not is_free((host, port)))
            pytest.skip(f"{taken} is in use, perhaps by a running `make demo`: end it to have these tests run")
        yield
