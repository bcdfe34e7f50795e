"""SPDK's answers → live objects: each field, and what becomes of an answer that is not as documented."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.objects import (
    DISCOVERY,
    AllowedHost,
    Bdev,
    Listener,
    Lvol,
    LvolStore,
    Namespace,
    QosLimits,
    Subsystem,
    Transport,
)
from backends.spdk import model
from backends.spdk.shape import Malformed

Raw: TypeAlias = "dict[str, Any]"
TRANSCRIPTS = Path(__file__).parents[2] / "conformance" / "transcripts"
NQN = "nqn.2026-01.com.example:db"
LVOL, STORE, DISK = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "123")
FREE = {"rw_ios_per_sec": 0, "rw_mbytes_per_sec": 0, "r_mbytes_per_sec": 0, "w_mbytes_per_sec": 0}

# --- answers as a live target gives them, less what nobody reads


def raw_bdev(name: str, product: str, uuid: str = DISK, **more: Any) -> Raw:
    return {
        "name": name,
        "aliases": [uuid],
        "product_name": product,
        "block_size": 4096,
        "num_blocks": 16384,
        "uuid": uuid,
        "assigned_rate_limits": FREE,
        "claimed": False,
        "supported_io_types": {"read": True, "write": True},
        "driver_specific": {},
    } | more


RAW_AIO = raw_bdev(
    "disk", "AIO disk", claimed=True, driver_specific={"aio": {"filename": "/srv/disk", "fallocate": True}}
)
RAW_LVOL_BDEV = raw_bdev(
    LVOL,
    "Logical Volume",
    LVOL,
    aliases=["pool/db"],
    num_blocks=1024,
    assigned_rate_limits={"rw_ios_per_sec": 5000, "rw_mbytes_per_sec": 3, "r_mbytes_per_sec": 1, "w_mbytes_per_sec": 2},
    driver_specific={"lvol": {"lvol_store_uuid": STORE, "thin_provision": True, "snapshot": False, "clone": False}},
)
RAW_LVOL: Raw = {
    "alias": "pool/db",
    "uuid": LVOL,
    "name": "db",
    "is_thin_provisioned": True,
    "is_snapshot": False,
    "is_degraded": False,
    "num_allocated_clusters": 7,
    "lvs": {"name": "pool", "uuid": STORE},
}
RAW_STORE: Raw = {
    "uuid": STORE,
    "name": "pool",
    "base_bdev": "disk",
    "total_data_clusters": 63,
    "free_clusters": 60,
    "block_size": 4096,
    "cluster_size": 1048576,
}
RAW_TRANSPORT: Raw = {
    "trtype": "tcp",
    "max_queue_depth": 128,
    "max_io_qpairs_per_ctrlr": 127,
    "in_capsule_data_size": 4096,
    "max_io_size": 131072,
    "max_aq_depth": 128,
    "abort_timeout_sec": 1,
    "c2h_success": True,
    "zcopy": False,
    "sock_priority": 0,
}
RAW_ADDRESS: Raw = {"trtype": "TCP", "adrfam": "IPv4", "traddr": "127.0.0.2", "trsvcid": "4420"}
RAW_SUBSYSTEM: Raw = {
    "nqn": NQN,
    "subtype": "NVMe",
    "listen_addresses": [RAW_ADDRESS],
    "allow_any_host": False,
    "hosts": [{"nqn": "nqn.h"}],
    "serial_number": "S1",
    "model_number": "M1",
    "max_namespaces": 32,
    "min_cntlid": 1,
    "max_cntlid": 65519,
    "namespaces": [{"nsid": 1, "bdev_name": LVOL, "name": LVOL, "nguid": "A" * 32, "uuid": LVOL}],
}
RAW_DISCOVERY: Raw = {
    "nqn": "nqn.2014-08.org.nvmexpress.discovery",
    "subtype": "Discovery",
    "listen_addresses": [],
    "allow_any_host": True,
    "hosts": [],
}


# --- each kind


def test_base_devices() -> None:
    """Guards every field of a device, in bytes; a driver that we do not know is named as the target names it."""
    found = model.bdevs([RAW_AIO, raw_bdev("m", "Malloc disk"), raw_bdev("n", "Null disk"), raw_bdev("r", "Raid 0")])
    disk = Bdev("disk", "aio", DISK, 64 << 20, 4096, "/srv/disk", fallocate=True)
    assert found.devices[0] == disk
    assert (found.devices[0].claimed, found.devices[0].limits) == (True, QosLimits())
    assert [(d.name, d.driver, d.path, d.claimed) for d in found.devices[1:]] == [
        ("m", "malloc", None, False),
        ("n", "null", None, False),
        ("r", "Raid 0", None, False),
    ]
    assert (found.lvols, found.uuids) == ({}, dict.fromkeys(["disk", "m", "n", "r"], DISK))


def test_an_lvol_is_joined_from_two_answers() -> None:
    """Guards that size, limits, clones and claims come with the lvol whose uuid they carry."""
    snapshot = {"lvol": {"thin_provision": False, "clones": ["a", "b"]}}
    read_only = raw_bdev(DISK, "Logical Volume", supported_io_types={"write": False}, driver_specific=snapshot)
    known = model.bdevs([RAW_LVOL_BDEV, read_only | {"claimed": True}])
    listed = model.listed_lvols([RAW_LVOL, RAW_LVOL | {"uuid": DISK, "name": "snap", "is_snapshot": True}])
    lvol, snap = model.lvols(listed, known)
    assert lvol == Lvol("pool", "db", LVOL, 4 << 20, thin=True)
    assert lvol.limits == QosLimits(iops=5000, read_mbps=1, write_mbps=2, total_mbps=3)
    assert (lvol.read_only, lvol.snapshot, lvol.clones, lvol.claimed, lvol.allocated_clusters) == (
        False,
        False,
        (),
        False,
        7,
    )
    assert (snap.read_only, snap.snapshot, snap.clones, snap.claimed) == (True, True, ("a", "b"), True)


def test_an_lvol_without_its_bdev_has_no_size() -> None:
    """Guards that a degraded or half-loaded lvol is there and of unknown size, neither absent nor empty."""
    assert model.lvols(model.listed_lvols([RAW_LVOL]), model.bdevs([])) == (Lvol("pool", "db", LVOL, None, thin=True),)


def test_stores_and_transports() -> None:
    """Guards the fields of stores, and that a transport's type is written one way."""
    (store,) = model.lvol_stores([RAW_STORE])
    assert store == LvolStore("pool", "disk", STORE, 1 << 20)
    assert (store.total_clusters, store.free_clusters) == (63, 60)
    assert model.transports([RAW_TRANSPORT]) == (Transport("TCP", 128, 127, 4096, 131072, 128, 1, True, False),)  # noqa: FBT003  # in the order of the fields


