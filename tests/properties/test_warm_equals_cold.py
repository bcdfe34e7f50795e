"""What is known of a revision never changes what is said of the next one: warm runs say what cold ones say."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from edits import revisions
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.analyze import analyze
from analyzer.graph import ResourceGraph
from analyzer.render import json, text
from analyzer.report import Report
from analyzer.rules import RULES

AS_OF = date(2026, 6, 1)


def said(report: Report) -> tuple[object, ...]:
    """Everything that comes out of a report, byte for byte, and the graph behind it."""
    return (json.render(report), text.render(report), *linked(report.graph))


def linked(graph: ResourceGraph) -> tuple[object, ...]:
    knots = {key: knot for key in graph.manifests if (knot := graph.knot(key))}
    places = [(key, str(manifest.location)) for key, manifest in graph.manifests.items()]
    others = [str(manifest.location) for manifest in graph.duplicates]
    return (places, others, dict(graph.outgoing), dict(graph.incoming), graph.unread, knots)


def replay(seed: int, count: int, size: int = 40) -> int:
    """Analyse a history twice, once from what is known and once from nothing; how many findings that met."""
    warm = cold = None
    met = 0
    for number, snapshot in enumerate(revisions(seed, count, size)):
        as_of = AS_OF + timedelta(days=300 * (number // 7))
        warm = analyze(snapshot, as_of=as_of, base=warm, keep=True)
        cold = analyze(snapshot, as_of=as_of, base=cold)
        assert said(warm) == said(cold), f"seed {seed}, revision {number}"
        met += len(warm.findings)
    return met


@settings(deadline=None, max_examples=20)
@given(st.integers(min_value=0))
def test_warm_equals_cold(seed: int) -> None:
    """Guards incremental analysis: after any edits the report and the graph are those of a run that knew nothing."""
    replay(seed, 8)


def test_a_history() -> None:
    """Guards incremental analysis over many steps on top of each other: layers are folded, and nothing lingers."""
    assert replay(1, 60) > 100


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_long_history() -> None:
    """The same over several hundred commits of a larger repository."""
    assert replay(2, 500, 200) > 1000


def test_rules_ask_for_what_they_need() -> None:
    """No rule walks over everything: it would be asked again after every change."""
    asked = set()
    report = None
    for snapshot in revisions(3, 20):
        report = analyze(snapshot, as_of=AS_OF, base=report, keep=True)
        state = report.state
        asked |= set(state.layer.members(("asked", "everything")))
    assert (asked, len(RULES) > 50) == (set(), True)
