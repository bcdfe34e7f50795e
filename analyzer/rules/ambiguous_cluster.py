from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.rule import Case, CaseRule, Hit

_ADVICE = "name the roots of one cluster with `roots` in .holdfast.yaml"


def check(case: Case) -> Iterator[Hit]:
    if len(case.stores) > 1:
        (first, name), *others = case.stores
        message = f"storage is declared in {len(case.stores)} clusters; Holdfast applies one"
        related = ((place, f"in {other}") for place, other in others)
        yield Hit(first, f"{message}, and this is in {name}", related=tuple(related), help=_ADVICE)


RULE = CaseRule("ambiguous-cluster", Severity.ERROR, check, fixed=True)
