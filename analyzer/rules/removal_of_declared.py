from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.hazards import removal_ref
from analyzer.rule import Case, Hit, Rule, hit


def check(case: Case) -> Iterator[Hit]:
    for removal in case.graph.sound("Removal"):
        key = removal_ref(removal.resource)
        declared = case.graph.manifests.get(key)
        if declared:
            note = (declared.position_of(("metadata", "name")), "declared here")
            message = f"{key} is still declared, and this Removal says that its bytes may go"
            advice = "take the manifest out in the same commit, or take this Removal out"
            yield hit(removal, ("spec", "ref", "name"), message, advice, note)


RULE = Rule("removal-of-declared", Severity.ERROR, check)
