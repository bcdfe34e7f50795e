from __future__ import annotations

from collections.abc import Iterator, Sequence

from analyzer.finding import Severity
from analyzer.graph import ResourceGraph
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from analyzer.volumes import policies_of
from schemas.resources import Resource


def check(case: Case, volume: Manifest) -> Iterator[Hit]:
    if "qos" in volume.spec and "qosPolicyRef" in volume.spec:
        message = f"{volume.key} has limits of its own and names a policy, too; its own count"
        yield hit(volume, ("spec", "qosPolicyRef"), message, "take one of the two out")
    elif "qos" not in volume.spec:
        policies = policies_of(case.graph, volume)
        if len(policies) > 1:
            yield _several(case.graph, volume, policies)


def _several(graph: ResourceGraph, volume: Manifest, policies: Sequence[Resource]) -> Hit:
    names = ", ".join(policy.key.path for policy in policies)
    notes = ((graph[p.key].position_of(("spec", "selector")), f"{p.key} selects it") for p in policies)
    message = f"{volume.key} is selected by {len(policies)} policies: {names}; at most one can limit it"
    advice = "make the selectors disjoint, or name one policy in spec.qosPolicyRef"
    return hit(volume, ("metadata", "labels"), message, advice, *notes)


RULE = ResourceRule("qos-conflict", Severity.ERROR, ("Volume",), check)
