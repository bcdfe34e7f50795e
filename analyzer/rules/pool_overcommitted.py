from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from analyzer.finding import Severity
from analyzer.graph import ResourceGraph
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, Rule, hit
from schemas.quantity import format_bytes, parse_bytes
from schemas.resources import ResourceKey

SHOWN = 5  # volumes that a finding names


def check(case: Case) -> Iterator[Hit]:
    volumes = _volumes_by_pool(case.graph)
    for pool in case.graph.sound("StoragePool"):
        capacity = _capacity(case.graph, pool)
        if capacity is not None and pool.key in volumes:
            yield from _judge(pool, capacity, volumes[pool.key])


def _judge(pool: Manifest, capacity: int, volumes: Sequence[Manifest]) -> Iterator[Hit]:
    cluster, ratio = parse_bytes(pool.spec["clusterSize"]), pool.spec["overcommitRatio"]
    usable = max(0, capacity // cluster - 1) * cluster  # the store's own records take at least one cluster
    thick = _total((volume for volume in volumes if not volume.spec["thin"]), cluster)
    declared = _total(volumes, cluster)
    if thick > usable:
        message = f"{pool.key} has room for {format_bytes(usable)}; its thick volumes take {format_bytes(thick)}"
        yield _hit(pool, volumes, message, "declare fewer or thin volumes here, or build the pool on a larger device")
    elif declared > (limit := int(usable * ratio) // cluster * cluster):
        sum_ = f"{format_bytes(usable)} × overcommitRatio {ratio:g}"
        message = f"{pool.key} may promise {format_bytes(limit)} ({sum_}); its volumes declare {format_bytes(declared)}"
        yield _hit(pool, volumes, message, "declare fewer bytes, or raise spec.overcommitRatio knowingly")


def _hit(pool: Manifest, volumes: Sequence[Manifest], message: str, advice: str) -> Hit:
    largest = sorted(volumes, key=lambda volume: (-parse_bytes(volume.spec["size"]), volume.key))[:SHOWN]
    related = tuple((volume.position_of(("spec", "size")), _share(volume)) for volume in largest)
    return hit(pool, ("metadata", "name"), message, advice, *related)


def _share(volume: Manifest) -> str:
    return f"{volume.key}, {'thin' if volume.spec['thin'] else 'thick'}"


def _volumes_by_pool(graph: ResourceGraph) -> dict[ResourceKey, list[Manifest]]:
    found: dict[ResourceKey, list[Manifest]] = defaultdict(list)
    for volume in graph.sound("Volume"):
        pool = graph.named(volume.key, "StoragePool")
        if pool is not None:
            found[pool].append(volume)
    return found


def _capacity(graph: ResourceGraph, pool: Manifest) -> int | None:
    """Bytes of the pool's device, where a manifest tells."""
    if "initialize" in pool.spec:
        return parse_bytes(pool.spec["initialize"]["sizeBytes"])
    device = graph.named(pool.key, "BlockDevice")
    spec = graph.manifests[device].resource.spec if device and graph.manifests[device].sound else {}
    about = spec.get("malloc", spec.get("null"))
    return parse_bytes(str(about["size"])) if isinstance(about, dict) else None


def _total(volumes: Iterable[Manifest], cluster: int) -> int:
    """Bytes that the volumes take, each rounded up to whole clusters."""
    return sum(-(-parse_bytes(volume.spec["size"]) // cluster) * cluster for volume in volumes)


RULE = Rule("pool-overcommitted", Severity.ERROR, check)
