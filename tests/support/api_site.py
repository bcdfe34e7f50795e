"""A site of APIs of few names, made and changed at random: routes, versions, plans, selectors, subscriptions."""

from __future__ import annotations

import json
import random  # noqa: TID251  # seeded: the same site every time
from collections.abc import Callable, Iterator
from typing import Any

from analyzer.snapshot import Blob, Snapshot, blob_id

APIS, VERSIONS, PLANS, APPS = ("bills", "files"), ("v1", "v2", "v3"), ("gold", "silver"), ("ci", "shop")
PATHS = ("Path(`/a`)", "PathPrefix(`/a`)", "PathPrefix(`/a/b`)", "PathRegexp(`^/a/[0-9]+$`)", "PathRegexp(`(?=a)`)")
HOSTS = ("Host(`a.example`)", "Host(`b.example`)", "HostRegexp(`^.+[.]example$`)", "Method(`GET`)", "Hots(`a`)")


class Site:
    """Documents by file, and a way to the next revision."""

    def __init__(self, seed: int, size: int = 40) -> None:
        self.chance = random.Random(seed)  # noqa: S311  # see above
        self.files: dict[str, list[dict[str, Any]]] = {f"{name}.yaml": [] for name in "abcdef"}
        for _ in range(size):
            self._some_file().append(self._document())

    def revisions(self, count: int) -> Iterator[Snapshot]:
        for number in range(count):
            texts = {path: "\n---\n".join(map(json.dumps, held)) for path, held in self.files.items()}
            blobs = {path: Blob(path, blob_id(text.encode()), text.encode()) for path, text in texts.items()}
            yield Snapshot(f"{number:040x}", blobs)
            self._edit()

    def _edit(self) -> None:
        held = self._some_file()
        if held and self.chance.random() < 0.7:
            held.pop(self.chance.randrange(len(held)))
        if self.chance.random() < 0.8:
            self._some_file().append(self._document())

    def _some_file(self) -> list[dict[str, Any]]:
        return self.files[self.chance.choice(sorted(self.files))]

    def _document(self) -> dict[str, Any]:
        make: Callable[[], dict[str, Any]] = self.chance.choice(
            [self._api, self._version, self._plan, self._bundle, self._item, self._subscription, self._application,
             self._limit, self._route, self._route, self._subscription, self._ingress, self._service]
        )  # fmt: skip
        return make()

    def _hub(self, kind: str, names: tuple[str, ...], spec: dict[str, Any]) -> dict[str, Any]:
        metadata = {"name": self.chance.choice(names), "namespace": "apps", "labels": {"area": self._one("x", "y")}}
        return {"apiVersion": "hub.traefik.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}

    def _one(self, *values: Any) -> Any:
        return self.chance.choice(values)

    def _selected(self) -> dict[str, Any]:
        """What names or picks APIs, or nothing."""
        spec: dict[str, Any] = {}
        if self._one(0, 1):
            spec["apis"] = self._one([], [{"name": self._one(*APIS)}])
        if self._one(0, 1, 1):
            labels = {"matchLabels": {"area": self._one("x", "z")}}
            wrong = {"matchExpressions": [{"key": "area", "operator": self._one("In", "Exists", "Is")}]}
            spec["apiSelector"] = self._one(labels, {}, wrong)
        if self._one(0, 1):
            spec["operationFilter"] = self._one({}, {"include": [self._one("read", "wriet")]})
        return spec

    def _contract(self) -> dict[str, Any]:
        matchers = [self._one({"pathPrefix": "/a"}, {"pathRegex": "^/[a"})]
        source = self._one({"path": "/o.json"}, {"url": "https://a.example/o.json"})
        return {"openApiSpec": {**source, "operationSets": [{"name": "read", "matchers": matchers}]}}

    def _api(self) -> dict[str, Any]:
        named = self.chance.sample(VERSIONS, 2)
        older = {"pathPrefix": self._one("/a", "/b"), "service": {"name": "s", "port": {"number": self._one(80, 81)}}}
        spec = self._one({"versions": [{"name": name} for name in named]}, self._contract(), older)
        return self._hub("API", APIS, spec)

    def _version(self) -> dict[str, Any]:
        return self._hub("APIVersion", VERSIONS, {"release": self._one("1.0.0", "v1.0.0"), **self._contract()})

    def _plan(self) -> dict[str, Any]:
        return self._hub("APIPlan", PLANS, {"title": "P", "rateLimit": {"limit": self._one(1, 2)}})

    def _bundle(self) -> dict[str, Any]:
        spec = self._selected()
        spec.pop("operationFilter", None)
        return self._hub("APIBundle", ("all", "some"), spec)

    def _item(self) -> dict[str, Any]:
        spec = {"everyone": True, "apiPlan": {"name": self._one(*PLANS)}, **self._selected()}
        return self._hub("APICatalogItem", ("i", "j"), spec | self._one({}, {"apiBundles": [{"name": "all"}]}))

    def _subscription(self) -> dict[str, Any]:
        by_name = {"managedApplications": [{"name": self._one(*APPS)}]}
        who = self._one(
            by_name, {"applications": [{"appId": self._one(*APPS)}]}, {"managedApplicationSelector": {}}, {}
        )
        what = self._one({"apis": [{"name": self._one(*APIS)}]}, self._selected())
        spec = {"apiPlan": {"name": self._one(*PLANS)}, **what, **who, **self._one({}, {"weight": 1})}
        return self._hub("ManagedSubscription", ("s", "t", "u"), spec)

    def _application(self) -> dict[str, Any]:
        return self._hub("ManagedApplication", APPS, {"appId": self._one(*APPS), "owner": "o"})

    def _limit(self) -> dict[str, Any]:
        spec = self._selected()
        spec.pop("operationFilter", None)
        return self._hub("APIRateLimit", ("r",), {"limit": 1, "groups": ["g"], **spec})

    def _annotated(self, api_version: str, kind: str, names: tuple[str, ...], spec: dict[str, Any]) -> dict[str, Any]:
        exposes = self._one(
            {"hub.traefik.io/api": self._one(*APIS)}, {"hub.traefik.io/api-version": self._one(*VERSIONS)}
        )
        metadata = {"name": self.chance.choice(names), "namespace": "apps", "annotations": exposes}
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}

    def _route(self) -> dict[str, Any]:
        services = [
            {"name": "s", "port": self._one(80, 81)},
            {"name": "t", "namespace": self._one("apps", "other"), "port": 80},
        ]
        match = self._one(self._one(*PATHS), f"{self._one(*HOSTS)} && {self._one(*PATHS)}")
        route = {"kind": "Rule", "match": match, "services": services[: self._one(1, 2)]} | self._one(
            {}, {"priority": 9}
        )
        return self._annotated("traefik.io/v1alpha1", "IngressRoute", ("r1", "r2", "r3", "r4"), {"routes": [route]})

    def _ingress(self) -> dict[str, Any]:
        backend = {"service": {"name": "s", "port": self._one({"number": self._one(80, 81)}, {"name": "http"})}}
        paths = [{"path": self._one("/a", "/a/b"), "pathType": self._one("Prefix", "Exact"), "backend": backend}]
        rule = self._one({}, {"host": "a.example"}) | {"http": {"paths": paths}}
        return self._annotated("networking.k8s.io/v1", "Ingress", ("r1", "r2"), {"rules": [rule]})

    def _service(self) -> dict[str, Any]:
        metadata, spec = {"name": self._one("s", "t"), "namespace": "apps"}, {"ports": [{"name": "http", "port": 80}]}
        return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
