from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter

from analyzer.edges import values_of
from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule
from schemas.kinds import Field
from schemas.validation import Path


def check(_: Case, manifest: Manifest) -> Iterator[Hit]:
    told: list[Path] = []
    for field in manifest.kind.former if manifest.kind else ():
        for path, _, _ in values_of(manifest, field):
            if not any(path[: len(outer)] == outer for outer in told):
                told.append(path)
                yield _hit(manifest, field, path)


def _hit(manifest: Manifest, field: Field, path: Path) -> Hit:
    removed = field.schema.get("x-removed")
    lifecycle = removed or field.schema["x-deprecated"]
    since = f" since {lifecycle['in']}" if "in" in lifecycle else ""
    what = f"was removed in {removed['in']}; a newer API server drops it" if removed else f"is deprecated{since}"
    return Hit(
        manifest.position_of(path, key=True),
        f"{field} {what}",
        manifest.key,
        path,
        help=f"use {lifecycle['use']}",
        at_most=None if removed else Severity.INFO,
    )


RULE = ResourceRule("deprecated-field", Severity.WARNING, (), check, sound=False, has=attrgetter("former"))
