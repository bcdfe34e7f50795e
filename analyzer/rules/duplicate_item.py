from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.graph import values_at
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, Rule, hit
from schemas.kinds import Field, our_kinds
from schemas.validation import quoted

TOLD_ELSEWHERE = ("nsid",)  # duplicate-nsid


def check(case: Case) -> Iterator[Hit]:
    for kind in our_kinds().values():
        lists = [field for field in kind.fields.values() if field.list_key and field.list_key not in TOLD_ELSEWHERE]
        for manifest in case.graph.sound(kind.name) if lists else ():
            for field in lists:
                yield from _repeated(manifest, field)


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


RULE = Rule("duplicate-item", Severity.ERROR, check, fixed=True)
