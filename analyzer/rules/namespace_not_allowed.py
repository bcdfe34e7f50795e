from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.graph import Reference, ResourceGraph
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, Rule, hit
from schemas.kinds import our_kinds

PATH = ("spec", "allowedNamespaces")


def check(case: Case) -> Iterator[Hit]:
    for kind in our_kinds().values():
        if kind.field(PATH):
            for target in case.graph.sound(kind.name):
                yield from _judge(case.graph, target)


def _judge(graph: ResourceGraph, target: Manifest) -> Iterator[Hit]:
    allowed = {*target.spec["allowedNamespaces"], ""}  # cluster-scoped resources belong to no tenant
    if "*" not in allowed:
        for reference in _references(graph, target):
            if reference.source.namespace not in allowed:
                yield _hit(graph.manifests[reference.source], target, reference)


def _references(graph: ResourceGraph, target: Manifest) -> Iterator[Reference]:
    """Who refers to it, also by way of a StorageClass, which belongs to no tenant but serves them."""
    for reference in graph.incoming.get(target.key, ()):
        yield reference
        if reference.source.kind == "StorageClass":
            yield from graph.incoming.get(reference.source, ())


def _hit(source: Manifest, target: Manifest, reference: Reference) -> Hit:
    note = (target.position_of(PATH), "allowed here")
    message = f"{target.key} does not let namespace {source.key.namespace} refer to it"
    advice = f"add {source.key.namespace} to its allowedNamespaces, or refer to another {target.key.kind}"
    return hit(source, reference.path, message, advice, note)


RULE = Rule("namespace-not-allowed", Severity.ERROR, check)
