"""Who may call, see and use up which API: selectors, bundles, plans and weights resolved. Pure.

Applications call what ManagedSubscriptions let them; of several for one API the plan of the heaviest is in force, and
of equally heavy ones that of the first by name. Groups see in the portal what APICatalogItems show them. The older
APIAccess lets groups call. An APIRateLimit holds beside all that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from analyzer.access.near import behind, sound
from analyzer.access.rows import EVERYONE, AccessChange, Grant, Principal, Terms, compare
from analyzer.edges import Reference
from analyzer.graph import ResourceGraph
from analyzer.manifest import Manifest
from analyzer.routing.routes import ROUTE_KINDS, routes_of
from schemas.loose import items, mapping, texts
from schemas.quantity import parse_seconds
from schemas.resources import ResourceKey

HUB = "hub.traefik.io"
API, VERSION, PLAN = f"{HUB}/API", f"{HUB}/APIVersion", f"{HUB}/APIPlan"
GROUPED = frozenset((f"{HUB}/APIBundle", f"{HUB}/APICollection"))
CALL, SEE, CALL_AT_MOST = "call", "see", "call at most"  # rights

Way: TypeAlias = tuple[Reference, ...]


@dataclass(frozen=True)
class Claim:
    """One manifest that lets one principal at one API."""

    manifest: Manifest
    way: Way

    @property
    def weight(self) -> int:
        weight = self.manifest.resource.spec.get("weight", 0)
        return weight if isinstance(weight, int) else 0

    @property
    def operations(self) -> tuple[str, ...] | None:
        """The names of the sets of operations that it allows; None: all operations."""
        allowed = self.manifest.resource.spec.get("operationFilter")
        return texts(mapping(allowed).get("include")) if allowed is not None else None

    @property
    def condition(self) -> str:
        return str(self.manifest.resource.spec.get("claims") or "")


def changes(base: ResourceGraph, head: ResourceGraph, changed: Iterable[ResourceKey]) -> tuple[AccessChange, ...]:
    """The rows that differ, where these resources do: nobody else has to be looked at."""
    apis = _concerned((base, head), changed)
    return compare(api_grants(base, apis), api_grants(head, apis))


def api_grants(graph: ResourceGraph, apis: Collection[ResourceKey] | None = None) -> tuple[Grant, ...]:
    """Every row of access to an API, or to one of these, in order."""
    among = _Among(graph, apis)
    return tuple(sorted((*_calls(among), *_sights(among), *_limits(among)), key=lambda grant: grant.row))


def _concerned(graphs: Collection[ResourceGraph], changed: Iterable[ResourceKey]) -> frozenset[ResourceKey]:
    """The APIs whose rows changed resources have a part in, and those that share a version with one of them."""
    reached = behind(graphs, changed)
    ahead = {r.target for graph in graphs for key in reached for r in graph.references(key)}
    apis = {api for graph in graphs for key in reached for api in apis_of(graph, key)}
    apis |= {key for key in reached | ahead if key.kind_name == API}
    versions = {key for graph in graphs for api in apis for key in versions_of(graph, api)}
    versions |= {key for key in ahead if key.kind_name == VERSION}
    sharing = {r.source for graph in graphs for version in versions for r in graph.incoming_to(version)}
    return frozenset(apis | {key for key in sharing if key.kind_name == API})


@dataclass(frozen=True)
class _Among:
    """The part of a graph that is about some APIs; None: about any."""

    graph: ResourceGraph
    apis: Collection[ResourceKey] | None

    def sound(self, kind: str) -> Iterator[Manifest]:
        """The manifests of a kind that may lead to one of them."""
        return sound(self.graph, kind, self._behind)

    def apis_of(self, manifest: Manifest) -> Iterator[tuple[ResourceKey, Way]]:
        found = apis_of(self.graph, manifest.key).items()
        return ((api, way) for api, way in found if self.apis is None or api in self.apis)

    @cached_property
    def _behind(self) -> Collection[ResourceKey] | None:
        return None if self.apis is None else behind((self.graph,), self.apis)


def apis_of(graph: ResourceGraph, key: ResourceKey) -> Mapping[ResourceKey, Way]:
    """The declared APIs that a manifest names or picks, also through bundles, each by a shortest way."""
    found: dict[ResourceKey, Way] = {}
    todo: list[tuple[ResourceKey, Way]] = [(key, ())]
    seen = {key}
    for here, way in todo:
        for reference in graph.references(here):
            target = reference.target
            if target.kind_name == API and graph.get(target):
                found.setdefault(target, (*way, reference))
            elif target.kind_name in GROUPED and target not in seen:
                seen.add(target)
                todo.append((target, (*way, reference)))
    return found


def versions_of(graph: ResourceGraph, api: ResourceKey) -> tuple[ResourceKey, ...]:
    """What of an API is called: its versions, or the API itself where it has none."""
    named = (r.target for r in graph.references(api) if r.target.kind_name == VERSION)
    return tuple(dict.fromkeys(version for version in named if graph.get(version))) or (api,)


def operation_sets(manifest: Manifest | None) -> Mapping[str, str]:
    """The sets of operations that an API or a version of one defines, and in words what is in each."""
    spec = manifest.resource.spec if manifest else {}
    sets = map(mapping, items(mapping(spec.get("openApiSpec")).get("operationSets")))
    return {str(each.get("name")): _matchers_in_words(items(each.get("matchers"))) for each in sets}


def applications_of(graph: ResourceGraph, subscription: Manifest) -> Mapping[Principal, Way]:
    """The applications that a subscription is for: those it names by their id, and ManagedApplications."""
    spec = subscription.resource.spec
    named = (str(mapping(each).get("appId", "")) for each in items(spec.get("applications")))
    found: dict[Principal, Way] = {Principal("application", name): () for name in named if name}
    for reference in graph.references(subscription.key):
        application = graph.get(reference.target)
        if application and application.key.kind_name == f"{HUB}/ManagedApplication":
            name = str(application.resource.spec.get("appId") or application.key.name)
            found.setdefault(Principal("application", name), (reference,))
    return found


# --- who may call


def _calls(among: _Among) -> Iterator[Grant]:
    graph = among.graph
    claims: dict[tuple[Principal, ResourceKey], list[Claim]] = defaultdict(list)
    for subscription in among.sound(f"{HUB}/ManagedSubscription"):
        for principal, way in applications_of(graph, subscription).items():
            for api, onward in among.apis_of(subscription):
                claims[principal, api].append(Claim(subscription, (*way, *onward)))
    for access in among.sound(f"{HUB}/APIAccess"):
        _claim_for_audience(among, access, claims)
    for (principal, api), several in claims.items():
        ordered = sorted(several, key=lambda claim: (-claim.weight, claim.manifest.key))
        for version in versions_of(graph, api):
            operations = [*_operations(ordered, operation_sets(graph.get(version)))]
            if operations:
                terms = (*operations, *_plan(graph, ordered[0].manifest), *_addresses(graph, version))
                yield Grant(principal, version, CALL, terms, ordered[0].way)


def _sights(among: _Among) -> Iterator[Grant]:
    graph = among.graph
    claims: dict[tuple[Principal, ResourceKey], list[Claim]] = defaultdict(list)
    for item in among.sound(f"{HUB}/APICatalogItem"):
        _claim_for_audience(among, item, claims)
    for (principal, api), several in claims.items():
        plans = sorted({line for claim in several for line in _plan_in_words(graph, claim.manifest)})
        for version in versions_of(graph, api):
            operations = [*_operations(several, operation_sets(graph.get(version)))]
            if operations:
                offered: Terms = (("plans on offer", ", ".join(plans)),) if plans else ()
                yield Grant(principal, version, SEE, (*operations, *offered), several[0].way)


def _claim_for_audience(
    among: _Among, manifest: Manifest, claims: dict[tuple[Principal, ResourceKey], list[Claim]]
) -> None:
    for principal in _audience(manifest):
        for api, way in among.apis_of(manifest):
            claims[principal, api].append(Claim(manifest, way))


def _audience(manifest: Manifest) -> Iterator[Principal]:
    spec = manifest.resource.spec
    if spec.get("everyone") is True:
        yield EVERYONE
    yield from (Principal("group", name) for name in texts(spec.get("groups")))


def _operations(claims: Iterable[Claim], sets: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What is allowed, by the condition on which it is: nothing where no set of operations is left."""
    by_condition: dict[str, set[str] | None] = {}
    for claim in claims:
        known = by_condition.setdefault(claim.condition, set())
        if claim.operations is None:
            by_condition[claim.condition] = None
        elif known is not None:
            known |= set(claim.operations) & sets.keys()
    for condition, names in sorted(by_condition.items()):
        words = "all" if names is None else ", ".join(f"{name} ({sets[name]})" for name in sorted(names))
        if words:
            yield (f"operations if {condition}" if condition else "operations", words)


