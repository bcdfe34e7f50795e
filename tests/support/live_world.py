"""Worlds over live targets: the same tests ask a real nvmf_tgt what the simulator answers."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reconciler.demo.patience import until
from reconciler.demo.processes import Child

LIVE = pytest.param("live", marks=pytest.mark.spdk)
KINDS = ["simulated", LIVE]


@dataclass
class LiveTarget:
    """What `World` asks of a target, over a process of its own. It polls: NVMe controllers need that."""

    socket: Path
    rpcs_allowed: Collection[str] | None = None  # None: all
    child: Child = field(init=False)

    def start(self) -> LiveTarget:
        options = ["-m", "0x1", "--no-huge", "-s", "512", "--disable-cpumask-locks", "-r", str(self.socket)]
        if self.rpcs_allowed is not None:
            options += ["--rpcs-allowed", ",".join(self.rpcs_allowed)]
        log = self.socket.with_suffix(".log")
        self.child = Child(self.socket.stem, (os.environ["SPDK_TGT"], *options), log)
        self.socket.unlink(missing_ok=True)
        self.child.start()
        until(lambda: self.child.check() or self.socket.exists(), self.child.last_words)
        return self

    def kill(self) -> None:
        self.child.kill()

    def stop(self) -> None:
        self.child.stop()
