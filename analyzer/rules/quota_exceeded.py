from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from analyzer.finding import Severity
from analyzer.indexes import Index
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from analyzer.volumes import limits_of
from schemas.quantity import counted, parse_bytes, told_bytes

SHOWN = 5  # volumes that a finding names
Share: TypeAlias = "tuple[Manifest, int]"


TENANTS = Index("volumes-of-namespace", ("Volume",), lambda volume: [volume.key.namespace])


def check(case: Case, quota: Manifest) -> Iterator[Hit]:
    volumes = case.graph.sharing(TENANTS, quota.key.namespace)
    return _judge(quota, [(volume, limits_of(case.graph, volume)) for volume in volumes])


def _judge(quota: Manifest, volumes: Sequence[tuple[Manifest, Mapping[str, Any]]]) -> Iterator[Hit]:
    shares: dict[str, list[Share]] = {
        "capacity": [(volume, parse_bytes(volume.spec["size"])) for volume, _ in volumes],
        "volumes": [(volume, 1) for volume, _ in volumes],
        "iops": [(volume, int(limit.get("iops", 0))) for volume, limit in volumes],
    }
    for name, shown in _UNITS.items():
        most = parse_bytes(quota.spec[name]) if name in quota.spec else None
        if most is not None and sum(share for _, share in shares[name]) > most:
            yield _over(quota, name, most, shares[name], shown)
    if "iops" in quota.spec:
        for volume, limit in shares["iops"]:
            if not limit:
                yield _unlimited(quota, volume)


def _over(quota: Manifest, name: str, most: int, shares: Sequence[Share], shown: Callable[[int], str]) -> Hit:
    largest = sorted(shares, key=lambda share: (-share[1], share[0].key))[:SHOWN]
    rest = f", and {left} more that are no larger" if (left := len(shares) - SHOWN) > 0 else ""
    ends = [""] * (len(largest) - 1) + [rest]
    notes = (
        (volume.position_of(("spec", "size")), f"{volume.key}, {shown(share)}{end}")
        for (volume, share), end in zip(largest, ends, strict=True)
    )
    total = sum(share for _, share in shares)
    message = f"namespace {quota.key.namespace} may declare {shown(most)}; its volumes come to {shown(total)}"
    return hit(quota, ("spec", name), message, "declare less, or have the quota raised", *notes)


def _unlimited(quota: Manifest, volume: Manifest) -> Hit:
    note = (quota.position_of(("spec", "iops")), f"{quota.key} counts IO/s")
    message = f"{volume.key} has no IO/s limit, and a quota of its namespace counts them"
    return hit(volume, ("metadata", "name"), message, "give it spec.qos.iops, or a policy that limits IO/s", note)


_UNITS: Mapping[str, Callable[[int], str]] = {
    "capacity": told_bytes,
    "volumes": lambda count: counted(count, "volume"),
    "iops": "{} IO/s".format,
}

RULE = ResourceRule("quota-exceeded", Severity.ERROR, ("Quota",), check)
