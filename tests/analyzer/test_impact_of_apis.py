"""What a change of API manifests does, and to whom: hazards, the radius in APIs and applications, and who may call."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from analyzer.impact.assess import assess
from analyzer.impact.difference import Impact
from analyzer.render import impact as text
from analyzer.report import Report

Lint = Callable[..., Report]


def manifest(kind: str, name: str, spec: str, labels: str = "") -> str:
    head = f"apiVersion: hub.traefik.io/v1alpha1\nkind: {kind}\n"
    return f"{head}metadata: {{name: {name}, namespace: apps, labels: {{{labels}}}}}\nspec: {spec}\n---\n"


HOUSE = {
    "volumes.yaml": manifest("API", "volumes", "{title: Volumes}", "area: storage, rack: a"),
    "bills.yaml": manifest("API", "bills", "{title: Bills}", "area: money"),
    "gold.yaml": manifest("APIPlan", "gold", "{title: G, rateLimit: {limit: 10, period: 1m}}"),
    "app.yaml": manifest("ManagedApplication", "backup", "{appId: backup-1, owner: anna}"),
    "sub.yaml": manifest(
        "ManagedSubscription",
        "s",
        "{apiPlan: {name: gold}, apiSelector: {matchLabels: {area: storage}}, managedApplications: [{name: backup}]}",
    ),
    "item.yaml": manifest("APICatalogItem", "i", "{everyone: true, apis: [{name: volumes}, {name: bills}]}"),
}


def found(lint: Lint, head: Mapping[str, str]) -> Impact:
    return assess(lint(HOUSE), lint(head, HOUSE))


def edited(file: str, old: str, new: str) -> dict[str, str]:
    assert old in HOUSE[file]
    return HOUSE | {file: HOUSE[file].replace(old, new)}


def told(impact: Impact) -> list[str]:
    return [f"{change.hazard}: {change.action} {change.key}" for change in impact.changes]


def asked(impact: Impact) -> dict[str, list[str]]:
    return {a.id: [f"{c.row.principal} {c.row.right} {c.row.resource.name}" for c in a.rows] for a in impact.access}


def test_a_lower_rate_limit(lint: Lint) -> None:
    """Guards the first question of all: which APIs and applications a change of a rate limit is about."""
    impact = found(lint, edited("gold.yaml", "limit: 10", "limit: 5"))
    assert told(impact) == ["disruptive: update APIPlan apps/gold"]
    radius = impact.radius["disruptive"]
    assert (radius.apis, radius.subscriptions, radius.applications, radius.volumes) == (1, 1, 1, 0)
    assert [str(reached.key) for reached in impact.changes[0].dependents] == ["ManagedSubscription apps/s"]
    assert asked(impact) == {"rate-limit": ["application backup-1 call volumes"]}
    shown = text.render(impact)
    assert "application backup-1: API apps/volumes, rate limit 10 per 1m -> 5 per 1m" in shown
    assert "reaches 1 API, 1 subscription, 1 application, tenants apps" in shown


@pytest.mark.parametrize(("old", "new"), [("area: storage", "area: archive"), ("area: storage, ", "")])
def test_a_label_by_which_an_api_is_picked(lint: Lint, old: str, new: str) -> None:
    """Guards selectors: an API that drops out of a subscription is lost to its applications; another label is safe."""
    impact = found(lint, edited("volumes.yaml", old, new))
    assert told(impact) == ["disruptive: update API apps/volumes"]
    assert asked(impact) == {"loses-api": ["application backup-1 call volumes"]}
    assert found(lint, edited("volumes.yaml", "rack: a", "rack: b")).hazard == "safe"
    grown = found(lint, edited("bills.yaml", "area: money", "area: storage"))
    assert (grown.hazard, asked(grown)) == ("safe", {"gains-api": ["application backup-1 call bills"]})


def test_who_sees_what(lint: Lint) -> None:
    """Guards the portal: an API that is no longer offered is one that everyone loses sight of."""
    impact = found(lint, edited("item.yaml", ", {name: bills}", ""))
    assert asked(impact) == {"loses-sight-of-api": ["everyone see bills"]}
    groups = found(lint, edited("item.yaml", "everyone: true", "groups: [ops]"))
    assert asked(groups)["loses-sight-of-api"] == ["everyone see bills", "everyone see volumes"]


def test_the_budget_is_about_storage(lint: Lint) -> None:
    """Guards words: a change of APIs costs no subsystem and no bytes, and is not said to disturb nobody."""
    impact = found(lint, {path: content for path, content in HOUSE.items() if path != "sub.yaml"})
    assert impact.hazard == "disruptive"
    assert impact.verdict
    assert (impact.verdict.outcome, impact.verdict.costs) == ("pass", ())
    assert "pass: Holdfast disturbs no subsystem, and destroys no bytes" in text.render(impact)