def test_a_subsystem_and_what_it_contains() -> None:
    """Guards that all that a subsystem contains are objects of their own; SPDK's discovery is where it listens."""
    listening = RAW_DISCOVERY | {"listen_addresses": [RAW_ADDRESS]}
    assert model.subsystems([listening, RAW_SUBSYSTEM]) == (
        Listener(DISCOVERY, "TCP", "127.0.0.2", 4420),
        Subsystem(NQN, "S1", "M1", 32, 1, 65519),
        AllowedHost(NQN, "nqn.h"),
        Namespace(NQN, 1, LVOL, LVOL, "A" * 32),
        Listener(NQN, "TCP", "127.0.0.2", 4420),
    )


def test_a_listener_without_a_port_is_there() -> None:
    """Guards that somebody's listener on a transport that has no ports does not make the whole list unreadable."""
    local = {"trtype": "VFIOUSER", "adrfam": "IPv4", "traddr": "/run/v", "trsvcid": ""}
    found = model.subsystems([RAW_SUBSYSTEM | {"listen_addresses": [local]}])
    assert found[-1] == Listener(NQN, "VFIOUSER", "/run/v", 0)


def test_a_namespace_goes_by_its_bdevs_uuid() -> None:
    """Guards that a namespace on a device is matched by the device's uuid; where that is unknown, its name stays."""
    objects = (Namespace(NQN, 1, "disk"), Namespace(NQN, 2, LVOL), Namespace(NQN, 3, "gone"), Subsystem(NQN))
    named = model.by_uuid(objects, {"disk": DISK, LVOL: LVOL})
    assert named == (Namespace(NQN, 1, DISK), *objects[1:])


