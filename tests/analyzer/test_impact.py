"""What a change of the repository does, and whom it reaches."""

from __future__ import annotations

from collections.abc import Callable

from analyzer.impact import Impact, Radius, impact
from analyzer.report import Report

Lint = Callable[..., Report]
House = dict[str, str]


def compare(lint: Lint, base: House, head: House) -> Impact:
    return impact(lint(base).graph, lint(head).graph)


def told(found: Impact) -> list[str]:
    return [f"{change.hazard}: {change.action} {change.key}" for change in found.changes]


def test_nothing_changes(lint: Lint, house: House) -> None:
    """Files that are moved, reordered or spelt out differently change nothing."""
    moved = {f"moved/{path}": text.replace("100Gi", "102400Mi") for path, text in house.items()}
    found = compare(lint, house, moved)
    assert (found.changes, found.hazard) == ((), "safe")


def test_worst_first(lint: Lint, house: House) -> None:
    """Changes are ordered by hazard, then by key."""
    volume = house["db.yaml"].split("---")[0]
    base = house | {"old.yaml": volume.replace("name: db", "name: old").replace("100Gi", "5Gi, reclaimPolicy: Delete")}
    head = house | {
        "new.yaml": volume.replace("name: db", "name: new"),
        "target.yaml": house["target.yaml"].replace("4420", "4421"),
    }
    found = compare(lint, base, head)
    assert told(found) == [
        "data-loss: delete Volume team-a/old",
        "disruptive: update Target node-1",
        "safe: create Volume team-a/new",
    ]
    assert found.hazard == "data-loss"
    assert [str(hazard) for hazard in found.tally()] == ["data-loss", "disruptive", "safe"]
    deleted, updated, created = found.changes
    assert (deleted.location.path, deleted.location.revision) == ("old.yaml", "head")
    assert (updated.location.line, created.location.revision) == (3, "")


def test_a_portal_concerns_those_who_name_it(lint: Lint, house: House) -> None:
    """A change of one portal reaches the subsystems on that portal, and nobody else on the target."""
    front = compare(lint, house, house | {"target.yaml": house["target.yaml"].replace("4420", "4421")})
    back = compare(lint, house, house | {"target.yaml": house["target.yaml"].replace("10.0.1.11", "10.0.1.12")})
    whole = compare(lint, house, house | {"target.yaml": house["target.yaml"].replace("spdk.sock", "other.sock")})
    assert [str(dependent.key) for dependent in front.changes[0].dependents] == ["Subsystem team-a/db"]
    assert back.changes[0].dependents == ()
    assert len(whole.changes[0].dependents) == 4
    assert [(step.path, step.part) for step in front.changes[0].dependents[0].path] == [
        (("spec", "exports", 0, "portals", 0), "front")
    ]


def test_radius(lint: Lint, house: House) -> None:
    """What a disruptive change reaches: the subsystem, the volumes it offers, the hosts that may connect."""
    found = compare(lint, house, house | {"db.yaml": house["db.yaml"].replace("team-a:db", "team-a:database")})
    assert found.radius["disruptive"] == Radius(1, 100 * 2**30, 1, 1, ("team-a",))
    assert found.radius["data-loss"] == Radius(0, 0, 0, 0, ())


def test_any_host_is_unknown_not_zero(lint: Lint, house: House) -> None:
    """Where any host may connect, their number cannot be known, and JSON says so."""
    opened = house | {"db.yaml": house["db.yaml"].replace("{refs: [web-1]}", "{any: true}")}
    radius = compare(lint, opened, house).radius["disruptive"]
    assert radius.hosts is None
    assert radius.to_json()["hosts"] == "unknown"


def test_dependents_of_both_sides(lint: Lint, house: House) -> None:
    """Who used a deleted resource, and who uses a created one, is reached either way."""
    without = {path: text for path, text in house.items() if path != "pool.yaml"}
    for found in (compare(lint, house, without), compare(lint, without, house)):
        assert [str(dependent.key) for dependent in found.changes[0].dependents] == [
            "Volume team-a/db",
            "Subsystem team-a/db",
        ]


def test_a_renamed_resource(lint: Lint, house: House) -> None:
    """With renamed-from it is one update, not a deletion and a creation."""
    renamed = house["host.yaml"].replace(
        "{name: web-1}", "{name: web, annotations: {holdfast.dev/renamed-from: web-1}}"
    )
    found = compare(lint, house, house | {"host.yaml": renamed})
    assert told(found) == ["safe: update Host web"]


def test_a_side_that_cannot_be_made_out(lint: Lint, house: House) -> None:
    """Broken YAML, a broken policy, an invalid or a doubled resource on one side is told; nothing counts as deleted."""
    for broken in (
        {"pool.yaml": "a: ["},
        {"pool.yaml": house["pool.yaml"].replace("deviceRef", "device")},
        {"again.yaml": house["pool.yaml"]},
        {"pool.yaml": house["pool.yaml"].replace("StoragePool", "StoragePol")},
        {"pool.yaml": house["pool.yaml"].replace("name: fast", "")},
        {".holdfast.yaml": "ignore: 1"},
    ):
        for side, found in (
            ("head", compare(lint, house, house | broken)),
            ("base", compare(lint, house | broken, house)),
        ):
            assert {place.side for place in found.unreadable} == {side}
            assert (found.changes, found.radius) == ((), {})
            assert found.to_json()["hazard"] == "unknown"


def test_unknown_kinds_of_others_are_compared(lint: Lint, house: House) -> None:
    """Another tool's manifest, even of a kind that is called like one of ours, is compared without being counted."""
    foreign = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, namespace: b}\nspec: {replicas: 1}\n"
    found = compare(lint, house | {"f.yaml": foreign}, house | {"f.yaml": foreign.replace("1}", "2}")})
    assert told(found) == ["safe: update Deployment b/a"]
    namesake = foreign.replace("apps/v1", "longhorn.io/v1").replace("Deployment", "Volume")
    found = compare(lint, house, house | {"f.yaml": namesake})
    assert (told(found), found.radius["safe"].volumes) == (["safe: create Volume b/a"], 0)
