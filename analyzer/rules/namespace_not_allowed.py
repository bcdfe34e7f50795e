from __future__ import annotations

from collections.abc import Iterator, Sequence

from analyzer.edges import Reference
from analyzer.finding import Severity
from analyzer.graph import ResourceGraph
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.resources import OUR_GROUP

PATH = ("spec", "allowedNamespaces")


def check(case: Case, manifest: Manifest) -> Iterator[Hit]:
    if manifest.key.namespace:  # cluster-scoped resources belong to no tenant
        for reference in case.graph.references(manifest.key):
            for target in _targets(case.graph, reference):
                allowed = _allowed(target)
                if "*" not in allowed and manifest.key.namespace not in allowed:
                    yield _hit(manifest, target, reference)


def _allowed(target: Manifest) -> Sequence[str]:
    """The namespaces that may use a resource; everyone may use one that does not say."""
    if target.key.group != OUR_GROUP or target.key.namespace or not target.sound:
        return ("*",)  # kinds that say are ours, and cluster-scoped
    limited = target.kind and target.kind.field(PATH)
    return target.spec["allowedNamespaces"] if limited else ("*",)


def _targets(graph: ResourceGraph, reference: Reference) -> Iterator[Manifest]:
    """What a reference leads to, also by way of a StorageClass, which belongs to no tenant but serves them."""
    through = graph.references(reference.target) if reference.target.kind_name == "StorageClass" else ()
    for each in (reference, *through):
        if target := graph.get(each.target):
            yield target


def _hit(source: Manifest, target: Manifest, reference: Reference) -> Hit:
    note = (target.position_of(PATH), "allowed here")
    message = f"{target.key} does not let namespace {source.key.namespace} refer to it"
    advice = f"add {source.key.namespace} to its allowedNamespaces, or refer to another {target.key.kind}"
    return hit(source, reference.path, message, advice, note)


RULE = ResourceRule("namespace-not-allowed", Severity.ERROR, (), check, sound=False)
