"""What is measured: a site of any size on one target of its own process, kept by the real reconciler."""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wire import Tap

from analyzer.analyze import analyze
from analyzer.snapshot import Blob, Snapshot, blob_id
from backends.objects import ObjectKind
from backends.spdk.backend import SpdkBackend
from backends.spdk.transport import Transport, connect_unix
from reconciler.clock import SystemClock, today
from reconciler.demo.patience import until
from reconciler.demo.processes import Child, target_command
from reconciler.demo.witness import Witness
from reconciler.desired import DesiredState
from reconciler.house import House
from reconciler.plan import Outcome
from reconciler.policy import policy_of
from reconciler.reconcile import Keeper, Tick, Verdict
from reconciler.resolving import desired_state
from reconciler.store import Store

SITE = "11111111-2222-4333-8444-555555555555"
TARGET = "n1"
ADDRESS = "127.0.77.2"  # a loopback address that no other example uses
DEVICE = "00000000-0000-4000-8000-000000000001"
CLUSTER = 1 << 20  # bytes; a volume takes one, and none before it is written to
SUBSYSTEMS = 1000  # a live target has room for 1,023 beside its own
LIMIT = 600.0  # seconds that converging may take
NEVER = "2031-12-31"
# Measured is what the reconciler does, not what it would hold back.
POLICY: Mapping[str, Any] = {
    "budget": {"disruptiveSubsystems": 100_000, "dataLosingResources": 100_000},
    "driftBudget": {"disruptiveSubsystems": 100_000},
    "contested": {"corrections": 100_000},
}


class BenchError(Exception):
    """What was to be measured did not happen."""


def manifest(kind: str, name: str, spec: Mapping[str, Any], namespace: str = "") -> dict[str, Any]:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": "storage.holdfast.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": dict(spec)}


def node(folder: Path, volumes: int, port: int = 4420) -> list[dict[str, Any]]:
    """A target with one disk and a pool on it that has room for so many volumes."""
    portals = [{"name": "front", "address": ADDRESS, "port": port}]
    device = {"targetRef": TARGET, "uuid": DEVICE, "aio": {"path": str(folder / "disk.img"), "blockSize": 4096}}
    initialize = {"deviceUUID": DEVICE, "sizeBytes": disk_size(volumes), "expires": NEVER}
    pool = {"deviceRef": "disk", "initialize": initialize, "clusterSize": CLUSTER, "reserve": "0%"}
    return [
        manifest("Target", TARGET, {"connection": {"unixSocket": str(folder / "rpc.sock")}, "portals": portals}),
        manifest("BlockDevice", "disk", device),
        manifest("StoragePool", "pool", pool),
    ]


def disk_size(volumes: int) -> int:
    """Room for the pool's own pages, too: one a cluster, of which every volume takes some."""
    return max(1 << 30, 4 * volumes * CLUSTER)


def exported(volumes: int, subsystems: int = SUBSYSTEMS) -> list[dict[str, Any]]:
    """So many volumes, each shown to one host: every one by a subsystem of its own while there is room for that."""
    shows: dict[int, list[int]] = {}
    for number in range(volumes):
        shows.setdefault(number % subsystems, []).append(number)
    disk = {"poolRef": "pool", "size": "1Mi", "thin": True}
    return [
        manifest("Host", "host", {"nqn": "nqn.2026-01.com.example:host"}),
        *(manifest("Volume", f"v{n:05}", disk, "team") for n in range(volumes)),
        *(_subsystem(number, inside) for number, inside in shows.items()),
    ]


def _subsystem(number: int, volumes: Sequence[int]) -> dict[str, Any]:
    namespaces = [{"nsid": nsid, "volumeRef": f"v{n:05}"} for nsid, n in enumerate(volumes, 1)]
    spec = {
        "nqn": f"nqn.2026-01.com.example:s{number:04}",
        "exports": [{"targetRef": TARGET, "portals": ["front"]}],
        "namespaces": namespaces,
        "hosts": {"refs": ["host"]},
    }
    return manifest("Subsystem", f"s{number:04}", spec, "team")


