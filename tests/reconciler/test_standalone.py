"""Without a daemon: what a plan looks at stays unsaid, what an apply does is remembered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from station import Station, station
from world import SITE, volume

from reconciler import app
from reconciler.config import Config, SourceConfig
from reconciler.state import init
from reconciler.store import Store


@pytest.fixture
def here() -> Iterator[Station]:
    with station() as made:
        yield made


@pytest.fixture
def config(here: Station, tmp_path: Path) -> Config:
    """A state directory of its own for the same repository and target."""
    init(tmp_path / "state", SITE)
    return Config(SourceConfig(str(here.forge.path), timeout=5.0), tmp_path / "state", "127.0.0.1:0")


def remembered(config: Config) -> dict[str, list[tuple[object, ...]]]:
    store = Store(config.state / "holdfast.db")
    tables = [row[0] for row in store.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {table: store.rows(f"SELECT * FROM {table}") for table in tables}  # noqa: S608  # names from the schema
    store.close()
    return found


def test_a_rehearsal_keeps_nothing(here: Station, config: Config) -> None:
    """Guards `plan --standalone` against accepting the revision that it only looks at."""
    here.forge.commit(here.files(volume("a")))
    before = remembered(config)
    with app.standalone(config, rehearse=True) as daemon:
        steps = daemon.preview("n1").steps
    assert "create lvol" in " ".join(step.id for step in steps)
    assert (remembered(config), here.world.mutations()) == (before, 0)


def test_an_apply_is_remembered(here: Station, config: Config) -> None:
    """Guards the ledger: what a tick without a daemon made is ours for the next one."""
    here.forge.commit(here.files(volume("a")))
    with app.standalone(config, rehearse=False) as daemon:
        daemon.tick("n1")
    with app.standalone(config, rehearse=True) as daemon:
        assert daemon.preview("n1").steps == ()
    assert here.world.lvols()
