"""Repositories as values: files in, report out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import TypeAlias

import pytest

from analyzer.analyze import analyze
from analyzer.report import Report
from analyzer.snapshot import Blob, Snapshot, blob_id

Files: TypeAlias = Mapping[str, "str | bytes"]
API = "apiVersion: storage.holdfast.dev/v1alpha1\n"

HOUSE = {
    "target.yaml": API
    + """\
kind: Target
metadata: {name: node-1}
spec:
  connection: {unixSocket: /var/tmp/spdk.sock}
  portals:
    - {name: front, address: 10.0.0.11, port: 4420}
    - {name: back, address: 10.0.1.11}
""",
    "disk.yaml": API
    + """\
kind: BlockDevice
metadata: {name: disk-0}
spec: {targetRef: node-1, aio: {path: /dev/disk/by-id/nvme-0}}
""",
    "pool.yaml": API
    + """\
kind: StoragePool
metadata: {name: fast}
spec: {deviceRef: disk-0, lvstoreUUID: 86b25858-0754-4031-8e53-7d936a7ab16c}
""",
    "db.yaml": API
    + """\
kind: Volume
metadata: {name: db, namespace: team-a}
spec: {poolRef: fast, size: 100Gi}
---
apiVersion: storage.holdfast.dev/v1alpha1
kind: Subsystem
metadata: {name: db, namespace: team-a}
spec:
  nqn: nqn.2026-01.com.example.team-a:db
  exports: [{targetRef: node-1, portals: [front]}]
  namespaces: [{nsid: 1, volumeRef: db}]
  hosts: {refs: [web-1]}
""",
    "host.yaml": API
    + """\
kind: Host
metadata: {name: web-1}
spec: {nqn: "nqn.2014-08.org.nvmexpress:uuid:4c4c4544-0051-4d10-8052-b7c04f4d3432", dhchap: {keyFrom: {file: /key}}}
""",
}


def snapshot_of(files: Files, revision: str = "") -> Snapshot:
    encoded = {path: data if isinstance(data, bytes) else data.encode() for path, data in files.items()}
    return Snapshot(revision, {path: Blob(path, blob_id(data), data) for path, data in encoded.items()})


@pytest.fixture
def snapshot() -> Callable[..., Snapshot]:
    """Files → Snapshot."""
    return snapshot_of


@pytest.fixture
def house() -> dict[str, str]:
    """A small sound repository: one of every kind but Removal."""
    return dict(HOUSE)


@pytest.fixture
def lint() -> Callable[..., Report]:
    """Files (and those of a base) → Report, as of a fixed day."""

    def run(files: Files, base: Files | None = None, as_of: date = date(2026, 6, 1)) -> Report:
        before = analyze(snapshot_of(base, "base"), as_of=as_of) if base is not None else None
        return analyze(snapshot_of(files, "head"), as_of=as_of, base=before)

    return run
