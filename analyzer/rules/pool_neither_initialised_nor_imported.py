from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.rule import File, FileRule, Hit


def check(file: File) -> Iterator[Hit]:
    for declaration, problem in file.problems_of(RULE.id):
        place = declaration.position_of(problem.path)
        advice = "write initialize for a new pool, or lvstoreUUID of one; see `holdfast explain StoragePool`"
        yield Hit(place, problem.message, declaration.subject, problem.path, help=advice)


RULE = FileRule("pool-neither-initialised-nor-imported", Severity.ERROR, check, fixed=True, odd=True)
