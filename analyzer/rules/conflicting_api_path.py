from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace

from analyzer.finding import Confidence, Severity
from analyzer.graph import ResourceGraph
from analyzer.indexes import Index
from analyzer.manifest import Manifest
from analyzer.routing.language import Unknown
from analyzer.routing.requests import Point, Requests, in_words, meeting_points, requests_of, shared, ways_to, within
from analyzer.routing.routes import INGRESS_ROUTE, ROUTE_KINDS, Route, routes_of
from analyzer.routing.traefik_rule import Rule
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.re2 import RegexError
from schemas.resources import ResourceKey

API = "hub.traefik.io/API"
EXPOSED = (API, "hub.traefik.io/APIVersion", "hub.traefik.io/APIPortal")
MOST = 40  # others that a manifest is compared with; expressions that may all meet each other are slow to compare
PREFIX = ("spec", "pathPrefix")
ADVICE = "tell the two apart by host, path or method, or let `priority` say which comes first"


def _points(manifest: Manifest) -> Iterator[str]:
    if any(name.startswith("hub.traefik.io/") for name in manifest.resource.annotations):
        for route in routes_of(manifest):
            yield from _texts(meeting_points, route)


def _prefix(api: Manifest) -> Iterator[str]:
    prefix = api.resource.spec.get("pathPrefix")
    if isinstance(prefix, str):
        yield prefix.rstrip("/") or "/"


POINTS = Index("api-route-point", ROUTE_KINDS, _points)
PREFIXES = Index("api-path-prefix", (API,), _prefix)


def check(case: Case, manifest: Manifest) -> Iterator[Hit]:
    if manifest.key.kind_name == API:
        yield from _older_form(case.graph, manifest)
        return
    exposed = _exposed(case.graph, manifest.key)
    for other in itertools.islice(_met(case.graph, manifest), MOST) if exposed else ():
        if (there := _exposed(case.graph, other.key)) and there != exposed:
            pairs = itertools.product(routes_of(manifest), routes_of(other))
            found = (_conflict(manifest, other, *pair) for pair in pairs)
            yield from itertools.islice(filter(None, found), 1)


def _older_form(graph: ResourceGraph, api: Manifest) -> Iterator[Hit]:
    for prefix in _prefix(api):
        first, *_ = graph.sharing(PREFIXES, prefix)
        collected = any(
            r.source.kind == "APICollection" for key in (api.key, first.key) for r in graph.incoming_to(key)
        )
        if first is not api and not collected:  # a collection puts a path of its own before it
            note = (first.position_of(PREFIX), f"{first.key} has it")
            message = f"{prefix} is also the path of {first.key}; behind one gateway only one of them can answer"
            found = hit(api, PREFIX, message, "give each API a path of its own", note)
            yield replace(found, confidence=Confidence.LOW)  # each may be behind another gateway


def _met(graph: ResourceGraph, manifest: Manifest) -> Iterator[Manifest]:
    """The other manifests with a route that may take the same request; of two that meet each other, the earlier one."""
    ways = {way for route in routes_of(manifest) for way in _texts(ways_to, route)}
    found = {other.key: other for way in sorted(ways) for other in graph.sharing(POINTS, way)}
    here = set(_points(manifest))
    for key in sorted(found.keys() - {manifest.key}):
        back = (way for route in routes_of(found[key]) for way in _texts(ways_to, route))
        if key < manifest.key or here.isdisjoint(back):
            yield found[key]


def _texts(points: Callable[[Rule], frozenset[Point]], route: Route) -> Iterator[str]:
    try:
        yield from sorted(map(" ".join, points(route.rule)))
    except Unknown:
        return


def _exposed(graph: ResourceGraph, key: ResourceKey) -> frozenset[ResourceKey]:
    return frozenset(r.target for r in graph.references(key) if r.target.kind_name in EXPOSED)


def _conflict(manifest: Manifest, other: Manifest, here: Route, there: Route) -> Hit | None:
    """Two routes are in conflict when nothing says which comes first, or the one that does leaves the other nothing."""
    if here.secure != there.secure or _apart(here, there):
        return None
    try:
        one, two = requests_of(here.rule), requests_of(there.rule)
        example = shared(one, two)
        message = _message(manifest, other, here, there, one, two) if example is not None else ""
    except (Unknown, RegexError):
        return None
    if example is None or not message:
        return None
    note = (other.position_of(there.path), f"here by {other.key}")
    found = hit(manifest, here.path, message.format(in_words(example)), ADVICE, note)
    alike = bool(here.doors) == bool(there.doors) and here.served_by == there.served_by
    sure = alike and manifest.key.kind_name == other.key.kind_name == INGRESS_ROUTE
    return found if sure else replace(found, confidence=Confidence.LOW)


def _apart(here: Route, there: Route) -> bool:
    """Whether requests come to the two by different entry points, or different gateways."""
    doors = bool(here.doors and there.doors and not here.doors & there.doors)
    return doors or bool(here.served_by and there.served_by and here.served_by != there.served_by)


def _message(  # noqa: PLR0913, PLR0917  # two of everything
    manifest: Manifest, other: Manifest, here: Route, there: Route, one: Requests, two: Requests
) -> str:
    if here.precedence is None or there.precedence is None:  # the older resource comes first
        equal = here.precedence is there.precedence and within(one, two) and within(two, one)
        return f"{{}} is also taken by {other.key}; only the older of the two ever answers" if equal else ""
    if here.precedence == there.precedence:
        return f"{{}} is also taken by {other.key}; nothing says which of the two answers"
    if here.precedence < there.precedence and within(one, two):
        return f"never reached: {other.key} comes first, and takes every such request, as {{}}"
    if here.precedence > there.precedence and within(two, one):
        return f"{manifest.key} comes first, and takes every request of {other.key}, as {{}}, which is never reached"
    return ""


RULE = ResourceRule("conflicting-api-path", Severity.ERROR, (*ROUTE_KINDS, API), check)
