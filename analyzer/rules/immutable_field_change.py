from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.graph import ResourceGraph
from analyzer.hazards import FieldChange, changes
from analyzer.manifest import Manifest
from analyzer.renames import follows_rename
from analyzer.rule import Case, ChangeRule, Hit, both_sound, hit
from schemas.validation import quoted

SHRINK = ("spec", "size")  # of a Volume: held for that volume alone, see volume-shrink


def _is_let_through(graph: ResourceGraph, after: Manifest, change: FieldChange) -> bool:
    """A size that shrinks is held for its volume alone; and a name that follows a rename still means the same thing."""
    return (after.key.kind, change.path) == ("Volume", SHRINK) or follows_rename(graph, after, change)


def check(case: Case, before: Manifest | None, after: Manifest | None) -> Iterator[Hit]:
    if both := both_sound(before, after):
        old, new = both
        for change in changes(old.resource, new.resource):
            if change.update == "refuse" and not _is_let_through(case.graph, new, change):
                note = (case.was(old, change.path), f"{quoted(change.before)} before")
                message = f"{change.name} cannot change: {change.reason}"
                advice = "put the old value back" if change.before is not None else "take it out again"
                yield hit(new, change.path, message, advice, note)


RULE = ChangeRule("immutable-field-change", Severity.ERROR, check)
