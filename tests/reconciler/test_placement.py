"""Classes that choose among pools: once, deterministically, and never again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from world import World, manifest, subsystem, world


@pytest.fixture
def site() -> Iterator[World]:
    with world(targets=("n1", "n2")) as made:
        yield made


def nodes(site: World, **labels: str) -> list[dict[str, Any]]:
    """The world's nodes, each pool with a tier."""
    found = site.nodes()
    for each in found:
        target = each["metadata"]["name"].partition("-")[0]
        if each["kind"] == "StoragePool" and target in labels:
            each["metadata"]["labels"] = {"tier": labels[target]}
    return found


def cls(**spec: Any) -> dict[str, Any]:
    return manifest("StorageClass", "sc", {"poolSelector": {"matchLabels": {"tier": "fast"}}, "thin": True} | spec)


def volume(name: str, size: str = "8Mi", **spec: Any) -> dict[str, Any]:
    return manifest("Volume", name, {"storageClassName": "sc", "size": size} | spec, "team")


def where(site: World) -> dict[str, str]:
    """The target of each volume's lvol."""
    for target in site.targets:
        site.converge(target)
    return {name.split("-", 2)[2]: target for target in site.targets for name in site.lvols(target)}


def test_volumes_are_spread_by_what_is_declared(site: World) -> None:
    """Guards the choice: most declared capacity left, then by name; each volume beside all that came before it."""
    site.push([*nodes(site, n1="fast", n2="fast"), cls(), volume("a", "100Mi"), volume("b"), volume("c", "200Mi")])
    assert where(site) == {"a": "n1", "b": "n2", "c": "n2"}


def test_a_choice_binds(site: World) -> None:
    """Guards bytes: neither labels nor other volumes move one that exists, also not after a restart of the daemon."""
    site.push([*nodes(site, n1="fast", n2="slow"), cls(), volume("a")])
    assert where(site) == {"a": "n1"}
    site.push([*nodes(site, n1="slow", n2="fast"), cls(), volume("a"), volume("b")])
    assert where(site) == {"a": "n1", "b": "n2"}
    site.die()
    site.wake()
    site.push([*nodes(site, n1="slow", n2="fast"), cls(), volume("a"), volume("b")])
    assert where(site) == {"a": "n1", "b": "n2"}


def test_a_volume_is_made_where_it_is_exported(site: World) -> None:
    """Guards exports: a pool with more room on another target is of no use."""
    shown = subsystem("s", {1: "a"}, target="n2")
    site.push([*nodes(site, n1="fast", n2="fast"), cls(), volume("a", "100Mi"), volume("b"), shown])
    assert where(site) == {"a": "n2", "b": "n1"}
    assert site.exports("n2") == {("s", 1): site.uid("a", "n2")}


def test_a_clone_lies_beside_its_source(site: World) -> None:
    """Guards clones: they are made in the pool of their source, whatever room there is elsewhere."""
    snap = manifest("VolumeSnapshot", "snap", {"volumeRef": "a"}, "team")
    clone = volume("b", source={"snapshotRef": "snap"})
    site.push([*nodes(site, n1="fast", n2="fast"), cls(), volume("a", "200Mi"), snap, clone])
    assert where(site) == {"a": "n1", "snap": "n1", "b": "n1"}


def test_a_class_without_a_pool_does_not_pass(site: World) -> None:
    """Guards against waiting for ever: no pool has the labels, or none lets the tenant in."""
    report = site.push([*nodes(site), cls(), volume("a")])
    assert [finding.rule for finding in report.findings] == ["no-pool-selected"] * 2
    shut = nodes(site, n1="fast")
    next(m for m in shut if m["metadata"]["name"] == "n1-pool")["spec"]["allowedNamespaces"] = ["other"]
    report = site.push([*shut, cls(), volume("a")])
    assert [finding.rule for finding in report.findings] == ["no-pool-selected"]


@pytest.mark.parametrize("order", [("n1", "n2"), ("n2", "n1")])
def test_after_a_lost_ledger_a_volume_is_where_its_bytes_are(site: World, order: tuple[str, ...]) -> None:
    """Guards bytes: a class that would choose another pool by now makes no blank disk of that name."""
    wanted = [*nodes(site, n1="fast", n2="slow"), cls(), volume("a")]
    site.push(wanted)
    assert where(site) == {"a": "n1"}
    site.die()
    for file in site.folder.glob("holdfast.db*"):
        file.unlink()
    site.wake()
    other = [*nodes(site, n1="slow", n2="fast"), cls(), volume("a")]
    site.push(other)
    for target in order:
        assert site.desired
        site.keepers[target].confirm(site.desired)
    site.push(other)
    assert where(site) == {"a": "n1"}
    assert [r.uid for t in order for r in site.house.ledger.records(t) if r.resource.name == "a"] == [
        site.uid("a", "n1")
    ]
    assert not [reason for t in order for reason in site.reasons(site.tick(t)) if reason in ("DataMissing", "Retained")]
