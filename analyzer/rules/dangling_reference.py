from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from analyzer.edges import Reference
from analyzer.finding import Confidence, Severity
from analyzer.graph import ResourceGraph
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.resources import OUR_GROUP
from schemas.validation import did_you_mean, quoted

RULE_ID = "dangling-reference"


def check(case: Case, manifest: Manifest) -> Iterator[Hit]:
    for reference in case.graph.references(manifest.key):
        if reference.rule == RULE_ID and case.graph.dangles(reference):
            yield from _told(case.graph, manifest, reference)


def _told(graph: ResourceGraph, manifest: Manifest, reference: Reference) -> Iterator[Hit]:
    found = hit(manifest, reference.path, _message(graph, reference), _advice(graph, reference))
    if graph.unread and not reference.part:
        found = replace(found, follows=True, confidence=Confidence.LOW)
    if reference.target.group == OUR_GROUP:
        yield found
    elif reference.elsewhere:
        yield from _perhaps_elsewhere(graph, reference, found)
    elif _names_it_in_full(graph, reference):
        yield _unsure(found, Severity.WARNING)
    elif not reference.source.namespace and reference.target.namespace == "":
        yield found if _is_cluster_scoped(manifest) else _unsure(found, Severity.WARNING)
    elif graph.get(reference.target._replace(namespace="")) is None:
        yield found


def _perhaps_elsewhere(graph: ResourceGraph, reference: Reference, found: Hit) -> Iterator[Hit]:
    """What may well be in the cluster without being here is told only where others of its kind are declared here."""
    known = graph.alternatives(reference)
    named = reference.part or reference.target.name
    if known:
        yield _unsure(found, Severity.WARNING if did_you_mean(named, known) else Severity.INFO)


def _names_it_in_full(graph: ResourceGraph, reference: Reference) -> bool:
    """Whether what is declared is named as name@namespace, where only a name is spoken of: it is seen now and then."""
    name, _, namespace = reference.target.name.partition("@")
    return bool(namespace) and graph.get(reference.target._replace(name=name, namespace=namespace)) is not None


def _unsure(found: Hit, at_most: Severity) -> Hit:
    return replace(found, confidence=Confidence.LOW, at_most=at_most)


def _is_cluster_scoped(manifest: Manifest) -> bool:
    return manifest.kind is not None and manifest.kind.scope == "Cluster"


def _message(graph: ResourceGraph, reference: Reference) -> str:
    known = graph.alternatives(reference)
    if reference.part:
        near = did_you_mean(reference.part, known) or (f"; it has {', '.join(known)}" if known else "")
        return f"{reference.target} has no {quoted(reference.part)}{near}"
    where = f" in namespace {reference.target.namespace}" if reference.target.namespace else ""
    name = reference.target.name
    return f"{reference.target.kind} {quoted(name)} is not declared{where}{did_you_mean(name, known)}"


def _advice(graph: ResourceGraph, reference: Reference) -> str:
    if graph.unread and not reference.part:
        return f"it may be in {graph.unread[0][0].path}, which could not be made out"
    return (
        f"declare {reference.target}, or correct the name" if not reference.part else "correct it, or declare it there"
    )


RULE = ResourceRule(RULE_ID, Severity.ERROR, (), check, fixed=True, sound=False)
