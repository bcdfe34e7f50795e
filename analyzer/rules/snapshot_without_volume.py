from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from analyzer.finding import Confidence, Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.validation import did_you_mean, quoted


def check(case: Case, snapshot: Manifest) -> Iterator[Hit]:
    reference = next(r for r in case.graph.references(snapshot.key) if r.path[:2] == ("spec", "volumeRef"))
    if case.graph.get(reference.target):
        return
    name, near = reference.target.name, did_you_mean(reference.target.name, case.graph.alternatives(reference))
    message = f"Volume {quoted(name)} is not declared in namespace {reference.target.namespace}{near}"
    if case.graph.unread:
        advice = f"it may be in {case.graph.unread[0][0].path}, which could not be made out"
        found = hit(snapshot, reference.path, message, advice)
        yield replace(found, follows=True, confidence=Confidence.LOW)
    elif case.is_new(snapshot.key):  # nobody has taken it yet
        found = hit(snapshot, reference.path, message, f"declare {reference.target}, or correct the name")
        yield replace(found, severity=Severity.ERROR)
    else:
        yield hit(snapshot, reference.path, message, "what was taken stays; if nothing was, correct the name")


RULE = ResourceRule("snapshot-without-volume", Severity.WARNING, ("VolumeSnapshot",), check)
