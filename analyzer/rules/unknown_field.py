from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.manifest import Declaration
from analyzer.rule import File, FileRule, Hit
from schemas.validation import Path, Problem


def check(file: File) -> Iterator[Hit]:
    for declaration in file.declarations:
        for problem in declaration.problems:
            if problem.rule == "unknown-field":
                yield _hit(declaration, problem)


def _hit(declaration: Declaration, problem: Problem) -> Hit:
    place = declaration.position_of(problem.path, key=True)
    kind = declaration.kind_name
    match problem.path:
        case ("metadata", "namespace"):
            message = f"a {kind} has no namespace: it is cluster-scoped, and every namespace shares it"
            return Hit(place, message, declaration.subject, problem.path, help="take the namespace out")
        case ("status",):
            return Hit(
                place,
                "status is live state; it is never declared",
                declaration.subject,
                problem.path,
                help="take it out",
            )
    return Hit(
        place,
        problem.message,
        declaration.subject,
        problem.path,
        help=f"see `holdfast explain {kind}{_parent(problem.path)}`",
    )


def _parent(path: Path) -> str:
    return "".join(f".{step}" for step in path[:-1] if isinstance(step, str))


RULE = FileRule("unknown-field", Severity.ERROR, check, fixed=True)
