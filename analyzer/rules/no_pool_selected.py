from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Note, Severity
from analyzer.rule import Case, Hit, Rule, hit
from schemas.limits import selects
from schemas.placement import Pools

SELECTOR = ("spec", "poolSelector")


def check(case: Case) -> Iterator[Hit]:
    pools = Pools({manifest.key: manifest.resource for manifest in case.graph.manifests.values() if manifest.sound})
    named = case.graph.sound("StoragePool")
    classes = {manifest.key.name: manifest for manifest in case.graph.sound("StorageClass")}
    for each in classes.values():
        selector = each.resource.spec.get("poolSelector")
        if selector and not any(selects(selector, pool.resource.labels) for pool in named):
            yield hit(each, SELECTOR, "no StoragePool has these labels", "label a pool, or name one in spec.poolRef")
    for volume in case.graph.sound("Volume"):
        owner = classes.get(str(volume.resource.spec.get("storageClassName")))
        if owner is None or not pools.selector(volume.resource) or pools.candidates(volume.resource):
            continue
        where = f"lets namespace {volume.key.namespace} in and is where the volume is exported, or has its image"
        notes: list[Note] = [(owner.position_of(SELECTOR), "chosen here")]
        advice = "add the namespace to a pool's allowedNamespaces, or export the volume where a pool is"
        path = ("spec", "storageClassName")
        yield hit(volume, path, f"no pool with the labels that class {owner.key.name} asks for {where}", advice, *notes)


RULE = Rule("no-pool-selected", Severity.ERROR, check)
