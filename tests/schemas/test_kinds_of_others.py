# ruff: noqa: E501  # a table has one row a line
"""The schemas of kinds that are not ours: complete, documented, and as strict as the CRDs they describe."""

from __future__ import annotations

import copy
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from analyzer.analyze import analyze
from analyzer.document import parse
from analyzer.finding import Severity
from analyzer.manifest import Manifest, decode
from analyzer.snapshot import Blob, Snapshot, blob_id
from schemas.checks import CHECKS
from schemas.fields import FieldPath
from schemas.kinds import ITEM, Field, Kind, kinds
from schemas.resources import OUR_GROUP
from schemas.validation import _FORMATS

OTHERS = [kind for kind in kinds().values() if kind.group != OUR_GROUP]
HUB = json.loads((Path(__file__).parent / "hub_fields.json").read_text())  # kind → the paths of its spec
FIELDS = [(kind, field) for kind in OTHERS for field in kind.body_fields()]

each_kind = pytest.mark.parametrize("kind", OTHERS, ids=lambda kind: f"{kind.api_version}/{kind.name}")


def hub(name: str) -> Kind:
    return kinds()["hub.traefik.io/v1alpha1", name]


def current(kind: Kind) -> set[str]:
    """The paths of a spec without what the CRD no longer has; `{}` stands for the values of a free-form mapping."""
    former = [field.path for field in kind.fields.values() if "x-removed" in field.schema]
    found = set()
    for field in kind.body_fields():
        if field.path == kind.body or any(field.path[: len(path)] == path for path in former):
            continue
        found.add(named(field.path))
        if isinstance(field.schema.get("additionalProperties"), dict):
            found.add(f"{named(field.path)}{{}}")
    return found


def named(path: FieldPath) -> str:
    return ".".join(path[1:]).replace(f".{ITEM}", ITEM)


@pytest.mark.parametrize("name", HUB)
def test_hub_kinds_have_exactly_the_fields_of_their_crds(name: str) -> None:
    """No field of a current CRD of Traefik Hub is missing, and none is made up; older ones are marked as removed."""
    assert current(hub(name)) == set(HUB[name])


@each_kind
def test_examples_are_sound(kind: Kind) -> None:
    """The example of a kind follows its schema."""
    assert kind.problems(kind.example) == ()


@each_kind
def test_everything_is_documented(kind: Kind) -> None:
    """Every field says in a sentence what it is, and the kind says whose release it describes."""
    for field in kind.body_fields():
        if field.path[-1] != ITEM:
            assert field.description.endswith("."), str(field)
    assert kind.edition
    assert kind.description.endswith(".")


@each_kind
def test_annotations_are_known(kind: Kind) -> None:
    """References name kinds that there are, forms and checks are ones that the validator knows."""
    for field in kind.fields.values():
        assert field.schema.get("x-format", "url") in _FORMATS
        assert {name for check in field.schema.get("x-checks", ()) for name in check} <= CHECKS
        for other in named_kinds(field):
            assert kinds().called(other), f"{kind.qualified} {field}: {other}"


def named_kinds(field: Field) -> list[str]:
    picked = [field.schema[word] for word in ("x-pick", "x-select") if word in field.schema]
    return [*picked, *(field.reference.kinds if field.reference else ())]


@each_kind
def test_what_takes_the_place_of_a_kind(kind: Kind) -> None:
    """A kind that is on its way out says what to use, and names kinds that are not."""
    for name in kind.schema.get("x-replaced-by", ()):
        other = kinds().called(name)
        assert other
        assert "x-removed" not in other.schema


