"""SPDK's answers → live objects. Pure; anything of an unexpected shape raises Malformed, it is never read as absent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
        for raw in _list(answer):
            uuids[raw["name"]] = raw["uuid"]
            driver = DRIVERS.get(raw["product_name"], raw["product_name"])
            if driver == "lvol":
                lvols[raw["uuid"]] = _lvol_bdev(raw)
            else:
                devices.append(_device(raw, driver))
    return Bdevs(tuple(devices), lvols, uuids)


def _device(raw: Mapping[str, Any], driver: str) -> Bdev:
    aio = raw.get("driver_specific", {}).get("aio", {})
    return Bdev(
        name=raw["name"],
        driver=driver,
        uuid=raw["uuid"],
        size=raw["num_blocks"] * raw["block_size"],
        block_size=raw["block_size"],
        path=aio.get("filename"),
        fallocate=aio.get("fallocate"),
        claimed=raw["claimed"],
        limits=_limits(raw),
    )


def _lvol_bdev(raw: Mapping[str, Any]) -> LvolBdev:
    return LvolBdev(
        size=raw["num_blocks"] * raw["block_size"],
        read_only=not raw["supported_io_types"]["write"],
        claimed=raw["claimed"],
        clones=tuple(raw["driver_specific"]["lvol"].get("clones", ())),
        limits=_limits(raw),
    )


def _limits(raw: Mapping[str, Any]) -> QosLimits:
    assigned = raw["assigned_rate_limits"]
    limits = QosLimits(
        assigned["rw_ios_per_sec"],
        assigned["r_mbytes_per_sec"],
        assigned["w_mbytes_per_sec"],
        assigned["rw_mbytes_per_sec"],
    )
    return NO_LIMITS if limits == NO_LIMITS else limits


def lvol_stores(answer: Json) -> tuple[LvolStore, ...]:
    with _shape("bdev_lvol_get_lvstores"):
        return tuple(
            LvolStore(
                name=raw["name"],
                bdev=raw["base_bdev"],
                uuid=raw["uuid"],
                cluster_size=raw["cluster_size"],
                total_clusters=raw["total_data_clusters"],
                free_clusters=raw["free_clusters"],
            )
            for raw in _list(answer)
        )


def lvols(answer: Json, known: Bdevs) -> tuple[Lvol, ...]:
    """Every lvol of a store; one whose bdev is not there (yet) has no size."""
    with _shape("bdev_lvol_get_lvols"):
        return tuple(_lvol(raw, known.lvols.get(raw["uuid"])) for raw in _list(answer))


def _lvol(raw: Mapping[str, Any], bdev: LvolBdev | None) -> Lvol:
    return Lvol(
        store=raw["lvs"]["name"],
        name=raw["name"],
        uuid=raw["uuid"],
        size=bdev.size if bdev else None,
        thin=raw["is_thin_provisioned"],
        read_only=bdev.read_only if bdev else False,
        snapshot=raw["is_snapshot"],
        clones=bdev.clones if bdev else (),
        claimed=bdev.claimed if bdev else False,
        allocated_clusters=raw["num_allocated_clusters"],
        limits=bdev.limits if bdev else None,
    )


def transports(answer: Json) -> tuple[Transport, ...]:
    with _shape("nvmf_get_transports"):
        return tuple(
            Transport(
                type=raw["trtype"].upper(),
                max_queue_depth=raw["max_queue_depth"],
                max_io_qpairs_per_ctrlr=raw["max_io_qpairs_per_ctrlr"],
                in_capsule_data_size=raw["in_capsule_data_size"],
                max_io_size=raw["max_io_size"],
            )
            for raw in _list(answer)
        )


def subsystems(answer: Json, uuids: Mapping[str, str]) -> tuple[LiveObject, ...]:
    """Subsystems with what they contain; the discovery subsystem is SPDK's own and left out."""
    found: list[LiveObject] = []
    with _shape("nvmf_get_subsystems"):
        for raw in _list(answer):
            if raw["subtype"] == "NVMe":
                found += _subsystem(raw, uuids)
    return tuple(found)


def _subsystem(raw: Mapping[str, Any], uuids: Mapping[str, str]) -> Iterator[LiveObject]:
    nqn = raw["nqn"]
    yield Subsystem(
        nqn=nqn,
        serial_number=raw["serial_number"],
        model_number=raw["model_number"],
        max_namespaces=raw["max_namespaces"],
        min_cntlid=raw["min_cntlid"],
        max_cntlid=raw["max_cntlid"],
        allow_any_host=raw["allow_any_host"],
    )
    for host in raw["hosts"]:
        yield AllowedHost(nqn, host["nqn"])
    for ns in raw["namespaces"]:
        bdev = uuids.get(ns["bdev_name"], ns["bdev_name"])
        yield Namespace(nqn, ns["nsid"], bdev, ns.get("uuid"), ns.get("nguid"))
    for address in raw["listen_addresses"]:
        yield listener(nqn, address)


def listener(nqn: str, address: Mapping[str, Any]) -> Listener:
    return Listener(nqn, address["trtype"].upper(), address["traddr"], int(address["trsvcid"]))


def connections(nqn: str, controllers: Json, qpairs: Json) -> Mapping[str, frozenset[str]]:
    """Connected host NQNs, each with the listeners its queue pairs came through."""
    with _shape("nvmf_subsystem_get_qpairs"):
        found: dict[str, frozenset[str]] = {raw["hostnqn"]: frozenset() for raw in _list(controllers)}
        for raw in _list(qpairs):
            name = listener(nqn, raw["listen_address"]).key.name
            found[raw["hostnqn"]] = found.get(raw["hostnqn"], frozenset()) | {name}
    return found


def pid(answer: Json) -> int | None:
    with _shape("framework_get_reactors"):
        return int(_dict(answer)["pid"])


def version(answer: Json) -> str:
    with _shape("spdk_get_version"):
        return str(_dict(answer)["version"])


def newest_notification(answer: Json) -> int | None:
    """The id of the last notification in an answer; None when there is none."""
    with _shape("notify_get_notifications"):
        return max((int(raw["id"]) for raw in _list(answer)), default=None)


class _shape:  # noqa: N801  # reads as what it is: `with _shape("method"):`
    def __init__(self, method: str) -> None:
        self._method = method

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, (KeyError, TypeError, ValueError, IndexError, AttributeError)):
            raise Malformed(f"{self._method}: the answer has an unexpected shape ({error!r})") from error


def _list(answer: Json) -> Sequence[Mapping[str, Any]]:
    if not isinstance(answer, list):
        raise TypeError("not a list")
    return answer  # type: ignore[return-value]  # items are checked by use


def _dict(answer: Json) -> Mapping[str, Any]:
    if not isinstance(answer, dict):
        raise TypeError("not an object")
    return answer
