"""The example repository as a site in one folder: its manifests, its disks, its daemon's configuration."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from secrets import token_bytes, token_hex
from typing import Any
from zlib import crc32

from analyzer.analyze import analyze
from analyzer.graph import ResourceGraph
from analyzer.snapshot import SnapshotError, from_directory
from reconciler.cli.exits import CommandError, UsageError
from reconciler.clock import mint_uuid, today
from reconciler.state import init
from reconciler.store import StateError
from schemas.quantity import parse_bytes

PREFIX = "/var/lib/holdfast-demo/"  # stands in the example for the folder
IMAGE = 64 << 20  # bytes
MEMBER = "1Gi"  # a disk that only an array knows
LONGEST_SOCKET = 103  # bytes of a UNIX socket's path, on every system


@dataclass(frozen=True, slots=True)
class Node:
    """One target of the site: where its RPC socket and its portals are to be."""

    name: str
    socket: Path
    portals: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Site:
    """The folder, and what its manifests say has to be there before a target can serve them."""

    folder: Path
    nodes: tuple[Node, ...]
    disks: tuple[tuple[Path, int], ...]  # file and size in bytes
    keys: tuple[tuple[Path, str], ...]  # file and kind: cipher, dhchap
    volumes: int
    subsystems: int

    @property
    def repository(self) -> Path:
        """The bare one, which everybody pushes to and the daemon follows."""
        return self.folder / "site.git"

    @property
    def clone(self) -> Path:
        return self.folder / "site"

    @property
    def config(self) -> Path:
        return self.folder / "holdfast.toml"


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the daemon looks: at the repository, and at the targets."""

    source: str
    resync: str


def example() -> Path:
    """The example repository: beside this module where Holdfast is installed, else in the checkout."""
    places = (Path(__file__).parent / "repo", Path(__file__).parents[2] / "examples" / "repo")
    for place in places:
        if (place / ".holdfast.yaml").exists():
            return place
    raise CommandError(f"the example repository is not where it was installed: {places[0]}")


def plan(folder: Path) -> Site:
    """What the site will be in this folder; nothing is made yet. Raises CommandError, UsageError."""
    site = _read(example(), folder)
    for node in site.nodes:
        if len(os.fsencode(node.socket)) > LONGEST_SOCKET:
            raise UsageError(f"{node.socket} is too long a name for a socket; choose a shorter --dir")
    return site


def lay_out(site: Site) -> None:
    """Copy the example, as a site of its folder, and make its disks. Raises CommandError, UsageError."""
    try:
        for source in sorted(path for path in example().rglob("*") if path.is_file()):
            copy = site.clone / source.relative_to(example())
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(source.read_text().replace(PREFIX, f"{site.folder}/"))
        for path, size in site.disks:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as disk:
                os.truncate(disk.fileno(), size)  # sparse: it takes no room until it is written to
        for key, kind in site.keys:
            key.parent.mkdir(parents=True, exist_ok=True)
            key.touch(0o600, exist_ok=False)
            key.write_text(f"{_minted(kind)}\n")
        for node in site.nodes:
            node.socket.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"{error.filename or site.folder}: {error.strerror}") from error
    if _read(site.clone, site.folder) != site:
        raise UsageError(f"{site.folder} is a name that YAML would read as something else; choose another --dir")


def configure(site: Site, listen: str, pace: Pace) -> None:
    """Write the daemon's configuration and mint the site's id. Raises CommandError."""
    site.config.write_text(
        f"[source]\nurl = {json.dumps(str(site.repository))}\ninterval = {json.dumps(pace.source)}\n"
        f"[state]\ndir = {json.dumps(str(site.folder / 'state'))}\n"
        f"[secrets]\ndirs = [{json.dumps(str(site.folder))}]\n"
        f"[serve]\nlisten = {json.dumps(listen)}\n"
        f"[resync]\ninterval = {json.dumps(pace.resync)}\n"
        '[log]\nformat = "text"\n'
    )
    try:
        init(site.folder / "state", mint_uuid())
    except StateError as error:
        raise CommandError(str(error)) from error


def _read(manifests: Path, folder: Path) -> Site:
    """What manifests say. Raises CommandError when they do not pass."""
    try:
        report = analyze(from_directory(manifests), as_of=today())
    except SnapshotError as error:
        raise CommandError(str(error)) from error
    if report.blocks:
        found = report.blocking[0]
        raise CommandError(f"the example does not pass: {found.location}: {found.message}")
    graph = report.graph
    return Site(
        folder,
        tuple(_node(name, spec, folder) for name, spec in _specs(graph, "Target")),
        tuple(_disks(graph, folder)),
        tuple(_keys(graph, folder)),
        len(graph.of_kind("Volume")),
        len(graph.of_kind("Subsystem")),
    )


def _placed(path: str, folder: Path) -> Path:
    return Path(path.replace(PREFIX, f"{folder}/"))


def _specs(graph: ResourceGraph, kind: str) -> Iterable[tuple[str, Any]]:
    return ((manifest.key.name, manifest.spec) for manifest in graph.of_kind(kind))


def _node(name: str, spec: Any, folder: Path) -> Node:  # noqa: ANN401  # JSON that its schema has checked
    portals = tuple((portal["address"], int(portal["port"])) for portal in spec["portals"])
    return Node(name, _placed(spec["connection"]["unixSocket"], folder), portals)


def _disks(graph: ResourceGraph, folder: Path) -> Iterable[tuple[Path, int]]:
    """The files of devices: as large as the consent to make a pool of one says, else of a size that does; and images,
    which are blank here.
    """
    yield from ((_placed(spec["path"], folder), IMAGE) for _, spec in _specs(graph, "Image"))
    sizes = {spec["deviceRef"]: spec["initialize"]["sizeBytes"] for _, spec in _specs(graph, "StoragePool")}
    for name, spec in _specs(graph, "BlockDevice"):
        if "aio" in spec:
            yield _placed(spec["aio"]["path"], folder), parse_bytes(sizes.get(name, MEMBER))


def _keys(graph: ResourceGraph, folder: Path) -> Iterable[tuple[Path, str]]:
    """Files that keys are read from, and what keys they are."""
    for _, spec in _specs(graph, "BlockDevice"):
        if "crypto" in spec:
            yield _placed(spec["crypto"]["keyFrom"]["file"], folder), "cipher"
    for _, spec in (*_specs(graph, "StorageClass"), *_specs(graph, "Volume")):
        if "encryption" in spec:
            yield _placed(spec["encryption"]["keyFrom"]["file"], folder), "cipher"
    for _, spec in _specs(graph, "Host"):
        if "dhchap" in spec:
            yield _placed(spec["dhchap"]["keyFrom"]["file"], folder), "dhchap"


def _minted(kind: str) -> str:
    """A new key, as `openssl rand -hex 64` or `nvme gen-dhchap-key` makes one."""
    if kind == "cipher":
        return token_hex(64)
    key = token_bytes(32)
    return f"DHHC-1:00:{b64encode(key + crc32(key).to_bytes(4, 'little')).decode()}:"
