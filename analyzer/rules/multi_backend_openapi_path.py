from __future__ import annotations

from collections.abc import Iterator

from analyzer.edges import Reference
from analyzer.finding import Severity
from analyzer.graph import ResourceGraph
from analyzer.manifest import Manifest
from analyzer.routing.routes import ROUTE_KINDS
from analyzer.rule import Case, Hit, ResourceRule, hit

PATH = ("spec", "openApiSpec", "path")
SERVICES = ("core/Service", "traefik.io/TraefikService")


def check(case: Case, api: Manifest) -> Iterator[Hit]:
    specification = api.spec.get("openApiSpec", {})
    if "path" not in specification or "url" in specification:
        return
    for source in sorted({r.source for r in case.graph.incoming_to(api.key) if r.source.kind_name in ROUTE_KINDS}):
        services = _services(case.graph, case.graph[source])
        if len(services) > 1:
            names = ", ".join(sorted({reference.target.name for reference in services.values()}))
            message = f"{source} leads to several Services ({names}), and it is not said which of them has the document"
            notes = [(case.graph[source].position_of(r.path), f"to {r.target}") for r in services.values()]
            advice = "give openApiSpec.url instead, or expose the API by a route to one Service"
            yield hit(api, PATH, message, advice, *notes)


def _services(graph: ResourceGraph, route: Manifest) -> dict[object, Reference]:
    """The first reference to each Service that a route leads to."""
    found: dict[object, Reference] = {}
    for reference in graph.references(route.key):
        if reference.target.kind_name in SERVICES and not reference.part:
            found.setdefault(reference.target, reference)
    return found


RULE = ResourceRule(
    "multi-backend-openapi-path", Severity.WARNING, ("hub.traefik.io/API", "hub.traefik.io/APIVersion"), check
)
