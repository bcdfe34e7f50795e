from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from analyzer.finding import Note, Severity
from analyzer.graph import ResourceGraph
from analyzer.hazards import deletion_hazard, removal_ref
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, Rule
from analyzer.volumes import resolved
from schemas.resources import ResourceKey


def check(case: Case) -> Iterator[Hit]:
    for manifest in case.vanished():
        if case.base and deletion_hazard(resolved(case.base, manifest.resource)).hazard == "data-loss":
            consents = _removals(case.graph, manifest.key)
            if not any(_valid(removal, case.as_of) for removal in consents):
                yield _hit(case, manifest, consents)


def _hit(case: Case, manifest: Manifest, expired: list[Manifest]) -> Hit:
    key = manifest.key
    message = f"{key} is no longer declared, and its reclaimPolicy is Delete: its bytes would be destroyed"
    related = tuple(_expired(removal) for removal in expired)
    namespace = f" in namespace {key.namespace}" if key.namespace else ""
    advice = f"declare a Removal{namespace} with ref {key.kind} {key.name} and its uid, or put the manifest back"
    return Hit(case.was(manifest, ("metadata", "name")), message, key, related=related, help=advice)


def _removals(graph: ResourceGraph, key: ResourceKey) -> list[Manifest]:
    """Consents to remove this resource, whatever their dates. The uid is compared when the bytes are at hand."""
    return [removal for removal in graph.sound("Removal") if removal_ref(removal.resource) == key]


def _valid(removal: Manifest, as_of: date) -> bool:
    return date.fromisoformat(removal.spec["expires"]) >= as_of


def _expired(removal: Manifest) -> Note:
    return removal.position_of(("spec", "expires")), f"{removal.key} has expired"


RULE = Rule("data-loss-without-removal", Severity.ERROR, check, fixed=True)
