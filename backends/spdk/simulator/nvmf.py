"""The NVMe-oF target: transports, subsystems and what belongs to each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Final, TypeAlias

from backends.spdk.simulator.bdevs import Bdev
from backends.spdk.simulator.keyring import Key
from backends.spdk.simulator.listeners import Endpoint
from backends.spdk.simulator.params import parse_uuid
from schemas.resources import Json

DISCOVERY_NQN: Final = "nqn.2014-08.org.nvmexpress.discovery"
UUID_PREFIX: Final = "nqn.2014-08.org.nvmexpress:uuid:"
MIN_NQN, MAX_NQN = 11, 223  # bytes
MAX_LABEL: Final = 64
DEFAULT_NAMESPACES: Final = 32
MAX_LISTENERS: Final = 16
DEFAULT_SUBSYSTEMS: Final = 1024  # including the discovery subsystem
MAX_CNTLID: Final = 0xFFEF
FIRST_PEER_PORT: Final = 40_000
TRANSPORT_DEFAULTS: Final[dict[str, Json]] = {
    "trtype": "TCP",
    "max_queue_depth": 128,
    "max_io_qpairs_per_ctrlr": 127,
    "in_capsule_data_size": 4096,
    "max_io_size": 131072,
    "max_aq_depth": 128,
    "iobuf_small_cache_size": 2**32 - 1,
    "iobuf_large_cache_size": 2**32 - 1,
    "dif_insert_or_strip": False,
    "zcopy": False,
    "c2h_success": True,
    "sock_priority": 0,
    "abort_timeout_sec": 1,
    "ack_timeout": 0,
    "data_wr_pool_size": 0,
    "disable_command_passthru": False,
    "kas": 100,
    "min_kato": 10000,
}
CONFIG_DEFAULTS: Final[dict[str, Json]] = {
    "discovery_filter": "match_any",
    "admin_cmd_passthru": dict.fromkeys(
        (
            "identify_ctrlr",
            "identify_uuid_list",
            "get_log_page",
            "get_set_features",
            "sanitize",
            "security_send_recv",
            "fw_update",
            "nvme_mi",
            "vendor_specific",
        ),
        False,
    ),
    "dhchap_digests": ["sha256", "sha384", "sha512"],
    "dhchap_dhgroups": ["null", "ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144", "ffdhe8192"],
    "dup_host_policy": "allow",
}

_NQN = re.compile(r"nqn\.[0-9]{4}-[0-9]{2}\.([^:]*):.+", re.DOTALL)
_LABEL = re.compile(r"[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?")


def is_nqn(text: str) -> bool:
    """As the target checks it: months are not, the domain's labels are."""
    if not MIN_NQN <= len(text.encode()) <= MAX_NQN:
        return False
    if text == DISCOVERY_NQN:
        return True
    if text.startswith(UUID_PREFIX):
        return parse_uuid(text.removeprefix(UUID_PREFIX)) is not None
    match = _NQN.fullmatch(text)
    return match is not None and all(
        _LABEL.fullmatch(label) and len(label) <= MAX_LABEL for label in match[1].split(".")
    )


Identity: TypeAlias = tuple[object, ...]
FAMILIES: Final = {"IPv4": IPv4Address, "IPv6": IPv6Address}


@dataclass(frozen=True, slots=True)
class Address:
    """A transport address as it was given, but for the case of its type and family."""

    trtype: str
    adrfam: str
    traddr: str
    trsvcid: str

    @property
    def identity(self) -> Identity:
        """What makes two addresses one. One that is none of its family is like no other, not even like itself."""
        host: object = self.traddr.lower()
        if self.adrfam in FAMILIES:
            try:
                host = FAMILIES[self.adrfam](self.traddr)
            except ValueError:
                host = object()
        return (self.trtype, self.adrfam, host, self.trsvcid.lower())

    def dump(self) -> dict[str, Json]:
        return {"trtype": self.trtype, "adrfam": self.adrfam, "traddr": self.traddr, "trsvcid": self.trsvcid}


@dataclass(slots=True)
class Port:
    """A socket that listens, for all subsystems that have a listener with its address."""

    endpoint: Endpoint
    sock_impl: str | None
    users: int = 1


@dataclass(eq=False, slots=True)
class Listener:
    address: Address
    secure_channel: bool
    sock_impl: str | None
    ana_states: list[str]


@dataclass(eq=False, slots=True)
class Host:
    nqn: str
    dhchap_key: Key | None = None
    dhchap_ctrlr_key: Key | None = None
    psk: Key | None = None

    def dump(self) -> dict[str, Json]:
        keys = {"dhchap_key": self.dhchap_key, "dhchap_ctrlr_key": self.dhchap_ctrlr_key}
        shown: dict[str, Json] = {"nqn": self.nqn}
        return shown | {name: key.name for name, key in keys.items() if key is not None}


@dataclass(eq=False, slots=True)
class Namespace:
    nsid: int
    bdev: Bdev
    uuid: str
    nguid: str
    eui64: str | None
    anagrpid: int
    no_auto_visible: bool
    ptpl_file: str | None
    hosts: list[str] = field(default_factory=list)

    def dump(self) -> dict[str, Json]:
        shown: dict[str, Json] = {"nsid": self.nsid, "bdev_name": self.bdev.name, "name": self.bdev.name}
        return shown | self.identity()

    def identity(self) -> dict[str, Json]:
        eui64: dict[str, Json] = {"eui64": self.eui64} if self.eui64 else {}
        return {"nguid": self.nguid, **eui64, "uuid": self.uuid}


