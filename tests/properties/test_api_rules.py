"""The rules about APIs on random sites: what is known of one revision never changes what is said of the next."""

from __future__ import annotations

from datetime import date

from api_site import Site
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.access.api import api_grants, changes
from analyzer.access.rows import AccessChange, compare
from analyzer.analyze import analyze
from analyzer.impact.difference import differing
from analyzer.render import json
from analyzer.report import Report

AS_OF = date(2026, 6, 1)
RULES = {
    "ambiguous-subscription-weight", "childless-resource", "conflicting-api-path", "duplicate-release",
    "empty-operation-filter", "empty-selector", "foreign-namespace-reference", "invalid-regex", "invalid-route-match",
    "invalid-selector", "multi-backend-openapi-path", "orphan-resource", "selector-matches-nothing",
    "unexposed-api-version", "unknown-operation-set", "unknown-service-port",
}  # fmt: skip


def replay(seed: int, count: int) -> set[str]:
    """A history, analysed from what is known and from nothing; which rules had something to say."""
    warm = cold = None
    met: set[str] = set()
    for number, snapshot in enumerate(Site(seed).revisions(count)):
        before = cold
        warm, last = analyze(snapshot, as_of=AS_OF, base=warm, keep=True), warm
        cold = analyze(snapshot, as_of=AS_OF, base=cold)
        assert json.render(warm) == json.render(cold), f"seed {seed}, revision {number}"
        assert api_grants(warm.graph) == api_grants(cold.graph)
        if last and before:
            told = compare(api_grants(before.graph), api_grants(cold.graph))
            assert _near(last, warm) == _near(before, cold) == told, f"seed {seed}, revision {number}"
        met |= {finding.rule for finding in warm.findings}
    return met


def _near(base: Report, head: Report) -> tuple[AccessChange, ...]:
    """Whose access is another, where only those near what differs are looked at."""
    sides = (side for pair in differing(base.graph, head.graph) for side in (pair.before, pair.after))
    return changes(base.graph, head.graph, {side.key for side in sides if side})


@settings(deadline=None, max_examples=15)
@given(st.integers(min_value=0))
def test_warm_equals_cold(seed: int) -> None:
    """After any change of a site its findings, and who may call what, are those of a run that knew nothing."""
    replay(seed, 6)


def test_every_rule_is_met() -> None:
    """The random sites have something in them for every rule that is about APIs."""
    met = set.union(*(replay(seed, 12) for seed in range(8)))
    assert met >= RULES
