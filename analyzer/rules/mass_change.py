from __future__ import annotations

import functools
from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.graph import ResourceGraph
from analyzer.hazards import changes
from analyzer.manifest import Manifest
from analyzer.renames import later_name
from analyzer.rule import Case, ChangeRule, Hit
from schemas.resources import OUR_GROUP, ResourceKey

FEWEST = 10  # resources; fewer are looked at one by one
SHARE = 0.5  # of what the base declares of the kind


def check(case: Case, before: Manifest | None, after: Manifest | None) -> Iterator[Hit]:
    """Asked of each change, answered by the first of many."""
    if case.base is None or before is None or not before.sound or case.graph.unread or not _counts(before, after):
        return
    kind = before.key.kind_name
    everything = len(case.base.of_kind(kind))
    hit = _affected(case.base, case.graph, kind)
    if len(hit) >= max(FEWEST, SHARE * everything) and before.key == hit[0]:
        gone = sum(case.graph.get(key) is None for key in hit)
        what = f"{gone} of them vanish" if gone else "hosts notice each of them"
        message = f"{len(hit)} of {everything} {kind} manifests vanish or are disturbed at once; {what}"
        advice = "see that this is meant: a folder that moved, a pattern that ignores too much, a script gone wrong"
        yield Hit(case.was(before, ("metadata", "name")), message, before.key, help=advice)


@functools.lru_cache(maxsize=1)
def _affected(base: ResourceGraph, head: ResourceGraph, kind: str) -> tuple[ResourceKey, ...]:
    """What vanishes or is disturbed of a kind, in order."""
    manifests = (manifest for manifest in base.of_kind(kind) if manifest.key.group == OUR_GROUP)
    sides = ((before, head.get(later_name(head, before.key) or before.key)) for before in manifests)
    return tuple(before.key for before, after in sides if _counts(before, after))


def _counts(before: Manifest, after: Manifest | None) -> bool:
    if after is None:
        return True
    if before is after or before.resource == after.resource or not (before.sound and after.sound):
        return False
    return any(change.hazard in ("disruptive", "data-loss") for change in changes(before.resource, after.resource))


RULE = ChangeRule("mass-change", Severity.WARNING, check)
