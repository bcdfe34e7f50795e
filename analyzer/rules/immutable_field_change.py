from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.graph import ResourceGraph
from analyzer.hazards import FieldChange, changes, former_key
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, Rule, hit
from schemas.kinds import our_kinds
from schemas.validation import quoted

SHRINK = ("spec", "size")  # of a Volume: held for that volume alone, see volume-shrink


def _is_let_through(graph: ResourceGraph, after: Manifest, change: FieldChange) -> bool:
    """A size that shrinks is held for its volume alone; and a name that follows a rename still means the same thing."""
    if (after.key.kind, change.path) == ("Volume", SHRINK):
        return True
    named = (r.target for r in graph.references(after.key) if r.path == change.path)
    former = (former_key(graph.manifests[key].resource) for key in named if key in graph.manifests)
    return any(key is not None and key.name == change.before for key in former)


def check(case: Case) -> Iterator[Hit]:
    for kind in our_kinds():
        for before, after in case.updated(kind):
            for change in changes(before.resource, after.resource):
                if change.update == "refuse" and not _is_let_through(case.graph, after, change):
                    note = (case.was(before, change.path), f"{quoted(change.before)} before")
                    message = f"{change.name} cannot change: {change.reason}"
                    advice = "put the old value back" if change.before is not None else "take it out again"
                    yield hit(after, change.path, message, advice, note)


RULE = Rule("immutable-field-change", Severity.ERROR, check)