@dataclass(eq=False, slots=True)
class Controller:
    """A host that is connected. Nobody speaks NVMe here: a test says that it is."""

    cntlid: int
    host: Host
    listener: Listener
    hostid: str
    io_qpairs: int

    def dump(self) -> Json:
        """The administrative queue pair counts, too."""
        shown: dict[str, Json] = {"cntlid": self.cntlid, "cntrltype": "io", "hostnqn": self.host.nqn}
        return shown | {"hostid": self.hostid, "num_io_qpairs": self.io_qpairs + 1}

    def dump_qpairs(self) -> Iterator[Json]:
        address = self.listener.address.dump()
        for qid in range(self.io_qpairs + 1):
            shown: dict[str, Json] = {"cntlid": self.cntlid, "qid": qid, "state": "enabled"}
            shown |= {"thread": "nvmf_tgt_poll_group_000", "hostnqn": self.host.nqn, "listen_address": address}
            shown["peer_address"] = address | {"trsvcid": str(FIRST_PEER_PORT + self.cntlid)}
            if self.host.dhchap_key is not None and qid == 0:
                shown["auth"] = {"state": "completed", "digest": "sha512", "dhgroup": "ffdhe8192"}
            yield shown


@dataclass(eq=False, slots=True)
class Subsystem:
    """A subsystem. Hosts and listeners are kept newest first, as the target lists them."""

    nqn: str
    subtype: str = "NVMe"
    allow_any_host: bool = False
    serial_number: str = "0" * 20
    model_number: str = "SPDK bdev Controller"
    max_namespaces: int = DEFAULT_NAMESPACES
    ana_reporting: bool = False
    min_cntlid: int = 1
    max_cntlid: int = MAX_CNTLID
    dmrsl: int = 2097152
    wzsl: int = 12
    passthrough: bool = False
    enable_nssr: bool = False
    hosts: list[Host] = field(default_factory=list)
    listeners: list[Listener] = field(default_factory=list)
    namespaces: dict[int, Namespace] = field(default_factory=dict)
    controllers: list[Controller] = field(default_factory=list)
    next_cntlid: int = 0
    is_going: bool = False  # nothing more can be done with it

    def host(self, nqn: str) -> Host | None:
        return next((host for host in self.hosts if host.nqn == nqn), None)

    def listener(self, address: Address) -> Listener | None:
        return next((known for known in self.listeners if known.address.identity == address.identity), None)

    def connect(self, host_nqn: str, listener: Listener, hostid: str, io_qpairs: int) -> Controller:
        """PermissionError for a host that may not."""
        host = self.host(host_nqn) or (Host(host_nqn) if self.allow_any_host else None)
        if host is None:
            raise PermissionError(f"Subsystem '{self.nqn}' does not allow host '{host_nqn}'")
        self.next_cntlid = max(self.next_cntlid + 1, self.min_cntlid)
        controller = Controller(self.next_cntlid, host, listener, hostid, io_qpairs)
        self.controllers.append(controller)
        return controller

    def disconnect(self, *, host: Host | None = None, listener: Listener | None = None) -> None:
        """Who has the name of this host, however it was let in, or came through this listener, is out."""
        name = host.nqn if host else None
        self.controllers = [
            each for each in self.controllers if each.host.nqn != name and listener is not each.listener
        ]

    def dump(self) -> dict[str, Json]:
        """As nvmf_get_subsystems shows it; ANA reporting, NVM subsystem reset and visibility are not shown."""
        shown: dict[str, Json] = {
            "nqn": self.nqn,
            "subtype": self.subtype,
            "listen_addresses": [listener.address.dump() for listener in self.listeners],
            "allow_any_host": self.allow_any_host,
            "hosts": [host.dump() for host in self.hosts],
        }
        if self.subtype == "Discovery":
            return shown
        return shown | {
            "serial_number": self.serial_number,
            "model_number": self.model_number,
            "max_namespaces": self.max_namespaces,
            "passthrough": self.passthrough,
            "min_cntlid": self.min_cntlid,
            "max_cntlid": self.max_cntlid,
            "dmrsl": self.dmrsl,
            "wzsl": self.wzsl,
            "namespaces": [self._dump(self.namespaces[nsid]) for nsid in sorted(self.namespaces)],
        }

    def _dump(self, namespace: Namespace) -> Json:
        return namespace.dump() | ({"anagrpid": namespace.anagrpid} if self.ana_reporting else {})


@dataclass(frozen=True, slots=True)
class Referral:
    address: Address
    subnqn: str
    secure_channel: bool


@dataclass(eq=False, slots=True)
class Nvmf:
    """The one NVMe-oF target of the process."""

    name: str = "nvmf_tgt"
    max_subsystems: int = DEFAULT_SUBSYSTEMS
    crdt: dict[str, Json] = field(default_factory=lambda: {"crdt1": 0, "crdt2": 0, "crdt3": 0})
    config: dict[str, Json] = field(default_factory=lambda: dict(CONFIG_DEFAULTS))
    transports: dict[str, dict[str, Json]] = field(default_factory=dict)
    referrals: list[Referral] = field(default_factory=list)
    ports: dict[Identity, Port] = field(default_factory=dict)  # where the target listens
    _subsystems: dict[str, Subsystem] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Subsystem]:
        """By NQN, as the target lists them."""
        return (self._subsystems[nqn] for nqn in sorted(self._subsystems, key=str.encode))

    def find(self, nqn: str) -> Subsystem | None:
        return self._subsystems.get(nqn)

    @property
    def is_full(self) -> bool:
        return len(self._subsystems) >= self.max_subsystems

    def add(self, subsystem: Subsystem) -> None:
        self._subsystems[subsystem.nqn] = subsystem

    def remove(self, subsystem: Subsystem) -> None:
        del self._subsystems[subsystem.nqn]
