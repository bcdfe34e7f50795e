"""A site on a live target as it is run: target and daemon are processes, hosts are real, people commit and push."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from world import DISK, GENEROUS, SITE, node, portals

from reconciler import config
from reconciler.demo.daemon_view import DaemonView
from reconciler.demo.initiator import Initiator
from reconciler.demo.patience import until
from reconciler.demo.processes import Child, daemon_command, target_command
from reconciler.demo.repository import Repository
from reconciler.demo.witness import Witness
from reconciler.state import init

STARTING = 30.0  # seconds until a process must answer
ENOUGH = 60.0  # seconds for what a live target takes its time with
PORT = 4420
TARGET = "n1"


@dataclass
class LiveHouse:
    """One site with one target. `declared` is what the next push commits, by name, beside the target's own manifests.

    The daemon finds the target through `door`, which leads straight to it until a test puts something in between.
    """

    folder: Path
    nvmf_tgt: Path
    declared: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=lambda: GENEROUS)
    disk_size: int = DISK
    export_wait: str = "60s"

    def __post_init__(self) -> None:
        self.disk = self.folder / f"{TARGET}.img"
        with self.disk.open("wb") as file:
            file.truncate(self.disk_size)
        self.door.symlink_to(self.socket)
        self.configuration = self.folder / "holdfast.toml"
        self.configuration.write_text(
            f'[source]\nurl = "{self.folder / "site.git"}"\ninterval = "200ms"\n[state]\ndir = "state"\n'
            f'[serve]\nlisten = "unix:http.sock"\n[resync]\ninterval = "500ms"\n[log]\nformat = "text"\n'
        )
        init(self.folder / "state", SITE)
        self.repository = Repository(self.folder / "site.git", self.folder / "site")
        self.target = Child("the target", target_command(self.nvmf_tgt)(self.socket), self.folder / "target.log")
        self.daemon = Child("the daemon", daemon_command(self.configuration), self.folder / "daemon.log")
        self.witness = Witness(self.socket)
        self.view = DaemonView(config.load(self.configuration))
        self.initiator = Initiator(self.nvmf_tgt.with_name("spdk_dd"), self.folder)

    @property
    def socket(self) -> Path:
        return self.folder / "target.sock"

    @property
    def door(self) -> Path:
        return self.folder / f"{TARGET}.sock"

    # --- what an operator commits

    def declare(self, *manifests: Mapping[str, Any]) -> None:
        """Add these, or put them in the place of what has the same kind and name."""
        self.declared |= {f"{each['kind']} {each['metadata']['name']}": each for each in manifests}

    def withdraw(self, *names: str) -> None:
        """Take out `Kind name`."""
        for name in names:
            del self.declared[name]

    def write(self) -> None:
        """What is declared, in the clone."""
        self.repository.clone.mkdir(exist_ok=True)
        manifests = [
            *node(TARGET, self.folder, portals=portals(PORT), exportWait=self.export_wait),
            *self.declared.values(),
        ]
        self.repository.write("site.yaml", "\n---\n".join(json.dumps(each, indent=1) for each in manifests) + "\n")
        self.repository.write(".holdfast.yaml", json.dumps(self.settings))

    def publish(self) -> str:
        self.write()
        return self.repository.publish()

    def push(self, message: str = "A change") -> str:
        self.write()
        self.repository.commit(message)
        return self.repository.push()

    # --- processes

    def start_target(self) -> None:
        self.target.start()
        until(lambda: self.target.check() or self.witness.answers, self.target.last_words, STARTING)

    def start_daemon(self) -> None:
        self.daemon.start()
        until(lambda: self.daemon.check() or self.view.answers, self.daemon.last_words, STARTING)

    def restart_target(self) -> None:
        """As kill -9 does it."""
        self.target.kill()
        self.start_target()

    def converge(self, revision: str) -> None:
        """Wait until everything is as a revision declares. Raises CommandError."""
        self.until(lambda: self.view.converged(revision), lambda: f"convergence; {self.view.unfinished()}")

    def until(self, look: Callable[[], Any], what: str | Callable[[], str]) -> None:
        """Wait for something while the daemon runs. Raises CommandError."""
        until(lambda: self.daemon.check() or look(), what, ENOUGH)

    def reason(self, name: str) -> str:
        """Why a resource, `Kind namespace/name`, is as ready as it is."""
        return self.view.readiness()[name]["reason"]

    def uid(self, volume: str) -> str:
        return self.view.uid(f"Volume team/{volume}")

    def close(self) -> None:
        self.daemon.stop()
        self.target.stop()


@contextmanager
def live_house(*manifests: Mapping[str, Any], nvmf_tgt: Path | None = None, **options: Any) -> Iterator[LiveHouse]:
    """Converged on these. (Socket paths must be short, so it is not pytest's tmp_path.)"""
    folder = Path(tempfile.mkdtemp(prefix="hf"))
    house = LiveHouse(folder, nvmf_tgt or Path(os.environ["SPDK_TGT"]), **options)
    try:
        house.declare(*manifests)
        house.start_target()
        revision = house.publish()
        house.start_daemon()
        house.converge(revision)
        yield house
    finally:
        house.close()
        shutil.rmtree(folder, ignore_errors=True)