def test_connected_hosts_with_the_listeners_they_came_through() -> None:
    """Guards that a host counts as connected also before its first queue pair, and one with queue pairs alone."""
    controllers: list[Any] = [{"cntlid": 1, "hostnqn": "nqn.idle"}, {"cntlid": 2, "hostnqn": "nqn.busy"}]
    qpairs: list[Any] = [{"hostnqn": "nqn.busy", "listen_address": RAW_ADDRESS} for _ in range(2)]
    late: Raw = {"hostnqn": "nqn.late", "listen_address": RAW_ADDRESS | {"trsvcid": "4421"}}
    other: Raw = {"hostnqn": "nqn.busy", "listen_address": RAW_ADDRESS | {"traddr": "127.0.0.3"}}
    assert model.connections(NQN, controllers, [*qpairs, late, other]) == {
        "nqn.idle": frozenset(),
        "nqn.busy": {f"{NQN}#TCP:127.0.0.2:4420", f"{NQN}#TCP:127.0.0.3:4420"},
        "nqn.late": {f"{NQN}#TCP:127.0.0.2:4421"},
    }


def test_process_version_and_news() -> None:
    """Guards the small answers by which one life of a target is told from another."""
    assert model.pid({"tick_rate": 1, "pid": 4565, "reactors": []}) == 4565
    assert model.version({"version": "SPDK v26.05", "fields": {}}) == "SPDK v26.05"
    assert model.newest_notification([{"type": "bdev_register", "ctx": "x", "id": id_} for id_ in (4, 6, 5)]) == 6
    assert model.newest_notification([]) is None


# --- what is not as documented

PARSERS: dict[str, Callable[[Any], object]] = {
    "bdev_get_bdevs": model.bdevs,
    "bdev_lvol_get_lvstores": model.lvol_stores,
    "bdev_lvol_get_lvols": model.listed_lvols,
    "nvmf_get_transports": model.transports,
    "nvmf_get_subsystems": model.subsystems,
    "nvmf_subsystem_get_controllers": lambda answer: model.connections(NQN, answer, []),
    "nvmf_subsystem_get_qpairs": lambda answer: model.connections(NQN, [], answer),
    "notify_get_notifications": model.newest_notification,
    "framework_get_reactors": model.pid,
    "spdk_get_version": model.version,
}
COMPOSED = [
    ("bdev_get_bdevs", [RAW_AIO, RAW_LVOL_BDEV]),
    ("bdev_lvol_get_lvstores", [RAW_STORE]),
    ("bdev_lvol_get_lvols", [RAW_LVOL]),
    ("nvmf_get_transports", [RAW_TRANSPORT]),
    ("nvmf_get_subsystems", [RAW_DISCOVERY, RAW_SUBSYSTEM]),
    ("nvmf_subsystem_get_controllers", [{"hostnqn": "nqn.h"}]),
    ("nvmf_subsystem_get_qpairs", [{"hostnqn": "nqn.h", "listen_address": RAW_ADDRESS}]),
    ("notify_get_notifications", [{"type": "bdev_register", "ctx": "x", "id": 4}]),
]
OTHER_TYPES: Sequence[Any] = (None, True, 7, 1.5, "text", [], ["text"], {}, {"name": "text"})


def _recorded() -> Iterator[tuple[str, Any]]:
    """What a live target answered."""
    for path in sorted(TRANSCRIPTS.glob("*.jsonl")):
        for entry in map(json.loads, path.read_text().splitlines()):
            if entry.get("method") in PARSERS and "result" in (entry.get("response") or {}):
                yield entry["method"], entry["response"]["result"]


RECORDED = list(_recorded())
FULL = [(method, answer) for method, answer in RECORDED if answer] + COMPOSED


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for key, child in inner:
        yield from _places(child, (*path, key))


def _identities(parsed: object) -> object:
    """Which objects an answer told of."""
    if isinstance(parsed, model.Bdevs):
        return [device.key for device in parsed.devices], list(parsed.lvols), dict(parsed.uuids)
    if isinstance(parsed, tuple):
        return [thing.uuid if isinstance(thing, model.ListedLvol) else thing.key for thing in parsed]
    return parsed


def test_whatever_a_live_target_answered_is_read() -> None:
    """Guards that every recorded answer has the shape that we expect, with an object for each entry."""
    for method, answer in RECORDED:
        parsed = PARSERS[method](answer)
        if isinstance(parsed, model.Bdevs):
            assert len(parsed.devices) + len(parsed.lvols) == len(answer)
        elif method in ("bdev_lvol_get_lvols", "bdev_lvol_get_lvstores", "nvmf_get_transports"):
            assert isinstance(parsed, tuple)
            assert len(parsed) == len(answer)
    assert {method for method, _ in RECORDED} == set(PARSERS)


