from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from analyzer.finding import Confidence, Location, Severity
from analyzer.graph import ResourceGraph
from analyzer.hazards import removal_ref
from analyzer.manifest import Manifest
from analyzer.renames import later_name
from analyzer.rule import Case, Hit, ResourceRule, hit
from analyzer.volumes import full_spec, volumes_of
from schemas.quantity import counted, format_bytes, parse_bytes

SHOWN = 5  # volumes that a finding names


def check(case: Case, pool: Manifest) -> Iterator[Hit]:
    capacity = _capacity(case.graph, pool)
    volumes = volumes_of(case.graph, pool.key) if capacity is not None else ()
    if capacity is not None and volumes:
        shares = [_share(case.graph, volume) for volume in volumes]
        found = [*_judge(case, pool, capacity, shares)]
        perhaps = () if found else _judge(case, pool, capacity, [*shares, *_retained(case, pool)])
        yield from found
        yield from (replace(hit, confidence=Confidence.LOW) for hit in perhaps)  # if they were ever made


@dataclass(frozen=True, slots=True)
class _Share:
    """What a volume takes of its pool. `moments`: snapshots that may come to hold as much again."""

    volume: Manifest
    thin: bool
    moments: int = 0
    retained: bool = False

    @property
    def words(self) -> str:
        kept = ", Retained when this change takes it out" if self.retained else ""
        return f"{self.volume.key}, {'thin' if self.thin else 'thick'}{kept}"


def _judge(case: Case, pool: Manifest, capacity: int, shares: Sequence[_Share]) -> Iterator[Hit]:
    cluster, ratio = parse_bytes(pool.spec["clusterSize"]), pool.spec["overcommitRatio"]
    usable = max(0, capacity // cluster - 1) * cluster  # the store's own records take at least one cluster
    sizes = [(share, _size(share.volume, cluster)) for share in shares]
    thick = sum(size for share, size in sizes if not share.thin)
    declared = sum(size * (1 + share.moments) for share, size in sizes)
    moments = sum(share.moments for share in shares)
    kept = ", Retained ones included" if any(share.retained for share in shares) else ""
    if thick > usable:
        message = f"{pool.key} has room for {format_bytes(usable)}; its thick volumes take {format_bytes(thick)}{kept}"
        advice = "declare fewer or thin volumes here, or build the pool on a larger device"
        yield _hit(case, pool, sizes, message, advice)
    elif declared > (limit := int(usable * ratio) // cluster * cluster):
        sum_ = f"{format_bytes(usable)} × overcommitRatio {ratio:g}"
        also = f", {counted(moments, 'snapshot')} of thick ones included" if moments else ""
        message = f"{pool.key} may promise {format_bytes(limit)} ({sum_}); its volumes declare {format_bytes(declared)}"
        advice = "declare fewer bytes, or raise spec.overcommitRatio knowingly"
        yield _hit(case, pool, sizes, f"{message}{also}{kept}", advice)


def _hit(case: Case, pool: Manifest, sizes: Sequence[tuple[_Share, int]], message: str, advice: str) -> Hit:
    largest = sorted(sizes, key=lambda each: (-each[1], each[0].volume.key))[:SHOWN]
    rest = f", and {left} more that are no larger" if (left := len(sizes) - SHOWN) > 0 else ""
    ends = [""] * (len(largest) - 1) + [rest]
    related = tuple((_place(case, share), share.words + end) for (share, _), end in zip(largest, ends, strict=True))
    return hit(pool, ("metadata", "name"), message, advice, *related)


def _place(case: Case, share: _Share) -> Location:
    path = ("spec", "size")
    return case.was(share.volume, path) if share.retained else share.volume.position_of(path)


def _share(graph: ResourceGraph, volume: Manifest) -> _Share:
    thin = bool(full_spec(graph, volume)["thin"])
    return _Share(volume, thin, 0 if thin else _snapshots(graph, volume))


def _retained(case: Case, pool: Manifest) -> Iterator[_Share]:
    """Volumes that this change takes out of the manifests, and whose bytes stay in the pool nevertheless."""
    if case.base is None or case.graph.unread:
        return
    gone = {removal_ref(removal.resource) for removal in case.graph.sound("Removal")}
    for volume in volumes_of(case.base, pool.key):
        stays = case.graph.get(volume.key) or later_name(case.graph, volume.key)
        about = full_spec(case.base, volume)
        if not stays and volume.key not in gone and about["reclaimPolicy"] == "Retain":
            yield _Share(volume, bool(about["thin"]), retained=True)


def _snapshots(graph: ResourceGraph, volume: Manifest) -> int:
    """How many snapshots of a volume may come to hold as much again: those declared, those of its copies, and the
    newest of each schedule, which always stays.
    """
    scheduled = {r.target for r in graph.references(volume.key) if r.target.kind_name == "SnapshotSchedule"}
    return len(scheduled) + sum(
        reference.source.kind_name == "VolumeSnapshot" or reference.path[:2] == ("spec", "source")
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


def _size(volume: Manifest, cluster: int) -> int:
    """Bytes of a volume, rounded up to whole clusters."""
    return -(-parse_bytes(volume.spec["size"]) // cluster) * cluster


RULE = ResourceRule("pool-overcommitted", Severity.ERROR, ("StoragePool",), check)
