from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.rule import Case, Hit, Rule, hit


def check(case: Case) -> Iterator[Hit]:
    for manifest in case.graph.duplicates:
        first = case.graph.manifests[manifest.key].position_of(("metadata", "name"))
        message = f"{manifest.key} is declared twice"
        advice = "remove one of the two, or rename it"
        note = (first, "first declared here")
        yield hit(manifest, ("metadata", "name"), message, advice, note)


RULE = Rule("duplicate-resource", Severity.ERROR, check, fixed=True)
