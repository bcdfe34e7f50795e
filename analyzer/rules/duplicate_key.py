from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.rule import File, FileRule, Hit


def check(file: File) -> Iterator[Hit]:
    for defect in file.defects_of("duplicate-key"):
        related = ((file.at(defect.first), "first given here"),) if defect.first else ()
        yield Hit(file.at(defect.place), defect.message, related=related, help=defect.help)


RULE = FileRule("duplicate-key", Severity.ERROR, check, fixed=True, odd=True)
