from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.hazards import changes
from analyzer.manifest import Manifest
from analyzer.rule import Case, ChangeRule, Hit, both_sound, hit
from schemas.validation import quoted


def check(case: Case, before: Manifest | None, after: Manifest | None) -> Iterator[Hit]:
    both = both_sound(before, after)
    for change in changes(both[0].resource, both[1].resource) if both else ():
        if both and change.update == "restart":
            note = (case.was(both[0], change.path), f"{quoted(change.before)} before")
            why = f": {change.reason}" if change.reason else ""
            message = f"{change.name} waits until the target is started again (RestartRequired){why}"
            advice = "plan a restart of the target; until then the old value is in force"
            yield hit(both[1], change.path, message, advice, note)


RULE = ChangeRule("restart-required-field", Severity.INFO, check)
