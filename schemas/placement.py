"""In which pool a volume of a class that chooses among pools is made. The analyzer and the reconciler both ask here.

Chosen once, when the volume is created; where the bytes lie is recorded then, and binds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from schemas.limits import picks
from schemas.quantity import parse_bytes
from schemas.resources import OUR_GROUP, Resource, ResourceKey


class Pools:
    """The pools of one revision, and who may go where."""

    def __init__(self, resources: Mapping[ResourceKey, Resource]) -> None:
        self._resources = {key: resource for key, resource in resources.items() if key.group == OUR_GROUP}
        self._pools = [r for key, r in sorted(self._resources.items()) if key.kind == "StoragePool"]

    def selector(self, volume: Resource) -> object:
        """What a volume's class says of its pool, by labels; None where it names one, or the volume does."""
        found = self._get("StorageClass", volume.spec.get("storageClassName"))
        return found.spec.get("poolSelector") if found else None

    def candidates(self, volume: Resource) -> list[Resource]:
        """Pools with the labels that let the volume's namespace in, on a target where it is exported and has its image;
        in the order of their names.
        """
        chosen = self.selector(volume)
        targets = self._targets(volume)
        return [
            pool
            for pool in self._pools
            if picks(chosen, volume.key.namespace, pool) and (not targets or self.target_of(pool) in targets)
        ]

    def choose(self, volume: Resource, taken: Mapping[str, int]) -> Resource | None:
        """The one with the most capacity that is not declared yet, then by name; None where there is none.

        `taken`: bytes of the volumes that are declared in each pool.
        """
        found = self.candidates(volume)
        return min(found, key=lambda pool: (taken.get(pool.key.name, 0) - self.capacity(pool), pool.key), default=None)

    def capacity(self, pool: Resource) -> int:
        """Declared bytes of a pool; 0 where nothing declares them."""
        spec: Any = pool.spec
        if size := spec.get("size") or spec.get("initialize", {}).get("sizeBytes"):
            return parse_bytes(size)
        device: Any = self._device(pool)
        made = (device.spec.get(driver, {}).get("size") for driver in ("malloc", "null")) if device else ()
        return next((parse_bytes(size) for size in made if size), 0)

    def target_of(self, pool: Resource) -> str:
        device = self._device(pool)
        return str(device.spec.get("targetRef", "")) if device else ""

    def _targets(self, volume: Resource) -> set[str]:
        """Where it must be; empty: anywhere."""
        exported = self._exported.get(volume.key, set())
        source: Any = volume.spec.get("source", {})
        image = self._get("Image", source.get("imageRef"))
        there = {str(image.spec.get("targetRef"))} if image else set()
        return exported & there if exported and there else exported or there

    @cached_property
    def _exported(self) -> Mapping[ResourceKey, set[str]]:
        """Targets that export each volume."""
        found: dict[ResourceKey, set[str]] = defaultdict(set)
        for key, subsystem in self._resources.items():
            if key.kind == "Subsystem":
                spec: Any = subsystem.spec
                for volume in _volumes(spec.get("namespaces", ())):
                    names = (str(export.get("targetRef")) for export in spec.get("exports", ()))
                    found[ResourceKey("Volume", key.namespace, volume)].update(names)
        return found

    def _device(self, pool: Resource) -> Resource | None:
        return self._get("BlockDevice", pool.spec.get("deviceRef"))

    def _get(self, kind: str, name: object) -> Resource | None:
        return self._resources.get(ResourceKey(kind, "", str(name)))


def _volumes(namespaces: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    return (str(entry["volumeRef"]) for entry in namespaces if "volumeRef" in entry)
