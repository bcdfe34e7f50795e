from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.rule import Case, CaseRule, Hit


def check(case: Case) -> Iterator[Hit]:
    history = case.history
    if history and history.severed and history.policies:
        place = case.was(history.policies[0], ("metadata", "name"))
        message = f"{history.severed}, so no commit answers for what changes: {history.policies[0].key} cannot be kept"
        advice = "go back with `git revert`, or merge what it does not build on"
        yield Hit(place, message, help=advice)


RULE = CaseRule("history-rewritten", Severity.ERROR, check, fixed=True)
