"""Fixtures for the SPDK backend: one target for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import LiveLab, SimulatedLab, live, simulated


@pytest.fixture
def lab() -> Iterator[SimulatedLab]:
    """An empty simulated target, a folder for disks, and a backend that talks to it."""
    with simulated() as made:
        yield made


@pytest.fixture(params=["simulated", pytest.param("live", marks=pytest.mark.spdk)])
def target(request: pytest.FixtureRequest) -> Iterator[SimulatedLab | LiveLab]:
    """The same for what must hold on a simulated target and on a live one alike."""
    with simulated() if request.param == "simulated" else live(Path(os.environ["SPDK_TGT"])) as made:
        yield made