@each_kind
def test_metadata_is_as_kubernetes_takes_it(kind: Kind) -> None:
    """What an API server writes into metadata, and status, may stand in a manifest that is not ours."""
    manifest: Any = copy.deepcopy(kind.example)
    if "metadata" not in manifest:
        return
    manifest["metadata"] |= {
        "uid": "4c4c4544-0051-4d10-8052-b7c04f4d3432",
        "creationTimestamp": None,
        "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "b"}],
        "managedFields": [],
        "labels": {"app.kubernetes.io/name": "a"},
    }
    assert kind.problems(manifest) == ()
    manifest["metadata"]["lables"] = {}
    [problem] = kind.problems(manifest)
    assert problem.message == 'unknown field "lables"; did you mean "labels"?'


JWT = {"appIdClaim": "sub", "publicKey": "…"}
SET = {"name": "read", "matchers": [{"pathPrefix": "/"}]}
CRD_RULES: list[tuple[str, dict[str, Any], str, str]] = [
    ("APIAuth", {"isDefault": True}, "spec", "exactly one of apiKey, jwt, ldap, keyless is needed; none is given"),
    ("APIAuth", {"isDefault": True, "apiKey": {}, "jwt": JWT}, "spec", "exactly one of apiKey, jwt, ldap, keyless is needed; apiKey and jwt are given"),
    ("APIAuth", {"isDefault": True, "apiKey": {"keySource": {"header": "X", "headerAuthScheme": "Bearer"}}}, "spec.apiKey.keySource.headerAuthScheme", '"headerAuthScheme" can only be given where "header" is "Authorization"'),
    ("APIAuth", {"isDefault": True, "jwt": {"appIdClaim": "sub"}}, "spec.jwt", "exactly one of signingSecretName, publicKey, jwksFile, jwksUrl, trustedIssuers is needed; none is given"),
    ("APIAuth", {"isDefault": True, "jwt": {"appIdClaim": "sub", "trustedIssuers": []}}, "spec.jwt.trustedIssuers", "the list needs at least 1 item(s)"),
    ("APIAuth", {"isDefault": True, "jwt": {"appIdClaim": "sub", "trustedIssuers": [{"jwksUrl": "https://a.example/k"}, {"jwksUrl": "https://b.example/k", "issuer": ""}]}}, "spec.jwt.trustedIssuers.1", 'only one entry may be without "issuer"; the first is number 1'),
    ("APIAuth", {"isDefault": True, "jwt": {"appIdClaim": "sub", "jwksUrl": "http://a.example"}}, "spec.jwt.jwksUrl", '"http://a.example" is not an HTTPS URL, such as "https://example.com/keys"'),
    ("APIAuth", {"isDefault": True, "ldap": {"baseDn": "dc=a", "url": "https://a.example"}}, "spec.ldap.url", '"https://a.example" is not an LDAP URL, such as "ldaps://ldap.example.com"'),
    ("APIBundle", {"apis": [{"name": "a"}, {"name": "b"}, {"name": "a"}]}, "spec.apis.2.name", '"a" is in the list twice'),
    ("APICatalogItem", {"everyone": True, "groups": ["a"]}, "spec.groups", "everyone and groups exclude each other"),
    ("APICatalogItem", {"everyone": False, "groups": []}, "spec", "one of everyone or groups is needed, and neither false nor empty"),
    ("APICatalogItem", {"everyone": True, "apiBundles": [{"name": "a"}, {"name": "a"}]}, "spec.apiBundles.1.name", '"a" is in the list twice'),
    ("APIPlan", {"title": "a", "rateLimit": {"limit": -1}}, "spec.rateLimit.limit", "-1 is smaller than 0, the minimum here"),
    ("APIPlan", {"title": "a", "rateLimit": {"limit": 1, "period": "2h"}}, "spec.rateLimit.period", '"2h" is not a duration from 1s to 1h, such as "1m"'),
    ("APIPlan", {"title": "a", "quota": {"limit": 1, "period": "500ms"}}, "spec.quota.period", '"500ms" is not a duration from 1s to 9999h, such as "24h"'),
    ("APIPortalAuth", {}, "spec", "exactly one of oidc, ldap is needed; none is given"),
    ("APIPortalAuth", {"oidc": {"issuerUrl": "login", "secretName": "a", "claims": {"groups": "g"}}}, "spec.oidc.issuerUrl", '"login" is not a URL, such as "https://example.com"'),
    ("APIPortal", {"trustedUrls": []}, "spec.trustedUrls", "the list needs at least 1 item(s)"),
    ("APIPortal", {"trustedUrls": ["portal"]}, "spec.trustedUrls.0", '"portal" is not a URL, such as "https://portal.example.com"'),
    ("APIPortal", {"title": "a"}, "spec", '"trustedUrls" is missing'),
    ("APIRateLimit", {"limit": 1, "everyone": True, "groups": ["a"]}, "spec.groups", "everyone and groups exclude each other"),
    ("APIRateLimit", {"limit": 1, "period": "61m"}, "spec.period", '"61m" is not a duration from 1s to 1h, such as "1m"'),
    ("API", {"openApiSpec": {"operationSets": [SET]}}, "spec.openApiSpec", "one of path or url is needed"),
    ("API", {"openApiSpec": {"path": "/", "operationSets": [{"name": "a", "matchers": [{"path": "/a", "pathRegex": "b"}]}]}}, "spec.openApiSpec.operationSets.0.matchers.0.pathRegex", "at most one of path, pathPrefix or pathRegex may be given; path and pathRegex are"),
    ("API", {"openApiSpec": {"path": "openapi.json"}}, "spec.openApiSpec.path", '"openapi.json" is not a path that begins with \'/\' and has no \'..\' in it, such as "/openapi.json"'),
    ("API", {"openApiSpec": {"path": "/a/../b"}}, "spec.openApiSpec.path", '"/a/../b" is not a path that begins with \'/\' and has no \'..\' in it, such as "/openapi.json"'),
    ("API", {"openApiSpec": {"path": "/a/.."}}, "spec.openApiSpec.path", '"/a/.." is not a path that begins with \'/\' and has no \'..\' in it, such as "/openapi.json"'),
    ("API", {"openApiSpec": {"url": "https://a.example", "refreshInterval": "30s"}}, "spec.openApiSpec.refreshInterval", '"30s" is not a duration of at least 1m, such as "1m"'),
    ("API", {"openApiSpec": {"path": "/", "override": {"servers": [{"url": "a b"}]}}}, "spec.openApiSpec.override.servers.0.url", '"a b" is not a URL, such as "https://example.com"'),
    ("APIVersion", {"release": "1.0"}, "spec.release", '"1.0" is not a version by semantic versioning, such as "v1.2.0"'),
    ("APIVersion", {"title": "a"}, "spec", '"release" is missing'),
    ("ContentItem", {"title": "a", "order": 0, "parentRef": {"kind": "API", "name": "a"}}, "spec", "exactly one of content, link is needed; none is given"),
    ("ContentItem", {"title": "a", "order": 0, "content": "a", "parentRef": {"kind": "APIPlan", "name": "a"}}, "spec.parentRef.kind", '"APIPlan" is not one of APIPortal, API, APIBundle; did you mean "APIPortal"?'),
    ("ManagedApplication", {"appId": "a", "owner": "b", "apiKeys": [{"secretName": "a", "value": "b"}]}, "spec.apiKeys.0.value", "at most one of secretName or value may be given; secretName and value are"),
    ("ManagedSubscription", {"apiPlan": {"name": "a"}, "weight": -1}, "spec.weight", "-1 is smaller than 0, the minimum here"),
    ("ManagedSubscription", {"apiPlan": {"name": "a"}, "managedApplications": [{"name": "a"}, {"name": "a"}]}, "spec.managedApplications.1.name", '"a" is in the list twice'),
    ("Uplink", {"exposeName": "a`) || Host(`b"}, "spec.exposeName", '"a`) || Host(`b" is not of the form ^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$'),
]  # fmt: skip


