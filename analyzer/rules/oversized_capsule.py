from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit

LARGEST_IO = 131_072  # bytes, where the manifest says nothing: SPDK's own default


def check(_: Case, target: Manifest) -> Iterator[Hit]:
    for place, transport in enumerate(target.spec["transports"]):
        carried, largest = transport.get("inCapsuleDataSize", 0), transport.get("maxIOSize", LARGEST_IO)
        if carried > largest:
            path = ("spec", "transports", place, "inCapsuleDataSize")
            message = f"a capsule cannot carry {carried} bytes where the largest I/O has {largest}"
            yield hit(target, path, message, f"at most {largest}, or a larger maxIOSize")


RULE = ResourceRule("oversized-capsule", Severity.ERROR, ("Target",), check)
