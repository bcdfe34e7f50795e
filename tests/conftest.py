"""Fixtures that many tests share."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import HealthCheck, settings
from world import World, world

# How long an example takes says something of the machine, which may be busy, and nothing of the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# What commands keep between runs is kept apart from the home of whoever runs the tests.
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="hf-cache-")
atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)

NO_TARGET = "needs a real target: make test-spdk SPDK_TGT=/path/to/nvmf_tgt"


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Tests of a real target say what they need where there is none."""
    if not os.environ.get("SPDK_TGT"):
        for item in items:
            if item.get_closest_marker("spdk"):
                item.add_marker(pytest.mark.skip(reason=NO_TARGET))


@pytest.fixture
def site() -> Iterator[World]:
    """A site with one simulated target, an empty ledger and a clock that stands still."""
    with world() as made:
        yield made
