"""Plans from values alone: manifests, live objects and records in, a plan out. No target, no ledger, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from world import GENEROUS, NQN, SITE, START, device_uuid, node, snapshot

from analyzer.analyze import analyze
from backends.contract import Gap, Incarnation, Observed
from backends.fields import fields_of
from backends.objects import (
    OWNER_MARKER,
    AllowedHost,
    Bdev,
    Listener,
    LiveObject,
    Lvol,
    LvolStore,
    Namespace,
    ObjectKey,
    ObjectKind,
    QosLimits,
    Subsystem,
    Transport,
    index,
)
from reconciler import identity
from reconciler.desired import DesiredState
from reconciler.plan import Phase, Plan, Record
from reconciler.planner import plan
from reconciler.planner.view import Owned, View
from reconciler.policy import policy_of
from reconciler.resolving import desired_state
from schemas.resources import ResourceKey

MIB = 1 << 20
FOLDER = Path("/srv")
STORE_UID = "51a7e000-0000-4000-8000-000000000001"
MARKER = identity.owner_uuid(SITE, bytes(16))


def key(kind: str, name: str) -> ResourceKey:
    return ResourceKey(kind, "team" if kind in ("Volume", "Subsystem") else "", name)


def uid_of(name: str) -> str:
    return f"0a0a0a0a-0000-4000-8000-{sum(map(ord, name)):012d}"


DISK_NAME = identity.object_name(SITE, key("BlockDevice", "n1-disk"))
POOL_NAME = identity.object_name(SITE, key("StoragePool", "n1-pool"))


def disk(**changes: Any) -> Bdev:
    made = Bdev(DISK_NAME, "aio", device_uuid("n1"), 256 * MIB, 4096, "/srv/n1.img", fallocate=True, claimed=True)
    return replace(made, **changes)


def store(**changes: Any) -> LvolStore:
    made = LvolStore(POOL_NAME, DISK_NAME, STORE_UID, 4 * MIB, total_clusters=63, free_clusters=60)
    return replace(made, **changes)


def lvol(of: str, **changes: Any) -> Lvol:
    """The lvol that stands for a volume."""
    own = identity.object_name(SITE, key("Volume", of))
    return replace(Lvol(POOL_NAME, own, uid_of(of), 8 * MIB, thin=True, limits=QosLimits()), **changes)


def marker(uuid: str = MARKER) -> Bdev:
    return Bdev(OWNER_MARKER, "null", uuid, MIB, 512)


def live_subsystem(name: str, nsids: Mapping[int, str] | None = None, hosts: Iterable[str] = ()) -> list[LiveObject]:
    """A subsystem as Holdfast makes it: namespaces by volume name, hosts by Host name, one listener."""
    nqn = f"{NQN}{name}"
    serial = identity.derived_serial(SITE, key("Subsystem", name))
    return [
        Subsystem(nqn, serial, "Holdfast", 32, 1, 65519),
        *(AllowedHost(nqn, f"{NQN}host-{host}") for host in hosts),
        *(
            Namespace(nqn, nsid, uid_of(volume), uid_of(volume), identity.nguid_of(uid_of(volume)))
            for nsid, volume in (nsids or {}).items()
        ),
        Listener(nqn, "TCP", "127.0.0.2", 4420),
    ]


def base() -> list[LiveObject]:
    """A target on which everything that every test declares stands already."""
    return [marker(), Transport("TCP", 128, 127, 4096, 131072), disk(), store()]


def record(thing: LiveObject, resource: ResourceKey, phase: Phase = Phase.CREATED, **more: Any) -> Record:
    uid = thing.uuid or "" if isinstance(thing, (Lvol, LvolStore)) else ""
    applied = Transport(thing.type) if isinstance(thing, Transport) else thing  # no test here declares its options
    return replace(Record(thing.key, resource, phase, uid, fields_of(applied), "Retain", "r0"), **more)


def records(*things: LiveObject) -> list[Record]:
    """The ledger of a converged site: every given object is ours, under the resource its name tells."""
    return [record(thing, _resource(thing)) for thing in things if thing.key.name != OWNER_MARKER]


def _resource(thing: LiveObject) -> ResourceKey:
    match thing:
        case Transport():
            return key("Target", "n1")
        case Bdev():
            return key("BlockDevice", "n1-disk")
        case LvolStore():
            return key("StoragePool", "n1-pool")
        case Lvol():
            return key("Volume", thing.name.split("-", 2)[2])
    nqn = getattr(thing, "nqn", "")
    return key("Subsystem", nqn.removeprefix(NQN))


@dataclass
class Case:
    """One planning situation; change what a test is about, then ask for the plan."""

    manifests: list[dict[str, Any]] = field(default_factory=list)
    live: list[LiveObject] = field(default_factory=base)
    ledger: list[Record] | None = None  # None: everything live is ours
    gaps: tuple[Gap, ...] = ()
    blank: dict[str, bool | None] = field(default_factory=dict)
    connections: dict[str, Any] = field(default_factory=dict)
    owned: dict[str, Any] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=lambda: GENEROUS)
    nodes: list[dict[str, Any]] = field(default_factory=lambda: node("n1", FOLDER))
    now: float = START
    unchecked: bool = False  # whether the planner gets what the analyzer would have blocked

    def desired(self) -> DesiredState:
        found = snapshot("r1", [*self.nodes, *self.manifests], self.policy)
        report = analyze(found, as_of=date(2026, 11, 21))
        assert self.unchecked or not report.blocks, report.findings
        return desired_state("r1", report.graph.resources.values(), policy_of(report.config.settings), SITE)

    def view(self) -> View:
        desired = self.desired()
        objects = index(self.live)
        own = objects.get(ObjectKey(ObjectKind.BDEV, OWNER_MARKER))
        nqns = {thing.nqn for thing in self.live if isinstance(thing, Subsystem)}
        seen = Observed(
            Incarnation(1, own.uuid if isinstance(own, Bdev) else None),
            objects,
            self.gaps,
            self.blank,
            {nqn: {} for nqn in nqns} | self.connections,
        )
        ledger = self.ledger
        if ledger is None:
            ledger = self._settled()
        given = {"site": SITE, "records": tuple(ledger), "marker": MARKER, "policy": desired.policy} | self.owned
        return View(desired.targets["n1"], desired, seen, Owned(**given), self.now)

    def _settled(self) -> list[Record]:
        """The ledger after ticks that found everything as it is: all live objects are ours, as we write them."""
        known = {item.key: item for item in records(*self.live)}
        found = replace(self, ledger=[*known.values()], gaps=(), owned={}).plan()
        return [*(known | {item.key: item for item in found.records}).values()]

    def plan(self) -> Plan:
        return plan(self.view())


def steps(found: Plan) -> list[str]:
    """`create lvol pool/name` of every step, in order, with our own long names cut down."""
    return [_short(step.id) for step in found.steps]


def held(found: Plan) -> dict[str, str]:
    """Reason for each held change."""
    return {_short(f"{item.change.action} {item.change.key}"): item.reason for item in found.held}


def reasons(found: Plan) -> dict[str, str]:
    """Reason of each remark, by resource name."""
    return {remark.resource.name: remark.reason for remark in found.remarks}


def _short(text: str) -> str:
    for name in (POOL_NAME, DISK_NAME):
        text = text.replace(name, name.split("-", 2)[2])
    head, _, tail = text.rpartition("hf-")
    return f"{head}{tail.split('-', 1)[1]}".replace(NQN, "") if head else text.replace(NQN, "")
