from __future__ import annotations

from collections.abc import Iterator

from analyzer.edges import Reference, field_path
from analyzer.finding import Severity
from analyzer.graph import ResourceGraph
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.kind import Kind
from schemas.resources import ResourceKey

GATEWAY = "gateway.networking.k8s.io"


def check(case: Case, manifest: Manifest) -> Iterator[Hit]:
    told: set[object] = set()
    if not manifest.key.namespace:
        return  # it is whichever one somebody applies it in
    for reference in case.graph.references(manifest.key):
        if reference.target.namespace in ("", manifest.key.namespace):
            continue
        field = manifest.kind.field(field_path(reference.path)) if manifest.kind else None
        foreign = field.reference.foreign if field and field.reference else ""
        if foreign and not (reference.part or reference.path in told or _granted(case.graph, reference)):
            told.add(reference.path)
            message = f"{reference.target} is in another namespace than {manifest.key}: {foreign}"
            advice = f"declare it in namespace {manifest.key.namespace}, or move {manifest.key.kind} to where it is"
            yield hit(manifest, reference.path, message, advice)


def _granted(graph: ResourceGraph, reference: Reference) -> bool:
    """Whether the other namespace lets those in that come by the Gateway API."""
    if reference.source.group != GATEWAY:
        return False
    anywhere = ResourceKey("ReferenceGrant", reference.target.namespace, "", GATEWAY)
    return bool(graph.names(anywhere))


def _may(kind: Kind) -> bool:
    """Whether a field of it names something that should stay within the namespace."""
    return any(field.reference and field.reference.foreign for field in kind.references)


RULE = ResourceRule("foreign-namespace-reference", Severity.WARNING, (), check, has=_may)
