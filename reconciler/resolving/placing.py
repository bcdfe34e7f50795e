"""Which pool each volume lies in, and which target that is on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property

from reconciler.resolving.catalogue import Catalogue, copied_from
from schemas.kinds import our_kinds
from schemas.quantity import parse_bytes
from schemas.resources import Resource, ResourceKey


class Placing:
    """Which pool, and which target, everything is on."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._all = catalogue

    def pool_of(self, key: ResourceKey) -> Resource:
        """The pool of a volume or snapshot."""
        resource, placed = self._all.resources[key], self._all.placed(key)
        if placed and "poolRef" not in resource.spec:
            return self._all.resources[placed.pool]
        if key.kind == "VolumeSnapshot":
            return self.pool_of(ResourceKey("Volume", key.namespace, str(resource.spec["volumeRef"])))
        return self._chosen[key] if self._all.pools.selector(resource) else self._named_pool(resource)

    def _named_pool(self, volume: Resource) -> Resource:
        named = our_kinds()["Volume"].inheriting(volume.spec, self._all.class_spec)["poolRef"]
        return self._all.get("StoragePool", "", str(named))

    @cached_property
    def _chosen(self) -> Mapping[ResourceKey, Resource]:
        """Pools of the volumes whose class chooses: one after the other, each beside all that are declared so far."""
        taken: dict[str, int] = defaultdict(int)
        waiting: list[Resource] = []
        for volume in self._all.of("Volume"):
            if self._all.pools.selector(volume) and self._all.placed(volume.key) is None:
                waiting.append(volume)
            else:
                taken[self.pool_of(volume.key).key.name] += parse_bytes(str(volume.spec["size"]))
        found: dict[ResourceKey, Resource] = {}
        for volume in sorted(waiting, key=lambda v: ("source" in v.spec, v.key)):
            pool = self._beside_source(volume, found) or self._all.pools.choose(volume, taken)
            if pool is not None:  # or else the analyzer would not have let it through
                found[volume.key] = pool
                taken[pool.key.name] += parse_bytes(str(volume.spec["size"]))
        return found

    def _beside_source(self, volume: Resource, found: Mapping[ResourceKey, Resource]) -> Resource | None:
        """The pool of what a volume is cloned from, where that is known already."""
        source, namespace = copied_from(volume), volume.key.namespace
        snapshot = self._all.resources.get(ResourceKey("VolumeSnapshot", namespace, str(source.get("snapshotRef"))))
        name = snapshot.spec["volumeRef"] if snapshot else source.get("volumeRef")
        key = ResourceKey("Volume", namespace, str(name))
        placed = self._all.placed(snapshot.key) if snapshot else None
        if placed:
            return self._all.resources[placed.pool]
        of = self._all.resources.get(key)
        if of is None or (self._all.pools.selector(of) and self._all.placed(key) is None):
            return found.get(key)
        return self.pool_of(key)

    def target_of(self, key: ResourceKey) -> str:
        """The target that a device, pool or volume is on."""
        spec = self._all.resources[key].spec
        match key.kind:
            case "Volume" | "VolumeSnapshot":
                return self.target_of(self.pool_of(key).key)
            case "StoragePool":
                return self.target_of(self._all.get("BlockDevice", "", str(spec["deviceRef"])).key)
        return str(spec["targetRef"])

    def is_on(self, key: ResourceKey, target: str) -> bool:
        return self.target_of(key) == target
