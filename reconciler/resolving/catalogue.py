"""The resources of one revision, looked up by reference, with what classes and former names make of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from analyzer.hazards import former_names
from reconciler.desired import Placement, source_snapshot
from reconciler.policy import Policy
from schemas.kinds import our_kinds
from schemas.limits import Policies
from schemas.placement import Pools
from schemas.resources import JsonObject, Resource, ResourceKey


class Catalogue:
    """The resources of one revision, and where the ledger has what they declare."""

    def __init__(
        self,
        resources: Mapping[ResourceKey, Resource],
        policy: Policy,
        site: str,
        placed: Mapping[ResourceKey, Placement],
    ) -> None:
        self.resources, self.policy, self.site = resources, policy, site
        self.policies = Policies(self.of("QoSPolicy"))
        self.pools = Pools(resources)
        self._placements = placed
        self._former = former_names(resources)
        self._renamed = {former: key for key, former in self._former.items()}

    def of(self, kind: str) -> list[Resource]:
        return [self.resources[key] for key in sorted(self.resources) if key.kind == kind and _is_ours(key)]

    def get(self, kind: str, namespace: str, name: str) -> Resource:
        return self.resources[ResourceKey(kind, namespace, name)]

    def declared(self) -> Iterator[ResourceKey]:
        """Every name that bytes may be known by: present and former ones, and those of what copies are made through."""
        yield from self.resources
        yield from self._former.values()
        copies = (r.key for r in self.of("Volume") if "volumeRef" in copied_from(r))
        yield from (source_snapshot(name) for key in copies for name in (key, *self.aliases(key)))

    def aliases(self, key: ResourceKey) -> tuple[ResourceKey, ...]:
        """The name that a resource had before."""
        return (self._former[key],) if key in self._former else ()

    def placed(self, key: ResourceKey) -> Placement | None:
        """Where the ledger has the bytes of a resource, also under a former name; the pool by its present name."""
        names = (key, *self.aliases(key))
        found = next((self._placements[name] for name in names if name in self._placements), None)
        if found is None:
            return None
        pool = found.pool if found.pool in self.resources else self._renamed.get(found.pool)
        return dataclasses.replace(found, pool=pool) if pool else None

    def inherited(self, resource: Resource) -> dict[str, Any]:
        """The spec with what the class said when the volume was created, or says now."""
        kind = our_kinds()[resource.key.kind]
        spec = kind.inheriting(resource.spec, self.class_spec)
        placed = self.placed(resource.key)
        if placed and "thin" not in resource.spec and "storageClassName" in resource.spec:
            spec["thin"] = placed.thin
        return kind.with_defaults(spec)

    def class_spec(self, kind: str, name: str) -> JsonObject:
        found = self.resources.get(ResourceKey(kind, "", name))
        return found.spec if found else {}


def _is_ours(key: ResourceKey) -> bool:
    return key.group == "storage.holdfast.dev"


def spec_of(resource: Resource) -> dict[str, Any]:
    return our_kinds()[resource.key.kind].with_defaults(resource.spec)


def copied_from(volume: Resource) -> Mapping[str, Any]:
    source: Any = volume.spec.get("source", {})
    return dict(source)
