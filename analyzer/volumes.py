"""What volumes come to when everything that they leave to their class and to policies is filled in."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
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


def target_of(graph: ResourceGraph, key: ResourceKey) -> ResourceKey | None:
    """The declared target on which a device, pool, volume or snapshot is; None when the way there dangles."""
    here: ResourceKey | None = graph.named(key, "Volume") or key if key.kind_name == "VolumeSnapshot" else key
    if here and here.kind_name == "Volume":
        here = pool_of(graph, here)
    if here and here.kind_name == "StoragePool":
        here = graph.named(here, "BlockDevice")
    return graph.named(here, "Target") if here else None


def volumes_of(graph: ResourceGraph, pool: ResourceKey) -> tuple[Manifest, ...]:
    """Sound volumes that lead to a pool, by themselves or by their class, in order of their keys."""
    users = {reference.source for reference in graph.incoming_to(pool)}
    classes = [key for key in users if key.kind_name == "StorageClass"]
    users.update(reference.source for key in classes for reference in graph.incoming_to(key))
    volumes = (key for key in sorted(users) if key.kind_name == "Volume" and pool_of(graph, key) == pool)
    return tuple(volume for volume in map(graph.get, volumes) if volume and volume.sound)


def origin_of(graph: ResourceGraph, volume: Manifest) -> Manifest | None:
    """The declared volume whose bytes a clone begins as, by way of a snapshot of it or not; None for an image."""
    source = graph.named(volume.key, "VolumeSnapshot")
    found = graph.named(source, "Volume") if source else _source(graph, volume)
    return graph.get(found) if found else None


def _source(graph: ResourceGraph, volume: Manifest) -> ResourceKey | None:
    """The volume that a clone names itself."""
    named = (r.target for r in graph.references(volume.key) if r.path == ("spec", "source", "volumeRef"))
    return next(named, None)


def policies_of(graph: ResourceGraph, volume: Manifest) -> tuple[Resource, ...]:
    """The policies that compete for a sound volume; the first limits it where it has no limits of its own."""
    name = volume.resource.spec.get("storageClassName")
    class_spec = _spec_of(graph, "StorageClass", str(name)) if name else {}
    named = [reference.target for reference in graph.references(volume.key) if reference.target.kind == "QoSPolicy"]
    if by_class := class_spec.get("qosPolicyRef"):
        named.append(ResourceKey("QoSPolicy", "", str(by_class)))
    found = [graph.get(key) for key in dict.fromkeys(named) if key.kind_name == "QoSPolicy"]
    if not found:
        return ()
    policies = Policies(policy.resource for policy in found if policy and policy.sound)
    return tuple(policies.of(volume.resource, class_spec))


def limits_of(graph: ResourceGraph, volume: Manifest) -> JsonObject:
    """The limits of a sound volume: its own, or those of a policy."""
    return limiting(volume.resource, policies_of(graph, volume))


def _spec_of(graph: ResourceGraph, kind: str, name: str) -> JsonObject:
    """The spec of a sound cluster-scoped resource of ours; empty when there is none."""
    manifest = graph.get(ResourceKey(kind, "", name))
    return manifest.resource.spec if manifest and manifest.sound else {}
