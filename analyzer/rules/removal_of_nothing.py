from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.rule import Case, Hit, Rule, hit
from schemas.kinds import our_kinds


def check(case: Case) -> Iterator[Hit]:
    for removal in case.graph.sound("Removal"):
        kind, namespace = removal.spec["ref"]["kind"], removal.key.namespace
        scope = our_kinds()[kind].scope
        if scope == "Cluster" and namespace:
            message = f"a {kind} has no namespace, so no Removal in namespace {namespace} is about one"
            yield hit(removal, ("metadata", "namespace"), message, "take metadata.namespace out")
        elif scope == "Namespaced" and not namespace:
            message = f"a {kind} has a namespace, so a Removal without one is about none"
            yield hit(removal, ("metadata", "name"), message, f"give metadata.namespace: that of the {kind}")


RULE = Rule("removal-of-nothing", Severity.ERROR, check)
