"""A daemon for tests of its HTTP interface: the real Daemon, House, History and server, and targets that are only said.

What a tick would have left behind is put there directly; everything from there to the bytes on the socket is real.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from world import SITE, Clock

from analyzer.finding import Finding
from backends.contract import Backend, Incarnation, Observed
from backends.objects import ObjectKey, ObjectKind
from reconciler import telemetry
from reconciler.config import Config, SourceConfig
from reconciler.daemon import Daemon
from reconciler.desired import DesiredState, TargetWish
from reconciler.fleet import Kept
from reconciler.gate import Rejected, SourceState
from reconciler.house import House
from reconciler.plan import Difference, Drift, DriftClass, Held, Plan
from reconciler.policy import BUILT_IN
from reconciler.reconcile import Keeper, Tick, Verdict
from reconciler.serve.application import application
from reconciler.serve.server import Server, hosts_of, listen
from reconciler.source import GitSource
from reconciler.status import CONVERGED, Condition, Conditions
from reconciler.store import Store
from schemas.resources import ResourceKey

PATIENCE = 10.0  # seconds that any answer may take
REVISION = "0123456789abcdef0123456789abcdef01234567"
VERSION = "SPDK v26.05 git sha1 d519b163cb"


def volume(name: str, namespace: str = "team") -> ResourceKey:
    return ResourceKey("Volume", namespace, name)


def ready(status: str, reason: str, message: str) -> Conditions:
    """Conditions of which only Ready is not the usual."""
    return (Condition("Ready", status, reason, message), *CONVERGED[1:])


def drift(name: str, *fields: tuple[str, Any, Any], action: str = "Corrected") -> Drift:
    key = ObjectKey(ObjectKind.QOS, f"pool/{name}")
    return Drift(key, volume(name), DriftClass.MODIFIED, tuple(Difference(*item) for item in fields), action)


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:  # JSON
        return json.loads(self.text)


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self._path)


@dataclass
class Client:
    """Asks over the address that the server listens on."""

    address: str
    port: int = 0

    def connect(self) -> http.client.HTTPConnection:
        if self.address.startswith("unix:"):
            return _Unix(self.address.removeprefix("unix:"))
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        connection = self.connect()
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read().decode())
        finally:
            connection.close()


@dataclass
class Desk:
    """One daemon and what it is made to have seen."""

    folder: Path
    secret: str = ""
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.house = House.open(SITE, Store(self.folder / "holdfast.db"), self.clock)
        config = Config(SourceConfig("https://git.example.com/storage.git"), self.folder, "127.0.0.1:0")
        source = GitSource(config.source, self.folder / "source.git")
        self.daemon = Daemon(config, self.house, source, _no_backend, telemetry.logger())

    # --- what is made so

    def accept(self, revision: str = REVISION, subject: str = "Two volumes") -> None:
        now = self.clock.now()
        self.house.ledger.accept(revision, subject, BUILT_IN, now)
        self.daemon.gate.desired = DesiredState(revision)
        self.daemon.gate.source_state = SourceState(revision, now)

    def converge(self, revision: str = REVISION) -> None:
        self.house.ledger.converge(revision, self.clock.now())

    def reject(
        self, revision: str, findings: Sequence[Finding] = (), reason: str = "RevisionRejected", subject: str = "Oops"
    ) -> None:
        self.daemon.gate.rejected = Rejected(revision, reason, "it does not pass", findings, subject)
        self.daemon.gate.source_state.head = revision

    def target(  # noqa: PLR0913  # all that a tick tells
        self,
        name: str = "node-1",
        resources: Mapping[ResourceKey, Conditions] | None = None,
        *,
        verdict: Verdict = Verdict.CONVERGED,
        held: Sequence[Held] = (),
        message: str = "",
        version: str = VERSION,
    ) -> None:
        """A target after a tick; one that is unreachable keeps the time when it was last seen."""
        seen = verdict not in (Verdict.UNREACHABLE, Verdict.STALLED)
        observed = Observed(Incarnation(None, None), {}, version=version) if seen else None
        plan = Plan(name, self.house.ledger.accepted(), held=tuple(held))
        kept = self.daemon.fleet._targets.get(name) or Kept(
            Keeper(name, _NoBackend(), self.house), "", self.daemon.fleet._locks[name]
        )
        kept.last = Tick(verdict, plan, message=message, observed=observed)
        kept.last_seen = self.clock.now() if seen else kept.last_seen
        self.daemon.fleet._targets[name] = kept
        if resources is not None:
            self.house.history.note_conditions(name, resources, self.clock.now(), plan.revision)

    def drifts(self, *open_now: Drift, target: str = "node-1", clean: float | None = None) -> None:
        """What drifts of a target are open from now on; the others are closed."""
        accepted = self.house.ledger.accepted()
        self.house.history.note_drifts(target, open_now, clean, self.clock.now(), accepted)

    def well(self) -> None:
        """One target with two volumes, all as declared."""
        self.accept()
        self.converge()
        self.target(resources={volume("a"): CONVERGED, volume("b"): CONVERGED})

    # --- asking

    @contextmanager
    def serving(self, address: str = "127.0.0.1:0") -> Iterator[Client]:
        sock = listen(address)
        port = 0 if address.startswith("unix:") else sock.getsockname()[1]
        app = application(self.daemon, self.secret, hosts_of(address))
        self.live = app.state.live
        server = Server(app, sock)
        server.start()
        try:
            yield Client(address, port)
        finally:
            server.stop()


class _NoBackend(Backend):
    """Never asked."""


def _no_backend(wish: TargetWish) -> Backend:
    raise AssertionError(f"{wish.key} is never connected to")


@contextmanager
def desk(folder: Path, secret: str = "") -> Iterator[Desk]:
    made = Desk(folder, secret)
    try:
        yield made
    finally:
        made.house.store.close()
