from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.rule import File, FileRule, Hit


def check(file: File) -> Iterator[Hit]:
    for declaration, problem in file.problems_of(RULE.id):
        place = declaration.position_of(problem.path)
        kind = declaration.kind_name
        advice = f"name where the key is read: a file, env or credential; see `holdfast explain {kind}`"
        yield Hit(place, problem.message, declaration.subject, problem.path, help=advice)


RULE = FileRule("encrypted-pool-without-key", Severity.ERROR, check, fixed=True, odd=True)
