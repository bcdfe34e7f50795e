from __future__ import annotations

from collections.abc import Iterator
from posixpath import normpath
from typing import Any, TypeAlias

from analyzer.finding import Severity
from analyzer.graph import ResourceGraph
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, Rule, hit
from schemas.validation import Path

SERIALS = "/dev/disk/by-id/"  # names by serial number: no two machines have the same
Bytes: TypeAlias = tuple[object, ...]


def check(case: Case) -> Iterator[Hit]:
    first: dict[Bytes, tuple[Manifest, Path]] = {}
    for manifest in (*case.graph.sound("BlockDevice"), *case.graph.sound("StoragePool")):
        for bytes_, path in _opened(case.graph, manifest):
            other, where = first.setdefault(bytes_, (manifest, path))
            if other is not manifest:
                yield _hit(manifest, path, other, where)
                break


def _opened(graph: ResourceGraph, manifest: Manifest) -> Iterator[tuple[Bytes, Path]]:
    """What a manifest opens, under names that are equal only when the bytes are, and where it says so."""
    spec: Any = manifest.spec
    for driver in ("aio", "uring"):
        if driver in spec:
            path = normpath(spec[driver]["path"])
            machine = () if path.startswith(SERIALS) else _machine(graph, manifest)
            yield ("file", machine, path), ("spec", driver, "path")
    if "nvme" in spec:
        yield from _namespaces(graph, manifest, spec["nvme"])
    if "lvstoreUUID" in spec:
        yield ("store", spec["lvstoreUUID"]), ("spec", "lvstoreUUID")


def _namespaces(graph: ResourceGraph, manifest: Manifest, nvme: Any) -> Iterator[tuple[Bytes, Path]]:  # noqa: ANN401  # JSON
    """A namespace under every address at which it is reached."""
    first = nvme["address"]
    local = _machine(graph, manifest) if first["transport"] == "PCIe" else ()
    where = (first["transport"], nvme.get("subsystemNQN"), nvme["nsid"], local)
    yield ("nvme", *where, first["address"], first["port"]), ("spec", "nvme", "address", "address")
    for index, way in enumerate(nvme.get("multipath", {}).get("addresses", ())):
        path = ("spec", "nvme", "multipath", "addresses", index, "address")
        yield ("nvme", *where, way["address"], way["port"]), path


def _machine(graph: ResourceGraph, manifest: Manifest) -> Bytes:
    """The machine of a device's target: that of the daemon for a UNIX socket, otherwise perhaps one of its own."""
    target = graph.named(manifest.key, "Target")
    found = graph.manifests.get(target) if target else None
    connection: Any = found.spec.get("connection", {}) if found and found.sound else {}
    return ("here",) if "unixSocket" in connection else ("of", target)


def _hit(manifest: Manifest, path: Path, other: Manifest, where: Path) -> Hit:
    note = (other.position_of(where), f"{other.key} opens it")
    message = f"{manifest.key} opens what {other.key} has open; two writers destroy what is on it"
    return hit(manifest, path, message, "declare it once, and refer to that", note)


RULE = Rule("device-opened-twice", Severity.ERROR, check)
