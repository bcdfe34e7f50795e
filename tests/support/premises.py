"""A site as the person at its terminal has it: a folder with holdfast.toml, a repository, simulated targets, a state.

Verbs are run on it as they are typed. Its daemon is the real one, served where holdfast.toml says; nothing is
scheduled, so a test says what runs, and when.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forge import Forge
from world import DISK, GENEROUS, node

from backends.spdk.client import Call, Client
from backends.spdk.simulator import Simulator
from backends.spdk.transport import connect_unix
from reconciler import app, config, telemetry
from reconciler.daemon import Daemon
from reconciler.serve.application import application
from reconciler.serve.server import Server, hosts_of, listen

ROUNDS = 12  # after which something that should have settled has not


@dataclass
class Premises:
    """One site. `push` commits manifests beside those of its targets."""

    folder: Path
    targets: tuple[str, ...] = ("n1",)
    simulators: dict[str, Simulator] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.forge = Forge(self.folder / "site.git")
        for name in self.targets:
            with (self.folder / f"{name}.img").open("wb") as disk:
                disk.truncate(DISK)
            self.simulators[name] = Simulator(self.folder / f"{name}.sock").start()
        self.configure()

    # --- what a person writes

    def configure(self, more: str = "", *, source: str = 'url = "site.git"', listen: str = "unix:http.sock") -> None:
        """`holdfast.toml`: `source` and `listen` as given, and `more` below."""
        ours = '[state]\ndir = "state"\n[secrets]\ndirs = ["."]\n'
        text = f'[source]\n{source}\n{ours}[serve]\nlisten = "{listen}"\n{more}\n'
        (self.folder / "holdfast.toml").write_text(text)

    def push(self, *manifests: Mapping[str, Any], policy: Mapping[str, Any] = GENEROUS) -> str:
        nodes = [manifest for name in self.targets for manifest in node(name, self.folder)]
        return self.forge.commit(self.files([*nodes, *manifests], policy))

    @staticmethod
    def files(manifests: list[Mapping[str, Any]], policy: Mapping[str, Any] = GENEROUS) -> dict[str, str]:
        return {"site.yaml": "\n---\n".join(map(json.dumps, manifests)), ".holdfast.yaml": json.dumps(policy)}

    @property
    def state(self) -> Path:
        return self.folder / "state"

    # --- what goes on there

    @contextmanager
    def daemon(self) -> Iterator[Daemon]:
        """The daemon over its state, answering, and not looking at anything by itself."""
        telemetry.silence()
        settings = config.load(self.folder / "holdfast.toml")
        with app.opened(settings) as daemon:
            server = Server(application(daemon, "", hosts_of(settings.listen)), listen(settings.listen))
            server.start()
            try:
                daemon.resume()
                yield daemon
            finally:
                server.stop()
                daemon.stop()

    def call(self, method: str, params: Mapping[str, Any] | None = None, target: str = "n1") -> Any:
        """One raw call by somebody else. Raises RpcError."""
        client = Client(connect_unix(str(self.folder / f"{target}.sock")))
        try:
            return client.call(Call(method, params)).result()
        finally:
            client.close()

    def close(self) -> None:
        for simulator in self.simulators.values():
            simulator.stop()


def settle(daemon: Daemon) -> None:
    """Look at the repository, and tick every target until none has anything left to do at once."""
    daemon.poll()
    for _ in range(ROUNDS):
        if all(daemon.fleet._tick_job(name) > 0 for name in daemon.targets):
            return
    raise AssertionError(f"not settled: {daemon.status()}")


@contextmanager
def premises(*targets: str) -> Iterator[Premises]:
    """Gone afterwards. (Socket paths must be short, so it is not pytest's tmp_path.)"""
    folder = Path(tempfile.mkdtemp(prefix="hf"))
    made = Premises(folder, targets or ("n1",))
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)
