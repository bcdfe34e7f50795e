from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.rule import Hit, SuppressionRule
from analyzer.suppression import Outcome


def check(outcome: Outcome) -> Iterator[Hit]:
    suppression = outcome.suppression
    if not suppression.problem and suppression.expired(outcome.as_of):
        message = f"this allowed {', '.join(suppression.rules)} until {suppression.until}, and no longer does"
        yield Hit(suppression.location, message, help="take it out, or say until when it is needed")


RULE = SuppressionRule("expired-suppression", Severity.WARNING, check)
