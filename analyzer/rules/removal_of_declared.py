from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.hazards import removal_ref
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit


def check(case: Case, removal: Manifest) -> Iterator[Hit]:
    key = removal_ref(removal.resource)
    declared = case.graph.get(key)
    if declared:
        note = (declared.position_of(("metadata", "name")), "declared here")
        message = f"{key} is still declared, and this Removal says that its bytes may go"
        advice = "take the manifest out in the same commit, or take this Removal out"
        yield hit(removal, ("spec", "ref", "name"), message, advice, note)


RULE = ResourceRule("removal-of-declared", Severity.ERROR, ("Removal",), check)
