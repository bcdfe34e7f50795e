from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from analyzer.finding import Severity
from analyzer.graph import ResourceGraph
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from analyzer.volumes import full_spec, volumes_of
from schemas.quantity import format_bytes, parse_bytes

SHOWN = 5  # volumes that a finding names


def check(case: Case, pool: Manifest) -> Iterator[Hit]:
    capacity = _capacity(case.graph, pool)
    volumes = volumes_of(case.graph, pool.key) if capacity is not None else ()
    if capacity is not None and volumes:
        yield from _judge(case.graph, pool, capacity, volumes)


def _judge(graph: ResourceGraph, pool: Manifest, capacity: int, volumes: Sequence[Manifest]) -> Iterator[Hit]:
    cluster, ratio = parse_bytes(pool.spec["clusterSize"]), pool.spec["overcommitRatio"]
    usable = max(0, capacity // cluster - 1) * cluster  # the store's own records take at least one cluster
    solid = [volume for volume in volumes if not _is_thin(graph, volume)]
    thick = _total(solid, cluster)
    moments = [volume for volume in solid for _ in range(_snapshots(graph, volume))]
    declared = _total(volumes, cluster) + _total(moments, cluster)
    if thick > usable:
        message = f"{pool.key} has room for {format_bytes(usable)}; its thick volumes take {format_bytes(thick)}"
        advice = "declare fewer or thin volumes here, or build the pool on a larger device"
        yield _hit(graph, pool, volumes, message, advice)
    elif declared > (limit := int(usable * ratio) // cluster * cluster):
        sum_ = f"{format_bytes(usable)} × overcommitRatio {ratio:g}"
        also = f", {len(moments)} snapshot(s) of thick ones included" if moments else ""
        message = f"{pool.key} may promise {format_bytes(limit)} ({sum_}); its volumes declare {format_bytes(declared)}"
        advice = "declare fewer bytes, or raise spec.overcommitRatio knowingly"
        yield _hit(graph, pool, volumes, message + also, advice)


def _hit(graph: ResourceGraph, pool: Manifest, volumes: Sequence[Manifest], message: str, advice: str) -> Hit:
    largest = sorted(volumes, key=lambda volume: (-parse_bytes(volume.spec["size"]), volume.key))[:SHOWN]
    related = tuple((volume.position_of(("spec", "size")), _share(graph, volume)) for volume in largest)
    return hit(pool, ("metadata", "name"), message, advice, *related)


def _share(graph: ResourceGraph, volume: Manifest) -> str:
    return f"{volume.key}, {'thin' if _is_thin(graph, volume) else 'thick'}"


def _is_thin(graph: ResourceGraph, volume: Manifest) -> bool:
    return bool(full_spec(graph, volume)["thin"])


def _snapshots(graph: ResourceGraph, volume: Manifest) -> int:
    """How many snapshots of a volume may come to hold as much again: those declared, and those of its copies."""
    return sum(
        reference.source.kind == "VolumeSnapshot" or reference.path[:2] == ("spec", "source")
        for reference in graph.incoming_to(volume.key)
    )


def _capacity(graph: ResourceGraph, pool: Manifest) -> int | None:
    """Bytes of the pool's device, where a manifest tells."""
    if "size" in pool.spec:
        return parse_bytes(pool.spec["size"])
    if "initialize" in pool.spec:
        return parse_bytes(pool.spec["initialize"]["sizeBytes"])
    device = graph.named(pool.key, "BlockDevice")
    spec = graph[device].resource.spec if device and graph[device].sound else {}
    about = spec.get("malloc", spec.get("null"))
    return parse_bytes(str(about["size"])) if isinstance(about, dict) else None


def _total(volumes: Iterable[Manifest], cluster: int) -> int:
    """Bytes that the volumes take, each rounded up to whole clusters."""
    return sum(-(-parse_bytes(volume.spec["size"]) // cluster) * cluster for volume in volumes)


RULE = ResourceRule("pool-overcommitted", Severity.ERROR, ("StoragePool",), check)
