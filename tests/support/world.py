"""A small site for tests: simulated targets, a ledger, a clock that stands still, and manifests as Python values.

The real analyzer, planner, executor, client and SQLite are at work; only time and the target are ours to command.
"""

from __future__ import annotations

import itertools
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

from analyzer.analyze import analyze
from analyzer.report import Report
from analyzer.snapshot import Blob, Snapshot, blob_id
from backends.spdk.backend import SpdkBackend
from backends.spdk.client import Call, Client
from backends.spdk.simulator import Simulator
from backends.spdk.transport import connect_unix
from reconciler.address import connection_of
from reconciler.config import SecretsConfig
from reconciler.desired import DesiredState, TargetWish
from reconciler.house import House
from reconciler.keyfiles import KeyFiles
from reconciler.peers import paths_elsewhere
from reconciler.policy import policy_of
from reconciler.reconcile import Keeper, Tick, Verdict
from reconciler.resolving import desired_state
from reconciler.secrets import Vault
from reconciler.store import Store

SITE = "11111111-2222-4333-8444-555555555555"
START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC).timestamp()
DISK = 256 << 20  # bytes
CLUSTER = "4Mi"
NQN = "nqn.2026-01.com.example:"
FOREVER = "2031-12-31"


class Clock:
    """Time that moves when a test says so."""

    def __init__(self) -> None:
        self.time = START
        self._minted = itertools.count(1)

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def mint(self) -> bytes:
        return next(self._minted).to_bytes(16, "little")

    def jitter(self, seconds: float) -> float:
        return seconds

    def advance(self, seconds: float) -> None:
        self.time += seconds


