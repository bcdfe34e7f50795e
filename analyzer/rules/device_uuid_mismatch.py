from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.graph import ResourceGraph
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit

NAMED = ("spec", "initialize", "deviceUUID")
DECLARED = ("spec", "uuid")


def check(case: Case, pool: Manifest) -> Iterator[Hit]:
    device = _device(case.graph, pool)
    if device and "initialize" in pool.spec:
        named, declared = pool.spec["initialize"]["deviceUUID"], device.spec["uuid"]
        if named != declared:
            note = (device.position_of(DECLARED), f"{device.key} has this one")
            message = f"initialize names another device than {device.key}, so the pool is never made"
            advice = f"write {declared} if {device.key.name} is the device that is meant"
            yield hit(pool, NAMED, message, advice, note)


def _device(graph: ResourceGraph, pool: Manifest) -> Manifest | None:
    """The device of a pool, where its manifest says its uuid; one that is derived is not known here."""
    key = graph.named(pool.key, "BlockDevice")
    device = graph[key] if key else None
    return device if device and device.sound and "uuid" in device.spec else None


RULE = ResourceRule("device-uuid-mismatch", Severity.ERROR, ("StoragePool",), check)
