"""What looks wrong and need not be is told with low confidence, in repositories as people write them."""

from __future__ import annotations

from datetime import date

import pytest

from analyzer.analyze import analyze
from analyzer.finding import Confidence, Finding, Severity
from analyzer.snapshot import Blob, Snapshot, blob_id

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: a}\nspec: {ports: [{port: 80}]}\n"
ROUTE = """\
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: web, namespace: a}
spec: {routes: [{match: Host(`a.example`), kind: Rule, services: [{name: web, port: 81}]}]}
"""
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {app: 'LABEL'}}\nspec: {containers: []}\n"
LIMIT = """\
apiVersion: hub.traefik.io/v1alpha1
kind: APIRateLimit
metadata: {name: a, namespace: a}
spec: {limit: 1, everyone: true, apis: [{name: NAME}]}
---
apiVersion: hub.traefik.io/v1alpha1
kind: API
metadata: {name: web, namespace: a}
spec: {openApiSpec: {url: "http://web.a/openapi.yaml"}}
"""


def told(rule: str, *files: str) -> list[Finding]:
    blobs = {f"{n}.yaml": Blob(f"{n}.yaml", blob_id(text.encode()), text.encode()) for n, text in enumerate(files)}
    report = analyze(Snapshot("", blobs), as_of=date(2026, 6, 1))
    return [finding for finding in report.findings if finding.rule == rule]


def confidences(rule: str, *files: str) -> list[Confidence]:
    return [finding.confidence for finding in told(rule, *files)]


def test_a_port_of_a_service_that_is_declared_once() -> None:
    """Where a Service is declared twice, or stands for another host, nobody knows which ports it has."""
    elsewhere = SERVICE.replace("{ports", "{type: ExternalName, externalName: a.example, ports")
    assert confidences("unknown-service-port", ROUTE, SERVICE) == [Confidence.HIGH]
    assert confidences("unknown-service-port", ROUTE, SERVICE, SERVICE) == [Confidence.LOW]
    assert confidences("unknown-service-port", ROUTE, elsewhere) == [Confidence.LOW]


@pytest.mark.parametrize("value", ["{{label}}", "${LABEL}", "<label>", "web-<CLUSTER_NAME>"])
def test_a_value_that_is_put_in_later(value: str) -> None:
    """What a template or a person fills in is not held against what stands there until then."""
    [finding] = told("invalid-resource", POD.replace("LABEL", value))
    assert (finding.severity, finding.confidence) == (Severity.WARNING, Confidence.LOW)


def test_a_value_that_is_wrong() -> None:
    """A label that is none stays an error, for nobody says that it will be another."""
    [finding] = told("invalid-resource", POD.replace("LABEL", "a b"))
    assert (finding.severity, finding.confidence) == (Severity.ERROR, Confidence.HIGH)


def test_a_name_with_its_namespace() -> None:
    """A name that says its namespace is not surely a dangling one; with another namespace it is."""
    assert confidences("dangling-reference", LIMIT.replace("NAME", "web@a")) == [Confidence.LOW]
    assert confidences("dangling-reference", LIMIT.replace("NAME", "web@b")) == [Confidence.HIGH]


def test_a_file_of_another_tool() -> None:
    """Tags and merge keys of a file that has nothing of a manifest are a warning; a manifest with them is an error."""
    tagged = "site: docs\nemoji: !!python/name:material.emoji.twemoji\n"
    assert [f.severity for f in told("invalid-yaml", tagged)] == [Severity.WARNING]
    assert [f.severity for f in told("invalid-yaml", f"{SERVICE}more: !thing x\n")] == [Severity.ERROR]
    assert [f.severity for f in told("invalid-yaml", f"{tagged}--- [\n")] == [Severity.ERROR] * 2


def test_a_file_with_holes() -> None:
    """A line that something is put in place of makes a file a template, which is not called broken with certainty."""
    file = SERVICE.replace("kind: Service\n", "kind: Service\n<ANNOTATIONS>\n")
    assert confidences("invalid-yaml", file) == [Confidence.LOW]


def test_a_gateway_names_what_is_served() -> None:
    """An older gateway leads to its APIAccess, so that one which is misspelt is told."""
    gateway = (
        "apiVersion: hub.traefik.io/v1alpha1\nkind: APIGateway\nmetadata: {name: g}\nspec: {apiAccesses: [NAME]}\n"
    )
    access = "apiVersion: hub.traefik.io/v1alpha1\nkind: APIAccess\nmetadata: {name: partners}\nspec: {apis: []}\n"
    assert told("dangling-reference", gateway.replace("NAME", "partners"), access) == []
    [finding] = told("dangling-reference", gateway.replace("NAME", "partner"), access)
    assert (finding.severity, finding.confidence) == (Severity.WARNING, Confidence.LOW)
