from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.rule import File, FileRule, Hit


def check(file: File) -> Iterator[Hit]:
    for defect in file.defects_of("invalid-yaml"):
        yield Hit(file.at(defect.place), defect.message, help=defect.help)


RULE = FileRule("invalid-yaml", Severity.ERROR, check, fixed=True)
