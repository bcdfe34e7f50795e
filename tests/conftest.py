"""Fixtures that many tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from world import World, world

# How long an example takes says something of the machine, which may be busy, and nothing of the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture
def site() -> Iterator[World]:
    """A site with one simulated target, an empty ledger and a clock that stands still."""
    with world() as made:
        yield made
