from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from analyzer.finding import Severity
from analyzer.rule import Case, Hit, Rule, hit
from schemas.validation import did_you_mean, quoted


def check(case: Case) -> Iterator[Hit]:
    for snapshot in case.graph.sound("VolumeSnapshot"):
        reference = next(r for r in case.graph.references(snapshot.key) if r.path[:2] == ("spec", "volumeRef"))
        if reference.target in case.graph.manifests:
            continue
        name, near = reference.target.name, did_you_mean(reference.target.name, case.graph.alternatives(reference))
        message = f"Volume {quoted(name)} is not declared in namespace {reference.target.namespace}{near}"
        if _is_new(case, snapshot.key.path):
            found = hit(snapshot, reference.path, message, f"declare {reference.target}, or correct the name")
            yield replace(found, severity=Severity.ERROR)
        else:
            yield hit(snapshot, reference.path, message, "what was taken stays; if nothing was, correct the name")


def _is_new(case: Case, path: str) -> bool:
    """Whether this very change declares it: then nobody has taken it yet."""
    return case.base is not None and not any(m.key.path == path for m in case.base.of_kind("VolumeSnapshot"))


RULE = Rule("snapshot-without-volume", Severity.WARNING, check)
