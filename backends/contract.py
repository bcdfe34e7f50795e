"""All that a backend is asked and answers. A backend never sees a plan; it is told one Change at a time.

Live objects are frozen values named with SPDK's and NVMe-oF's own words. A field that is None is not declared (wanted
side) or cannot be read (observed side); fields marked `fact` are only ever observed and are never compared.
"""

from __future__ import annotations

import dataclasses
import enum
import operator
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Protocol, TypeAlias

from schemas.resources import Json


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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Rebuild:
    """A raid that is filling a member."""

    member: str
    percent: int


@dataclass(frozen=True, slots=True)
class Latency:
    """What a delay device adds, in microseconds."""

    avg_read: int = 0
    p99_read: int = 0
    avg_write: int = 0
    p99_write: int = 0


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class QosLimits:
    """The four limits of a bdev, always sent together; 0 is unlimited. IO/s in whole thousands, the others in MiB/s."""

    iops: int = 0
    read_mbps: int = 0
    write_mbps: int = 0
    total_mbps: int = 0


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Qos:
    """The limits in force on an exported bdev, as an object of its own so that they change in a step of their own."""

    kind: ClassVar = ObjectKind.QOS
    bdev: str  # name or alias
    limits: QosLimits

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.kind, self.bdev)


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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


ANA_STATES = ("optimized", "non_optimized", "inaccessible")  # best first; what SPDK can set


def ana_text(states: Sequence[str]) -> str:
    """The ANA states of groups 1, 2 … in words: `optimized`, or `1-2 optimized, 3-32 inaccessible`."""
    if len(set(states)) == 1:
        return states[0]
    first = [at for at, state in enumerate(states) if at == 0 or states[at - 1] != state]
    runs = zip(first, [*first[1:], len(states)], strict=True)
    return ", ".join(f"{_groups(start + 1, end)} {states[start]}" for start, end in runs)


