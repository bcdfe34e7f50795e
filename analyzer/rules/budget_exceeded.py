from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace

from analyzer.finding import Note, Severity
from analyzer.graph import ResourceGraph
from analyzer.hazards import Pair, changes, removal_ref
from analyzer.impact.budget import Budget, Cost, budget_of
from analyzer.manifest import Manifest
from analyzer.rule import Case, ChangeRule, Hit
from analyzer.volumes import resolved
from schemas.quantity import counted
from schemas.resources import ResourceKey

SHOWN = 10  # resources that a finding names
FELT = ("disruptive", "data-loss")


def check(case: Case, before: Manifest | None, after: Manifest | None) -> Iterator[Hit]:
    """Asked of each change, answered by the first of those that cost something."""
    if (
        case.base is None
        or case.base_settings is None
        or not all(side is None or side.sound for side in (before, after))
    ):
        return
    pair = Pair(before.resource if before else None, after.resource if after else None)
    if not _may_cost(case.base, pair):
        return
    first, costs = _costs(case.base, case.graph)
    if first != pair.key:
        return
    budget = budget_of(case.base_settings)
    consents = {removal_ref(removal.resource) for removal in case.graph.sound("Removal")}
    for cost in costs:
        agreed = replace(cost, destroyed=tuple(key for key in cost.destroyed if key in consents))
        yield from _judge(case, after or before, agreed, budget)


def _judge(case: Case, manifest: Manifest | None, cost: Cost, budget: Budget) -> Iterator[Hit]:
    for keys, limit, noun, fate in cost.counted(budget):
        if manifest and len(keys) > limit:
            where = f" on Target {cost.target}" if cost.target else ""
            allowed = f"{limit} allowed within {budget.window}"
            are = f"{counted(len(keys), noun)} {'is' if len(keys) == 1 else 'are'} {fate}{where}"
            message = f"{are}, {allowed}: what exceeds it is held"
            advice = "spread it over several commits, or have it approved: `holdfast approve ID`"
            path = ("metadata", "name")
            place = manifest.position_of(path) if case.graph.get(manifest.key) is manifest else case.was(manifest, path)
            yield Hit(place, message, manifest.key, path, tuple(_notes(case, keys)), advice)


def _notes(case: Case, keys: tuple[ResourceKey, ...]) -> Iterator[Note]:
    for key in keys[:SHOWN]:
        before = case.base.get(key) if case.base else None
        if before:
            yield case.was(before, ("metadata", "name")), str(key)


def _may_cost(base: ResourceGraph, pair: Pair) -> bool:
    """Whether it is worth while to ask what everything costs together. A host may be felt through selectors."""
    if pair.key.kind_name == "Host":
        return True
    before = resolved(base, pair.before) if pair.before and not pair.after else pair.before
    return any(change.hazard in FELT for change in changes(before, pair.after))


@functools.lru_cache(maxsize=1)
def _costs(base: ResourceGraph, head: ResourceGraph) -> tuple[ResourceKey | None, tuple[Cost, ...]]:
    """The first resource whose change costs something, and what all of them cost together."""
    from analyzer.impact.difference import impact  # noqa: PLC0415  # only a change that can cost something needs it
    from analyzer.impact.verdict import costs_of  # noqa: PLC0415  # see above

    found = impact(base, head)
    first = min((change.key for change in found.changes if change.hazard in FELT), default=None)
    return first, tuple(costs_of(found, base)) if first else ()


RULE = ChangeRule("budget-exceeded", Severity.WARNING, check)
