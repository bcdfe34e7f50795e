"""Kinds of other groups that are called as ours are: they are checked, and nothing of them is applied."""

from __future__ import annotations

from reconciler.policy import Policy
from reconciler.resolving import desired_state
from schemas.placement import Pools
from schemas.resources import Json, Resource, ResourceKey

SNAPSHOT = "snapshot.storage.k8s.io"


def foreign(kind: str, group: str, spec: dict[str, Json]) -> Resource:
    return Resource(ResourceKey(kind, "", "a", group), f"{group}/v1", spec)


def test_a_namesake_is_not_desired() -> None:
    """Guards recovery: a Kubernetes VolumeSnapshot has the same name on no target as one of ours."""
    namesakes = [
        foreign("VolumeSnapshot", SNAPSHOT, {"source": {"persistentVolumeClaimName": "b"}}),
        foreign("Target", "example.com", {}),
        foreign("Removal", "example.com", {}),
    ]
    desired = desired_state("r", namesakes, Policy(), "site")
    assert (desired.declared, desired.targets, desired.consents) == (frozenset(), {}, ())


def test_a_namesake_takes_no_volumes() -> None:
    """Guards placement: a pool, a class or a subsystem of another group says nothing about ours."""
    namesakes = [
        foreign("StoragePool", "example.com", {"size": ["odd"]}),
        foreign("StorageClass", "storage.k8s.io", {"poolSelector": {"matchLabels": {}}}),
        foreign("Subsystem", "example.com", {"namespaces": 3}),
    ]
    pools = Pools({resource.key: resource for resource in namesakes})
    volume = Resource(
        ResourceKey("Volume", "n", "v"), "storage.holdfast.dev/v1alpha1", {"storageClassName": "a", "size": "1Gi"}
    )
    assert pools.selector(volume) is None
    assert pools.choose(volume, {}) is None
