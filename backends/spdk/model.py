"""SPDK's answers → live objects. Pure; anything of an unexpected shape raises Malformed, it is never read as absent.

Types are checked, too: a null flag is not false, and an object where a list belongs is not an empty list.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from backends.objects import (
    AllowedHost,
    Bdev,
    Listener,
    LiveObject,
    Lvol,
    LvolStore,
    Namespace,
    QosLimits,
    Subsystem,
    Transport,
)
from backends.spdk import stacks
from backends.spdk.shape import Raw, flag, items, mapping, number, objects, optional, shape, text, typed
from schemas.resources import Json
from schemas.values import value

DRIVERS = {
    "AIO disk": "aio",
    "Malloc disk": "malloc",
    "Null disk": "null",
    "Logical Volume": "lvol",
    "URING bdev": "uring",
    "NVMe disk": "nvme",
    "Raid Volume": "raid",
    "crypto": "crypto",
    "passthru": "passthru",
    "delay": "delay",
}
NO_LIMITS = QosLimits()


@value(frozen=True, slots=True)
class LvolBdev:
    """What `bdev_get_bdevs` knows of an lvol; `bdev_lvol_get_lvols` knows the rest."""

    size: int
    read_only: bool
    claimed: bool
    clones: tuple[str, ...]
    parent: str | None
    image: str | None
    limits: QosLimits
    thin: bool


@value(frozen=True, slots=True)
class ListedLvol:
    """What `bdev_lvol_get_lvols` knows of an lvol."""

    store: str
    name: str
    uuid: str
    thin: bool
    degraded: bool
    snapshot: bool
    allocated_clusters: int


@dataclass(frozen=True, slots=True)
class Bdevs:
    """All bdevs: base devices as objects, lvols by uuid, and the uuid of each by name."""

    devices: tuple[Bdev, ...]
    lvols: Mapping[str, LvolBdev]
    uuids: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """One bdev: a base device as an object, or what is known of an lvol."""

    name: str
    uuid: str
    found: Bdev | LvolBdev


def bdevs(answer: Json) -> Bdevs:
    with shape("bdev_get_bdevs"):
        return collected(map(bdev, objects(answer)))


def collected(entries: Iterable[Entry]) -> Bdevs:
    devices: list[Bdev] = []
    lvols: dict[str, LvolBdev] = {}
    uuids: dict[str, str] = {}
    for entry in entries:
        uuids[entry.name] = entry.uuid
        if isinstance(entry.found, LvolBdev):
            lvols[entry.uuid] = entry.found
        else:
            devices.append(entry.found)
    return Bdevs(tuple(devices), lvols, uuids)


def bdev(raw: Raw) -> Entry:
    """One element of `bdev_get_bdevs`."""
    product = text(raw, "product_name")
    driver = DRIVERS.get(product, product)
    found = _lvol_bdev(raw) if driver == "lvol" else _device(raw, driver)
    return Entry(text(raw, "name"), text(raw, "uuid"), found)


def _device(raw: Raw, driver: str) -> Bdev:
    return Bdev(
        name=text(raw, "name"),
        driver=driver,
        uuid=text(raw, "uuid"),
        size=_size(raw),
        block_size=number(raw, "block_size"),
        claimed=flag(raw, "claimed"),
        limits=_limits(raw),
        **stacks.details(driver, raw.get("driver_specific", {}), number(raw, "block_size")),
    )


def _lvol_bdev(raw: Raw) -> LvolBdev:
    about = mapping(mapping(raw["driver_specific"])["lvol"])
    return LvolBdev(
        size=_size(raw),
        read_only=not flag(mapping(raw["supported_io_types"]), "write"),
        claimed=flag(raw, "claimed"),
        clones=tuple(typed(name, str) for name in items(about.get("clones", []))),
        parent=text(about, "base_snapshot") if "base_snapshot" in about else None,
        image=text(about, "external_snapshot_name") if "external_snapshot_name" in about else None,
        limits=_limits(raw),
        thin=flag(about, "thin_provision"),
    )


def _size(raw: Raw) -> int:
    return number(raw, "num_blocks") * number(raw, "block_size")


def _limits(raw: Raw) -> QosLimits:
    assigned = mapping(raw["assigned_rate_limits"])
    limits = QosLimits(
        number(assigned, "rw_ios_per_sec"),
        number(assigned, "r_mbytes_per_sec"),
        number(assigned, "w_mbytes_per_sec"),
        number(assigned, "rw_mbytes_per_sec"),
    )
    return NO_LIMITS if limits == NO_LIMITS else limits


def lvol_stores(answer: Json) -> tuple[LvolStore, ...]:
    with shape("bdev_lvol_get_lvstores"):
        return tuple(
            LvolStore(
                name=text(raw, "name"),
                bdev=text(raw, "base_bdev"),
                uuid=text(raw, "uuid"),
                cluster_size=number(raw, "cluster_size"),
                total_clusters=number(raw, "total_data_clusters"),
                free_clusters=number(raw, "free_clusters"),
                max_size=number(raw, "max_growable_size") if "max_growable_size" in raw else None,
            )
            for raw in objects(answer)
        )


def listed_lvols(answer: Json) -> tuple[ListedLvol, ...]:
    with shape("bdev_lvol_get_lvols"):
        return tuple(map(listed_lvol, objects(answer)))


def listed_lvol(raw: Raw) -> ListedLvol:
    """One element of `bdev_lvol_get_lvols`."""
    return ListedLvol(
        store=text(mapping(raw["lvs"]), "name"),
        name=text(raw, "name"),
        uuid=text(raw, "uuid"),
        thin=flag(raw, "is_thin_provisioned"),
        degraded=flag(raw, "is_degraded"),
        snapshot=flag(raw, "is_snapshot"),
        allocated_clusters=number(raw, "num_allocated_clusters"),
    )


def lvols(listed: Iterable[ListedLvol], known: Bdevs) -> tuple[Lvol, ...]:
    """Both answers about each lvol of a store joined; one whose bdev is not there (yet) has no size."""
    return tuple(lvol(each, known.lvols.get(each.uuid)) for each in listed)


def lvol(lvol: ListedLvol, bdev: LvolBdev | None) -> Lvol:
    """Both answers about one lvol joined."""
    return Lvol(
        store=lvol.store,
        name=lvol.name,
        uuid=lvol.uuid,
        size=bdev.size if bdev else None,
        thin=lvol.thin,
        image=bdev.image if bdev else None,
        read_only=bdev.read_only if bdev else False,
        parent=bdev.parent if bdev else None,
        degraded=lvol.degraded,
        snapshot=lvol.snapshot,
        clones=bdev.clones if bdev else (),
        claimed=bdev.claimed if bdev else False,
        allocated_clusters=lvol.allocated_clusters,
        limits=bdev.limits if bdev else None,
    )


def transports(answer: Json) -> tuple[Transport, ...]:
    with shape("nvmf_get_transports"):
        return tuple(
            Transport(
                type=text(raw, "trtype").upper(),
                max_queue_depth=number(raw, "max_queue_depth"),
                max_io_qpairs_per_ctrlr=number(raw, "max_io_qpairs_per_ctrlr"),
                in_capsule_data_size=number(raw, "in_capsule_data_size"),
                max_io_size=number(raw, "max_io_size"),
                max_aq_depth=optional(raw, "max_aq_depth", int),
                abort_timeout_sec=optional(raw, "abort_timeout_sec", int),
                c2h_success=optional(raw, "c2h_success", bool),
                zcopy=optional(raw, "zcopy", bool),
            )
            for raw in objects(answer)
        )


def subsystems(answer: Json) -> tuple[LiveObject, ...]:
    """Subsystems with what they contain, namespaces by their bdev's name.

    The discovery subsystem is SPDK's own: of that, only where it listens.
    """
    with shape("nvmf_get_subsystems"):
        return tuple(thing for raw in objects(answer) for thing in subsystem(raw))


def subsystem(raw: Raw) -> tuple[LiveObject, ...]:
    """One element of `nvmf_get_subsystems`."""
    match raw["subtype"]:
        case "NVMe":
            return tuple(_subsystem(raw))
        case "Discovery":
            return tuple(listener(text(raw, "nqn"), address) for address in objects(raw["listen_addresses"]))
        case other:
            raise ValueError(f"subtype {other!r}")


def _subsystem(raw: Raw) -> Iterator[LiveObject]:
    nqn = text(raw, "nqn")
    yield Subsystem(
        nqn=nqn,
        serial_number=text(raw, "serial_number"),
        model_number=text(raw, "model_number"),
        max_namespaces=number(raw, "max_namespaces"),
        min_cntlid=number(raw, "min_cntlid"),
        max_cntlid=number(raw, "max_cntlid"),
        allow_any_host=flag(raw, "allow_any_host"),
    )
    for host in objects(raw["hosts"]):
        keys = host.get("dhchap_key", ""), host.get("dhchap_ctrlr_key", "")
        yield AllowedHost(nqn, text(host, "nqn"), *(typed(key, str) for key in keys))
    for ns in objects(raw["namespaces"]):
        uuid, nguid = ns.get("uuid"), ns.get("nguid")
        yield Namespace(
            nqn,
            number(ns, "nsid"),
            text(ns, "bdev_name"),
            None if uuid is None else typed(uuid, str),
            None if nguid is None else typed(nguid, str),
            anagrpid=optional(ns, "anagrpid", int),
        )
    for address in objects(raw["listen_addresses"]):
        yield listener(nqn, address)


def by_uuid(things: Iterable[LiveObject], uuids: Mapping[str, str]) -> tuple[LiveObject, ...]:
    """The same with the bdev of each namespace by its uuid, where that is known (the name of an lvol is its uuid)."""

    def named(thing: LiveObject) -> LiveObject:
        if not isinstance(thing, Namespace):
            return thing
        uuid = uuids.get(thing.bdev, thing.bdev)
        return thing if uuid == thing.bdev else dataclasses.replace(thing, bdev=uuid)

    return tuple(map(named, things))


def listener(nqn: str, address: Raw) -> Listener:
    """A listener from its address alone."""
    service = text(address, "trsvcid")
    port = int(service) if service.isdecimal() else 0  # not every transport has ports
    return Listener(nqn, text(address, "trtype").upper(), text(address, "traddr"), port)


def connections(nqn: str, controllers: Json, qpairs: Json) -> Mapping[str, frozenset[str]]:
    """Connected host NQNs, each with the listeners its queue pairs came through."""
    with shape("nvmf_subsystem_get_qpairs"):
        found: dict[str, frozenset[str]] = {text(raw, "hostnqn"): frozenset() for raw in objects(controllers)}
        for raw in objects(qpairs):
            host, name = text(raw, "hostnqn"), listener(nqn, mapping(raw["listen_address"])).key.name
            found[host] = found.get(host, frozenset()) | {name}
    return found


def pid(answer: Json) -> int:
    with shape("framework_get_reactors"):
        return number(mapping(answer), "pid")


def in_interrupt_mode(answer: Json) -> bool:
    """Whether every reactor sleeps until something happens; a scheduler may put some of them to sleep, not all."""
    with shape("framework_get_reactors"):
        reactors = [mapping(raw) for raw in objects(mapping(answer).get("reactors", []))]
        return bool(reactors) and all(raw.get("in_interrupt") is True for raw in reactors)


def version(answer: Json) -> str:
    with shape("spdk_get_version"):
        return text(mapping(answer), "version")


def newest_notification(answer: Json) -> int | None:
    """The id of the last notification in an answer; None when there is none."""
    with shape("notify_get_notifications"):
        return max((number(raw, "id") for raw in objects(answer)), default=None)