def _groups(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def ana_states(text: str, groups: int) -> tuple[str, ...]:
    """The states of so many groups, from the words of `ana_text`. Raises ValueError for other words."""
    runs = [part.rpartition(" ") for part in text.split(", ")]
    found: list[str] = []
    for numbers, _, state in runs:
        first, _, last = numbers.partition("-")
        found += [state] * (int(last or first) - int(first) + 1 if first else groups)
    return tuple(found)


@dataclass(frozen=True, slots=True)
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


def fields_of(thing: LiveObject | QosLimits | None) -> dict[str, Json]:
    """The declared fields that have a value, in declaration order, as JSON."""
    if thing is None:
        return {}
    found: dict[str, Json] = {}
    names, values = _declared(type(thing))
    for name, value in zip(names, values(thing), strict=True):
        if type(value) in _PLAIN:
            found[name] = value
        elif isinstance(value, QosLimits):
            found |= fields_of(value)
        elif isinstance(value, Latency):
            found |= {name: getattr(value, name) for name in Latency.__slots__}
        elif isinstance(value, tuple):
            found[name] = [*value]
        elif value is not None:
            found[name] = value
    return found


def feature_of(thing: LiveObject) -> str:  # noqa: PLR0911  # one arm per kind
    """What a target must offer for an object of this kind, as `Observed.unsupported` names it."""
    match thing:
        case Bdev():
            return f"{thing.kind}/{thing.driver}"
        case Lvol(snapshot_of=str()):
            return f"{thing.kind}/snapshot"
        case Lvol(clone_of=str()):
            return f"{thing.kind}/clone"
        case Lvol(image=str()):
            return f"{thing.kind}/image"
        case Namespace(masked=True):
            return f"{thing.kind}/masked"
        case AllowedHost(dhchap_key=key) if key:
            return f"{thing.kind}/dhchap"
        case AllowedHost(psk=str(psk)) if psk:
            return f"{thing.kind}/psk"
        case Listener(ana=str()):
            return f"{thing.kind}/ana"
    return str(thing.kind)


_PLAIN = frozenset({str, int, bool})
_Fields: TypeAlias = "tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]"
_DECLARED: dict[type[LiveObject | QosLimits], _Fields] = {}


def _declared(kind: type[LiveObject | QosLimits]) -> _Fields:
    """The fields of a kind that are no facts, two at least: their names, and their values of an object.

    Asked for every object, so worked out once.
    """
    if kind not in _DECLARED:
        names = tuple(f.name for f in dataclasses.fields(kind) if not f.metadata.get("fact"))
        _DECLARED[kind] = names, operator.attrgetter(*names)
    return _DECLARED[kind]


class Action(enum.StrEnum):
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class Change(NamedTuple):
    """One act on one object: what is there before (None: nothing) and after (None: nothing)."""

    action: Action
    key: ObjectKey
    before: LiveObject | None
    after: LiveObject | None


@dataclass(frozen=True, slots=True)
class Guard:
    """Facts that must still hold right before a change is sent; re-read from the target, never from memory."""

    key: ObjectKey
    facts: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Interest:
    """What an observation must find out beyond the target's objects."""

    blank: frozenset[str] = frozenset()  # names of bdevs whose blankness somebody needs to know
    connections: frozenset[str] = frozenset()  # NQNs whose connected hosts somebody needs to know
    keyed: frozenset[Bdev] = frozenset()  # crypto devices of which somebody needs to know whether they have this key
    ana: frozenset[str] = frozenset()  # NQNs whose listeners' ANA states somebody needs to know


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that could not be read: all objects of a kind, or those inside one object. Never means absent."""

    kind: ObjectKind
    within: str
    because: str


@dataclass(frozen=True, slots=True)
class Incarnation:
    """One life of a target process. Anything but stores and lvols dies with it."""

    pid: int | None
    owner: str | None  # uuid of the owner marker, when there is one


@dataclass(frozen=True)
class Observed:
    """A target as it was seen."""

    incarnation: Incarnation
    objects: Mapping[ObjectKey, LiveObject]
    gaps: tuple[Gap, ...] = ()
    blank: Mapping[str, bool | None] = field(default_factory=dict)  # bdev name → proven blank; None: cannot tell
    # NQN → host NQN → names of the listeners it came through; None: cannot tell, which counts as connected
    connections: Mapping[str, Mapping[str, frozenset[str]] | None] = field(default_factory=dict)
    keyed: Mapping[str, bool | None] = field(default_factory=dict)  # bdev name → has the key; None: cannot tell
    version: str = ""
    user: int | None = None  # uid of who listens for the target on this machine; None: it is reached otherwise
    last_notification: int = -1
    # feature (for making it; `update` or `delete` before its name) → what this target lacks for it
    unsupported: Mapping[str, str] = field(default_factory=dict)


class BackendError(Exception):
    """Something went wrong with a target. The type says what happens next."""


class Transient(BackendError):
    """Nothing was changed; a later tick may succeed."""


class Unsent(Transient):
    """The connection was gone before it was sent."""


class Terminal(BackendError):
    """Nothing was changed; it will not succeed until something else changes."""


class Unknown(BackendError):
    """Sent, and no answer: it may have happened, may be happening still, or not. Observe, never resend."""


class GuardMismatch(BackendError):
    """A guard no longer holds, so the change was not sent."""


@dataclass(frozen=True, slots=True)
class Applied:
    """The end of one change: `error` None means that it is so now. `uid`: the identity a created object was given."""

    ticket: int
    error: BackendError | None = None
    uid: str | None = None


class Secrets(Protocol):
    """Where a backend has secrets from, at the moment at which it sends them."""

    def material(self, source: str, fingerprint: str) -> str:
        """The secret; raises Terminal when it cannot be had, or is another one by now."""

    def deposit(self, key: KeyringKey) -> None:
        """Have the key in its file, for the target's user alone. Raises Terminal or Transient when that cannot be."""


class Backend(Protocol):
    """One target. Used by one thread at a time."""

    def observe(self, interest: Interest) -> Observed:
        """Read the whole target. Raises Transient or Terminal when it cannot be reached."""

    def paths(self, nqns: Collection[str]) -> Mapping[str, Mapping[str, frozenset[str]] | None]:
        """Hosts connected to subsystems, and through which listeners; None where that cannot be told. Pauses I/O of
        each for a moment: on demand only.
        """

    def begin(self, change: Change, guards: Sequence[Guard]) -> int:
        """Start a change, guards re-read first; the ticket comes back at once. Raises Transient when disconnected."""

    def wait(self, timeout: float) -> Sequence[Applied]:
        """Changes that ended, waiting at most `timeout` seconds for the first of them."""

    def seen(self, changes: Sequence[Change]) -> frozenset[ObjectKey]:
        """Objects of which a look at each alone shows that they are as these changes were to make them.

        One that is not among them may yet be: the next observation tells. Raises Transient or Terminal.
        """

    def hurry(self, since: int) -> tuple[int, bool]:
        """Cheap look for news: (newest notification id, whether anything happened since that id)."""

    def deserted(self) -> bool:
        """Whether the process that listened there is certainly gone. Silence proves nothing, nor does a forwarder."""

    def close(self) -> None:
        """Let go of the connection. What was sent goes on running in the target."""


def provisioning_of(lvol: Lvol) -> Provisioning:
    """Where an lvol that was seen has its bytes. One whose bdev is not there does not tell on what it lies."""
    alone = lvol.size is not None and lvol.parent is None and lvol.image is None
    return Provisioning(lvol.alias, lvol.uuid, lvol.thin, alone)


def index(objects: Iterable[LiveObject]) -> dict[ObjectKey, LiveObject]:
    return {thing.key: thing for thing in objects}