def _matchers_in_words(matchers: Sequence[Any]) -> str:
    return "; ".join(sorted(_matcher_in_words(mapping(matcher)) for matcher in matchers))


def _matcher_in_words(matcher: Mapping[str, Any]) -> str:
    methods = " ".join(sorted(texts(matcher.get("methods"))))
    places = (("path", ""), ("pathPrefix", "below "), ("pathRegex", "matching "))
    where = next((f"{words}{matcher[field]}" for field, words in places if field in matcher), "everywhere")
    return f"{methods} {where}".strip()


def _addresses(graph: ResourceGraph, version: ResourceKey) -> Terms:
    """Where it answers, as the routes say that name it."""
    named = (graph.get(r.source) for r in graph.incoming_to(version) if r.source.kind_name in ROUTE_KINDS)
    texts = sorted({route.text for manifest in named if manifest for route in routes_of(manifest)})
    return (("at", ", ".join(texts)),) if texts else ()


# --- on what terms


def _plan(graph: ResourceGraph, manifest: Manifest) -> Terms:
    plan = _plan_of(graph, manifest)
    if plan is None:
        return ()
    limits = (("rate limit", plan.resource.spec.get("rateLimit")), ("quota", plan.resource.spec.get("quota")))
    return (("plan", plan.key.name), *((name, _amount(limit)) for name, limit in limits if limit is not None))


