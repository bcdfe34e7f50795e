"""What went under one name and came under another, saying the same. A guess, which hides nothing. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from analyzer.impact.radius import ResourceChange
from schemas.resources import ResourceKey, canonical


def perhaps_renamed(changes: Iterable[ResourceChange]) -> list[ResourceChange]:
    """The same changes; what goes, and the only one of its kind that comes and says the same, are told of each other.

    The deletion stays a deletion: whoever applies it sees two resources.
    """
    found = list(changes)
    gone, come = _by_content(found, "delete"), _by_content(found, "create")
    other: dict[ResourceKey, ResourceKey] = {}
    for content in gone.keys() & come.keys():
        if len(gone[content]) == len(come[content]) == 1:
            (before,), (after,) = gone[content], come[content]
            other |= {before: after, after: before}
    return [replace(change, perhaps=other.get(change.key)) for change in found]


def _by_content(changes: Iterable[ResourceChange], action: str) -> dict[str, list[ResourceKey]]:
    """Kind and spec → the resources; one that says nothing is like any other."""
    found: dict[str, list[ResourceKey]] = defaultdict(list)
    for change in changes:
        if change.action == action:
            spec = change.fields[0].after if action == "create" else change.fields[0].before
            if spec:
                found[canonical([change.key.group, change.key.kind, spec])].append(change.key)
    return found
