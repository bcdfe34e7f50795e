from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit

PATH = ("spec", "operationFilter")
KINDS = ("hub.traefik.io/APICatalogItem", "hub.traefik.io/ManagedSubscription", "hub.traefik.io/APIAccess")
ADVICE = "name sets of operations in `include`, or leave operationFilter out to allow all operations"


def check(_: Case, manifest: Manifest) -> Iterator[Hit]:
    allowed = manifest.spec.get("operationFilter")
    if allowed is not None and not allowed.get("include"):
        effect = "shows" if manifest.key.kind == "APICatalogItem" else "allows"
        yield hit(manifest, PATH, f"an empty filter {effect} no operation at all", ADVICE)


RULE = ResourceRule("empty-operation-filter", Severity.WARNING, KINDS, check)
