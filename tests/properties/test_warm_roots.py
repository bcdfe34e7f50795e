"""What was rendered before never changes what is said now: repositories with roots, warm and from nothing.

Everything is judged first as a daemon would, one revision after the other; then each revision by somebody who
remembers nothing at all.
"""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest
from deployments import deployed
from forgetting import forget
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.analyze import analyze
from analyzer.graph import ResourceGraph
from analyzer.render import json, text
from analyzer.report import Report

AS_OF = date(2026, 6, 1)


def said(report: Report) -> tuple[object, ...]:
    """Everything that comes out of a report, byte for byte, and the graphs behind it."""
    graphs = {name: linked(graph) for name, graph in report.graphs.items()}
    return (json.render(report), text.render(report, aside=True), report.partial, graphs)


def linked(graph: ResourceGraph) -> tuple[object, ...]:
    places = [(key, str(each.location), each.resource, each.problems) for key, each in graph.manifests.items()]
    fields = [str(each.position_of(("metadata", name))) for each in graph.manifests.values() for name in _FIELDS]
    others = [str(manifest.location) for manifest in graph.duplicates]
    return (places, fields, others, dict(graph.outgoing), dict(graph.incoming), graph.unread)


_FIELDS = ("name", "namespace", "labels", "annotations")


def replay(seed: int, count: int, *, flux: bool | None = None) -> Counter[str]:
    """How many sites were gone on from, and what was met."""
    met: Counter[str] = Counter()
    forget()
    warm: Report | None = None
    answers = []
    for snapshot in deployed(seed, count, flux=flux):
        known = warm.states if warm else {}
        warm = analyze(snapshot, as_of=AS_OF, base=warm, keep=True)
        answers.append(said(warm))
        met.update(sites=len(warm.graphs), findings=len(warm.findings), resources=warm.counts.resources)
        met["followed"] += len(known.keys() & warm.states.keys())
    cold: Report | None = None
    for number, (snapshot, answer) in enumerate(zip(deployed(seed, count, flux=flux), answers, strict=True)):
        forget()
        cold = analyze(snapshot, as_of=AS_OF, base=cold)
        assert said(cold) == answer, f"seed {seed}, revision {number}"
    return met


@settings(deadline=None, max_examples=12)
@given(st.integers(min_value=0))
def test_warm_equals_cold(seed: int) -> None:
    """Guards kept renders: after any edits each cluster is what rendering all of it anew would make of it."""
    replay(seed, 6)


@pytest.mark.parametrize("flux", [False, True])
def test_a_history(*, flux: bool) -> None:
    """Guards many steps on top of each other, and that most clusters are gone on from, also those that are variants."""
    met = replay(1, 25, flux=flux)
    assert met["findings"] > 100
    assert met["resources"] > 100
    assert met["followed"] > met["sites"] / 2


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(8))
def test_long_histories(seed: int) -> None:
    """The same over several hundred commits."""
    replay(seed, 60)
