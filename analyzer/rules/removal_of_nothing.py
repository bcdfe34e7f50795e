from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.kinds import our_kinds


def check(_: Case, removal: Manifest) -> Iterator[Hit]:
    kind, namespace = removal.spec["ref"]["kind"], removal.key.namespace
    scope = our_kinds()[kind].scope
    if scope == "Cluster" and namespace:
        message = f"a {kind} has no namespace, so no Removal in namespace {namespace} is about one"
        yield hit(removal, ("metadata", "namespace"), message, "take metadata.namespace out")
    elif scope == "Namespaced" and not namespace:
        message = f"a {kind} has a namespace, so a Removal without one is about none"
        yield hit(removal, ("metadata", "name"), message, f"give metadata.namespace: that of the {kind}")


RULE = ResourceRule("removal-of-nothing", Severity.ERROR, ("Removal",), check)
