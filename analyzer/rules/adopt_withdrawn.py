from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.rule import Case, Hit, Rule, hit
from schemas.annotations import ADOPT
from schemas.kinds import our_kinds


def check(case: Case) -> Iterator[Hit]:
    for kind in our_kinds():
        for before, after in case.updated(kind):
            said = before.resource.annotations.get(ADOPT)
            if said and after.resource.annotations.get(ADOPT) != said:
                note = (case.was(before, ("metadata", "annotations", ADOPT)), "before")
                message = f"{ADOPT} says which object this is, should the ledger ever be lost"
                yield hit(after, ("metadata",), message, f"keep the annotation {ADOPT}: {said!r}", note)


RULE = Rule("adopt-withdrawn", Severity.ERROR, check)