@pytest.mark.parametrize(("name", "spec", "path", "message"), CRD_RULES)
def test_what_the_crds_state_in_cel(name: str, spec: dict[str, Any], path: str, message: str) -> None:
    """Each rule across fields that a CRD states is checked here, at its place and in words for people."""
    [problem] = hub(name).problems({**hub(name).example, "spec": spec})
    assert (".".join(map(str, problem.path)), problem.message) == (path, message)


OLDER = [
    ("API", {"pathPrefix": "/orders", "service": {"name": "a", "port": {"number": 80}, "openApiSpec": {"path": "/o"}}}),
    ("API", {"pathPrefix": "/orders", "currentVersion": "orders-v1"}),
    ("APIVersion", {"apiName": "orders", "service": {"name": "a", "port": {"name": "web"}}}),
    ("APIPortal", {"apiGateway": "gateway", "customDomains": ["a.example"]}),
    ("APIRateLimit", {"limit": 1, "anyGroups": True, "apis": [{"name": "a", "namespace": "b"}]}),
    ("APIAccess", {"groups": ["a"], "apiCollectionSelector": {"matchLabels": {"a": "b"}}}),
    ("AIService", {"azureOpenai": {"apiKey": "a", "baseUrl": "b", "deploymentName": "c"}}),
]


