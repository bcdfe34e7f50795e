from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, ChangeRule, Hit, both_sound, hit
from schemas.annotations import ADOPT


def check(case: Case, before: Manifest | None, after: Manifest | None) -> Iterator[Hit]:
    if both := both_sound(before, after):
        old, new = both
        said = old.resource.annotations.get(ADOPT)
        if said and new.resource.annotations.get(ADOPT) != said:
            note = (case.was(old, ("metadata", "annotations", ADOPT)), "before")
            message = f"{ADOPT} says which object this is, should the ledger ever be lost"
            yield hit(new, ("metadata",), message, f"keep the annotation {ADOPT}: {said!r}", note)


RULE = ChangeRule("adopt-withdrawn", Severity.ERROR, check)
