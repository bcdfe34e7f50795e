"""What `save_config` and `framework_get_config` write → live objects, and what none of them can say. Pure.

They show what the getters hide: how NVMe controllers are attached, and options of subsystems, namespaces and listeners.
Lvol stores, lvols and raids with a superblock stand on the disks and in no configuration. The keys in `accel` are never
looked at.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from backends.contract import Gap, Incarnation, Observed
from backends.objects import (
    DISCOVERY,
    AllowedHost,
    Bdev,
    Latency,
    Listener,
    LiveObject,
    Namespace,
    NvmePath,
    ObjectKey,
    ObjectKind,
    QosLimits,
    Referral,
    Subsystem,
    Transport,
    VisibleHost,
    index,
)
from backends.spdk import model
from backends.spdk.shape import Raw, items, mapping, objects, shape, text
from schemas.resources import Json

PARTS = ("bdev", "nvmf")  # of a live target's configuration; `accel` would show keys
NOT_IN_IT = "a configuration does not tell what is on the disks"
_SETTINGS = re.compile(
    r"framework_set_scheduler|bdev_wait_for_examine|nvmf_set_crdt|nvmf_set_max_subsystems|accel_crypto_key_create"
    r"|keyring_file_add_key|(\w+_)?set_(options|default_impl|config|hotplug)"
)


@dataclass
class Saved:
    """A configuration as it was read: what it makes, and what of that no manifest can say, by object."""

    found: list[LiveObject] = field(default_factory=list)
    odd: dict[ObjectKey, list[str]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)  # calls that make nothing we know

    @property
    def observed(self) -> Observed:
        """The target as it would be when the configuration had been loaded."""
        uuids = {thing.name: thing.uuid for thing in self.found if isinstance(thing, Bdev) and thing.uuid}
        things = index(model.by_uuid([*self.found, *self._remote()], uuids))
        gaps = tuple(Gap(kind, "", NOT_IN_IT) for kind in (ObjectKind.LVOL_STORE, ObjectKind.LVOL))
        return Observed(Incarnation(None, None), things, gaps)

    def _remote(self) -> Iterator[Bdev]:
        """Namespaces of NVMe controllers, which come with these: those that something is built on."""
        controllers = {thing.controller for thing in self.found if isinstance(thing, NvmePath)}
        exported = {thing.bdev: thing.uuid for thing in self.found if isinstance(thing, Namespace)}
        used = {base for thing in self.found if isinstance(thing, Bdev) for base in thing.bases or ()} | exported.keys()
        for name in sorted(used):
            controller, _, nsid = name.rpartition("n")
            if controller in controllers and nsid.isdecimal():
                yield Bdev(name, "nvme", exported.get(name))


def read(config: Json) -> Saved:
    """Of the file that `rpc.py save_config` writes. Raises Malformed."""
    with shape("save_config"):
        parts = [mapping(part) for part in items(mapping(config)["subsystems"])]
        return read_calls(call for part in parts for call in objects(part.get("config") or []))


def read_calls(calls: Any) -> Saved:  # noqa: ANN401  # JSON objects
    """Of what `framework_get_config` answers. Raises Malformed."""
    saved = Saved()
    with shape("framework_get_config"):
        for call in calls:
            method, params = text(call, "method"), mapping(call.get("params", {}))
            if known := _CALLS.get(method):
                make, defaults = known
                thing = make(params)
                saved.found.append(thing)
                _note(saved, thing, params, defaults)
            elif method == "bdev_set_qos_limit":
                _limit(saved, params)
            elif not _SETTINGS.fullmatch(method):
                saved.unknown.append(f"{method} {params.get('name', '')}".strip())
    return saved


def _note(saved: Saved, thing: LiveObject, params: Raw, defaults: Mapping[str, object]) -> None:
    """What of a call is neither part of the object nor as SPDK has it by itself."""
    flat: dict[str, Any] = {**params, **mapping(params.get("namespace", {}))}
    odd = [f"{name} {flat[name]}" for name, usual in sorted(defaults.items()) if name in flat and flat[name] != usual]
    if odd:
        saved.odd.setdefault(thing.key, []).extend(odd)


def _limit(saved: Saved, params: Raw) -> None:
    """Limits are part of the device that they are set on; those of an lvol, the lvol itself tells."""
    name = text(params, "name")
    limits = QosLimits(*(params.get(f"{kind}_per_sec", 0) for kind in ("rw_ios", "r_mbytes", "w_mbytes", "rw_mbytes")))
    saved.found = [
        dataclasses.replace(thing, limits=limits) if isinstance(thing, Bdev) and thing.name == name else thing
        for thing in saved.found
    ]


# --- one call each


def _memory(driver: str) -> Callable[[Raw], Bdev]:
    def make(p: Raw) -> Bdev:
        return Bdev(p["name"], driver, p.get("uuid"), p["num_blocks"] * p["block_size"], p["block_size"])

    return make


def _aio(p: Raw) -> Bdev:
    size, path = p.get("block_size"), p["filename"]
    fallocate, read_only = p.get("fallocate", False), p.get("readonly", False)
    return Bdev(p["name"], "aio", p.get("uuid"), None, size, path, fallocate, read_only)


def _uring(p: Raw) -> Bdev:
    return Bdev(p["name"], "uring", p.get("uuid"), None, p.get("block_size"), p["filename"])


def _passthru(p: Raw) -> Bdev:
    return Bdev(p["name"], "passthru", p.get("uuid"), bases=(p["base_bdev_name"],))


def _delay(p: Raw) -> Bdev:
    names = ("avg_read", "p99_read", "avg_write", "p99_write")
    latency = Latency(*(p[f"{name}_latency"] for name in names))
    return Bdev(p["name"], "delay", p.get("uuid"), bases=(p["base_bdev_name"],), latency=latency)


def _crypto(p: Raw) -> Bdev:
    return Bdev(p["name"], "crypto", bases=(p["base_bdev_name"],), key_name=p["key_name"])


def _raid(p: Raw) -> Bdev:
    strip = p.get("strip_size_kb", 0)
    return Bdev(
        p["name"],
        "raid",
        p.get("uuid"),
        bases=tuple(p["base_bdevs"]),
        level=p["raid_level"],
        superblock=p.get("superblock", False),
        strip_size=strip,
    )


def _controller(p: Raw) -> NvmePath:
    port = p.get("trsvcid")
    return NvmePath(
        p["name"],
        "PCIe" if p["trtype"].upper() == "PCIE" else p["trtype"].upper(),
        p["traddr"],
        _port(p) if port else None,
        p.get("subnqn"),
        p.get("hostnqn"),
        p.get("ctrlr_loss_timeout_sec"),
        p.get("reconnect_delay_sec"),
        p.get("fast_io_fail_timeout_sec"),
    )


def _transport(p: Raw) -> Transport:
    names = ("max_queue_depth", "max_io_qpairs_per_ctrlr", "in_capsule_data_size", "max_io_size", "max_aq_depth")
    more = ("abort_timeout_sec", "c2h_success", "zcopy")
    return Transport(p["trtype"].upper(), *(p.get(name) for name in (*names, *more)))


def _subsystem(p: Raw) -> Subsystem:
    return Subsystem(
        p["nqn"],
        p.get("serial_number"),
        p.get("model_number"),
        p.get("max_namespaces"),
        p.get("min_cntlid"),
        p.get("max_cntlid"),
        allow_any_host=p.get("allow_any_host", False),
        ana_reporting=p.get("ana_reporting"),
    )


def _namespace(p: Raw) -> Namespace:
    about = mapping(p["namespace"])
    return Namespace(
        p["nqn"],
        about["nsid"],
        about["bdev_name"],
        about.get("uuid"),
        about.get("nguid"),
        about.get("no_auto_visible", False),
        about.get("anagrpid"),
    )


def _visible(p: Raw) -> VisibleHost:
    return VisibleHost(p["nqn"], p["nsid"], p["host"])


def _host(p: Raw) -> AllowedHost:
    return AllowedHost(p["nqn"], p["host"], p.get("dhchap_key", ""), p.get("dhchap_ctrlr_key", ""), p.get("psk", ""))


def _listener(p: Raw) -> Listener:
    at = mapping(p["listen_address"])
    return Listener(p.get("nqn", DISCOVERY), at["trtype"].upper(), at["traddr"], _port(at), p.get("secure_channel"))


def _referral(p: Raw) -> Referral:
    at = mapping(p["address"])
    secure = p.get("secure_channel", False)
    return Referral(at["trtype"].upper(), at["traddr"], _port(at), p.get("subnqn", DISCOVERY), secure)


def _port(at: Raw) -> int:
    """0 for what is no number, which SPDK takes all the same (observed on v26.05)."""
    port = str(at.get("trsvcid", ""))
    return int(port) if port.isdecimal() else 0


_DIF: Mapping[str, object] = {
    "md_size": 0, "dif_type": 0, "dif_is_head_of_md": False, "dif_pi_format": 0, "optimal_io_boundary": 0,
    "preferred_write_granularity": 0, "preferred_write_alignment": 0, "optimal_write_size": 0,
    "preferred_unmap_granularity": 0, "preferred_unmap_alignment": 0,
}  # fmt: skip
# What each call may say besides, as SPDK v26.05 has it by itself; anything else is something that would be lost.
_CALLS: Mapping[str, tuple[Callable[[Raw], LiveObject], Mapping[str, object]]] = MappingProxyType(
    {
        "bdev_malloc_create": (_memory("malloc"), _DIF),
        "bdev_null_create": (_memory("null"), _DIF),
        "bdev_aio_create": (_aio, {"nowait": False}),
        "bdev_uring_create": (_uring, {}),
        "bdev_passthru_create": (_passthru, {}),
        "bdev_delay_create": (_delay, {}),
        "bdev_crypto_create": (_crypto, {}),
        "bdev_raid_create": (_raid, {}),
        "bdev_nvme_attach_controller": (
            _controller,
            {
                "prchk_reftag": False,
                "prchk_guard": False,
                "hdgst": False,
                "ddgst": False,
                "psk": "",
                "dhchap_key": "",
                "dhchap_ctrlr_key": "",
                "hostaddr": "",
                "hostsvcid": "",
            },
        ),
        "nvmf_create_transport": (
            _transport,
            {
                "dif_insert_or_strip": False,
                "sock_priority": 0,
                "ack_timeout": 0,
                "data_wr_pool_size": 0,
                "disable_command_passthru": False,
                "kas": 100,
                "min_kato": 10000,
                "iobuf_small_cache_size": (1 << 32) - 1,
                "iobuf_large_cache_size": (1 << 32) - 1,
            },
        ),
        "nvmf_create_subsystem": (
            _subsystem,
            {"passthrough": False, "enable_nssr": False, "dmrsl": 2097152, "wzsl": 12},
        ),
        "nvmf_subsystem_add_ns": (
            _namespace,
            {"ptpl_file": "", "eui64": "0000000000000000"},
        ),
        "nvmf_subsystem_add_host": (_host, {}),
        "nvmf_ns_add_host": (_visible, {}),
        "nvmf_subsystem_add_listener": (
            _listener,
            {"sock_impl": ""},
        ),
        "nvmf_discovery_add_referral": (_referral, {}),
    }
)


def completed(observed: Observed, saved: Saved) -> Observed:
    """With what only the configuration tells: how NVMe controllers are attached."""
    told = {thing.key: thing for thing in saved.found if isinstance(thing, NvmePath)}
    ways = {
        key: dataclasses.replace(
            thing,
            loss_timeout=told[key].loss_timeout,
            reconnect_delay=told[key].reconnect_delay,
            fast_io_fail=told[key].fast_io_fail,
        )
        for key, thing in observed.objects.items()
        if isinstance(thing, NvmePath) and key in told
    }
    return dataclasses.replace(observed, objects={**observed.objects, **ways})
