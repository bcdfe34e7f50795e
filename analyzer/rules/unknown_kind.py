from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.manifest import Declaration
from analyzer.rule import File, FileRule, Hit
from schemas.kinds import our_kinds
from schemas.resources import OUR_GROUP
from schemas.validation import did_you_mean, quoted


def check(file: File) -> Iterator[Hit]:
    for declaration in file.declarations:
        if declaration.kind is None and declaration.api_version:
            yield _ours(declaration) if declaration.ours else _foreign(declaration)


def _ours(declaration: Declaration) -> Hit:
    name = declaration.kind_name
    if name in our_kinds():
        version = our_kinds()[name].api_version
        message = f"{name} has no apiVersion {quoted(declaration.api_version)}; it is {quoted(version)}"
        return _hit(declaration, "apiVersion", message, f"write {version}", Severity.ERROR)
    message = f"{OUR_GROUP} has no kind {quoted(name)}{did_you_mean(name, our_kinds())}"
    return _hit(declaration, "kind", message, "`holdfast explain` lists the kinds", Severity.ERROR)


def _foreign(declaration: Declaration) -> Hit:
    message = f"{declaration.api_version} {declaration.kind_name} is not known here; nothing will come of it"
    advice = "add the path to `ignore` in .holdfast.yaml if another tool applies it"
    return _hit(declaration, "kind", message, advice)


def _hit(declaration: Declaration, field: str, message: str, advice: str, severity: Severity | None = None) -> Hit:
    return Hit(
        declaration.position_of((field,)), message, declaration.subject, (field,), help=advice, severity=severity
    )


RULE = FileRule("unknown-kind", Severity.WARNING, check)
