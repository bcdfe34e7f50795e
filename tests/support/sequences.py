"""Random calls that make sense more often than not, for two targets that must say the same to all of them.

A sequence plays on names, files, addresses and NQNs of its own, so that many run side by side on one target. What is
known to crash or hang a live target is left out, here and only here: see `Player._is_fatal`.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random  # noqa: TID251  # seeded: the same calls again for the same number
from typing import Any, Final

from rivals import Call
from sequence_effects import CREATES, DELETES, frozen_by, leaf_of

MIB: Final = 1 << 20
SIZES: Final = (16, 32, 64)  # MiB of a disk
KEY: Final = "0123456789abcdef0123456789abcdef"
HOST: Final = "nqn.2014-08.org.nvmexpress:uuid:00000000-0000-4000-8000-0000000000"
BLOCK: Final = {"A": 4096, "U": 4096, "E": 4096, "M": 4096, "N": 4096, "B": 512}


@dataclass
class Player:
    """One sequence: what it believes to be there, and what it will ask next."""

    number: int
    random: Random
    made: dict[str, set[str]] = field(default_factory=dict)  # kind → names that were created and not deleted
    has_resized: bool = False
    has_external: bool = False  # some volume lies on a device outside its store
    keys_used: set[str] = field(default_factory=set)
    frozen: set[str] = field(
        default_factory=set
    )  # leaves of what was ever a snapshot or read-only, and may be a parent
    history: list[tuple[Call, Any]] = field(default_factory=list)
    _ahead: list[Call] = field(init=False)
    _weights: list[int] = field(init=False)

    @property
    def prefix(self) -> str:
        return f"L{self.number:03}"

    # Names

    def name(self, kind: str, of: int = 3) -> str:
        """Mostly one that is there, sometimes one that may be."""
        there = sorted(self.made.get(kind, ()))
        if there and self.random.random() < 0.85:
            return self.random.choice(there)
        return self.new(kind, of)

    def new(self, kind: str, of: int = 3) -> str:
        return f"{self.prefix}{kind}{self.random.randrange(of)}"

    def file(self, name: str) -> str:
        return f"{{dir}}/{name}.img"

    def uuid(self, name: str) -> str:
        """Always the same for a name: what is on a device may know it by its UUID."""
        digest = f"{zlib.crc32(name.encode()):08x}"
        return f"{digest}-0000-4000-8000-{digest}{self.number:04x}"

    def store(self) -> dict[str, str]:
        return {"lvs_name": self.name("S", 2)}

    def lvol(self) -> str:
        there = sorted(self.made.get("V", ()))
        if there and self.random.random() < 0.9:
            return self.random.choice(there)
        return f"{self.name('S', 2)}/{self.leaf()}"

    def leaf(self) -> str:
        return self.prefix + self.random.choice("vwxyz")

    def disk(self) -> str:
        """What a store or an array can lie on, and be found there again."""
        there = sorted(name for kind in "AUMNPDR" for name in self.made.get(kind, ()))
        if there and self.random.random() < 0.9:
            return self.random.choice(there)
        return self.new(self.random.choice("AUMNPDR"))

    def device(self) -> str:
        """Anything that blocks can be written to."""
        return self.pick(self.disk, self.disk, self.lvol, self.lvol, lambda: self.name("C", 2))()

    def nqn(self) -> str:
        there = sorted(self.made.get("Q", ()))
        if there and self.random.random() < 0.9:
            return self.random.choice(there)
        return f"nqn.2026-01.com.example:{self.prefix}q{self.random.randrange(2)}"

    def host(self) -> str:
        return HOST + f"{self.number:x}{self.random.randrange(3)}"[-2:].zfill(2)

    def address(self) -> dict[str, str]:
        port = self.random.choice(("4420", "4420", "4421", "4421", "0", "x"))
        traddr = self.random.choice((f"127.9.{self.number}.1",) * 9 + ("10.255.255.1", "::1"))
        if traddr == "::1":  # shared by all, so each has ports of its own
            return {"trtype": "TCP", "adrfam": "IPv6", "traddr": traddr, "trsvcid": str(20000 + self.number)}
        return {"trtype": "TCP", "adrfam": "IPv4", "traddr": traddr, "trsvcid": port}

    def pick(self, *choices: Any) -> Any:
        return self.random.choice(choices)

    def maybe(self, chance: float, **params: Any) -> dict[str, Any]:
        return params if self.random.random() < chance else {}

    # Calls

    def calls(self) -> list[Call]:
        """What to ask next, in one go."""
        while True:
            call = self._ahead.pop(0) if self._ahead else self.random.choices(ASKED, self._weights)[0](self)
            if not self._is_fatal(*call):
                return [call]

    def __post_init__(self) -> None:
        """Begins with something to work with, and works at one thing more than at others."""
        theme = self.random.choice(THEMES)
        self._weights = [weight * (5 if maker in theme else 1) for weight, maker in MIX]
        self._ahead = [_attach(self, self.prefix + name) for name in ("A0", "A1", "A2")][self.random.randrange(4) :]
        if self.random.random() < 0.8:
            size = {"cluster_sz": self.pick(65536, MIB, MIB), "clear_method": "none"}
            self._ahead += [
                _attach(self, f"{self.prefix}A0"),
                ("bdev_lvol_create_lvstore", {"bdev_name": f"{self.prefix}A0", "lvs_name": f"{self.prefix}S0", **size}),
            ]
        if self.random.random() < 0.8:
            self._ahead += [subsystem(self), ring(self)]

    def _is_fatal(self, method: str, params: Any) -> bool:
        """What takes a live target down, or hangs it, is not asked."""
        if method == "accel_crypto_key_destroy":
            return params["key_name"] in self.keys_used
        if method == "bdev_lvol_decouple_parent":  # of one that outgrew its parent: takes clusters by chance
            return self.has_resized
        if method == "bdev_lvol_rename_lvstore":  # with a clone whose base is missing: it has no device to be named
            return self.has_external
        if method == "bdev_lvol_set_parent":  # of an ancestor of its new parent: a ring that is followed for ever
            return leaf_of(params["lvol_name"]) in self.frozen
        if method == "bdev_raid_add_base_bdev":  # an array that is its own leg is rebuilt for ever
            return params["base_bdev"].removeprefix(self.prefix)[0] in "RPD"
        return False

    def learn(self, call: Call, answer: dict[str, Any]) -> None:
        """Believe what a target says."""
        self.history.append((call, answer))
        if "result" not in answer:
            return
        method, params = call
        if method in CREATES:
            kind, name = CREATES[method]
            self.made.setdefault(kind, set()).add(name(self, params))
        elif method in DELETES:
            kind, name = DELETES[method]
            self.made.get(kind, set()).discard(name(self, params))
        if method == "bdev_lvol_resize":
            self.has_resized = True
        if method in ("bdev_lvol_clone_bdev", "bdev_lvol_set_parent_bdev"):
            self.has_external = True
        self.frozen |= set(frozen_by(method, params, self.frozen))
        if method == "bdev_crypto_create":
            self.keys_used.add(params["key_name"])

    def restarted(self) -> None:
        """Nothing is there any more but what lies in files."""
        self.made = {kind: names for kind, names in self.made.items() if kind in ("S", "V")}
        self.keys_used.clear()

    def attach_again(self) -> list[Call]:
        """Files that may carry something, in any order."""
        names = [f"{self.prefix}{kind}{number}" for kind in "AU" for number in range(3)]
        self.random.shuffle(names)
        return [_attach(self, name) for name in names[: self.random.randrange(3, 7)]]

    def looks(self) -> list[Call]:
        """Reads of single things, each with an answer that is this sequence's own."""
        return [(method, params) for method, params in self._looks() if self.random.random() < 0.5][:4]

    def _looks(self) -> Iterator[Call]:
        yield "bdev_lvol_get_lvstores", self.store()
        yield "bdev_lvol_get_lvols", self.store()
        yield "bdev_get_bdevs", {"name": self.device()}
        yield "nvmf_get_subsystems", {"nqn": self.nqn()}
        yield "nvmf_subsystem_get_listeners", {"nqn": self.nqn()}
        yield "nvmf_subsystem_get_controllers", {"nqn": self.nqn()}
        yield "nvmf_subsystem_get_qpairs", {"nqn": self.nqn()}
        yield "accel_crypto_keys_get", {"key_name": self.new("K", 2)}
        yield "nvmf_get_transports", {"trtype": self.pick("TCP", "RDMA", "tcp")}

    def files(self) -> Iterator[tuple[str, int | bytes]]:
        """What must be there before anything is asked: sparse disks by size, keys by content."""
        for kind in "AU":
            for number in range(3):
                yield f"{self.prefix}{kind}{number}.img", SIZES[number] * MIB + number * MIB // 2
        yield f"{self.prefix}E0.img", 8 * MIB
        yield f"{self.prefix}E1.img", 8 * MIB + 4096
        yield f"{self.prefix}K0.img", b"DHHC-1:00:" + base64.b64encode(bytes(36)) + b":"
        secret = bytes(range(32))
        checked = base64.b64encode(secret + zlib.crc32(secret).to_bytes(4, "little"))
        yield f"{self.prefix}K1.img", b"NVMeTLSkey-1:01:" + checked + b":"


