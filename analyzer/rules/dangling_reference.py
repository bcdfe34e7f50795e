from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from analyzer.finding import Severity
from analyzer.graph import Reference, ResourceGraph
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.validation import did_you_mean, quoted


def check(case: Case, manifest: Manifest) -> Iterator[Hit]:
    for reference in case.graph.references(manifest.key):
        if case.graph.dangles(reference):
            found = hit(manifest, reference.path, _message(case.graph, reference), _advice(case.graph, reference))
            yield replace(found, follows=bool(case.graph.unread))


def _message(graph: ResourceGraph, reference: Reference) -> str:
    known = graph.alternatives(reference)
    if reference.part:
        return f"{reference.target} has no {quoted(reference.part)}{did_you_mean(reference.part, known)}"
    where = f" in namespace {reference.target.namespace}" if reference.target.namespace else ""
    name = reference.target.name
    return f"{reference.target.kind} {quoted(name)} is not declared{where}{did_you_mean(name, known)}"


def _advice(graph: ResourceGraph, reference: Reference) -> str:
    if graph.unread:
        return f"it may be in {graph.unread[0][0].path}, which could not be made out"
    return f"declare {reference.target}, or correct the name" if not reference.part else "declare it there"


RULE = ResourceRule("dangling-reference", Severity.ERROR, (), check, fixed=True, sound=False)
