from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Location, Severity
from analyzer.rule import Case, CaseRule, Hit


def check(case: Case) -> Iterator[Hit]:
    for gap in case.unread:
        advice = "put the file itself there, or add the path to `ignore` in .holdfast.yaml"
        yield Hit(Location(gap.path, 1, 1), f"not read: {gap.because}", help=advice)


RULE = CaseRule("unreadable-file", Severity.ERROR, check, fixed=True)