def _attach(player: Player, name: str) -> Call:
    kind = name.removeprefix(player.prefix)[0]
    method = "bdev_uring_create" if kind == "U" else "bdev_aio_create"
    params = {"name": name, "filename": player.file(name), "block_size": BLOCK[kind], "uuid": player.uuid(name)}
    return method, params


def attach(p: Player) -> Call:
    method, params = _attach(p, p.new(p.pick("A", "A", "A", "U")))
    if p.random.random() < 0.1:
        params |= p.pick({"block_size": 1000}, {"filename": "{dir}/nowhere"}, {"block_size": 512 * 3}, {"name": ""})
    if method == "bdev_aio_create":
        params |= p.maybe(0.1, fallocate=True) | p.maybe(0.05, nowait=True)
    return method, params


def malloc(p: Player) -> Call:
    params = {"name": p.new("M"), "num_blocks": p.pick(256, 512, 1024), "block_size": p.pick(512, 4096, 4096, 4096)}
    extra = p.pick({"uuid": p.uuid(params["name"])}, {}, {}, {"num_blocks": 0}, {"block_size": 100}, {"md_size": 8})
    return "bdev_malloc_create", params | extra


def null(p: Player) -> Call:
    name = p.new("N", 2)
    return "bdev_null_create", {
        "name": name,
        "num_blocks": p.pick(2048, 8192),
        "block_size": p.pick(512, 4096),
        **p.maybe(0.4, uuid=p.uuid(name)),
    }


