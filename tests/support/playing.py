"""What the end-to-end tests share: the command as a process, and the portals of the example."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reconciler.cli.exits import CommandError
from reconciler.demo.patience import until
from reconciler.demo.processes import HOLDFAST

PORTALS = (("127.0.0.2", 4420), ("127.0.0.3", 4420))
ENDING = 30.0  # seconds


def is_free(address: tuple[str, int]) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError:
            return False
    return True


def environment(**extra: str) -> dict[str, str]:
    """Ours, without a live target that somebody exported."""
    return {name: value for name, value in os.environ.items() if name != "SPDK_TGT"} | extra


class Command:
    """`holdfast …` as a process of its own; what it prints is kept in a file."""

    def __init__(self, log: Path, *words: str, **extra: str) -> None:
        self._log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [*HOLDFAST, *words], stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment(**extra)
            )

    @property
    def said(self) -> str:
        return self._log.read_text()

    def wait_for(self, text: str) -> None:
        """Until it has said this."""

        def look() -> bool:
            if self.process.poll() is not None:
                raise CommandError(f"it ended: {self.said}")
            return text in self.said

        until(look, lambda: f"{text!r}, but it said {self.said!r}", 60)

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(ENDING)


@contextmanager
def holdfast(log: Path, *words: str, **extra: str) -> Iterator[Command]:
    """Started, and ended whatever the test finds."""
    command = Command(log, *words, **extra)
    try:
        yield command
    finally:
        if command.process.poll() is None:
            try:
                command.interrupt()
            except subprocess.TimeoutExpired:
                command.process.kill()
                command.process.wait()
