from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.rule import Hit, SuppressionRule
from analyzer.suppression import Lines, Outcome


def check(outcome: Outcome) -> Iterator[Hit]:
    suppression = outcome.suppression
    for rule in outcome.unused:
        message = f"{rule} finds nothing {_where(suppression.scope)}"
        yield Hit(suppression.location, message, help="take it out, so that it hides nothing later")


def _where(scope: object) -> str:
    if not isinstance(scope, Lines):
        return "that this selects"
    if scope.last < scope.first:
        return "here: nothing follows"
    return f"in line {scope.first}" if scope.first == scope.last else f"in lines {scope.first} to {scope.last}"


RULE = SuppressionRule("unused-suppression", Severity.WARNING, check)
