from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from analyzer.volumes import full_spec

SAFE = "write_zeroes"


def check(case: Case, pool: Manifest) -> Iterator[Hit]:
    method = full_spec(case.graph, pool)["clearMethod"]
    device = case.graph.named(pool.key, "BlockDevice")
    manifest = case.graph.get(device) if device else None
    if method == SAFE or manifest is None or not manifest.sound:
        return
    if method == "none" or not _unmaps(full_spec(case.graph, manifest)):
        message = (
            f"a volume that is deleted stays readable: the next one on its clusters shows it (clearMethod {method})"
        )
        advice = f"write {SAFE}, or let an aio device have fallocate: true"
        yield hit(pool, ("spec", "clearMethod"), message, advice)


def _unmaps(device: Mapping[str, Any]) -> bool:
    """Whether clearing by unmap leaves nothing behind. SPDK's uring devices have no unmap, aio only by fallocate."""
    return bool(device["aio"]["fallocate"]) if "aio" in device else "uring" not in device


RULE = ResourceRule("data-remanence", Severity.WARNING, ("StoragePool",), check)