def manifest(kind: str, name: str, spec: Mapping[str, Any], namespace: str = "", **annotations: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name} | ({"namespace": namespace} if namespace else {})
    if annotations:
        metadata["annotations"] = {f"holdfast.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return {"apiVersion": "storage.holdfast.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": dict(spec)}


def device_uuid(target: str) -> str:
    return f"00000000-0000-4000-8000-{int.from_bytes(target.encode()[-4:], 'big'):012x}"


def portals(port: int) -> list[dict[str, Any]]:
    return [
        {"name": "front", "address": "127.0.0.2", "port": port},
        {"name": "back", "address": "127.0.0.3", "port": port},
    ]


def node(target: str, folder: Path, **spec: Any) -> list[dict[str, Any]]:
    """A target with one disk and one pool that it may initialise."""
    initialize = {"deviceUUID": device_uuid(target), "sizeBytes": DISK, "expires": FOREVER}
    return [
        manifest(
            "Target",
            target,
            {
                "connection": {"unixSocket": str(folder / f"{target}.sock")},
                "portals": [{"name": "front", "address": "127.0.0.2"}, {"name": "back", "address": "127.0.0.3"}],
            }
            | spec,
        ),
        manifest(
            "BlockDevice",
            f"{target}-disk",
            {
                "targetRef": target,
                "uuid": device_uuid(target),
                "aio": {"path": str(folder / f"{target}.img"), "blockSize": 4096},
            },
        ),
        manifest(
            "StoragePool",
            f"{target}-pool",
            {
                "deviceRef": f"{target}-disk",
                "initialize": initialize,
                "clusterSize": CLUSTER,
                "overcommitRatio": 100,
                "reserve": "0%",
            },
        ),
    ]


def volume(name: str, target: str = "n1", size: str = "8Mi", **spec: Any) -> dict[str, Any]:
    return manifest("Volume", name, {"poolRef": f"{target}-pool", "size": size, "thin": True} | spec, "team")


def host(name: str) -> dict[str, Any]:
    return manifest("Host", name, {"nqn": f"{NQN}host-{name}"})


def subsystem(
    name: str, namespaces: Mapping[int, str], target: str = "n1", hosts: Iterable[str] = (), **spec: Any
) -> dict[str, Any]:
    body = {
        "nqn": f"{NQN}{name}",
        "exports": [{"targetRef": target, "portals": ["front"]}],
        "namespaces": [{"nsid": nsid, "volumeRef": ref} for nsid, ref in namespaces.items()],
        "hosts": {"refs": list(hosts)},
    }
    return manifest("Subsystem", name, body | spec, "team")


def removal(ref: str, uid: str, kind: str = "Volume", expires: str = FOREVER) -> dict[str, Any]:
    spec = {"ref": {"kind": kind, "name": ref}, "uid": uid, "reason": "test", "expires": expires}
    return manifest("Removal", f"rm-{ref}", spec, "team" if kind in ("Volume", "VolumeSnapshot") else "")


GENEROUS = {
    "budget": {"disruptiveSubsystems": 1000, "dataLosingResources": 1000},
    "driftBudget": {"disruptiveSubsystems": 1000},
    "contested": {"corrections": 1000},
}


def snapshot(revision: str, manifests: Iterable[Mapping[str, Any]], policy: Mapping[str, Any]) -> Snapshot:
    """A repository with one file, and a policy."""
    text = "\n---\n".join(json.dumps(m) for m in manifests).encode()
    files = {"site.yaml": text, ".holdfast.yaml": json.dumps(policy).encode()}
    return Snapshot(revision, {path: Blob(path, blob_id(data), data) for path, data in files.items()})


@dataclass
class World:
    """One site. `commit` judges manifests as the gate does; `tick` runs the real reconciler."""

    folder: Path
    clock: Clock = field(default_factory=Clock)
    targets: tuple[str, ...] = ("n1",)
    policy: Mapping[str, Any] = field(default_factory=lambda: GENEROUS)
    simulators: dict[str, Simulator] = field(default_factory=dict)
    report: Report | None = None
    desired: DesiredState | None = None
    begin: Callable[[Path], Any] = lambda socket: Simulator(socket).start()
    environment: dict[str, str] = field(default_factory=dict)  # of the daemon
    patience: float = 0.2  # seconds of real time that a tick waits for an unanswered call

    def __post_init__(self) -> None:
        self._revisions = itertools.count(1)
        for target in self.targets:
            with self.disk(target).open("wb") as file:
                file.truncate(DISK)
            self.simulators[target] = self.begin(self.socket(target))
        self.wake()

    # --- the site

    def socket(self, target: str) -> Path:
        return self.folder / f"{target}.sock"

    def disk(self, target: str) -> Path:
        return self.folder / f"{target}.img"

    @property
    def database(self) -> Path:
        return self.folder / "holdfast.db"

    def nodes(self) -> list[dict[str, Any]]:
        """Every target with its disk and its pool; no two share a port, as on one machine they cannot."""
        return [
            manifest
            for place, target in enumerate(self.targets)
            for manifest in node(target, self.folder, portals=portals(4420 + place))
        ]

    # --- the daemon

    def wake(self) -> None:
        """A daemon starts over whatever state there is."""
        self.store = Store(self.database)
        allowed = SecretsConfig((self.folder,), ("HOLDFAST_*",))
        vault = Vault(SITE, self.environment, allowed, KeyFiles(self.folder / "keys"))
        self.house = House.open(SITE, self.store, self.clock, vault)
        self.keepers = {target: self.keeper(target, self.socket(target)) for target in self.targets}

    def keeper(self, target: str, path: Path) -> Keeper:
        """Keeps a target through a socket, which is to be the one that its manifest declares."""
        backend = SpdkBackend(lambda: connect_unix(str(path)), secrets=self.house.vault)
        peers = partial(paths_elsewhere, _connected_to, target)
        keeper = Keeper(target, backend, self.house, deserted=_is_deserted, peers=peers)
        keeper._executor.patience = self.patience
        return keeper

    def die(self) -> None:
        """The daemon is gone, as kill -9 would have it: nothing more is written."""
        for keeper in self.keepers.values():
            keeper.backend.close()
        self.store.close()

    def commit(self, *manifests: Mapping[str, Any], policy: Mapping[str, Any] | None = None) -> Report:
        """Put manifests beside the nodes; enforced when they pass the analyzer, as the gate does it."""
        return self.push([*self.nodes(), *manifests], policy)

    def push(
        self,
        manifests: Iterable[Mapping[str, Any]],
        policy: Mapping[str, Any] | None = None,
        *,
        unchecked: bool = False,
    ) -> Report:
        revision = f"{next(self._revisions):040x}"
        found = snapshot(revision, manifests, self.policy if policy is None else policy)
        report = analyze(found, as_of=self.today, base=self.report)
        if unchecked or not report.blocks:
            self.report = report
            settings = policy_of(report.config.settings)
            self.house.ledger.accept(revision, "test", settings, self.clock.now())
            placed = self.house.ledger.placements()
            self.desired = desired_state(revision, report.graph.resources.values(), settings, SITE, placed)
        return report

    @property
    def today(self) -> date:
        return datetime.fromtimestamp(self.clock.now(), UTC).date()

    def tick(self, target: str = "n1") -> Tick:
        assert self.desired is not None
        tick = self.keepers[target].tick(self.desired)
        if all(self.settled(name, tick if name == target else None) for name in self.targets):
            self.house.ledger.converge(self.desired.revision, self.clock.now())
        return tick

    def settled(self, target: str, tick: Tick | None) -> bool:
        return len(self.targets) == 1 and tick is not None and tick.settled

    def converge(self, target: str = "n1", limit: int = 12) -> Tick:
        """Tick until a tick has nothing to do; the last tick. Waiting is helped along by the clock."""
        for _ in range(limit):
            tick = self.tick(target)
            if tick.verdict not in (Verdict.BUSY, Verdict.WAITING, Verdict.UNREACHABLE):
                return tick
            self.clock.advance(1.0 if tick.verdict is Verdict.BUSY else 70.0)
        return tick

    # --- the target, asked by somebody else

    def call(self, method: str, params: Mapping[str, Any] | None = None, target: str = "n1") -> Any:
        """One raw call by another client. Raises RpcError."""
        client = Client(connect_unix(str(self.socket(target))))
        try:
            return client.call(Call(method, params)).result()
        finally:
            client.close()

    def lvols(self, target: str = "n1") -> dict[str, str]:
        """Uid of every lvol by its name."""
        return {lvol["name"]: lvol["uuid"] for lvol in self.call("bdev_lvol_get_lvols", target=target)}

    def pool(self, target: str = "n1") -> dict[str, Any]:
        """The lvol store, as the target shows it."""
        found: dict[str, Any] = self.call("bdev_lvol_get_lvstores", target=target)[0]
        return found

    def uid(self, name: str, target: str = "n1") -> str:
        """Uid of the lvol that stands for a volume."""
        return next(uid for lvol, uid in self.lvols(target).items() if lvol.endswith(f"-{name}"))

    def subsystems(self, target: str = "n1") -> dict[str, dict[str, Any]]:
        return {s["nqn"]: s for s in self.call("nvmf_get_subsystems", target=target) if s["subtype"] == "NVMe"}

    def exports(self, target: str = "n1") -> dict[tuple[str, int], str]:
        """The bdev of every namespace, by subsystem name and nsid."""
        return {
            (nqn.removeprefix(NQN), ns["nsid"]): ns["bdev_name"]
            for nqn, found in self.subsystems(target).items()
            for ns in found["namespaces"]
        }

    def mutations(self, target: str = "n1") -> int:
        return len(self.simulators[target].mutations)

    def reasons(self, tick: Tick) -> set[str]:
        """Every reason that a plan gives for holding back or remarking."""
        return {held.reason for held in tick.plan.held} | {remark.reason for remark in tick.plan.remarks}

    def events(self) -> list[str]:
        return [event.reason for event in reversed(self.house.history.events(10_000))]

    def restart_target(self, target: str = "n1") -> None:
        self.simulators[target].kill()
        self.simulators[target].start()

    def close(self) -> None:
        self.die()
        for simulator in self.simulators.values():
            simulator.stop()


def _connected_to(wish: TargetWish) -> SpdkBackend:
    return SpdkBackend(lambda: connect_unix(wish.connection["unixSocket"]))


def _is_deserted(_: TargetWish, address: str) -> bool:
    return SpdkBackend(lambda: connect_unix(connection_of(address)["unixSocket"])).deserted()


@contextmanager
def world(**settings: Any) -> Iterator[World]:
    """A world in a folder of its own, gone afterwards. (Socket paths must be short, so it is not pytest's tmp_path.)"""
    folder = Path(tempfile.mkdtemp(prefix="hf"))
    made = World(folder, **settings)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)
