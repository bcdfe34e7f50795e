"""Child processes: started with a log file, ended by their process id, and missed when they die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.cli.exits import CommandError

PATIENCE = 10.0  # seconds that a process gets to end when it is asked to
HOLDFAST = (sys.executable, "-P", "-c", "import sys; from reconciler.cli import main; sys.exit(main())")


@dataclass
class Child:
    """One of our processes; it may be started again after it ended."""

    name: str
    command: Sequence[str]
    log: Path
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """In a session of its own: Ctrl-C is ours to hear, and we end our children in order. Raises CommandError."""
        try:
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(  # noqa: S603  # no shell, and every word is ours
                    self.command,
                    cwd=self.log.parent,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        except OSError as error:
            raise CommandError(f"{self.command[0]}: {error.strerror}") from error

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def check(self) -> None:
        """Raises CommandError, with its last words, when it has ended by itself."""
        if not self.running:
            raise CommandError(f"{self.name} has ended: {self.last_words() or 'it said nothing'}")

    def last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def kill(self) -> None:
        """As `kill -9` does it."""
        self._end(signal.SIGKILL)
        if self._process:  # a live target that is killed leaves its trace buffer in memory
            Path(f"/dev/shm/nvmf_trace.pid{self._process.pid}").unlink(missing_ok=True)  # noqa: S108  # SPDK's name

    def stop(self) -> None:
        """Ask it to end, and insist when it does not."""
        try:
            self._end(signal.SIGTERM)
        except subprocess.TimeoutExpired:
            self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        if self.running:
            os.kill(self._process.pid, number)
        self._process.wait(PATIENCE)


def target_command(nvmf_tgt: Path | None) -> Callable[[Path], Sequence[str]]:
    """How a target is started on a socket: a simulated one, or a live one that needs no huge pages and no core."""
    if nvmf_tgt is None:
        return lambda socket: (*HOLDFAST, "sim", "--socket", str(socket))
    live = (str(nvmf_tgt), "-m", "0x1", "--no-huge", "-s", "512", "--interrupt-mode", "--disable-cpumask-locks")
    return lambda socket: (*live, "-r", str(socket))


def daemon_command(config: Path) -> Sequence[str]:
    return (*HOLDFAST, "run", "--config", str(config))
