from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.hazards import HAZARDS, FieldChange, Pair, changes
from analyzer.impact.admission import felt_through_selectors
from analyzer.manifest import Manifest
from analyzer.renames import follows_rename
from analyzer.rule import Case, ChangeRule, Hit

FELT = ("disruptive", "data-loss")
CONSENT = "Removal"  # it is what it is for


def check(case: Case, before: Manifest | None, after: Manifest | None) -> Iterator[Hit]:
    if case.base is None or before is None or not before.sound or (after and not after.sound):
        return
    if (after is None and case.graph.unread) or before.key.kind_name == CONSENT:
        return
    pair = Pair(before.resource, after.resource if after else None)
    fields = felt_through_selectors(pair, case.base, case.graph, changes(pair.before, pair.after))
    real = (f for f in fields if f.hazard in FELT and not (after and follows_rename(case.graph, after, f)))
    felt = sorted(real, key=lambda f: -HAZARDS.index(f.hazard))
    if felt and (after or felt[0].hazard == "disruptive"):  # whose bytes go without consent is another rule's
        yield _hit(case, before, after, felt)


def _hit(case: Case, before: Manifest, after: Manifest | None, felt: list[FieldChange]) -> Hit:
    first, more = felt[0], len(felt) - 1
    what = ": ".join(filter(None, (first.name, first.reason)))
    message = f"{what}{f'; and {more} more' if more else ''} ({first.hazard})"
    path = first.path or ("metadata", "name")
    place = after.position_of(path) if after else case.was(before, path)
    notes = tuple((case.was(before, field.path), f"{field.name}: {field.reason}") for field in felt[1:])
    advice = "`holdfast impact` names everybody who would notice; the daemon keeps to the budget"
    return Hit(place, message, (after or before).key, path, notes, advice)


RULE = ChangeRule("disruptive-change", Severity.INFO, check)
