"""The real daemon, a real repository, simulated targets. Nothing is scheduled: a test says what runs, and when."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from forge import Forge
from world import GENEROUS, Clock, World, subsystem, volume, world

from reconciler import app, telemetry
from reconciler.clock import Clock as AnyClock
from reconciler.config import Config, SourceConfig
from reconciler.daemon import Daemon
from reconciler.history import Event
from reconciler.source import GitSource

ROUNDS = 12  # after which something that should have settled has not


@dataclass
class Station:
    """One site as its daemon sees it. `push` commits manifests beside the targets', `settle` lets the daemon work."""

    world: World
    forge: Forge = field(init=False)
    daemon: Daemon = field(init=False)

    def __post_init__(self) -> None:
        self.forge = Forge(self.world.folder / "site.git")
        self.start()

    # --- the daemon

    def start(self, **source: Any) -> None:
        """A daemon comes up over the state there is; it has not looked at the repository yet."""
        config = Config(
            SourceConfig(**{"url": str(self.forge.path), "timeout": 5.0, **source}), self.world.folder, "127.0.0.1:0"
        )
        git = GitSource(config.source, self.world.folder / "copy.git")
        connect = partial(app.backend_for, secrets=self.world.house.vault)
        self.daemon = Daemon(config, self.world.house, git, connect, telemetry.logger())
        self.daemon.resume()

    def restart(self, **source: Any) -> None:
        """Killed, and started again; perhaps with another [source]."""
        self.daemon.stop()
        self.world.die()
        self.world.wake()
        self.start(**source)

    def settle(self) -> None:
        """Tick every target until none has anything left to do at once."""
        for _ in range(ROUNDS):
            if all(self.daemon.fleet._tick_job(name) > 0 for name in self.daemon.targets):
                return
        raise AssertionError(f"not settled: {self.daemon.status()}")

    # --- the repository

    def files(self, *manifests: Mapping[str, Any], policy: Mapping[str, Any] = GENEROUS) -> dict[str, str]:
        found = [*self.world.nodes(), *manifests]
        return {"site.yaml": "\n---\n".join(map(json.dumps, found)), ".holdfast.yaml": json.dumps(policy)}

    def push(self, *manifests: Mapping[str, Any], message: str = "A change", **settings: Any) -> str:
        """Commit manifests beside the targets' own, and let the daemon look; the revision."""
        revision = self.forge.commit(self.files(*manifests, **settings), message)
        self.daemon.poll()
        return revision

    def hold_something(self) -> str:
        """A subsystem is withdrawn under a policy that allows nothing of the kind; the approval that it waits for."""
        strict = {"budget": {"disruptiveSubsystems": 0}}
        self.push(volume("a"), subsystem("s", {1: "a"}), policy=strict)
        self.settle()
        self.push(volume("a"), policy=strict)
        self.settle()
        return self.daemon.preview("n1").approval_id

    # --- what became of it

    @property
    def accepted(self) -> str:
        return self.world.house.ledger.accepted()

    def told(self) -> list[str]:
        """Reasons of all events, oldest first."""
        return self.world.events()

    def last(self, reason: str) -> Event:
        """The newest event with a reason."""
        return next(event for event in self.world.house.history.events(1000) if event.reason == reason)

    def close(self) -> None:
        self.daemon.stop()


@contextmanager
def station(*targets: str, clock: AnyClock | None = None) -> Iterator[Station]:
    """A site with these targets (one, `n1`, unless said), and nothing pushed yet."""
    with world(targets=targets or ("n1",), clock=clock or Clock()) as made:
        here = Station(made)
        try:
            yield here
        finally:
            here.close()


BAD = """\
apiVersion: storage.holdfast.dev/v1alpha1
kind: BlockDevice
metadata: {name: disk}
spec:
  targetRef: nowhere
  malloc: {size: 8Mi, blockSize: 4096}
"""  # does not pass: line 5 names what is not there
