"""Regular expressions are found wherever they stand, and judged as Go does."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from analyzer.analyze import analyze
from analyzer.snapshot import Blob, Snapshot, blob_id

WRONG = r"^(a)\1$"
API = ("hub.traefik.io/v1alpha1", "API")
MIDDLEWARE = ("traefik.io/v1alpha1", "Middleware")
ROUTE = ("traefik.io/v1alpha1", "IngressRoute")


def match(text: str) -> dict[str, Any]:
    return {"routes": [{"kind": "Rule", "match": text, "services": [{"name": "s", "port": 80}]}]}


def paths(kind: tuple[str, str], spec: dict[str, Any]) -> list[str]:
    metadata = {"name": "a", "namespace": "apps"}
    manifest = {"apiVersion": kind[0], "kind": kind[1], "metadata": metadata, "spec": spec}
    data = json.dumps(manifest).encode()
    report = analyze(Snapshot("", {"a.yaml": Blob("a.yaml", blob_id(data), data)}), as_of=date(2026, 6, 1))
    return [".".join(map(str, f.path)) for f in report.findings if f.rule == "invalid-regex"]


@pytest.mark.parametrize(
    ("kind", "spec", "path"),
    [
        (API, {"cors": {"allowOriginListRegex": ["ok", WRONG]}}, "spec.cors.allowOriginListRegex.1"),
        (MIDDLEWARE, {"redirectRegex": {"regex": WRONG, "replacement": "x"}}, "spec.redirectRegex.regex"),
        (MIDDLEWARE, {"stripPrefixRegex": {"regex": [WRONG]}}, "spec.stripPrefixRegex.regex.0"),
        (ROUTE, match(f"PathRegexp(`{WRONG}`)"), "spec.routes.0.match"),
        (ROUTE, match(f"Host(`a`) && !HeaderRegexp(`X-A`, `{WRONG}`)"), "spec.routes.0.match"),
        (ROUTE, match("HostRegexp(`(a`)"), "spec.routes.0.match"),
    ],
)
def test_where_expressions_are_found(kind: tuple[str, str], spec: dict[str, Any], path: str) -> None:
    """In fields that the schema marks, in what it leaves open, and inside the rules of routes."""
    assert paths(kind, spec) == [path]


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        (MIDDLEWARE, {"redirectRegex": {"regex": r"^https?://\pL+\z", "replacement": "x"}}),
        (ROUTE, match("HostRegexp(`{sub:[a-z]+}.example.com`) && Path(`/a(b`)")),
        (ROUTE, match("PathRegexp(`(?P<id>[[:alnum:]]+)$`)")),
    ],
)
def test_what_go_takes_is_not_told(kind: tuple[str, str], spec: dict[str, Any]) -> None:
    """Templates of the older form, plain paths, and what Python alone would refuse."""
    assert paths(kind, spec) == []
