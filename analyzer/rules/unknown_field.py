from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Confidence, Severity
from analyzer.manifest import Declaration
from analyzer.rule import File, FileRule, Hit
from schemas.resources import OUR_GROUP
from schemas.validation import Path, Problem


def check(file: File) -> Iterator[Hit]:
    for declaration, problem in file.problems_of(RULE.id):
        yield _hit(declaration, problem)


def _hit(declaration: Declaration, problem: Problem) -> Hit:
    place = declaration.position_of(problem.path, key=True)
    kind = declaration.kind
    assert kind is not None  # noqa: S101  # only a kind has a schema that fields could be unknown to
    ours = kind.group == OUR_GROUP
    match problem.path:
        case ("metadata", "namespace"):
            message = f"a {kind.name} has no namespace: it is cluster-scoped, and every namespace shares it"
            return Hit(place, message, declaration.subject, problem.path, help="take the namespace out")
        case ("status",):
            message = "status is live state; it is never declared"
            return Hit(place, message, declaration.subject, problem.path, help="take it out")
    sure = ours or not kind.edition or "; did you mean " in problem.message
    explained = f"see `holdfast explain {kind.qualified}{_parent(problem.path)}`"
    advice = "a field that the definition does not name is dropped" if kind.is_custom else explained
    return Hit(
        place,
        problem.message if sure else f"{problem.message} in {kind.edition}",
        declaration.subject,
        problem.path,
        help=advice if sure else f"{advice}; a newer edition may have it",
        confidence=Confidence.HIGH if sure else Confidence.LOW,
        at_most=None if sure else Severity.WARNING,
    )


def _parent(path: Path) -> str:
    return "".join(f".{step}" for step in path[:-1] if isinstance(step, str))


RULE = FileRule("unknown-field", Severity.ERROR, check, fixed=True, odd=True)
