from __future__ import annotations

from collections.abc import Iterator

from analyzer.edges import Reference
from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit


def check(case: Case, pool: Manifest) -> Iterator[Hit]:
    for reference in case.graph.references(pool.key):
        if array := _striped(case, reference, frozenset()):
            yield _hit(pool, reference, array)


def _striped(case: Case, reference: Reference, seen: frozenset[Reference]) -> Manifest | None:
    """The raid5f array that a device is, or lies on."""
    device = case.graph.get(reference.target)
    if device is None or device.key.kind != "BlockDevice" or not device.sound or reference in seen:
        return None
    if device.spec.get("raid", {}).get("level") == "raid5f":
        return device
    below = case.graph.references(device.key)
    return next(filter(None, (_striped(case, each, seen | {reference}) for each in below)), None)


def _hit(pool: Manifest, reference: Reference, array: Manifest) -> Hit:
    message = f"a pool cannot lie on {array.key}: raid5f takes whole stripes only, and a store writes single blocks"
    advice = "make the array a raid1, or keep it for a host that writes whole stripes"
    note = (array.position_of(("spec", "raid", "level")), "this level")
    return hit(pool, reference.path, message, advice, note)


RULE = ResourceRule("pool-on-raid5f", Severity.ERROR, ("StoragePool",), check, sound=False)
