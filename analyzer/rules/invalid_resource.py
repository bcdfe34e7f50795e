from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from analyzer.finding import Confidence, Severity
from analyzer.manifest import Declaration, resembles_a_manifest
from analyzer.rule import File, FileRule, Hit
from analyzer.vocabulary import defined_by
from schemas.custom import is_crd
from schemas.resources import OUR_GROUP
from schemas.validation import Path, Problem


def check(file: File) -> Iterator[Hit]:
    for declaration, problem in file.problems_of(RULE.id):
        yield _hit(declaration, problem)
    for declaration in file.declarations:
        value = declaration.document.value
        if isinstance(value, dict) and is_crd(value):
            for flaw in defined_by(declaration.document).flaws:
                yield _hit(declaration, Problem(flaw.path, "invalid-resource", flaw.message))


def _hit(declaration: Declaration, problem: Problem) -> Hit:
    place = declaration.position_of(problem.path)
    found = Hit(place, problem.message, declaration.subject, problem.path, help=_advice(declaration))
    if declaration.kind is None:
        return found if resembles_a_manifest(declaration.document.value) else replace(found, confidence=Confidence.LOW)
    if declaration.kind.group != OUR_GROUP and _HOLE.search(_value(declaration.document.value, problem.path)):
        advice = "something else is put in here later; nobody can tell what it becomes"
        return replace(found, at_most=Severity.WARNING, confidence=Confidence.LOW, help=advice)
    return found


_HOLE = re.compile(r"\$\{|\{\{|^<[^<>]+>$|<[A-Z][A-Z0-9_]*>")  # of templates, and of those who fill them in by hand


def _value(value: Any, path: Path) -> str:  # noqa: ANN401  # JSON
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return ""  # what is missing has no value
    return value if isinstance(value, str) else ""


def _advice(declaration: Declaration) -> str:
    if declaration.kind is None:
        return "add the path to `ignore` in .holdfast.yaml if the file is not a manifest"
    kind = declaration.kind
    if kind.is_custom:
        return f"the schema is {kind.api_version} {declaration.kind_name}, as this repository defines it"
    edition = f" ({kind.edition})" if kind.edition else ""
    return f"the schema is {kind.api_version} {kind.name}{edition}; see `holdfast explain {kind.qualified}`"


RULE = FileRule("invalid-resource", Severity.ERROR, check, fixed=True, odd=True)
