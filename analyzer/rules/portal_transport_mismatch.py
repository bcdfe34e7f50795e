from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit


def check(_: Case, target: Manifest) -> Iterator[Hit]:
    offered = {transport["type"] for transport in target.spec["transports"]}
    for place, portal in enumerate(target.spec["portals"]):
        if (kind := portal["transport"]) not in offered:
            path = ("spec", "portals", place, "transport")
            message = f"portal {portal['name']} is for {kind}, which {target.key} does not offer"
            yield hit(target, path, message, f"declare {{type: {kind}}} in spec.transports")


RULE = ResourceRule("portal-transport-mismatch", Severity.ERROR, ("Target",), check)
