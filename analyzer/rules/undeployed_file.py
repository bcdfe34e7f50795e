from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.roots.problem import place_of
from analyzer.rule import Case, CaseRule, Hit

_ADVICE = "add the path to `ignore` in .holdfast.yaml, or give it apiVersion and kind"


def check(case: Case) -> Iterator[Hit]:
    for root in case.roots:
        for stray in root.strays:
            yield Hit(place_of(stray), "no manifest, and no root takes it in; nothing will come of it", help=_ADVICE)


RULE = CaseRule("undeployed-file", Severity.INFO, check)
