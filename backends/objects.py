"""Live objects: frozen values named with SPDK's and NVMe-oF's own words.

A field that is None is not declared (wanted side) or cannot be read (observed side); fields marked `fact` are only
ever observed and are never compared.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, TypeAlias

from schemas.values import value


class ObjectKind(enum.StrEnum):
    """What a target consists of, in the order in which it is built."""

    TRANSPORT = "transport"
    NVME_PATH = "nvmepath"
    BDEV = "bdev"
    LVOL_STORE = "lvolstore"
    LVOL = "lvol"
    PROVISIONING = "provisioning"
    KEY = "key"
    SUBSYSTEM = "subsystem"
    HOST = "host"
    NAMESPACE = "namespace"
    VISIBILITY = "visibility"
    QOS = "qos"
    LISTENER = "listener"
    REFERRAL = "referral"

    __hash__ = str.__hash__  # part of every key: Enum's own is Python


BUILD_ORDER: Mapping[ObjectKind, int] = MappingProxyType({kind: place for place, kind in enumerate(ObjectKind)})


class ObjectKey(NamedTuple):
    """Identity of an object on one target, e.g. `namespace nqn.2026-01.com.example:db#1`. Sorts in build order."""

    kind: ObjectKind
    name: str

    def __str__(self) -> str:
        return self.kind + " " + self.name

    def __lt__(self, other: tuple[object, ...]) -> bool:
        return isinstance(other, ObjectKey) and self.rank < other.rank

    @property
    def rank(self) -> tuple[int, str]:
        """Sorts as the key itself does, but faster: for where there are many."""
        return BUILD_ORDER[self.kind], self.name


def fact(default: Any) -> Any:  # noqa: ANN401  # dataclasses.field is typed so
    """A field that is observed, never declared, never compared."""
    return field(default=default, compare=False, metadata={"fact": True})


@value(frozen=True, slots=True)
class Transport:
    """nvmf transport. Nothing but its existence can be changed on a live target (observed.md, NVMe-oF)."""

    kind: ClassVar = ObjectKind.TRANSPORT
    type: str
    max_queue_depth: int | None = None
    max_io_qpairs_per_ctrlr: int | None = None
    in_capsule_data_size: int | None = None
    max_io_size: int | None = None
    max_aq_depth: int | None = None
    abort_timeout_sec: int | None = None
    c2h_success: bool | None = None
    zcopy: bool | None = None

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.kind, self.type)


@value(frozen=True, slots=True)
class NvmePath:
    """One way to an NVMe controller that the target has attached. The controller is there as long as one of them is."""

    kind: ClassVar = ObjectKind.NVME_PATH
    controller: str  # name; its namespaces are bdevs `<controller>n<nsid>`
    transport: str
    address: str
    port: int | None = None  # none for PCIe
    subsystem: str | None = None  # NQN
    host: str | None = None  # NQN
    loss_timeout: int | None = None  # seconds, as the next two; fixed when it is attached
    reconnect_delay: int | None = None
    fast_io_fail: int | None = None
    enabled: bool = fact(default=True)

    @property
    def key(self) -> ObjectKey:
        where = self.address if self.port is None else f"{self.address}:{self.port}"
        return ObjectKey(self.kind, f"{self.controller}#{self.transport}:{where}")


@value(frozen=True, slots=True)
class Rebuild:
    """A raid that is filling a member."""

    member: str
    percent: int


@value(frozen=True, slots=True)
class Latency:
    """What a delay device adds, in microseconds."""

    avg_read: int = 0
    p99_read: int = 0
    avg_write: int = 0
    p99_write: int = 0


@value(frozen=True, slots=True)
class Bdev:
    """A base device, or one that is stacked on others: driver aio, uring, nvme, malloc, null, raid, crypto, passthru,
    delay, or another that only observing meets.
    """

    kind: ClassVar = ObjectKind.BDEV
    name: str
    driver: str
    uuid: str | None = None
    size: int | None = None  # bytes
    block_size: int | None = None  # bytes
    path: str | None = None
    fallocate: bool | None = None
    read_only: bool | None = None
    bases: tuple[str, ...] | None = None  # names of the devices underneath; "" is an empty place of a raid
    level: str | None = None  # of a raid
    superblock: bool | None = None
    strip_size: int | None = None  # KiB
    key_name: str | None = None  # of a crypto device; tells one key from another
    sealed: str | None = None  # fingerprint of its key, where the name does not tell it; cannot be read back
    sha256: str | None = None  # of an image's file, in hex digits; cannot be read back
    latency: Latency | None = None
    policy: str | None = None  # how a multipath device chooses among its paths
    claimed: bool = fact(default=False)
    limits: QosLimits | None = fact(default=None)
    key_from: str = fact(default="")  # where the backend is to ask for the key; never the key
    state: str = fact(default="online")  # online | configuring | offline; only an online raid is a device
    rebuild: Rebuild | None = fact(default=None)
    data_offsets: tuple[int, ...] = fact(default=())  # bytes in front of a raid's data on each member

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.kind, self.name)


@value(frozen=True, slots=True)
class LvolStore:
    """An lvol store that is loaded. One that is on a disk but not loaded is not here: absent is never blank."""

    kind: ClassVar = ObjectKind.LVOL_STORE
    name: str
    bdev: str  # name of the base device
    uuid: str | None = None
    cluster_size: int | None = None  # bytes
    clear_method: str | None = None  # cannot be read back
    size: int | None = None  # bytes of the device that it spans; cannot be read back
    total_clusters: int = fact(default=0)
    free_clusters: int = fact(default=0)
    max_size: int | None = fact(default=None)  # bytes that it can ever span
    shared_clusters: int = fact(default=0)  # that its volumes have beyond those it gave out: some are given twice

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.kind, self.name)


@value(frozen=True, slots=True)
class QosLimits:
    """The four limits of a bdev, always sent together; 0 is unlimited. IO/s in whole thousands, the others in MiB/s."""

    iops: int = 0
    read_mbps: int = 0
    write_mbps: int = 0
    total_mbps: int = 0


@value(frozen=True, slots=True)
class Lvol:
    """A logical volume; its uuid is chosen by the target. `name` is unique within its store."""

    kind: ClassVar = ObjectKind.LVOL
    store: str  # name of the store
    name: str
    uuid: str | None = None
    size: int | None = None  # bytes, whole clusters
    thin: bool | None = None
    clear_method: str | None = None  # cannot be read back
    snapshot_of: str | None = None  # alias of the lvol whose snapshot it was made as; cannot be read back
    clone_of: str | None = None  # alias of the snapshot that it was made from; cannot be read back
    image: str | None = None  # uuid of the device outside the store that it is a clone of
    key_from: str | None = None  # where the key is with which its bytes are written; cannot be read back
    sealed: str | None = None  # fingerprint of that key; cannot be read back
    read_only: bool = fact(default=False)
    parent: str | None = fact(default=None)  # name of the lvol below it, in its store
    degraded: bool = fact(default=False)  # the device that it is a clone of is not there
    snapshot: bool = fact(default=False)
    clones: tuple[str, ...] = fact(default=())
    claimed: bool = fact(default=False)
    allocated_clusters: int = fact(default=0)
    limits: QosLimits | None = fact(default=None)

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.kind, self.alias)

    @property
    def alias(self) -> str:
        """The bdev alias by which the target also knows it: `store/name`."""
        return f"{self.store}/{self.name}"


@value(frozen=True, slots=True)
class Provisioning:
    """Where an lvol has its bytes, as an object of its own: to change it copies bytes, which takes as long as it takes.

    It is never listed by itself; `provisioning_of` tells it from the lvol.
    """

    kind: ClassVar = ObjectKind.PROVISIONING
    lvol: str  # alias
    uuid: str | None = None
    thin: bool | None = None
    alone: bool | None = None  # it lies on no snapshot and on no image

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.kind, self.lvol)


@value(frozen=True, slots=True)
class Qos:
    """The limits in force on an exported bdev, as an object of its own so that they change in a step of their own."""

    kind: ClassVar = ObjectKind.QOS
    bdev: str  # name or alias
    limits: QosLimits

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.kind, self.bdev)


@value(frozen=True, slots=True)
class Subsystem:
    """An NVMe subsystem without what it contains."""

    kind: ClassVar = ObjectKind.SUBSYSTEM
    nqn: str
    serial_number: str | None = None
    model_number: str | None = None
    max_namespaces: int | None = None
    min_cntlid: int | None = None
    max_cntlid: int | None = None
    allow_any_host: bool = False
    ana_reporting: bool | None = None

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.kind, self.nqn)


@value(frozen=True, slots=True)
class KeyringKey:
    """A key in the target's ring: a name and the file that it is read from, never what is in it."""

    kind: ClassVar = ObjectKind.KEY
    name: str
    path: str | None = None
    users: int = fact(default=0)  # how many hosts and controllers hold it
    key_from: str = fact(default="")  # where the backend is to ask for it
    owner: int | None = fact(default=None)  # uid whose file the target takes it from

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.kind, self.name)


