"""Git repositories of many manifests, and revisions of them in which a few files differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import pygit2
import yaml
from estate import manifest
from pygit2.enums import FileMode

TENANT = 250  # volumes of a tenant, each shown by a subsystem of its own
_WHO = pygit2.Signature("bench", "bench@example.com", 1_700_000_000, 0)


def tenants(count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """About so many manifests by path, a file each: tenants with a target, a pool and a host of their own."""
    for number in range(max(1, round(count / (2 * TENANT + 4)))):
        for place, each in enumerate(tenant(f"t{number:04}", number)):
            yield f"tenant-{number:04}/{place:05}.yaml", each


def tenant(name: str, number: int) -> Iterator[dict[str, Any]]:
    """A target with a pool and a host, and volumes that subsystems show."""
    address = f"10.{number // 250}.{number % 250}.2"
    portals = [{"name": "front", "address": address, "port": 4420}]
    connection = {"unixSocket": f"/var/run/spdk/{name}.sock"}
    aio = {"path": f"/dev/disk/by-id/nvme-{name}", "blockSize": 4096, "fallocate": True}
    key = {"keyFrom": {"file": f"/etc/holdfast/keys/{name}"}}
    yield manifest("Target", f"node-{name}", {"connection": connection, "portals": portals})
    device = {"targetRef": f"node-{name}", "uuid": str(UUID(int=(1 << 100) + number)), "aio": aio}
    yield manifest("BlockDevice", f"disk-{name}", device)
    yield manifest(
        "StoragePool", f"pool-{name}", {"deviceRef": f"disk-{name}", "lvstoreUUID": str(UUID(int=number + 1))}
    )
    yield manifest("Host", f"host-{name}", {"nqn": f"nqn.2026-01.com.example:host-{name}", "dhchap": key})
    for n in range(TENANT):
        yield manifest("Volume", f"v{n:05}", {"poolRef": f"pool-{name}", "size": "1Gi", "thin": True}, f"tenant-{name}")
        spec = {
            "nqn": f"nqn.2026-01.com.example.tenant-{name}:s{n:05}",
            "exports": [{"targetRef": f"node-{name}", "portals": ["front"]}],
            "namespaces": [{"nsid": 1, "volumeRef": f"v{n:05}"}],
            "hosts": {"refs": [f"host-{name}"]},
        }
        yield manifest("Subsystem", f"s{n:05}", spec, f"tenant-{name}")


def repository(folder: Path, count: int, edited: int) -> int:
    """A bare repository with two commits: about so many manifests, and volumes that are larger. How many there are."""
    repo = pygit2.init_repository(str(folder), bare=True, initial_head="main")
    files = {path: yaml.dump(each, Dumper=yaml.CSafeDumper, sort_keys=False) for path, each in tenants(count)}
    first = _commit(repo, files, [])
    volumes = [path for path, text in files.items() if "kind: Volume" in text]
    step = max(1, len(volumes) // edited)
    grown = {path: files[path].replace("size: 1Gi", "size: 2Gi") for path in volumes[::step][:edited]}
    _commit(repo, files | grown, [first])
    return len(files)


def _commit(repo: pygit2.Repository, files: Mapping[str, str], parents: list[pygit2.Oid]) -> pygit2.Oid:
    folders: dict[str, pygit2.TreeBuilder] = {}
    for path, text in files.items():
        folder, _, name = path.partition("/")
        builder = folders.setdefault(folder, repo.TreeBuilder())
        builder.insert(name, repo.create_blob(text.encode()), FileMode.BLOB)
    root = repo.TreeBuilder()
    for folder, builder in folders.items():
        root.insert(folder, builder.write(), FileMode.TREE)
    return repo.create_commit("refs/heads/main", _WHO, _WHO, "bench", root.write(), parents)
