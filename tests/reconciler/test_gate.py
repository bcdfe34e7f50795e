"""The gate judges each revision once, and each revision at least once."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest
import readme

from analyzer.report import Report
from analyzer.snapshot import Snapshot
from reconciler import app, config, gate
from reconciler.demo.repository import Repository
from reconciler.state import init

SITE = "11111111-2222-4333-8444-555555555555"


def test_a_revision_that_could_not_be_judged_is_judged_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mishap while reading it (a full disk, a defect) must not make the daemon skip a commit for a whole day."""
    shutil.copytree(readme.REPO, tmp_path / "site")
    revision = Repository(tmp_path / "site.git", tmp_path / "site").publish()
    (tmp_path / "holdfast.toml").write_text('[source]\nurl = "site.git"\n[state]\ndir = "state"\n')
    init(tmp_path / "state", SITE)
    judge, mishaps = gate.analyze, [ValueError("a defect, once")]

    def once(snapshot: Snapshot, *, as_of: date, base: Report | None) -> Report:
        if mishaps:
            raise mishaps.pop()
        return judge(snapshot, as_of=as_of, base=base)

    monkeypatch.setattr(gate, "analyze", once)
    with app.opened(config.load(tmp_path / "holdfast.toml")) as daemon:
        with pytest.raises(ValueError, match="a defect"):
            daemon.poll()
        assert daemon.poll()
        assert daemon.house.ledger.accepted() == revision
        assert not daemon.poll()
