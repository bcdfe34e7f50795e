from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from posixpath import normpath
from typing import Any

from analyzer.finding import Severity
from analyzer.graph import ResourceGraph
from analyzer.indexes import Index
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.resources import ResourceKey
from schemas.validation import Path

SERIALS = "/dev/disk/by-id/"  # names by serial number: no two machines have the same


@dataclass(frozen=True, slots=True)
class Opened:
    """Bytes that a manifest opens, under a name that is equal only when the bytes are, and where it says so."""

    name: str
    path: Path
    local: bool = False  # the name means something on one machine only


def check(case: Case, manifest: Manifest) -> Iterator[Hit]:
    for opened in _opened(manifest):
        names = [f"{opened.name} of {target}" for target in _neighbours(case.graph, manifest)]
        sharing = (case.graph.sharing(OPENED, name) for name in (names if opened.local else [opened.name]))
        first = min(chain.from_iterable(sharing), key=lambda other: other.key)
        if first is not manifest:
            where = next(other.path for other in _opened(first) if other.name == opened.name)
            yield _hit(manifest, opened.path, first, where)
            break


def _opened(manifest: Manifest) -> Iterator[Opened]:
    spec: Any = manifest.spec
    for driver in ("aio", "uring"):
        if driver in spec:
            path = normpath(spec[driver]["path"])
            yield Opened(f"file {path}", ("spec", driver, "path"), local=not path.startswith(SERIALS))
    if "nvme" in spec:
        yield from _namespaces(spec["nvme"])
    if "lvstoreUUID" in spec:
        yield Opened(f"store {spec['lvstoreUUID']}", ("spec", "lvstoreUUID"))


def _namespaces(nvme: Any) -> Iterator[Opened]:  # noqa: ANN401  # JSON
    """A namespace under every address at which it is reached."""
    local = nvme["address"]["transport"] == "PCIe"
    where = f"nvme {nvme['address']['transport']} {nvme.get('subsystemNQN')} {nvme['nsid']}"
    path: Path = ("spec", "nvme", "address", "address")
    yield Opened(f"{where} {nvme['address']['address']} {nvme['address']['port']}", path, local)
    for index, way in enumerate(nvme.get("multipath", {}).get("addresses", ())):
        path = ("spec", "nvme", "multipath", "addresses", index, "address")
        yield Opened(f"{where} {way['address']} {way['port']}", path, local)


def _names(manifest: Manifest) -> Iterator[str]:
    for opened in _opened(manifest):
        yield f"{opened.name} of {manifest.spec.get('targetRef')}" if opened.local else opened.name


OPENED = Index("opened", ("BlockDevice", "StoragePool"), _names)
LOCAL = Index("local-target", ("Target",), lambda target: ["local"] if _is_local(target) else [])


def _is_local(target: Manifest) -> bool:
    """Whether it is reached by a UNIX socket, and so is on the machine of the daemon."""
    return "unixSocket" in target.spec["connection"]


def _neighbours(graph: ResourceGraph, device: Manifest) -> Iterable[str]:
    """The targets that are on the machine of a device, as far as anybody knows."""
    own = str(device.spec.get("targetRef"))
    target = graph.get(ResourceKey("Target", "", own))
    here = target is not None and target.sound and _is_local(target)
    return [local.key.name for local in graph.sharing(LOCAL, "local")] if here else [own]


def _hit(manifest: Manifest, path: Path, other: Manifest, where: Path) -> Hit:
    note = (other.position_of(where), f"{other.key} opens it")
    message = f"{manifest.key} opens what {other.key} has open; two writers destroy what is on it"
    return hit(manifest, path, message, "declare it once, and refer to that", note)


RULE = ResourceRule("device-opened-twice", Severity.ERROR, ("BlockDevice", "StoragePool"), check)
