from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.manifest import Declaration
from analyzer.rule import File, FileRule, Hit


def check(file: File) -> Iterator[Hit]:
    for declaration in file.declarations:
        for problem in declaration.problems:
            if problem.rule == "invalid-resource":
                place = declaration.position_of(problem.path)
                yield Hit(place, problem.message, declaration.subject, problem.path, help=_advice(declaration))


def _advice(declaration: Declaration) -> str:
    if not declaration.api_version:
        return "add the path to `ignore` in .holdfast.yaml if the file is not a manifest"
    kind = declaration.kind_name
    return f"the schema is {declaration.api_version} {kind}; see `holdfast explain {kind}`"


RULE = FileRule("invalid-resource", Severity.ERROR, check, fixed=True)
