"""Fixtures that many tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from world import World, world


@pytest.fixture
def site() -> Iterator[World]:
    """A site with one simulated target, an empty ledger and a clock that stands still."""
    with world() as made:
        yield made
