"""What tests of the command line share."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from premises import Premises, premises

from reconciler.cli import main

Holdfast = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A terminal of 80 columns, nothing of ours in the environment; logs and signals are left as they were."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("HOLDFAST_CONFIG", raising=False)
    monkeypatch.delenv("SPDK_TGT", raising=False)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    structlog.reset_defaults()


@pytest.fixture
def holdfast(capsys: pytest.CaptureFixture[str]) -> Holdfast:
    """Arguments → exit code, stdout, stderr."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as leaving:  # argparse
            code = int(str(leaving.code))
        captured = capsys.readouterr()
        return int(code), captured.out, captured.err

    return run


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, holdfast: Holdfast) -> Iterator[Premises]:
    """A site with one target, where a person stands in its folder and has said `holdfast init`."""
    with premises() as made:
        monkeypatch.chdir(made.folder)
        assert holdfast("init")[0] == 0
        yield made
