"""Who may call, see and use up which API: worked out of subscriptions, catalogue items, bundles, plans and weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from analyzer.access.api import api_grants
from analyzer.access.rows import Grant, compare
from analyzer.report import Report
from analyzer.rules import orphan_resource
from schemas.kinds import kinds


def manifest(kind: str, name: str, spec: str, labels: str = "") -> str:
    head = f"apiVersion: hub.traefik.io/v1alpha1\nkind: {kind}\n"
    return f"{head}metadata: {{name: {name}, namespace: apps, labels: {{{labels}}}}}\nspec: {spec}\n---\n"


SETS = (
    "operationSets: [{name: read, matchers: [{pathPrefix: /v, methods: [GET]}]}, {name: write, matchers: [{path: /w}]}]"
)
VOLUMES = manifest("API", "volumes", f"{{openApiSpec: {{url: 'https://v.example/o.json', {SETS}}}}}", "area: storage")
BILLS = manifest("API", "bills", "{title: Bills}", "area: money")
GOLD = manifest("APIPlan", "gold", "{title: G, rateLimit: {limit: 10, period: 1m}, quota: {limit: 9, period: 24h}}")
SILVER = manifest("APIPlan", "silver", "{title: S, rateLimit: {limit: 5, period: 1m, bucket: application}}")
BACKUP = manifest("ManagedApplication", "backup", "{appId: backup-1, owner: anna}", "team: ops")
HOUSE = VOLUMES + BILLS + GOLD + SILVER + BACKUP


def subscription(name: str, more: str, plan: str = "gold") -> str:
    return manifest("ManagedSubscription", name, f"{{apiPlan: {{name: {plan}}}, {more}}}")


Rows = Callable[[str], Mapping[str, Mapping[str, str]]]


@pytest.fixture
def grants(lint: Callable[..., Report]) -> Callable[[str], tuple[Grant, ...]]:
    """Manifests beside two APIs, two plans and an application → who may do what."""
    return lambda text: api_grants(lint({"a.yaml": HOUSE + text}).graph)


@pytest.fixture
def rows(grants: Callable[[str], tuple[Grant, ...]]) -> Rows:
    return lambda text: {f"{g.principal} {g.right} {g.resource.name}": dict(g.terms) for g in grants(text)}


NAMED = "apis: [{name: volumes}], managedApplications: [{name: backup}]"
BY_ID = "applications: [{appId: backup-1}]"
GOLD_TERMS = {"operations": "all", "plan": "gold", "rate limit": "10 per 1m", "quota": "9 per 24h"}


@pytest.mark.parametrize(
    "more",
    [
        NAMED,
        "apiSelector: {matchLabels: {area: storage}}, managedApplicationSelector: {matchLabels: {team: ops}}",
        "apiSelector: {matchExpressions: [{key: area, operator: In, values: [storage]}]}, " + BY_ID,
    ],
)
def test_an_application_may_call_what_it_is_subscribed_to(rows: Rows, more: str) -> None:
    """However APIs and applications are named or picked, the row is the same, on the terms of the plan."""
    assert rows(subscription("s", more)) == {"application backup-1 call volumes": GOLD_TERMS}


def test_bundles_and_named_apis_are_taken_together(rows: Rows) -> None:
    """What a subscription names, picks and bundles adds up."""
    bundle = manifest("APIBundle", "money", "{apiSelector: {matchLabels: {area: money}}}")
    found = rows(bundle + subscription("s", NAMED + ", apiBundles: [{name: money}]"))
    assert list(found) == ["application backup-1 call bills", "application backup-1 call volumes"]


def test_the_heaviest_plan_is_in_force(rows: Rows) -> None:
    """By weight, and between equals by name; the operations of all of them are allowed."""
    light = subscription("b", NAMED + ", operationFilter: {include: [read]}")
    heavy = subscription("c", NAMED + ", weight: 2, operationFilter: {include: [write]}", "silver")
    equal = subscription("a", NAMED + ", operationFilter: {include: [write]}", "silver")
    terms = {
        "operations": "read (GET below /v), write (/w)",
        "plan": "silver",
        "rate limit": "5 per 1m for each application",
    }
    assert rows(light + heavy) == {"application backup-1 call volumes": terms}
    assert rows(light + equal) == {"application backup-1 call volumes": terms}


def test_an_operation_filter_lets_through_what_the_api_defines(rows: Rows) -> None:
    """Sets that the API does not have allow nothing, and an empty filter allows nothing at all."""
    assert rows(subscription("s", NAMED + ", operationFilter: {include: [read, other]}"))[
        "application backup-1 call volumes"
    ]["operations"] == ("read (GET below /v)")
    assert rows(subscription("s", NAMED + ", operationFilter: {}")) == {}
    assert rows(subscription("s", NAMED + ", operationFilter: {include: [other]}")) == {}


def test_conditions_on_claims_are_told(rows: Rows) -> None:
    """What is only allowed to tokens with a claim is told apart from what is always allowed."""
    text = subscription("a", NAMED + ", operationFilter: {include: [read]}") + subscription(
        "b", NAMED + ", claims: 'Equals(`role`, `admin`)'"
    )
    found = rows(text)["application backup-1 call volumes"]
    assert found["operations"] == "read (GET below /v)"
    assert found["operations if Equals(`role`, `admin`)"] == "all"


def test_versions_are_called_each_for_itself(rows: Rows) -> None:
    """Of an API with versions it is those that are called, each with the sets of operations that it has."""
    api = manifest("API", "files", "{versions: [{name: files-1}, {name: files-2}]}")
    one = manifest("APIVersion", "files-1", f"{{release: 1.0.0, openApiSpec: {{url: 'https://f.example/1', {SETS}}}}}")
    two = manifest("APIVersion", "files-2", "{release: 2.0.0}")
    more = "apis: [{name: files}], managedApplications: [{name: backup}]"
    assert list(rows(api + one + two + subscription("s", more))) == [
        "application backup-1 call files-1",
        "application backup-1 call files-2",
    ]
    filtered = subscription("s", more + ", operationFilter: {include: [read]}")
    assert list(rows(api + one + two + filtered)) == ["application backup-1 call files-1"]


def test_groups_see_what_the_catalogue_shows_them(rows: Rows) -> None:
    """Everyone and groups, with the plans among which they may choose."""
    text = (
        manifest("APICatalogItem", "a", "{groups: [dev, ops], apis: [{name: volumes}], apiPlan: {name: gold}}")
        + manifest("APICatalogItem", "b", "{groups: [dev], apis: [{name: volumes}], apiPlan: {name: silver}}")
        + manifest("APICatalogItem", "c", "{everyone: true, apis: [{name: bills}]}")
    )
    found = rows(text)
    assert list(found) == ["everyone see bills", "group dev see volumes", "group ops see volumes"]
    assert found["everyone see bills"] == {"operations": "all"}
    assert found["group dev see volumes"]["plans on offer"] == (
        "gold (rate limit 10 per 1m; quota 9 per 24h), silver (rate limit 5 per 1m for each application)"
    )


def test_the_older_form_lets_groups_call(rows: Rows) -> None:
    """APIAccess, also by way of an APICollection, and the tightest of several APIRateLimits."""
    text = (
        "apiVersion: hub.traefik.io/v1alpha1\nkind: APICollection\nmetadata: {name: all}\n"
        "spec: {apis: [{name: volumes, namespace: apps}]}\n---\n"
        + manifest("APIAccess", "a", "{groups: [dev], apiCollections: [{name: all}], apiPlan: {name: gold}}")
        + manifest("APIRateLimit", "r", "{groups: [dev], limit: 100, period: 1s, apis: [{name: volumes}]}")
        + manifest("APIRateLimit", "t", "{groups: [dev], limit: 100, period: 1m, apis: [{name: volumes}]}")
    )
    assert rows(text) == {
        "group dev call volumes": GOLD_TERMS,
        "group dev call at most volumes": {"rate limit": "100 per 1m"},
    }


def test_what_is_not_declared_gives_nobody_access(rows: Rows) -> None:
    """A subscription to an API or for an application of which nothing is known adds no row."""
    assert rows(subscription("s", "apis: [{name: other}], managedApplications: [{name: backup}]")) == {}
    assert rows(subscription("s", "apis: [{name: volumes}], managedApplications: [{name: other}]")) == {}


def test_why_somebody_has_access_is_told(grants: Callable[[str], tuple[Grant, ...]]) -> None:
    """The references that lead from the subscription to the application and to the API, through the bundle."""
    bundle = manifest("APIBundle", "money", "{apis: [{name: bills}]}")
    [grant] = grants(bundle + subscription("s", "managedApplications: [{name: backup}], apiBundles: [{name: money}]"))
    assert [(str(r.source), str(r.target)) for r in grant.because] == [
        ("ManagedSubscription apps/s", "ManagedApplication apps/backup"),
        ("ManagedSubscription apps/s", "APIBundle apps/money"),
        ("APIBundle apps/money", "API apps/bills"),
    ]


def test_another_plan_differs_in_its_limits(grants: Callable[[str], tuple[Grant, ...]]) -> None:
    """Everybody whom a change of limits concerns is named, with the limits before and after."""
    [change] = compare(grants(subscription("s", NAMED)), grants(subscription("s", NAMED, "silver")))
    assert change.terms == (
        ("plan", "gold", "silver"),
        ("rate limit", "10 per 1m", "5 per 1m for each application"),
        ("quota", "9 per 24h", None),
    )


def test_all_kinds_that_use_others_are_indexed() -> None:
    """An orphan is looked for wherever its schema says that it may be used."""
    users = {user for kind in kinds().values() if kind.used_by for user in kind.used_by.kinds}
    assert set(orphan_resource.USERS) == users