@value(frozen=True, slots=True)
class AllowedHost:
    """A host NQN on a subsystem's list, with the names of the keys by which it proves who it is; "" for none."""

    kind: ClassVar = ObjectKind.HOST
    nqn: str
    host: str
    dhchap_key: str = ""
    dhchap_controller_key: str = ""
    psk: str | None = None  # taken when the host is let in; None: not asked for, or not read

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.kind, f"{self.nqn}#{self.host}")


@value(frozen=True, slots=True)
class Namespace:
    """An NVMe namespace. `bdev` is the bdev's uuid where it is known, else a name or alias that will exist by then."""

    kind: ClassVar = ObjectKind.NAMESPACE
    nqn: str
    nsid: int
    bdev: str
    uuid: str | None = None
    nguid: str | None = None  # 32 upper-case hex digits
    masked: bool | None = None  # only hosts that are named see it; otherwise every connected host does
    anagrpid: int | None = None  # shown only where the subsystem reports ANA

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.kind, f"{self.nqn}#{self.nsid}")


@value(frozen=True, slots=True)
class VisibleHost:
    """A host that sees a masked namespace; it may be one that the subsystem does not let in (observed on v26.05)."""

    kind: ClassVar = ObjectKind.VISIBILITY
    nqn: str
    nsid: int
    host: str  # NQN

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.kind, f"{self.nqn}#{self.nsid}#{self.host}")

    @property
    def namespace(self) -> ObjectKey:
        """What it shows; it goes when that goes."""
        return ObjectKey(ObjectKind.NAMESPACE, f"{self.nqn}#{self.nsid}")


