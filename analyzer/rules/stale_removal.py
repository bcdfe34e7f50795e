from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.hazards import removal_ref
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit


def check(case: Case, removal: Manifest) -> Iterator[Hit]:
    former = case.base.get(removal.key) if case.base else None
    if case.base is None or former is None or former.resource != removal.resource:
        return
    subject = removal_ref(removal.resource)
    if case.graph.get(subject) is None and case.base.get(subject) is None:
        message = f"{subject} was gone before this change, too: this Removal is spent, or waits for an approval"
        advice = "take it out once `holdfast status` shows that the bytes are gone"
        yield hit(removal, ("metadata", "name"), message, advice)


RULE = ResourceRule("stale-removal", Severity.INFO, ("Removal",), check)