def detach(p: Player) -> Call:
    kind, method = p.pick(("A", "aio"), ("A", "aio"), ("U", "uring"), ("M", "malloc"), ("N", "null"))
    return f"bdev_{method}_delete", {"name": p.name(kind)}


def rescan(p: Player) -> Call:
    kind, method = p.pick(("A", "aio"), ("U", "uring"), ("M", "aio"))
    return f"bdev_{method}_rescan", {"name": p.name(kind)}


def null_resize(p: Player) -> Call:
    return "bdev_null_resize", {"name": p.name("N", 2), "new_size": p.pick(1, 8, 32, 64)}


def layer(p: Player) -> Call:
    if p.random.random() < 0.5:
        return "bdev_passthru_create", {"name": p.new("P", 2), "base_bdev_name": p.disk()}
    latencies = {f"{which}_{kind}_latency": p.pick(1, 2, 3) for which in ("avg", "p99") for kind in ("read", "write")}
    name = p.new("D", 2)
    return "bdev_delay_create", {
        "name": name,
        "base_bdev_name": p.disk(),
        **latencies,
        **p.maybe(0.4, uuid=p.uuid(name)),
    }


def unlayer(p: Player) -> Call:
    kind, method = p.pick(("P", "passthru"), ("D", "delay"), ("C", "crypto"))
    return f"bdev_{method}_delete", {"name": p.name(kind, 2)}


def latency(p: Player) -> Call:
    kind = p.pick("avg_read", "p99_read", "avg_write", "p99_write", "p50_read")
    return "bdev_delay_update_latency", {"delay_bdev_name": p.name("D", 2), "latency_type": kind, "latency_us": 7}


