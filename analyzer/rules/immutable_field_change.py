from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.hazards import changes
from analyzer.rule import Case, Hit, Rule, hit
from schemas.kinds import our_kinds
from schemas.validation import quoted

SHRINK = ("spec", "size")  # of a Volume: held for that volume alone, see volume-shrink


def check(case: Case) -> Iterator[Hit]:
    for kind in our_kinds():
        for before, after in case.updated(kind):
            for change in changes(before.resource, after.resource):
                if change.update == "refuse" and (kind, change.path) != ("Volume", SHRINK):
                    note = (case.was(before, change.path), f"{quoted(change.before)} before")
                    message = f"{change.name} cannot change: {change.reason}"
                    advice = "put the old value back" if change.before is not None else "take it out again"
                    yield hit(after, change.path, message, advice, note)


RULE = Rule("immutable-field-change", Severity.ERROR, check)