@pytest.mark.parametrize(("name", "spec"), OLDER)
def test_older_forms_are_checked_as_such(name: str, spec: dict[str, Any]) -> None:
    """A manifest of an older edition is not called broken."""
    assert hub(name).problems({**hub(name).example, "spec": spec}) == ()
    assert not hub(name).former or "x-removed" in hub(name).schema or current(hub(name))


def test_secrets_are_not_shown() -> None:
    """What a schema marks as secret is replaced by a word, wherever it stands."""
    spec = {"appId": "a", "apiKeys": [{"value": "s3cret", "title": "one"}]}
    shown = hub("ManagedApplication").without_secrets(spec)
    assert shown == {"appId": "a", "apiKeys": [{"value": "(secret)", "title": "one"}]}


def test_the_examples_together() -> None:
    """The examples of all kinds that are still in use make one repository without errors."""
    current = [kind for kind in kinds().values() if kinds().called(kind.qualified) is kind]
    contents = {f"{kind.qualified}.yaml": json.dumps(kind.example).encode() for kind in current}
    blobs = {path: Blob(path, blob_id(data), data) for path, data in contents.items()}
    report = analyze(Snapshot("", blobs), as_of=date(2026, 6, 1))
    assert [f"{f.location.path} {f.rule} {f.message}" for f in report.findings if f.severity is Severity.ERROR] == []
    linked = {reference.target.kind_name for found in report.graph.outgoing.values() for reference in found}
    assert linked >= {"hub.traefik.io/API", "core/Service", "core/Secret", "storage.k8s.io/StorageClass"}


NULLS = [
    (
        "traefik.io/IngressRoute",
        {"routes": [{"match": "Host(`a`)", "middlewares": None}], "tls": {"secretName": None}},
        [],
    ),
    ("traefik.io/IngressRoute", {"routes": None}, ['"routes" is missing']),
    ("hub.traefik.io/APIPlan", {"title": "a", "rateLimit": None}, []),
    ("hub.traefik.io/APIPlan", None, ['"spec" is missing']),
]


@pytest.mark.parametrize(("name", "spec", "problems"), NULLS)
def test_null_is_what_is_not_given(name: str, spec: object, problems: list[str]) -> None:
    """An API server drops fields that are null, and so does who reads them here; what is needed is missing then."""
    kind = kinds().called(name)
    assert kind
    document = parse(json.dumps({**kind.example, "spec": spec}).encode()).documents[0]
    manifest = decode(document, "a.yaml")
    assert isinstance(manifest, Manifest)
    assert [problem.message for problem in manifest.problems] == problems
    assert "rateLimit" not in manifest.resource.spec
