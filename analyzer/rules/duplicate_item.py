from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter

from analyzer.edges import values_of
from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.kinds import Field
from schemas.validation import quoted

TOLD_ELSEWHERE = ("nsid",)  # duplicate-nsid


def check(_: Case, manifest: Manifest) -> Iterator[Hit]:
    if manifest.kind:
        for field in manifest.kind.named_lists:
            if field.list_key not in TOLD_ELSEWHERE:
                yield from _repeated(manifest, field)


def _repeated(manifest: Manifest, field: Field) -> Iterator[Hit]:
    name = str(field.list_key)
    for path, _, items in values_of(manifest, field):
        first: dict[object, int] = {}
        for index, item in enumerate(items):
            before = first.setdefault(item[name], index)
            if before != index:
                note = (manifest.position_of((*path, before, name)), "first given here")
                message = f"two items of {field} have the {name} {quoted(item[name])}"
                yield hit(manifest, (*path, index, name), message, f"give each its own {name}", note)


RULE = ResourceRule("duplicate-item", Severity.ERROR, (), check, fixed=True, has=attrgetter("named_lists"))
