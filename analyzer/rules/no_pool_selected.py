from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from analyzer.finding import Confidence, Severity
from analyzer.graph import ResourceGraph
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.limits import selects
from schemas.placement import Pools
from schemas.resources import Resource, ResourceKey

SELECTOR = ("spec", "poolSelector")


def check(case: Case, manifest: Manifest) -> Iterator[Hit]:
    hits = _class if manifest.key.kind == "StorageClass" else _volume
    for found in hits(case.graph, manifest):  # a pool may be in what could not be made out
        yield replace(found, follows=True, confidence=Confidence.LOW) if case.graph.unread else found


def _class(graph: ResourceGraph, each: Manifest) -> Iterator[Hit]:
    selector = each.resource.spec.get("poolSelector")
    if selector and not any(selects(selector, pool.resource.labels) for pool in graph.sound("StoragePool")):
        yield hit(each, SELECTOR, "no StoragePool has these labels", "label a pool, or name one in spec.poolRef")


def _volume(graph: ResourceGraph, volume: Manifest) -> Iterator[Hit]:
    owner = graph.get(ResourceKey("StorageClass", "", str(volume.resource.spec.get("storageClassName"))))
    if owner is None or not owner.sound or "poolSelector" not in owner.resource.spec:
        return
    if Pools(_around(graph, volume, owner)).candidates(volume.resource):
        return
    where = f"lets namespace {volume.key.namespace} in and is where the volume is exported, or has its image"
    advice = "add the namespace to a pool's allowedNamespaces, or export the volume where a pool is"
    message = f"no pool with the labels that class {owner.key.name} asks for {where}"
    yield hit(volume, ("spec", "storageClassName"), message, advice, (owner.position_of(SELECTOR), "chosen here"))


def _around(graph: ResourceGraph, volume: Manifest, owner: Manifest) -> Mapping[ResourceKey, Resource]:
    """The sound resources that decide where a volume may lie."""
    pools = graph.sound("StoragePool")
    devices = (reference.target for pool in pools for reference in graph.references(pool.key))
    images = (reference.target for reference in graph.references(volume.key))
    subsystems = (reference.source for reference in graph.incoming_to(volume.key))
    others = map(graph.get, dict.fromkeys([*devices, *images, *subsystems]))
    found = (owner, *pools, *(manifest for manifest in others if manifest and manifest.sound))
    return {manifest.key: manifest.resource for manifest in found}


RULE = ResourceRule("no-pool-selected", Severity.ERROR, ("StorageClass", "Volume"), check)