def _plan_in_words(graph: ResourceGraph, manifest: Manifest) -> Iterator[str]:
    if _plan_of(graph, manifest):
        (_, name), *limits = _plan(graph, manifest)
        yield f"{name} ({'; '.join(f'{what} {amount}' for what, amount in limits) or 'without limits'})"


def _plan_of(graph: ResourceGraph, manifest: Manifest) -> Manifest | None:
    key = graph.named(manifest.key, PLAN)
    return graph.get(key) if key else None


def _amount(limit: object) -> str:
    """`100 per 1m for each application`; what is shared by a whole subscription needs no words."""
    about = mapping(limit)
    buckets = {"application": " for each application", "application-api": " for each application and API"}
    each = buckets.get(str(about.get("bucket")), " by each gateway" if about.get("strategy") == "local" else "")
    return f"{about.get('limit')} per {about.get('period') or 'default period'}{each}"


def _limits(among: _Among) -> Iterator[Grant]:
    """The APIRateLimit in force: of several for one group the tightest; one for everyone where no group is named."""
    found: dict[tuple[Principal, ResourceKey], list[tuple[float, str, Way]]] = defaultdict(list)
    for limit in among.sound(f"{HUB}/APIRateLimit"):
        spec = limit.resource.spec
        for principal in _audience(limit):
            for api, way in among.apis_of(limit):
                found[principal, api].append((_rate(spec), _amount(spec), way))
    for (principal, api), limits in found.items():
        _, amount, way = min(limits, key=lambda each: each[:2])
        yield Grant(principal, api, CALL_AT_MOST, (("rate limit", amount),), way)


def _rate(spec: Mapping[str, Any]) -> float:
    limit, period = spec.get("limit", 0), str(spec.get("period") or "1s")
    try:
        return float(limit) / max(parse_seconds(period), 1)
    except ValueError:
        return float(limit)