@pytest.mark.parametrize("method", PARSERS)
@pytest.mark.parametrize("answer", [None, True, 0, "", "[]", 1.5, {}, {"result": []}, [None], [[]], [7], ["x"], [{}]])
def test_another_shape_is_malformed(method: str, answer: Any) -> None:
    """Guards that no answer of another shape is taken for an empty list, and that the method is named."""
    with pytest.raises(Malformed, match=r"^(nvmf|bdev|framework|spdk|notify)_[a-z_]+: the answer has an unexpected"):
        PARSERS[method](answer)


@given(st.data())
def test_one_wrong_value_never_makes_an_object_disappear(data: st.DataObject) -> None:
    """Guards that a value of another type anywhere in an answer is Malformed, or changes nothing that is there."""
    method, answer = data.draw(st.sampled_from(FULL))
    path = data.draw(st.sampled_from([path for path in _places(answer) if path]))
    wrong = copy.deepcopy(answer)
    holder = wrong
    for key in path[:-1]:
        holder = holder[key]
    before = holder[path[-1]]
    holder[path[-1]] = data.draw(st.sampled_from([other for other in OTHER_TYPES if type(other) is not type(before)]))
    try:
        parsed = PARSERS[method](wrong)
    except Malformed:
        return
    assert _identities(parsed) == _identities(PARSERS[method](answer))


@given(st.data())
def test_one_missing_field_never_makes_an_object_disappear(data: st.DataObject) -> None:
    """Guards that a field that is not there is Malformed, or one that nobody needs."""
    method, answer = data.draw(st.sampled_from(FULL))
    path = data.draw(st.sampled_from([path for path in _places(answer) if path and isinstance(path[-1], str)]))
    lacking = copy.deepcopy(answer)
    holder = lacking
    for key in path[:-1]:
        holder = holder[key]
    del holder[path[-1]]
    try:
        parsed = PARSERS[method](lacking)
    except Malformed:
        return
    assert _identities(parsed) == _identities(PARSERS[method](answer))


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("bdev_get_bdevs", [RAW_AIO | {"claimed": None}]),
        ("bdev_get_bdevs", [RAW_AIO | {"claimed": 0}]),
        ("bdev_get_bdevs", [RAW_AIO | {"num_blocks": True}]),
        ("bdev_get_bdevs", [RAW_AIO | {"num_blocks": "16384"}]),
        ("bdev_get_bdevs", [RAW_AIO | {"driver_specific": {}}]),
        ("bdev_get_bdevs", [RAW_AIO | {"assigned_rate_limits": None}]),
        ("bdev_get_bdevs", [RAW_LVOL_BDEV | {"driver_specific": {"lvol": {"clones": None}}}]),
        ("bdev_get_bdevs", [RAW_LVOL_BDEV | {"driver_specific": {"lvol": {"clones": [1]}}}]),
        ("bdev_get_bdevs", [RAW_LVOL_BDEV | {"supported_io_types": {}}]),
        ("bdev_lvol_get_lvols", [RAW_LVOL | {"is_thin_provisioned": None}]),
        ("nvmf_get_subsystems", [RAW_SUBSYSTEM | {"hosts": None}]),
        ("nvmf_get_subsystems", [RAW_SUBSYSTEM | {"hosts": {}}]),
        ("nvmf_get_subsystems", [RAW_SUBSYSTEM | {"namespaces": None}]),
        ("nvmf_get_subsystems", [RAW_SUBSYSTEM | {"allow_any_host": None}]),
        ("nvmf_get_subsystems", [RAW_SUBSYSTEM | {"subtype": "Discovery2"}]),
        ("nvmf_get_subsystems", [RAW_SUBSYSTEM | {"subtype": None}]),
        ("nvmf_subsystem_get_qpairs", [{"hostnqn": "nqn.h", "listen_address": None}]),
    ],
)
def test_what_would_read_as_less_is_malformed(method: str, answer: Any) -> None:
    """Guards the values that a loose reader takes for no: unclaimed, no clones, no hosts, not any host, no limits."""
    with pytest.raises(Malformed):
        PARSERS[method](answer)