def crypto_key(p: Player) -> Call:
    name = p.new("K", 2)
    if p.random.random() < 0.3:
        return "accel_crypto_key_destroy", {"key_name": name}
    second = p.pick(KEY[::-1], KEY[::-1], KEY[::-1], KEY, KEY[:30])
    return "accel_crypto_key_create", {"name": name, "cipher": "AES_XTS", "key": KEY, "key2": second}


def crypto(p: Player) -> Call:
    return "bdev_crypto_create", {"name": p.new("C", 2), "base_bdev_name": p.device(), "key_name": p.name("K", 2)}


def raid(p: Player) -> Call:
    level = p.pick("raid1", "raid1", "raid1", "raid0", "concat", "raid5f")
    strip = p.pick({}, {"strip_size_kb": 64}) if level == "raid1" else {"strip_size_kb": p.pick(64, 64, 4, 3)}
    legs = [p.disk() for _ in range(p.pick(1, 2, 2, 2, 3))]
    params = {"name": p.new("R", 2), "raid_level": level, "base_bdevs": legs, **strip}
    params |= p.maybe(0.3, uuid=p.uuid(str(params["name"])))
    return "bdev_raid_create", params | p.maybe(0.5, superblock=True)


def raid_delete(p: Player) -> Call:
    return "bdev_raid_delete", {"name": p.name("R", 2)} | p.maybe(0.6, clear_sb=True)


def raid_leg(p: Player) -> Call:
    if p.random.random() < 0.5:
        return "bdev_raid_remove_base_bdev", {"name": p.disk()}
    return "bdev_raid_add_base_bdev", {"raid_bdev": p.name("R", 2), "base_bdev": p.disk()}


def limits(p: Player) -> Call:
    kinds = {"rw_ios_per_sec": 1500, "rw_mbytes_per_sec": 10, "r_mbytes_per_sec": 3, "w_mbytes_per_sec": 0}
    given = dict(p.random.sample(sorted(kinds.items()), p.pick(0, 1, 1, 2)))
    return "bdev_set_qos_limit", {"name": p.device(), **given}


def store_create(p: Player) -> Call:
    sizes = p.pick({"cluster_sz": MIB}, {"cluster_sz": MIB}, {"cluster_sz": 65536}, {"cluster_sz": 5000})
    return "bdev_lvol_create_lvstore", {
        "bdev_name": p.disk(),
        "lvs_name": p.new("S", 2),
        **sizes,
        **p.maybe(0.9, clear_method="none"),
    }


def store_change(p: Player) -> Call:
    change = p.random.random()
    if change < 0.4:
        return "bdev_lvol_rename_lvstore", {"old_name": p.name("S", 2), "new_name": p.new("S", 2)}
    if change < 0.7:
        return "bdev_lvol_grow_lvstore", p.store()
    return "bdev_lvol_delete_lvstore", p.store()


def lvol_create(p: Player) -> Call:
    size = p.pick(0, 1, 2, 3, 5, 8, 40, 2**44 + 1)
    params = {"lvol_name": p.leaf(), "size_in_mib": size, **p.store(), **p.maybe(0.6, thin_provision=True)}
    method = p.pick(*["none"] * 9, "write_zeroes", "wipe", "unmap")  # clearing for real takes its time
    return "bdev_lvol_create", params | {"clear_method": method}


def lvol_change(p: Player) -> Call:
    name = p.lvol()
    change: Call = p.pick(
        ("bdev_lvol_resize", {"name": name, "size_in_mib": p.pick(0, 1, 2, 4, 9, 50)}),
        ("bdev_lvol_resize", {"name": name, "size_in_mib": p.pick(2, 4, 9)}),
        ("bdev_lvol_rename", {"old_name": name, "new_name": p.leaf()}),
        ("bdev_lvol_set_read_only", {"name": name}),
        ("bdev_lvol_inflate", {"name": name}),
        ("bdev_lvol_decouple_parent", {"name": name}),
        ("bdev_lvol_set_parent", {"lvol_name": name, "parent_name": p.lvol()}),
        ("bdev_lvol_delete", {"name": name}),
        ("bdev_lvol_delete", {"name": name}),
    )
    return change


