from __future__ import annotations

from collections.abc import Iterator

from analyzer.access.api import API, GROUPED, apis_of, operation_sets, versions_of
from analyzer.finding import Severity
from analyzer.graph import ResourceGraph
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.validation import did_you_mean, quoted

KINDS = ("hub.traefik.io/APICatalogItem", "hub.traefik.io/ManagedSubscription", "hub.traefik.io/APIAccess")


def check(case: Case, manifest: Manifest) -> Iterator[Hit]:
    included = manifest.spec.get("operationFilter", {}).get("include", [])
    if not included or case.graph.unread or not _all_known(case.graph, manifest):
        return
    apis = apis_of(case.graph, manifest.key)
    owners = {key for api in apis for key in (api, *versions_of(case.graph, api))}
    known = {name for key in owners for name in operation_sets(case.graph.get(key))}
    for index, name in enumerate(included):
        if apis and name not in known:
            which = ", ".join(api.name for api in sorted(apis))
            near = did_you_mean(name, known) or (f"; they have {', '.join(sorted(known))}" if known else "")
            message = f"no API that it selects has a set of operations {quoted(name)}{near}"
            advice = f"define the set in openApiSpec.operationSets of {which}, or correct the name"
            yield hit(manifest, ("spec", "operationFilter", "include", index), message, advice)


def _all_known(graph: ResourceGraph, manifest: Manifest) -> bool:
    """Whether everything that it names is declared, also in bundles: an API that is not may have the set."""
    named = [
        r.target for r in graph.references(manifest.key) if r.target.kind_name == API or r.target.kind_name in GROUPED
    ]
    inside = [r.target for key in named if key.kind_name in GROUPED for r in graph.references(key)]
    versions = [r.target for key in (*named, *inside) if key.kind_name == API for r in graph.references(key)]
    declared = (key for key in (*named, *inside, *versions) if key.group == manifest.key.group)
    return all((known := graph.get(key)) is not None and known.sound for key in declared)


RULE = ResourceRule("unknown-operation-set", Severity.ERROR, KINDS, check)
