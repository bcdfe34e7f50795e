from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit


def check(case: Case, manifest: Manifest) -> Iterator[Hit]:
    for other in case.graph.duplicates_of(manifest.key):
        message = f"{manifest.key} is declared twice"
        advice = "remove one of the two, or rename it"
        note = (manifest.position_of(("metadata", "name")), "first declared here")
        yield hit(other, ("metadata", "name"), message, advice, note)


RULE = ResourceRule("duplicate-resource", Severity.ERROR, (), check, fixed=True, sound=False)
