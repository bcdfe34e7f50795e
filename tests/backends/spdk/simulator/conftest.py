"""The simulated target of each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from simulated import Rig, simulated


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A target with an NVMe/TCP transport and nothing else."""
    with simulated() as made:
        made.call("nvmf_create_transport", trtype="TCP")
        yield made
