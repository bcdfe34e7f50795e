"""Which routes to APIs are in conflict, and how sure that is."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from analyzer.analyze import analyze
from analyzer.snapshot import Blob, Snapshot, blob_id

A, B, BELOW = "Host(`a`) && PathPrefix(`/v1`)", "PathPrefix(`/v1`) && Host(`a`)", "Host(`a`) && PathPrefix(`/v1/x`)"


def route(name: str, match: str, api: str = "", **more: Any) -> dict[str, Any]:
    own = {field: more.pop(field) for field in ("priority",) if field in more}
    rule = {"kind": "Rule", "match": match, "services": [{"name": "s", "port": 80}], **own}
    annotations = {"hub.traefik.io/api": api or name, **more.pop("annotations", {})}
    metadata = {"name": name, "namespace": "apps", "annotations": annotations}
    head = {"apiVersion": "traefik.io/v1alpha1", "kind": "IngressRoute"}
    return {**head, "metadata": metadata, "spec": {"routes": [rule], **more}}


def ingress(name: str, path: str, kind: str = "Prefix") -> dict[str, Any]:
    paths = [{"path": path, "pathType": kind, "backend": {"service": {"name": "s", "port": {"number": 80}}}}]
    metadata = {"name": name, "namespace": "apps", "annotations": {"hub.traefik.io/api": name}}
    spec = {"rules": [{"host": "a", "http": {"paths": paths}}]}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": spec}


def http_route(name: str, path: str) -> dict[str, Any]:
    rules = [{"matches": [{"path": {"type": "PathPrefix", "value": path}}], "backendRefs": [{"name": "s", "port": 80}]}]
    metadata = {"name": name, "namespace": "apps", "annotations": {"hub.traefik.io/api": name}}
    spec = {"hostnames": ["a"], "parentRefs": [{"name": "g"}], "rules": rules}
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": metadata, "spec": spec}


def found(*manifests: dict[str, Any]) -> list[tuple[str, str]]:
    data = "\n---\n".join(map(json.dumps, manifests)).encode()
    report = analyze(Snapshot("", {"a.yaml": Blob("a.yaml", blob_id(data), data)}), as_of=date(2026, 6, 1))
    told = (f for f in report.findings if f.rule == "conflicting-api-path")
    return [(str(f.confidence), f.message) for f in told]


@pytest.mark.parametrize(
    ("one", "other", "confidence", "words"),
    [
        (route("a", A), route("b", B), "high", "nothing says which"),
        (route("a", A), route("b", BELOW, priority=1), "high", "never reached"),
        (route("a", A, priority=99), route("b", BELOW), "high", "never reached"),
        (route("a", "PathRegexp(`^/v[0-9]+$`)"), route("b", "PathPrefix(`/v17888888`)"), "high", "nothing says which"),
        (route("a", "Host(`a`) && PathPrefix(`/v1`)"), ingress("b", "/v1"), "low", "nothing says which"),
        (ingress("a", "/v1"), ingress("b", "/v1/x", "Exact"), "low", "never reached"),  # its rule is the shorter text
        (http_route("a", "/v1"), http_route("b", "/v1"), "low", "only the older"),
        (route("a", A, entryPoints=["web"]), route("b", B), "low", "nothing says which"),
        (route("a", A, annotations={"kubernetes.io/ingress.class": "x"}), route("b", B), "low", "nothing says which"),
    ],
)
def test_conflicts(one: dict[str, Any], other: dict[str, Any], confidence: str, words: str) -> None:
    """Each pair is told of once, whichever comes first in the files, with what is wrong in words."""
    assert [(sure, words in message) for sure, message in found(one, other)] == [(confidence, True)]
    assert [sure for sure, _ in found(other, one)] == [confidence]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (route("a", A), route("b", BELOW)),
        (route("a", A), route("b", B, api="a")),
        (route("a", A, tls={}), route("b", B)),
        (route("a", A, entryPoints=["web"]), route("b", B, entryPoints=["websecure"])),
        (route("a", A, ingressClassName="x"), route("b", B, ingressClassName="y")),
        (route("a", "Host(`a`) && Method(`GET`)"), route("b", "Host(`a`) && Method(`PUT`)")),
        (http_route("a", "/v1"), http_route("b", "/v1x")),
        (http_route("a", "/v1"), http_route("b", "/v1/x")),
        (route("a", "Host(`a`) && PathRegexp(`(?=x)`)"), route("b", "Host(`a`)")),
    ],
)
def test_no_conflicts(one: dict[str, Any], other: dict[str, Any]) -> None:
    """What is told apart, lies below, comes in elsewhere or cannot be followed is not called a conflict."""
    assert found(one, other) == []
