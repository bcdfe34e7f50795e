from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit

STEP = 1000  # SPDK keeps the limit in thousands


def check(_: Case, volume: Manifest) -> Iterator[Hit]:
    iops = volume.spec.get("qos", {}).get("iops", 0)
    rounded = -(-iops // STEP) * STEP
    if iops != rounded:
        message = f"SPDK limits in thousands: {iops} is rounded up to {rounded}"
        yield hit(volume, ("spec", "qos", "iops"), message, f"write {rounded}, which is what hosts get")


RULE = ResourceRule("rounded-iops", Severity.INFO, ("Volume",), check)
