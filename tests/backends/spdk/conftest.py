"""Fixtures for the SPDK backend: one target for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lab import SimulatedLab, simulated


@pytest.fixture
def lab() -> Iterator[SimulatedLab]:
    """An empty simulated target, a folder for disks, and a backend that talks to it."""
    with simulated() as made:
        yield made
