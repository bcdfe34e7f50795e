from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Finding, Severity
from analyzer.rule import Hit, SuppressionRule
from analyzer.suppression import FORM, Outcome
from schemas.validation import quoted


def check(outcome: Outcome) -> Iterator[Hit]:
    suppression = outcome.suppression
    if suppression.problem:
        form = f"# holdfast: {FORM}" if suppression.commented else "see `holdfast explain .holdfast.yaml`"
        yield Hit(suppression.location, suppression.problem, help=f"write {form}" if suppression.commented else form)
    for rule, guess in outcome.unknown:
        advice = "`holdfast explain` lists the rules"
        yield Hit(suppression.location, f"there is no rule {quoted(rule)}{guess}", help=advice)
    for finding in outcome.refused:
        note = (finding.location, finding.message)
        yield Hit(suppression.location, _refusal(finding), related=(note,), help=_advice(finding))


def _refusal(finding: Finding) -> str:
    if finding.fixed:
        return f"{finding.rule} cannot be allowed here: nothing could be applied with it"
    return f"{finding.rule} is an error of what is applied here, which no comment can allow"


def _advice(finding: Finding) -> str:
    if finding.fixed:
        return "mend what it finds, and take this out"
    return "mend what it finds, or have it allowed by `suppressions` in .holdfast.yaml"


RULE = SuppressionRule("invalid-suppression", Severity.WARNING, check)