def lvol_copy(p: Player) -> Call:
    name, leaf = p.lvol(), p.leaf()
    copy: Call = p.pick(
        ("bdev_lvol_snapshot", {"lvol_name": name, "snapshot_name": leaf}),
        ("bdev_lvol_snapshot", {"lvol_name": name, "snapshot_name": leaf}),
        ("bdev_lvol_clone", {"snapshot_name": name, "clone_name": leaf}),
    )
    return copy


def external(p: Player) -> Call:
    """A live target does not survive the end of a clone's base, so none is ever deleted."""
    base = f"{p.prefix}E{p.random.randrange(2)}"
    attached = _attach(p, base)
    change: Call = p.pick(
        (attached[0], attached[1] | p.maybe(0.5, readonly=True)),
        ("bdev_lvol_clone_bdev", {"bdev": base, "lvs_name": p.name("S", 2), "clone_name": p.leaf()}),
        ("bdev_lvol_set_parent_bdev", {"lvol_name": p.lvol(), "parent_name": base}),
    )
    return change


def subsystem(p: Player) -> Call:
    if p.random.random() < 0.25:
        return "nvmf_delete_subsystem", {"nqn": p.nqn()}
    params = {"nqn": f"nqn.2026-01.com.example:{p.prefix}q{p.random.randrange(2)}", "serial_number": p.prefix}
    params |= p.maybe(0.6, ana_reporting=True) | p.maybe(0.3, allow_any_host=True) | p.maybe(0.5, max_namespaces=4)
    wrong = p.pick({"serial_number": "x" * 21}, {"min_cntlid": 9, "max_cntlid": 8}, {"nqn": "nqn.x"}, {"nosuch": 1})
    return "nvmf_create_subsystem", params | (wrong if p.random.random() < 0.1 else {})


def namespace(p: Player) -> Call:
    nqn = p.nqn()
    change = p.random.random()
    if change < 0.5:
        wanted = {"bdev_name": p.device(), **p.maybe(0.4, nsid=p.pick(1, 2, 4, 5, 33))}
        wanted |= p.maybe(0.2, anagrpid=p.pick(1, 2, 9)) | p.maybe(0.3, no_auto_visible=True)
        wanted |= p.maybe(0.1, uuid=p.uuid("namespace")) | p.maybe(0.1, nguid="0123456789ABCDEF0123456789ABCDEF")
        return "nvmf_subsystem_add_ns", {"nqn": nqn, "namespace": wanted}
    if change < 0.65:
        return "nvmf_subsystem_remove_ns", {"nqn": nqn, "nsid": p.pick(1, 1, 2, 4)}
    if change < 0.75:
        return "nvmf_subsystem_set_ns_ana_group", {
            "nqn": nqn,
            "nsid": p.pick(1, 1, 2, 4),
            "anagrpid": p.pick(1, 3, 0, 40),
        }
    method = p.pick("nvmf_ns_add_host", "nvmf_ns_remove_host")
    return method, {"nqn": nqn, "nsid": p.pick(1, 1, 2, 4), "host": p.pick(p.host(), p.host(), "nobody")}


def listener(p: Player) -> Call:
    nqn, address = p.nqn(), p.address()
    change = p.random.random()
    if change < 0.5:
        extra = p.maybe(0.2, ana_state=p.pick("non_optimized", "inaccessible", "wrong")) | p.maybe(
            0.2, secure_channel=True
        )
        return "nvmf_subsystem_add_listener", {"nqn": nqn, "listen_address": address, **extra}
    if change < 0.7:
        return "nvmf_subsystem_remove_listener", {"nqn": nqn, "listen_address": address}
    state = {
        "ana_state": p.pick("optimized", "non_optimized", "inaccessible"),
        **p.maybe(0.6, anagrpid=p.pick(1, 4, 9)),
    }
    return "nvmf_subsystem_listener_set_ana_state", {"nqn": nqn, "listen_address": address, **state}