@dataclass
class Estate:
    """One target, one ledger, one keeper; `tap` knows what went over the wire."""

    folder: Path
    nvmf_tgt: Path | None
    volumes: int
    tap: Tap = field(default_factory=Tap)
    desired: DesiredState = field(init=False)

    def __post_init__(self) -> None:
        self.process = Child("target", target_command(self.nvmf_tgt)(self.socket), self.folder / "target.log")
        self.port = _free_port()
        with (self.folder / "disk.img").open("wb") as disk:
            disk.truncate(disk_size(self.volumes))
        self.store = Store(self.folder / "holdfast.db")
        self.house = House.open(SITE, self.store, SystemClock())
        self.keeper = Keeper(TARGET, SpdkBackend(self.connect), self.house)
        self._revision = 0

    @property
    def socket(self) -> Path:
        return self.folder / "rpc.sock"

    def start(self) -> None:
        """Bring the target up; it answers when this returns. Raises CommandError."""
        self.process.start()
        until(self._answers, "the target")

    def _answers(self) -> bool:
        self.process.check()
        return self.socket.exists() and Witness(self.socket).answers

    def connect(self) -> Transport:
        return self.tap.on(connect_unix(str(self.socket)))

    def want(self, manifests: Sequence[Mapping[str, Any]]) -> None:
        """Accept a revision with these beside the target, its disk and its pool."""
        self._revision += 1
        revision = f"{self._revision:040x}"
        whole = [*node(self.folder, self.volumes, self.port), *manifests]
        files = {f"{n:05}.yaml": json.dumps(each).encode() for n, each in enumerate(whole)}
        files[".holdfast.yaml"] = json.dumps(POLICY).encode()
        snapshot = Snapshot(revision, {path: Blob(path, blob_id(data), data) for path, data in files.items()})
        report = analyze(snapshot, as_of=today())
        if report.blocks:
            raise BenchError(f"the manifests do not pass: {report.findings[0].message}")
        policy = policy_of(report.config.settings)
        self.house.ledger.accept(revision, "bench", policy, self.house.clock.now())
        self.desired = desired_state(revision, report.graph.resources.values(), policy, SITE)

    def tick(self) -> Tick:
        return self.keeper.tick(self.desired)

    def converge(self) -> None:
        """Tick as the daemon does until nothing is left to do. Raises BenchError, CommandError."""
        deadline = time.monotonic() + LIMIT
        while not (tick := self.tick()).settled:
            self.process.check()
            if tick.verdict is Verdict.HELD or tick.execution.of(Outcome.FAILED) or time.monotonic() > deadline:
                raise BenchError(_why(tick))
            if tick.verdict is not Verdict.BUSY:
                time.sleep(0.02)
        self.house.ledger.converge(self.desired.revision, self.house.clock.now())

    @property
    def pool(self) -> bytes:
        """The uuid that the target gave the pool, as it stands in requests."""
        records = self.house.ledger.records(TARGET)
        return next(record.uid for record in records if record.key.kind is ObjectKind.LVOL_STORE).encode()

    def restart(self) -> None:
        """As kill -9 does it, with a new process over what is left."""
        self.process.kill()
        self.start()

    def close(self) -> None:
        self.keeper.backend.close()
        self.store.close()
        self.process.stop()


@contextmanager
def estate(volumes: int, nvmf_tgt: Path | None = None) -> Iterator[Estate]:
    """Its target is up and has the pool, and nothing in it; all of it is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="hfb"))
    try:
        made = Estate(folder, nvmf_tgt, volumes)
        try:
            made.start()
            made.want([])
            made.converge()
            yield made
        finally:
            made.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _why(tick: Tick) -> str:
    """Why a site does not converge, in one line."""
    failed = [result.message for result in tick.execution.of(Outcome.FAILED)]
    said = [tick.message, *failed, *(held.message for held in tick.plan.held)]
    return f"it does not converge ({tick.verdict}): {next(filter(None, said), 'no reason given')}"


def _free_port() -> int:
    with socket.create_server((ADDRESS, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
