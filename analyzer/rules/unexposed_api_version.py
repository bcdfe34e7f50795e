from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from analyzer.finding import Confidence, Severity
from analyzer.graph import ResourceGraph
from analyzer.indexes import Index
from analyzer.manifest import Manifest
from analyzer.routing.routes import ROUTE_KINDS
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.resources import ResourceKey

NAME = ("metadata", "name")
OLDER = ("service", "routes", "apiName")  # fields of the form in which a gateway exposes it, and no route


def _place(route: Manifest) -> Iterator[str]:
    if any(name.startswith("hub.traefik.io/api") for name in route.resource.annotations):
        yield route.key.namespace


PLACES = Index("api-routes-at", ROUTE_KINDS, _place)


def check(case: Case, version: Manifest) -> Iterator[Hit]:
    if _routed(case.graph, version.key) or any(name in version.resource.spec for name in OLDER):
        return
    if case.graph.unread or not case.graph.sharing(PLACES, version.key.namespace):
        return  # its routes may all be in another repository
    apis = {r.source for r in case.graph.incoming_to(version.key) if r.source.kind == "API"}
    kin = {r.target for api in apis for r in case.graph.references(api) if r.target.kind == version.key.kind}
    message = f"no route exposes {version.key}, so that nobody can call it"
    advice = f"annotate an IngressRoute, Ingress or HTTPRoute with hub.traefik.io/api-version: {version.key.name}"
    found = hit(version, NAME, message, advice)
    sure = any(_routed(case.graph, key) for key in (*apis, *kin))
    yield found if sure else replace(found, confidence=Confidence.LOW)


def _routed(graph: ResourceGraph, key: ResourceKey) -> bool:
    return any(reference.source.kind_name in ROUTE_KINDS for reference in graph.incoming_to(key))


RULE = ResourceRule("unexposed-api-version", Severity.WARNING, ("hub.traefik.io/APIVersion",), check)
