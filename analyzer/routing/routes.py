"""The routes that a manifest declares: IngressRoute, Ingress and HTTPRoute, each as the requests that it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from analyzer.manifest import Manifest
from analyzer.routing.traefik_rule import And, Matcher, Or, Rule, RuleError, parse
from schemas.loose import items, mapping, texts
from schemas.validation import Path

INGRESS_ROUTE = "traefik.io/IngressRoute"
INGRESS = "networking.k8s.io/Ingress"
HTTP_ROUTE = "gateway.networking.k8s.io/HTTPRoute"
ROUTE_KINDS = (INGRESS_ROUTE, INGRESS, HTTP_ROUTE)

_ROUTER = "traefik.ingress.kubernetes.io/router."
_CLASS = "kubernetes.io/ingress.class"
_EVERYTHING = Matcher("PathPrefix", ("/",), 0)


@dataclass(frozen=True, slots=True)
class Route:
    """One route. `doors`: where its requests come in, entry points or gateways; none named: by default.

    `secure`: whether they come over TLS, which Traefik keeps apart. `precedence` tells which of two routes is asked
    first: the higher one. None where that follows other rules. `served_by`: the class of gateways that serve it.
    """

    path: Path
    rule: Rule
    text: str
    doors: frozenset[str]
    secure: bool
    precedence: int | None
    served_by: str = ""


def routes_of(manifest: Manifest) -> tuple[Route, ...]:
    """The routes of a manifest that is one of ROUTE_KINDS, those left out whose rule is none."""
    match manifest.key.kind_name:
        case "traefik.io/IngressRoute":
            return tuple(_of_ingress_route(manifest))
        case "networking.k8s.io/Ingress":
            return tuple(_of_ingress(manifest))
        case "gateway.networking.k8s.io/HTTPRoute":
            return tuple(_of_http_route(manifest))
    return ()


def _of_ingress_route(manifest: Manifest) -> Iterator[Route]:
    spec = manifest.resource.spec
    doors, secure = frozenset(texts(spec.get("entryPoints"))), spec.get("tls") is not None
    served_by = str(spec.get("ingressClassName") or manifest.resource.annotations.get(_CLASS, ""))
    for index, route in enumerate(map(mapping, items(spec.get("routes")))):
        text = str(route.get("match", ""))
        try:
            rule = parse(text)
        except RuleError:
            continue
        priority = route.get("priority")
        precedence = priority if isinstance(priority, int) and priority else len(text)
        yield Route(("spec", "routes", index, "match"), rule, text, doors, secure, precedence, served_by)


def _of_ingress(manifest: Manifest) -> Iterator[Route]:
    annotations = manifest.resource.annotations
    doors = frozenset(filter(None, annotations.get(f"{_ROUTER}entrypoints", "").replace(" ", "").split(",")))
    priority = annotations.get(f"{_ROUTER}priority", "")
    spec = manifest.resource.spec
    served_by = str(spec.get("ingressClassName") or annotations.get(_CLASS, ""))
    secure = bool(spec.get("tls")) or annotations.get(f"{_ROUTER}tls") == "true"
    for index, rule in enumerate(map(mapping, items(spec.get("rules")))):
        host = str(rule.get("host") or "")
        for at, entry in enumerate(map(mapping, items(mapping(rule.get("http")).get("paths")))):
            found = _and([*_host(host, "[a-zA-Z0-9-]+"), *_ingress_path(entry)])
            text = _written(found)
            precedence = int(priority) if priority.isdecimal() and int(priority) else len(text)
            yield Route(
                ("spec", "rules", index, "http", "paths", at), found, text, doors, secure, precedence, served_by
            )


def _ingress_path(entry: Mapping[str, Any]) -> Iterator[Rule]:
    path = str(entry.get("path") or "")
    if path:
        yield Matcher("Path" if entry.get("pathType") == "Exact" else "PathPrefix", (path,), 0)


def _of_http_route(manifest: Manifest) -> Iterator[Route]:
    spec = manifest.resource.spec
    parents = map(mapping, items(spec.get("parentRefs")))
    doors = frozenset(
        f"{parent.get('namespace') or manifest.key.namespace}/{parent.get('name')}/{parent.get('sectionName') or ''}"
        for parent in parents
    )
    hosts = [rule for name in texts(spec.get("hostnames")) for rule in _host(name, r"[a-zA-Z0-9.-]+")]
    host = [Or(tuple(hosts)) if len(hosts) > 1 else hosts[0]] if hosts else []
    for index, rule in enumerate(map(mapping, items(spec.get("rules")))):
        for at, wanted in enumerate(map(mapping, items(rule.get("matches")) or [{}])):
            found = _and([*host, *_http_conditions(wanted)])
            path: Path = ("spec", "rules", index, "matches", at)
            yield Route(path, found, _written(found), doors, secure=True, precedence=None)


def _http_conditions(wanted: Mapping[str, Any]) -> Iterator[Rule]:
    path = mapping(wanted.get("path"))
    value = str(path.get("value") or "/")
    match path.get("type", "PathPrefix"):
        case "Exact":
            yield Matcher("Path", (value,), 0)
        case "RegularExpression":
            yield Matcher("PathRegexp", (f"^(?:{value})$",), 0)
        case _:
            whole = value.rstrip("/")  # a prefix of whole segments
            yield Or((Matcher("Path", (whole or "/",), 0), Matcher("PathPrefix", (f"{whole}/",), 0)))
    if method := wanted.get("method"):
        yield Matcher("Method", (str(method),), 0)
    for field, name in (("headers", "Header"), ("queryParams", "Query")):
        for each in map(mapping, items(wanted.get(field))):
            exact = each.get("type", "Exact") == "Exact"
            yield Matcher(name if exact else f"{name}Regexp", (str(each.get("name")), str(each.get("value"))), 0)


def _host(name: str, label: str) -> Iterator[Rule]:
    if name.startswith("*."):
        yield Matcher("HostRegexp", (f"^{label}{name[1:].replace('.', '[.]')}$",), 0)
    elif name and name != "*":
        yield Matcher("Host", (name,), 0)


def _and(conditions: list[Rule]) -> Rule:
    return And(tuple(conditions)) if len(conditions) > 1 else conditions[0] if conditions else _EVERYTHING


def _written(rule: Rule) -> str:
    match rule:
        case Matcher(name, values):
            return f"{name}({', '.join(f'`{value}`' for value in values)})"
        case And(operands):
            return " && ".join(map(_written, operands))
        case Or(operands):
            return f"({' || '.join(map(_written, operands))})"
    return ""
