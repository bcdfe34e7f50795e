"""Everything there is to say about a change: what it does, to whom, and whether it goes through. Pure."""

from __future__ import annotations

from dataclasses import replace

from analyzer.access import storage
from analyzer.access.api import api_grants
from analyzer.access.questions import answers
from analyzer.access.rows import AccessChange, compare
from analyzer.budget import budget_of
from analyzer.finding import Finding
from analyzer.graph import ResourceGraph
from analyzer.impact import Impact, impact
from analyzer.report import Report
from analyzer.stakes import connected, live
from analyzer.usage import Usage
from analyzer.verdict import judge


def assess(
    base: Report, head: Report, usage: Usage | None = None, rejected: tuple[Finding, ...] | None = None
) -> Impact:
    """Compare two revisions under the policy of the base. The head's report is one that was made against the base.

    `rejected`: the findings for which the head is not accepted, where that is not for its own policy to say.
    """
    found = impact(base.graph, head.graph, head.blocking if rejected is None else rejected)
    if not found.unreadable:
        found = replace(found, access=answers(_access(base.graph, head.graph)))
    if usage and not found.unreadable:
        found = replace(
            found,
            live=live(found, base.graph, head.graph, usage),
            access=tuple(replace(a, connected=connected(a.rows, base.graph, usage)) for a in found.access),
        )
    budget = budget_of(base.config.settings)
    return replace(found, verdict=judge(found, base.graph, budget, usage.rehearsal if usage else None))


def _access(base: ResourceGraph, head: ResourceGraph) -> tuple[AccessChange, ...]:
    return (*compare(api_grants(base), api_grants(head)), *storage.changes(base, head))
