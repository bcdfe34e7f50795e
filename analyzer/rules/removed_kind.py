from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from analyzer.finding import Severity
from analyzer.manifest import Declaration
from analyzer.rule import File, FileRule, Hit


def check(file: File) -> Iterator[Hit]:
    for declaration in file.declarations:
        schema = declaration.kind.schema if declaration.kind else {}
        if "x-removed" in schema:
            since = f"was removed in {schema['x-removed']['in']}"
            yield _hit(declaration, since, schema["x-removed"], None)
        elif "x-deprecated" in schema:
            since = schema["x-deprecated"].get("in")
            yield _hit(
                declaration, f"is deprecated{f' since {since}' if since else ''}", schema["x-deprecated"], Severity.INFO
            )


def _hit(declaration: Declaration, what: str, lifecycle: dict[str, Any], at_most: Severity | None) -> Hit:
    return Hit(
        declaration.position_of(("kind",)),
        f"{declaration.api_version} {declaration.kind_name} {what}",
        declaration.subject,
        ("kind",),
        help=f"use {lifecycle['use']}",
        at_most=at_most,
    )


RULE = FileRule("removed-kind", Severity.WARNING, check)
