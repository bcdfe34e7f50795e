from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.rule import Case, Hit, Rule


def check(case: Case) -> Iterator[Hit]:
    for file, defect in case.defects("duplicate-key"):
        related = ((file.at(defect.first), "first given here"),) if defect.first else ()
        yield Hit(file.at(defect.place), defect.message, related=related, help=defect.help)


RULE = Rule("duplicate-key", Severity.ERROR, check, fixed=True)
