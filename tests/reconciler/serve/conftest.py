"""A daemon whose HTTP interface is under test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import Desk, desk


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Desk]:
    """A daemon that has accepted nothing yet; webhooks are signed with `swordfish`."""
    with desk(tmp_path, "swordfish") as made:
        yield made