@value(frozen=True, slots=True)
class Listener:
    """An address on which a subsystem accepts connections."""

    kind: ClassVar = ObjectKind.LISTENER
    nqn: str
    transport: str
    address: str
    port: int
    secure_channel: bool | None = None  # TLS; None: not asked for, or not read
    ana: str | None = None  # ANA states in words (`ana_text`); none where the subsystem does not report them

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.kind, f"{self.nqn}#{self.transport}:{self.address}:{self.port}")


@value(frozen=True, slots=True)
class Referral:
    """Another discovery service that this one sends hosts to."""

    kind: ClassVar = ObjectKind.REFERRAL
    transport: str
    address: str
    port: int
    subsystem: str  # NQN
    secure_channel: bool = False

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.kind, f"{self.transport}:{self.address}:{self.port}#{self.subsystem}")


LiveObject: TypeAlias = (
    Transport
    | Bdev
    | LvolStore
    | Lvol
    | Provisioning
    | KeyringKey
    | Qos
    | Subsystem
    | AllowedHost
    | Namespace
    | VisibleHost
    | Listener
    | NvmePath
    | Referral
)
DISCOVERY = "nqn.2014-08.org.nvmexpress.discovery"
OWNER_MARKER = "holdfast.owner"  # null bdev whose uuid names the writer; it dies with the target process


def provisioning_of(lvol: Lvol) -> Provisioning:
    """Where an lvol that was seen has its bytes. One whose bdev is not there does not tell on what it lies."""
    alone = lvol.size is not None and lvol.parent is None and lvol.image is None
    return Provisioning(lvol.alias, lvol.uuid, lvol.thin, alone)


def index(objects: Iterable[LiveObject]) -> dict[ObjectKey, LiveObject]:
    return {thing.key: thing for thing in objects}