def access(p: Player) -> Call:
    nqn, host, key = p.nqn(), p.host(), p.new("H", 2)
    change: Call = p.pick(
        ("nvmf_subsystem_add_host", {"nqn": nqn, "host": host}),
        ("nvmf_subsystem_add_host", {"nqn": nqn, "host": host, "dhchap_key": key}),
        ("nvmf_subsystem_add_host", {"nqn": nqn, "host": host, "psk": key}),
        ("nvmf_subsystem_add_host", {"nqn": nqn, "host": host, "dhchap_key": key, "dhchap_ctrlr_key": p.new("H", 2)}),
        ("nvmf_subsystem_set_keys", {"nqn": nqn, "host": host, **p.maybe(0.6, dhchap_key=key)}),
        ("nvmf_subsystem_remove_host", {"nqn": nqn, "host": host}),
        ("nvmf_subsystem_allow_any_host", {"nqn": nqn, "allow_any_host": p.random.random() < 0.5}),
    )
    return change


def ring(p: Player) -> Call:
    name = p.new("H", 2)
    change: Call = p.pick(
        ("keyring_file_add_key", {"name": name, "path": f"{{dir}}/{p.prefix}K{name[-1]}.img"}),
        ("keyring_file_add_key", {"name": name, "path": f"{{dir}}/{p.prefix}K{name[-1]}.img"}),
        ("keyring_file_add_key", {"name": name, "path": p.pick("relative", "/nowhere")}),
        ("keyring_file_remove_key", {"name": name}),
    )
    return change


def referral(p: Player) -> Call:
    method = p.pick("nvmf_discovery_add_referral", "nvmf_discovery_remove_referral")
    return method, {"address": p.address(), **p.maybe(0.3, subnqn=p.nqn())}


def look(p: Player) -> Call:
    return p.pick(*p._looks())


def examine(p: Player) -> Call:
    return p.pick(("bdev_wait_for_examine", None), ("bdev_examine", {"name": p.disk()}))


def transports(random: Random) -> Iterator[Call]:
    """What a target's life begins with: one transport that everybody uses, and some that are refused."""
    options = {
        "max_queue_depth": random.choice((16, 128, 1024)),
        "max_io_qpairs_per_ctrlr": random.choice((1, 8, 127)),
        "in_capsule_data_size": random.choice((0, 4096, 16384, 5000)),
        "max_io_size": random.choice((8192, 131072, 1 << 20, 100000)),
        "io_unit_size": random.choice((8192, 131072, 16384)),
        "max_aq_depth": random.choice((2, 32, 128)),
        "abort_timeout_sec": random.choice((0, 5)),
        "c2h_success": random.random() < 0.5,
        "zcopy": random.random() < 0.5,
        "dif_insert_or_strip": random.random() < 0.2,
        "sock_priority": random.choice((0, 3)),
    }
    given = dict(random.sample(sorted(options.items()), random.randrange(6)))
    yield "nvmf_create_transport", {"trtype": random.choice(("RDMA", "VFIOUSER", "nonsense"))}
    yield "nvmf_create_transport", {"trtype": "TCP", **given}
    yield "nvmf_get_transports", None
    yield "nvmf_create_transport", {"trtype": random.choice(("TCP", "tcp"))}


Maker = Callable[[Player], Call]
MIX: Final[Sequence[tuple[int, Maker]]] = (
    (8, attach),
    (5, malloc),
    (1, null),
    (4, detach),
    (1, rescan),
    (1, null_resize),
    (4, layer),
    (2, unlayer),
    (1, latency),
    (2, crypto_key),
    (2, crypto),
    (6, raid),
    (3, raid_delete),
    (5, raid_leg),
    (3, limits),
    (8, store_create),
    (3, store_change),
    (14, lvol_create),
    (14, lvol_change),
    (10, lvol_copy),
    (6, external),
    (6, subsystem),
    (12, namespace),
    (8, listener),
    (7, access),
    (4, ring),
    (1, referral),
    (6, look),
    (1, examine),
)
ASKED: Final = [maker for _, maker in MIX]
THEMES: Final[Sequence[frozenset[Maker]]] = (
    frozenset(),
    frozenset({lvol_create, lvol_change, lvol_copy}),
    frozenset({lvol_create, lvol_change, lvol_copy, external}),
    frozenset({subsystem, namespace, listener, access, ring}),
    frozenset({attach, raid, raid_delete, raid_leg, detach}),
    frozenset({malloc, layer, unlayer, crypto, crypto_key, detach}),
)
