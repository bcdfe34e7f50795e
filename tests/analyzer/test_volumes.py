"""What volumes leave to their class and to policies, as the rules and the impact see it."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from analyzer.analyze import analyze
from analyzer.impact.difference import impact
from analyzer.report import Report
from analyzer.snapshot import Blob, Snapshot, blob_id
from schemas.kinds import our_kinds

AS_OF = date(2026, 6, 1)


def declared(kind: str, name: str, spec: dict[str, Any], namespace: str = "", **labels: str) -> dict[str, Any]:
    metadata = {"name": name, "labels": labels} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": "storage.holdfast.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def examples(*kinds: str) -> list[dict[str, Any]]:
    return [dict(our_kinds()[kind].example) for kind in kinds]


def judged(*manifests: dict[str, Any], base: Report | None = None) -> Report:
    text = "\n---\n".join(map(json.dumps, manifests)).encode()
    return analyze(Snapshot("r", {"site.yaml": Blob("site.yaml", blob_id(text), text)}), as_of=AS_OF, base=base)


def rules(report: Report) -> list[str]:
    return [finding.rule for finding in report.findings]


GROUND = examples("Target", "BlockDevice", "StoragePool", "StorageClass", "QoSPolicy")


def by_class(name: str, namespace: str = "team-a", **spec: Any) -> dict[str, Any]:
    return declared("Volume", name, {"storageClassName": "fast", "size": "1Gi"} | spec, namespace, tier=name)


def test_a_class_lets_nobody_past_the_pool() -> None:
    """Guards allowedNamespaces: who may not use a pool cannot by way of a class either, which has a list of its own."""
    open_class = declared("StorageClass", "fast", {"poolRef": "fast"})
    ground = [m for m in GROUND if m["kind"] != "StorageClass"]
    assert rules(judged(*ground, open_class, by_class("a"))) == []
    assert rules(judged(*ground, open_class, by_class("a", "team-b"))) == ["namespace-not-allowed"]
    assert set(rules(judged(*GROUND, by_class("a", "team-b")))) == {"namespace-not-allowed"}


def test_thinness_by_class_counts_in_the_pool() -> None:
    """Guards pool-overcommitted: what the class says of thin volumes is what is added up."""
    whole = [by_class("a", size="700Gi"), by_class("b", size="700Gi")]
    [finding] = judged(*GROUND, *whole).findings
    assert (finding.rule, "overcommitRatio" in finding.message) == ("pool-overcommitted", True)


def test_a_snapshot_of_a_thick_volume_counts_as_another_one() -> None:
    """Guards pool-overcommitted: what is written after a snapshot takes new room, also in a pool of thick volumes."""
    thick = by_class("a", size="700Gi", thin=False)
    taken = declared("VolumeSnapshot", "s", {"volumeRef": "a"}, "team-a")
    assert rules(judged(*GROUND, thick)) == []
    assert rules(judged(*GROUND, thick, taken)) == ["pool-overcommitted"]


def test_delete_by_class_needs_a_removal() -> None:
    """Guards data-loss-without-removal: a reclaimPolicy that comes from the class counts like the volume's own."""
    ground = [m for m in GROUND if m["kind"] != "StorageClass"]
    ground.append(declared("StorageClass", "fast", {"poolRef": "fast", "reclaimPolicy": "Delete"}))
    base = judged(*ground, by_class("a"))
    head = judged(*ground, base=base)
    assert rules(head) == ["data-loss-without-removal"]
    assert impact(base.graph, head.graph).hazard == "data-loss"
    kept = judged(*ground, by_class("a", reclaimPolicy="Retain"))
    assert rules(judged(*ground, base=kept)) == []


def test_a_policy_reaches_the_volumes_that_it_picks() -> None:
    """Guards the blast radius of a QoSPolicy: whom it picks by label, whom a class gives it, and nobody else."""
    gold = declared("QoSPolicy", "gold", {"selector": {"matchLabels": {"tier": "a"}}, "iops": 1000}, "team-a")
    plain = declared("Volume", "c", {"poolRef": "fast", "size": "1Gi"}, "team-a", tier="c")
    base = judged(*GROUND, by_class("a"), by_class("b"), plain, gold)
    changed = gold | {"spec": gold["spec"] | {"iops": 2000}}
    [change] = impact(base.graph, judged(*GROUND, by_class("a"), by_class("b"), plain, changed).graph).changes
    assert [dependent.key.name for dependent in change.dependents] == ["a"]
    assert (change.fields[0].name, change.hazard) == ("spec.iops", "safe")


def test_a_volume_whose_source_is_elsewhere_is_found_by_way_of_its_class() -> None:
    """Guards source-in-other-pool where pools are only named by classes."""
    device = declared("BlockDevice", "mem", {"targetRef": "node-1", "malloc": {"size": "8Gi"}})
    pool = declared("StoragePool", "slow", {"deviceRef": "mem", "lvstoreUUID": "86b25858-0754-4031-8e53-7d936a7ab16c"})
    slow = declared("StorageClass", "slow", {"poolRef": "slow", "thin": True})
    copy = by_class("copy", storageClassName="slow", source={"volumeRef": "a"})
    assert rules(judged(*GROUND, device, pool, slow, by_class("a"), copy)) == ["source-in-other-pool"]


def test_what_a_volume_began_as_cannot_change() -> None:
    """Guards the transitions: source, class and a snapshot's volume are refused, whichever way they change."""
    taken = declared("VolumeSnapshot", "s", {"volumeRef": "a"}, "team-a")
    base = judged(*GROUND, by_class("a"), by_class("b"), by_class("c", source={"volumeRef": "a"}), taken)
    other = by_class("c", source={"volumeRef": "b"})
    moved = taken | {"spec": {"volumeRef": "b"}}
    for change in ([other, taken], [by_class("c"), taken], [by_class("c", source={"volumeRef": "a"}), moved]):
        found = judged(*GROUND, by_class("a"), by_class("b"), *change, base=base)
        assert rules(found) == ["immutable-field-change"]


def test_a_name_that_follows_a_rename_has_not_changed() -> None:
    """Guards renaming: who refers to a volume by its new name refers to the same bytes."""
    base = judged(*GROUND, by_class("a"), declared("VolumeSnapshot", "s", {"volumeRef": "a"}, "team-a"))
    renamed = by_class("b")
    renamed["metadata"]["annotations"] = {"holdfast.dev/renamed-from": "a"}
    taken = declared("VolumeSnapshot", "s", {"volumeRef": "b"}, "team-a")
    assert rules(judged(*GROUND, renamed, taken, base=base)) == []
    del renamed["metadata"]["annotations"]
    assert rules(judged(*GROUND, renamed, taken, base=base)) == ["immutable-field-change"]
