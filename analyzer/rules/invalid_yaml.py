from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.rule import Case, Hit, Rule


def check(case: Case) -> Iterator[Hit]:
    for file, defect in case.defects("invalid-yaml"):
        yield Hit(file.at(defect.place), defect.message, help=defect.help)


RULE = Rule("invalid-yaml", Severity.ERROR, check, fixed=True)
