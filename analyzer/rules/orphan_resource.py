from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter

from analyzer.finding import Severity
from analyzer.indexes import Index
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit

NAME = ("metadata", "name")
USERS = (  # every kind that an x-used-by names
    "hub.traefik.io/API",
    "hub.traefik.io/APIAccess",
    "hub.traefik.io/APIBundle",
    "hub.traefik.io/APICatalogItem",
    "hub.traefik.io/APICollection",
    "hub.traefik.io/APIPortal",
    "hub.traefik.io/ManagedSubscription",
)


def _place(manifest: Manifest) -> Iterator[str]:
    yield f"{manifest.key.kind_name} {manifest.key.namespace}"


PLACES = Index("users-at", USERS, _place)


def check(case: Case, manifest: Manifest) -> Iterator[Hit]:
    used = manifest.kind.used_by if manifest.kind else None
    if used is None or any(r.source.kind_name in used.kinds for r in case.graph.incoming_to(manifest.key)):
        return
    others = [kind for kind in used.kinds if case.graph.sharing(PLACES, f"{kind} {manifest.key.namespace}")]
    if others and not case.graph.unread:  # else those that use it may all be in another repository
        message = f"nothing uses {manifest.key}: {used.because}"
        yield hit(manifest, NAME, message, f"name it in {_any_of(used.kinds)}, or remove it")


def _any_of(names: tuple[str, ...]) -> str:
    bare = [name.rpartition("/")[2] for name in names if not name.endswith(("APIAccess", "APICollection"))]
    return " or ".join(filter(None, [", ".join(bare[:-1]), bare[-1]]))


RULE = ResourceRule("orphan-resource", Severity.WARNING, (), check, has=attrgetter("used_by"))
