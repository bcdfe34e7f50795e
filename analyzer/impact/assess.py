"""Everything there is to say about a change: what it does, to whom, and whether it goes through. Pure."""

from __future__ import annotations

from dataclasses import replace

from analyzer.access import api, storage
from analyzer.access.questions import answers
from analyzer.access.rows import AccessChange
from analyzer.finding import Finding
from analyzer.graph import ResourceGraph
from analyzer.impact.budget import budget_of
from analyzer.impact.clusters import pairs_of, together
from analyzer.impact.difference import Impact, Unreadable, differing, impact
from analyzer.impact.stakes import connected, live
from analyzer.impact.usage import Usage
from analyzer.impact.verdict import judge
from analyzer.report import Report


def assess(
    base: Report, head: Report, usage: Usage | None = None, rejected: tuple[Finding, ...] | None = None
) -> Impact:
    """Compare two revisions under the policy of the base. The head's report is one that was made against the base.

    `rejected`: the findings for which the head is not accepted, where that is not for its own policy to say.
    """
    clusters = pairs_of(base, head)
    found = together([impact(before, after) for before, after in clusters], _one_sided(base, head))
    found = replace(found, rejected=head.blocking if rejected is None else rejected)
    if not found.unreadable:
        rows = tuple(row for before, after in clusters for row in _access(before, after))
        found = replace(found, access=answers(rows))
    if usage and not found.unreadable:
        found = replace(
            found,
            live=live(found, base.graph, head.graph, usage),
            access=tuple(replace(a, connected=connected(a.rows, base.graph, usage)) for a in found.access),
        )
    budget = budget_of(base.config.settings)
    return replace(found, verdict=judge(found, base.graph, budget, usage.rehearsal if usage else None))


def _one_sided(base: Report, head: Report) -> tuple[Unreadable, ...]:
    """Where one revision takes something from elsewhere and the other does not."""
    here, there = ({(place.path, why): place for place, why in side.partial} for side in (head, base))
    new = (Unreadable("head", place, key[1]) for key, place in here.items() if key not in there)
    old = (Unreadable("base", place, key[1]) for key, place in there.items() if key not in here)
    return (*new, *old)


def _access(base: ResourceGraph, head: ResourceGraph) -> tuple[AccessChange, ...]:
    sides = (side for pair in differing(base, head) for side in (pair.before, pair.after))
    changed = {side.key for side in sides if side}
    return (*api.changes(base, head, changed), *storage.changes(base, head, changed))
