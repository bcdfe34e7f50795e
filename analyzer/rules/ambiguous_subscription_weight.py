from __future__ import annotations

from collections.abc import Iterator

from analyzer.access.api import PLAN, apis_of, applications_of
from analyzer.finding import Severity
from analyzer.graph import ResourceGraph
from analyzer.indexes import Index
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.validation import Path

SUBSCRIPTION, APPLICATION = "hub.traefik.io/ManagedSubscription", "hub.traefik.io/ManagedApplication"


def _ids(manifest: Manifest) -> Iterator[str]:
    if manifest.key.kind_name == APPLICATION:
        yield str(manifest.resource.spec.get("appId"))
    else:
        yield from (str(each["appId"]) for each in manifest.spec.get("applications", []))


IDS = Index("application-id", (SUBSCRIPTION, APPLICATION), _ids)


def check(case: Case, subscription: Manifest) -> Iterator[Hit]:
    for other in _beside(case.graph, subscription):
        shared = apis_of(case.graph, subscription.key).keys() & apis_of(case.graph, other.key).keys()
        if shared:
            yield _ambiguous(case.graph, subscription, other, ", ".join(sorted(api.name for api in shared)))


def _ambiguous(graph: ResourceGraph, subscription: Manifest, other: Manifest, shared: str) -> Hit:
    both = applications_of(graph, subscription).keys() & applications_of(graph, other).keys()
    names = ", ".join(sorted(principal.name for principal in both))
    first = min(subscription.key.name, other.key.name)
    message = (
        f"{other.key} has another plan for {names} at {shared}, and the same weight ({_weight(subscription)}): "
        f"that of {first} counts, because of its name"
    )
    advice = "give the one that is to count a higher `weight`"
    return hit(
        subscription, _place(subscription), message, advice, (other.position_of(_place(other)), "the other plan")
    )


def _place(subscription: Manifest) -> Path:
    return ("spec", "weight") if "weight" in subscription.resource.spec else ("spec", "apiPlan", "name")


def _weight(subscription: Manifest) -> object:
    return subscription.resource.spec.get("weight", 0)


def _beside(graph: ResourceGraph, subscription: Manifest) -> list[Manifest]:
    """Earlier subscriptions of the same weight, with another plan, for an application of this one."""
    found: dict[object, Manifest] = {}
    for principal in applications_of(graph, subscription):
        for sharer in graph.sharing(IDS, principal.name):
            if sharer.key.kind_name == SUBSCRIPTION:
                found[sharer.key] = sharer
            else:
                sources = (graph.get(r.source) for r in graph.incoming_to(sharer.key))
                found |= {source.key: source for source in sources if source and source.key.kind_name == SUBSCRIPTION}
    plan = graph.named(subscription.key, PLAN)
    return [
        other
        for _, other in sorted(found.items())
        if other.key < subscription.key
        and other.sound
        and _weight(other) == _weight(subscription)
        and graph.named(other.key, PLAN) != plan
    ]


RULE = ResourceRule("ambiguous-subscription-weight", Severity.WARNING, (SUBSCRIPTION,), check)
