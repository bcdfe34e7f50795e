from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.rule import Case, CaseRule, Hit


def check(case: Case) -> Iterator[Hit]:
    for root in case.roots:
        for problem in root.problems:
            if problem.broken:
                yield Hit(problem.location, problem.message, help=problem.help)


RULE = CaseRule("broken-kustomization", Severity.ERROR, check)
