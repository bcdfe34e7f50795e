"""What volumes come to when everything that they leave to their class and to policies is filled in."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from analyzer.graph import ResourceGraph
from analyzer.hazards import kind_of
from analyzer.manifest import Manifest
from schemas.limits import Policies, limiting
from schemas.resources import JsonObject, Resource, ResourceKey


def resolved(graph: ResourceGraph, resource: Resource) -> Resource:
    """The resource with what it leaves to another one filled in."""
    kind = kind_of(resource)
    if kind is None or not kind.inherited:
        return resource
    return dataclasses.replace(resource, spec=kind.inheriting(resource.spec, lambda k, n: _spec_of(graph, k, n)))


def full_spec(graph: ResourceGraph, manifest: Manifest) -> Mapping[str, Any]:
    """The spec of a sound manifest with all that its class and the schema fill in."""
    kind = kind_of(manifest.resource)
    assert kind is not None  # noqa: S101  # that is part of being sound
    return kind.with_defaults(resolved(graph, manifest.resource).spec)


def pool_of(graph: ResourceGraph, volume: ResourceKey) -> ResourceKey | None:
    """The declared pool that a volume, or a class, leads to; None when the way there dangles."""
    named = graph.named(volume, "StoragePool")
    if named or volume.kind == "StorageClass":
        return named
    storage_class = graph.named(volume, "StorageClass")
    return graph.named(storage_class, "StoragePool") if storage_class else None


def volumes_by_pool(graph: ResourceGraph) -> Mapping[ResourceKey, list[Manifest]]:
    """Sound volumes, by the pool that they lead to."""
    found: dict[ResourceKey, list[Manifest]] = {}
    for volume in graph.sound("Volume"):
        if pool := pool_of(graph, volume.key):
            found.setdefault(pool, []).append(volume)
    return found


def limits(graph: ResourceGraph) -> Iterator[tuple[Manifest, JsonObject, tuple[Resource, ...]]]:
    """Every sound volume with its limits, and the policies that compete for it."""
    policies = Policies(policy.resource for policy in graph.sound("QoSPolicy"))
    for volume in graph.sound("Volume"):
        class_spec = _spec_of(graph, "StorageClass", str(volume.resource.spec.get("storageClassName", "")))
        found = tuple(policies.of(volume.resource, class_spec))
        yield volume, limiting(volume.resource, found), found


def _spec_of(graph: ResourceGraph, kind: str, name: str) -> JsonObject:
    """The spec of a sound cluster-scoped resource of ours; empty when there is none."""
    manifest = graph.manifests.get(ResourceKey(kind, "", name))
    return manifest.resource.spec if manifest and manifest.sound else {}
