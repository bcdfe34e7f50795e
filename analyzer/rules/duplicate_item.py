from __future__ import annotations

import functools
from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.graph import values_at
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.kinds import Field, kinds
from schemas.validation import quoted

TOLD_ELSEWHERE = ("nsid",)  # duplicate-nsid


def check(_: Case, manifest: Manifest) -> Iterator[Hit]:
    if manifest.kind:
        for field in _lists(manifest.kind.api_version, manifest.kind.name):
            yield from _repeated(manifest, field)


@functools.cache
def _lists(api_version: str, kind: str) -> tuple[Field, ...]:
    """The lists of a kind whose items have a name."""
    fields = kinds()[api_version, kind].fields.values()
    return tuple(field for field in fields if field.list_key and field.list_key not in TOLD_ELSEWHERE)


def _repeated(manifest: Manifest, field: Field) -> Iterator[Hit]:
    name = str(field.list_key)
    for path, _, items in values_at(manifest.resource.spec, field.path[1:], ("spec",)):
        first: dict[object, int] = {}
        for index, item in enumerate(items):
            before = first.setdefault(item[name], index)
            if before != index:
                note = (manifest.position_of((*path, before, name)), "first given here")
                message = f"two items of {field} have the {name} {quoted(item[name])}"
                yield hit(manifest, (*path, index, name), message, f"give each its own {name}", note)


RULE = ResourceRule("duplicate-item", Severity.ERROR, (), check, fixed=True)
