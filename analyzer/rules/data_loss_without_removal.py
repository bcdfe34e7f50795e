from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from analyzer.finding import Note, Severity
from analyzer.graph import ResourceGraph
from analyzer.hazards import deletion_hazard, removal_ref
from analyzer.indexes import Index
from analyzer.manifest import Manifest
from analyzer.rule import Case, ChangeRule, Hit
from analyzer.volumes import resolved
from schemas.resources import OUR_GROUP, ResourceKey


def check(case: Case, before: Manifest | None, after: Manifest | None) -> Iterator[Hit]:
    if before is None or before.key.group != OUR_GROUP or case.base is None or not case.is_gone(before, after):
        return
    consents = _removals(case.graph, before.key)
    loses = deletion_hazard(resolved(case.base, before.resource)).hazard == "data-loss"
    if loses and not any(_valid(removal, case.as_of) for removal in consents):
        yield _hit(case, before, consents)


def _hit(case: Case, manifest: Manifest, expired: Sequence[Manifest]) -> Hit:
    key = manifest.key
    message = f"{key} is no longer declared, and its reclaimPolicy is Delete: its bytes would be destroyed"
    related = tuple(_expired(removal) for removal in expired)
    namespace = f" in namespace {key.namespace}" if key.namespace else ""
    advice = f"declare a Removal{namespace} with ref {key.kind} {key.name} and its uid, or put the manifest back"
    return Hit(case.was(manifest, ("metadata", "name")), message, key, related=related, help=advice)


def _named(removal: Manifest) -> Iterator[str]:
    yield removal_ref(removal.resource).text


CONSENTS = Index("removal-of", ("Removal",), _named)


def _removals(graph: ResourceGraph, key: ResourceKey) -> Sequence[Manifest]:
    """Consents to remove this resource, whatever their dates. The uid is compared when the bytes are at hand."""
    return [removal for removal in graph.sharing(CONSENTS, key.text) if removal_ref(removal.resource) == key]


def _valid(removal: Manifest, as_of: date) -> bool:
    return date.fromisoformat(removal.spec["expires"]) >= as_of


def _expired(removal: Manifest) -> Note:
    return removal.position_of(("spec", "expires")), f"{removal.key} has expired"


RULE = ChangeRule("data-loss-without-removal", Severity.ERROR, check, fixed=True)
