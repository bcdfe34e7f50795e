from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.rule import Case, CaseRule, Hit


def check(case: Case) -> Iterator[Hit]:
    for location, message in case.policy_problems:
        yield Hit(location, message, help="until it is mended, built-in values hold and no revision is accepted")


RULE = CaseRule("invalid-policy", Severity.ERROR, check, fixed=True)
