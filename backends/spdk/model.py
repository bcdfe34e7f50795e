"""SPDK's answers → live objects. Pure; anything of an unexpected shape raises Malformed, it is never read as absent.

Types are checked, too: a null flag is not false, and an object where a list belongs is not an empty list.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from backends.contract import (
    AllowedHost,
    Bdev,
    Listener,
    LiveObject,
    Lvol,
    LvolStore,
    Namespace,
    QosLimits,
    Subsystem,
    Terminal,
    Transport,
)
from schemas.resources import Json

DRIVERS = {"AIO disk": "aio", "Malloc disk": "malloc", "Null disk": "null", "Logical Volume": "lvol"}
NO_LIMITS = QosLimits()

T = TypeVar("T")
Raw: TypeAlias = "Mapping[str, Any]"


class Malformed(Terminal):
    """An answer does not have the shape that SPDK documents."""


@dataclass(frozen=True, slots=True)
class LvolBdev:
    """What `bdev_get_bdevs` knows of an lvol; `bdev_lvol_get_lvols` knows the rest."""

    size: int
    read_only: bool
    claimed: bool
    clones: tuple[str, ...]
    limits: QosLimits


@dataclass(frozen=True, slots=True)
class ListedLvol:
    """What `bdev_lvol_get_lvols` knows of an lvol."""

    store: str
    name: str
    uuid: str
    thin: bool
    snapshot: bool
    allocated_clusters: int


@dataclass(frozen=True, slots=True)
class Bdevs:
    """All bdevs: base devices as objects, lvols by uuid, and the uuid of each by name."""

    devices: tuple[Bdev, ...]
    lvols: Mapping[str, LvolBdev]
    uuids: Mapping[str, str]


def bdevs(answer: Json) -> Bdevs:
    devices: list[Bdev] = []
    lvols: dict[str, LvolBdev] = {}
    uuids: dict[str, str] = {}
    with _shape("bdev_get_bdevs"):
        for raw in _objects(answer):
            product, uuid = _text(raw, "product_name"), _text(raw, "uuid")
            uuids[_text(raw, "name")] = uuid
            driver = DRIVERS.get(product, product)
            if driver == "lvol":
                lvols[uuid] = _lvol_bdev(raw)
            else:
                devices.append(_device(raw, driver))
    return Bdevs(tuple(devices), lvols, uuids)


def _device(raw: Raw, driver: str) -> Bdev:
    aio = _object(_object(raw["driver_specific"])["aio"]) if driver == "aio" else {}
    return Bdev(
        name=_text(raw, "name"),
        driver=driver,
        uuid=_text(raw, "uuid"),
        size=_size(raw),
        block_size=_number(raw, "block_size"),
        path=_text(aio, "filename") if aio else None,
        fallocate=_flag(aio, "fallocate") if "fallocate" in aio else None,
        claimed=_flag(raw, "claimed"),
        limits=_limits(raw),
    )


def _lvol_bdev(raw: Raw) -> LvolBdev:
    clones = _object(_object(raw["driver_specific"])["lvol"]).get("clones", [])
    return LvolBdev(
        size=_size(raw),
        read_only=not _flag(_object(raw["supported_io_types"]), "write"),
        claimed=_flag(raw, "claimed"),
        clones=tuple(_typed(name, str) for name in _list(clones)),
        limits=_limits(raw),
    )


def _size(raw: Raw) -> int:
    return _number(raw, "num_blocks") * _number(raw, "block_size")


def _limits(raw: Raw) -> QosLimits:
    assigned = _object(raw["assigned_rate_limits"])
    limits = QosLimits(
        _number(assigned, "rw_ios_per_sec"),
        _number(assigned, "r_mbytes_per_sec"),
        _number(assigned, "w_mbytes_per_sec"),
        _number(assigned, "rw_mbytes_per_sec"),
    )
    return NO_LIMITS if limits == NO_LIMITS else limits


def lvol_stores(answer: Json) -> tuple[LvolStore, ...]:
    with _shape("bdev_lvol_get_lvstores"):
        return tuple(
            LvolStore(
                name=_text(raw, "name"),
                bdev=_text(raw, "base_bdev"),
                uuid=_text(raw, "uuid"),
                cluster_size=_number(raw, "cluster_size"),
                total_clusters=_number(raw, "total_data_clusters"),
                free_clusters=_number(raw, "free_clusters"),
            )
            for raw in _objects(answer)
        )


def listed_lvols(answer: Json) -> tuple[ListedLvol, ...]:
    with _shape("bdev_lvol_get_lvols"):
        return tuple(
            ListedLvol(
                store=_text(_object(raw["lvs"]), "name"),
                name=_text(raw, "name"),
                uuid=_text(raw, "uuid"),
                thin=_flag(raw, "is_thin_provisioned"),
                snapshot=_flag(raw, "is_snapshot"),
                allocated_clusters=_number(raw, "num_allocated_clusters"),
            )
            for raw in _objects(answer)
        )


def lvols(listed: Iterable[ListedLvol], known: Bdevs) -> tuple[Lvol, ...]:
    """Both answers about each lvol of a store joined; one whose bdev is not there (yet) has no size."""
    return tuple(_lvol(lvol, known.lvols.get(lvol.uuid)) for lvol in listed)


def _lvol(lvol: ListedLvol, bdev: LvolBdev | None) -> Lvol:
    return Lvol(
        store=lvol.store,
        name=lvol.name,
        uuid=lvol.uuid,
        size=bdev.size if bdev else None,
        thin=lvol.thin,
        read_only=bdev.read_only if bdev else False,
        snapshot=lvol.snapshot,
        clones=bdev.clones if bdev else (),
        claimed=bdev.claimed if bdev else False,
        allocated_clusters=lvol.allocated_clusters,
        limits=bdev.limits if bdev else None,
    )


def transports(answer: Json) -> tuple[Transport, ...]:
    with _shape("nvmf_get_transports"):
        return tuple(
            Transport(
                type=_text(raw, "trtype").upper(),
                max_queue_depth=_number(raw, "max_queue_depth"),
                max_io_qpairs_per_ctrlr=_number(raw, "max_io_qpairs_per_ctrlr"),
                in_capsule_data_size=_number(raw, "in_capsule_data_size"),
                max_io_size=_number(raw, "max_io_size"),
            )
            for raw in _objects(answer)
        )


def subsystems(answer: Json) -> tuple[LiveObject, ...]:
    """Subsystems with what they contain, namespaces by their bdev's name; SPDK's own discovery one is left out."""
    found: list[LiveObject] = []
    with _shape("nvmf_get_subsystems"):
        for raw in _objects(answer):
            match raw["subtype"]:
                case "NVMe":
                    found += _subsystem(raw)
                case "Discovery":
                    pass
                case other:
                    raise ValueError(f"subtype {other!r}")
    return tuple(found)


def _subsystem(raw: Raw) -> Iterator[LiveObject]:
    nqn = _text(raw, "nqn")
    yield Subsystem(
        nqn=nqn,
        serial_number=_text(raw, "serial_number"),
        model_number=_text(raw, "model_number"),
        max_namespaces=_number(raw, "max_namespaces"),
        min_cntlid=_number(raw, "min_cntlid"),
        max_cntlid=_number(raw, "max_cntlid"),
        allow_any_host=_flag(raw, "allow_any_host"),
    )
    for host in _objects(raw["hosts"]):
        yield AllowedHost(nqn, _text(host, "nqn"))
    for ns in _objects(raw["namespaces"]):
        uuid, nguid = ns.get("uuid"), ns.get("nguid")
        yield Namespace(
            nqn,
            _number(ns, "nsid"),
            _text(ns, "bdev_name"),
            None if uuid is None else _typed(uuid, str),
            None if nguid is None else _typed(nguid, str),
        )
    for address in _objects(raw["listen_addresses"]):
        yield _listener(nqn, address)


def by_uuid(things: Iterable[LiveObject], uuids: Mapping[str, str]) -> tuple[LiveObject, ...]:
    """The same with the bdev of each namespace by its uuid, where that is known (the name of an lvol is its uuid)."""

    def named(thing: LiveObject) -> LiveObject:
        if not isinstance(thing, Namespace):
            return thing
        uuid = uuids.get(thing.bdev, thing.bdev)
        return thing if uuid == thing.bdev else dataclasses.replace(thing, bdev=uuid)

    return tuple(map(named, things))


def _listener(nqn: str, address: Raw) -> Listener:
    service = _text(address, "trsvcid")
    port = int(service) if service.isdecimal() else 0  # not every transport has ports
    return Listener(nqn, _text(address, "trtype").upper(), _text(address, "traddr"), port)


def connections(nqn: str, controllers: Json, qpairs: Json) -> Mapping[str, frozenset[str]]:
    """Connected host NQNs, each with the listeners its queue pairs came through."""
    with _shape("nvmf_subsystem_get_qpairs"):
        found: dict[str, frozenset[str]] = {_text(raw, "hostnqn"): frozenset() for raw in _objects(controllers)}
        for raw in _objects(qpairs):
            host, name = _text(raw, "hostnqn"), _listener(nqn, _object(raw["listen_address"])).key.name
            found[host] = found.get(host, frozenset()) | {name}
    return found


def pid(answer: Json) -> int:
    with _shape("framework_get_reactors"):
        return _number(_object(answer), "pid")


def version(answer: Json) -> str:
    with _shape("spdk_get_version"):
        return _text(_object(answer), "version")


def newest_notification(answer: Json) -> int | None:
    """The id of the last notification in an answer; None when there is none."""
    with _shape("notify_get_notifications"):
        return max((_number(raw, "id") for raw in _objects(answer)), default=None)


class _shape:  # noqa: N801  # reads as what it is: `with _shape("method"):`
    def __init__(self, method: str) -> None:
        self._method = method

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, (KeyError, TypeError, ValueError)):
            raise Malformed(f"{self._method}: the answer has an unexpected shape ({error!r})") from error


def _typed(value: object, kind: type[T]) -> T:
    if type(value) is not kind:
        raise TypeError(f"{value!r:.60} is no {kind.__name__}")
    return value


def _text(raw: Raw, name: str) -> str:
    return _typed(raw[name], str)


def _number(raw: Raw, name: str) -> int:
    return _typed(raw[name], int)


def _flag(raw: Raw, name: str) -> bool:
    return _typed(raw[name], bool)


def _object(value: object) -> Raw:
    return _typed(value, dict)


def _list(value: object) -> Sequence[object]:
    return _typed(value, list)


def _objects(value: object) -> Iterator[Raw]:
    return map(_object, _list(value))
