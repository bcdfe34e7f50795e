"""Fingerprints: what two findings have in common that are the same mistake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from analyzer.finding import Confidence, Finding, Location, Severity
from analyzer.report import Report
from analyzer.rule import FileRule, Hit, Rule
from schemas.resources import ResourceKey

Lint = Callable[..., Report]

FINDING = Finding(
    "dangling-reference",
    Severity.ERROR,
    'StoragePool "fsat" is not declared; did you mean "fast"?',
    Location("a.yaml", 4, 17, text="spec: {poolRef: fsat}"),
    ResourceKey("Volume", "team-a", "db", "storage.holdfast.dev"),
    ("spec", "items", 3, "poolRef"),
)
AMOUNT = replace(FINDING, message="it declares 1020Mi, 110% of what quotas.yaml:12 lets it have")

SAME = [
    (FINDING, {"location": Location("b/c.yaml", 90, 1, text="  poolRef: fsat")}),
    (FINDING, {"message": 'StoragePool "fsat" is not declared'}),
    (FINDING, {"message": 'StoragePool "fsat" is not declared; did you mean "feast"?'}),
    (FINDING, {"path": ("spec", "items", 0, "poolRef")}),
    (FINDING, {"severity": Severity.INFO, "help": "", "confidence": Confidence.LOW}),
    (AMOUNT, {"message": "it declares 2Gi, 220.5% of what b/other.yml:3:4 lets it have"}),
]
OTHER = [
    {"rule": "unknown-kind"},
    {"message": 'StoragePool "fsta" is not declared; did you mean "fast"?'},
    {"message": 'StoragePool "2Gi" is not declared'},
    {"path": ("spec", "poolRef")},
    {"resource": ResourceKey("Volume", "team-b", "db", "storage.holdfast.dev")},
    {"resource": None},
]


@pytest.mark.parametrize(("finding", "change"), SAME)
def test_the_same_mistake(finding: Finding, change: dict[str, object]) -> None:
    """Files, lines, items, guesses, amounts and severities may change."""
    assert replace(finding, **change).fingerprint == finding.fingerprint  # type: ignore[arg-type]


@pytest.mark.parametrize("change", OTHER)
def test_another_mistake(change: dict[str, object]) -> None:
    """Another rule, resource, field or name makes it another one."""
    assert replace(FINDING, **change).fingerprint != FINDING.fingerprint  # type: ignore[arg-type]


def test_a_mistake_of_a_file(lint: Lint) -> None:
    """Without a resource the line itself counts; a text that is no text (lone surrogates) has a fingerprint, too."""
    [one] = lint({"a.yaml": "a: 1\na: 2\n"}).findings
    [moved] = lint({"b/c.yaml": "# moved\nb: 0\na: 1\n  \na:  2\n"}).findings
    [other] = lint({"a.yaml": "a: 1\na: 3\n"}).findings
    assert one.fingerprint == moved.fingerprint != other.fingerprint
    assert len(replace(FINDING, message="\ud800").fingerprint) == 32


def test_what_holds_fast(lint: Lint) -> None:
    """A rule that nothing works without holds for what we apply, and for who may change what in every kind; so does
    what a rule finds worse than its own.
    """
    ours = "apiVersion: storage.holdfast.dev/v1alpha1\nkind: Volum\nmetadata: {name: a}\n"
    foreign = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\n"
    found = {finding.location.path: finding.fixed for finding in lint({"a.yaml": ours, "b.yaml": foreign}).findings}
    assert found == {"a.yaml": True, "b.yaml": False}
    rule, history = FileRule("a", Severity.ERROR, lambda _: (), fixed=True), Rule("a", Severity.ERROR, fixed=True)
    key = ResourceKey("API", "a", "b", "hub.traefik.io")
    assert rule._holds_fast(Hit(FINDING.location, "m"))
    assert not rule._holds_fast(Hit(FINDING.location, "m", key))
    assert history._holds_fast(Hit(FINDING.location, "m", key))
