# ruff: noqa: E501  # specs are JSON; a table has one row a line
"""What a change of a field means, by the schemas."""

from __future__ import annotations

from typing import Any

import pytest

from analyzer.hazards import FieldChange, changes, deletion_hazard, former_key, pairs
from schemas.kinds import our_kinds
from schemas.resources import Json, Resource, ResourceKey

API_VERSION = "storage.holdfast.dev/v1alpha1"


def resource(kind: str, spec: dict[str, Any], name: str = "a", **annotations: str) -> Resource:
    namespace = "" if our_kinds()[kind].scope == "Cluster" else "team-a"
    notes = {f"holdfast.dev/{name.replace('_', '-')}": text for name, text in annotations.items()}
    return Resource(ResourceKey(kind, namespace, name), API_VERSION, spec, {}, notes)


def compare(kind: str, before: dict[str, Any], after: dict[str, Any]) -> tuple[FieldChange, ...]:
    return changes(resource(kind, before), resource(kind, after))


def volume(**spec: Any) -> dict[str, Any]:
    return {"poolRef": "fast", "size": "100Gi", **spec}


def target(*portals: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"connection": {"unixSocket": "/a"}, "portals": list(portals), **spec}


def subsystem(**spec: Any) -> dict[str, Any]:
    return {"exports": [{"targetRef": "node-1", "portals": ["front"]}], **spec}


FRONT = {"name": "front", "address": "10.0.0.1"}
BACK = {"name": "back", "address": "10.0.1.1"}

SAME = [
    ("Volume", volume(), volume(size="102400Mi")),
    ("Volume", volume(), volume(size=107374182400)),
    ("Volume", volume(), volume(thin=False, reclaimPolicy="Retain")),
    ("Volume", volume(qos={}), volume(qos={"iops": 0})),
    ("Target", target(FRONT, BACK), target(BACK, FRONT)),
    ("Target", target(FRONT), target({**FRONT, "port": 4420, "transport": "TCP"})),
    ("Target", target(exportWait="60s"), target(exportWait="1m")),
    ("Subsystem", subsystem(), subsystem(hosts={}, namespaces=[])),
    ("Subsystem", subsystem(hosts={"refs": ["a", "b"]}), subsystem(hosts={"refs": ["b", "a"]})),
    ("StoragePool", {"deviceRef": "d", "lvstoreUUID": "u"}, {"deviceRef": "d", "lvstoreUUID": "u", "reserve": "10%"}),
]


@pytest.mark.parametrize(("kind", "before", "after"), SAME)
def test_what_means_the_same(kind: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Spelling out a default, another unit or another order of a keyed list is no change, in either direction."""
    assert compare(kind, before, after) == compare(kind, after, before) == ()


DIFFERENT = [
    ("Volume", volume(), volume(size="200Gi"), "spec.size increase in-place safe "),
    ("Volume", volume(), volume(size="1Gi"), "spec.size decrease refuse refused a volume never shrinks, for that would lose data; it is KeptLarger"),
    ("Volume", volume(), volume(poolRef="slow"), "spec.poolRef change refuse refused a volume cannot move to another pool; declare a new volume, copy, and pin its uid"),
    ("Volume", volume(), volume(thin=True), "spec.thin increase refuse refused a thick volume cannot be made thin; declare a new volume and copy"),
    ("Volume", volume(qos={"iops": 1}), volume(qos={"iops": 2}), "spec.qos.iops increase in-place safe "),
    ("Volume", volume(), volume(qos={"iops": 2}), "spec.qos add in-place safe "),
    ("Volume", volume(qos={"iops": 2}), volume(), "spec.qos remove in-place safe "),
    ("Target", target(FRONT), target(FRONT, BACK), "spec.portals[name=back] add in-place safe "),
    ("Target", target(FRONT, BACK), target(FRONT), "spec.portals[name=back] remove in-place disruptive hosts connected through it lose this path"),
    ("Target", target(FRONT), target({**FRONT, "port": 4421}), "spec.portals[name=front].port increase recreate disruptive hosts connected to the old port lose this path"),
    ("Target", target(FRONT), target({**FRONT, "address": "10.0.0.2"}), "spec.portals[name=front].address change recreate disruptive hosts connected to the old address lose this path"),
    ("Target", target(), target(suspend={"reason": "r", "until": "u"}), "spec.suspend add in-place safe "),
    ("Target", target(transports=[{"type": "TCP"}]), target(transports=[{"type": "TCP", "maxQueueDepth": 64}]), "spec.transports[type=TCP].maxQueueDepth add restart safe "),
    ("Subsystem", subsystem(hosts={"refs": ["a", "b"]}), subsystem(hosts={"refs": ["b"]}), "spec.hosts.refs[a] remove in-place disruptive the host is disconnected"),
    ("Subsystem", subsystem(hosts={"any": True}), subsystem(), "spec.hosts.any decrease in-place disruptive hosts that are not listed are disconnected"),
    ("Subsystem", subsystem(namespaces=[{"nsid": 1, "volumeRef": "a"}]), subsystem(namespaces=[{"nsid": 1, "volumeRef": "b"}]), "spec.namespaces[nsid=1].volumeRef change recreate disruptive hosts lose the namespace and see another disk"),
    ("Subsystem", subsystem(namespaces=[{"nsid": 7, "volumeRef": "a"}]), subsystem(), "spec.namespaces[nsid=7] remove in-place disruptive hosts lose this namespace"),
    ("Subsystem", subsystem(), {"exports": [{"targetRef": "node-1", "portals": ["front"], "cntlidRange": [1, 9]}]}, "spec.exports[targetRef=node-1].cntlidRange change recreate disruptive the subsystem is deleted and created again; every host loses it meanwhile"),
    ("Subsystem", subsystem(), {"exports": [{"targetRef": "node-1", "portals": ["back", "front"]}]}, "spec.exports[targetRef=node-1].portals[back] add in-place safe "),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "before", "after", "told"), DIFFERENT)
def test_what_changes(kind: str, before: dict[str, Any], after: dict[str, Any], told: str) -> None:
    """One field changes, in one direction, and the schema says what becomes of it and why."""
    [change] = compare(kind, before, after)
    assert f"{change.name} {change.direction} {change.update} {change.hazard} {change.reason}" == told


def test_another_device_behind_the_name() -> None:
    """A file that becomes memory is refused, although no common field differs."""
    disk, memory = {"targetRef": "t", "aio": {"path": "/a"}}, {"targetRef": "t", "malloc": {"size": "1Gi"}}
    found = {change.name: (change.update, change.hazard) for change in compare("BlockDevice", disk, memory)}
    assert found["spec.aio.path"] == ("refuse", "refused")


def test_places() -> None:
    """The path of a change counts items where they are now, or where they were."""
    [gone] = compare("Target", target(BACK, FRONT), target(FRONT))
    [moved] = compare("Target", target(FRONT), target(BACK, {**FRONT, "port": 1}))[:1]
    assert gone.path == ("spec", "portals", 0)
    assert (moved.path, moved.before, moved.after) == (("spec", "portals", 1, "port"), 4420, 1)


def test_a_whole_resource() -> None:
    """Coming is safe; going means what the kind and the reclaim policy say."""
    retained, deleted = resource("Volume", volume()), resource("Volume", volume(reclaimPolicy="Delete"))
    [created] = changes(None, retained)
    assert (created.path, created.update, created.hazard, created.after) == ((), "create", "safe", volume())
    assert [(c.update, c.hazard) for c in changes(retained, None)] == [("delete", "safe")]
    assert [(c.update, c.hazard) for c in changes(deleted, None)] == [("delete", "data-loss")]
    assert [c.hazard for c in changes(resource("Subsystem", subsystem()), None)] == ["disruptive"]
    assert changes(None, None) == ()


REMOVAL = {"ref": {"kind": "Volume", "name": "db"}, "uid": "u-1", "reason": "ticket 1", "expires": "2026-12-31"}


def test_a_removal_destroys_by_being_there() -> None:
    """Its coming is what destroys bytes, and so is every change of what it names or of how long it counts."""
    [created] = changes(None, resource("Removal", REMOVAL))
    assert (created.update, created.hazard) == ("create", "data-loss")
    assert [c.hazard for c in changes(resource("Removal", REMOVAL), None)] == ["safe"]
    for field, value, hazard in (
        ("uid", "u-2", "data-loss"),
        ("expires", "2027-12-31", "data-loss"),
        ("ref", {"kind": "Volume", "name": "wal"}, "data-loss"),
        ("reason", "ticket 2", "safe"),
    ):
        assert [c.hazard for c in compare("Removal", REMOVAL, {**REMOVAL, field: value})] == [hazard], field


@pytest.mark.parametrize(("driver", "hazard"), [("malloc", "data-loss"), ("aio", "safe"), ("null", "safe")])
def test_only_memory_loses_bytes_with_its_device(driver: str, hazard: str) -> None:
    """A file or disk that is detached keeps its bytes whatever the reclaim policy."""
    device = resource("BlockDevice", {"targetRef": "t", driver: {}, "reclaimPolicy": "Delete"})
    assert deletion_hazard(device).hazard == hazard


def test_labels_and_annotations() -> None:
    """What is not in the spec changes without hazard, one entry at a time."""
    before = Resource(ResourceKey("Volume", "a", "a"), API_VERSION, volume(), {"x": "1", "y": "1"})
    after = Resource(ResourceKey("Volume", "a", "a"), API_VERSION, volume(), {"x": "2", "z": "1"})
    assert [(c.name, c.direction, c.hazard) for c in changes(before, after)] == [
        ("metadata.labels.x", "change", "safe"),
        ("metadata.labels.y", "remove", "safe"),
        ("metadata.labels.z", "add", "safe"),
    ]


def test_unknown_kinds() -> None:
    """A kind without a schema is compared as a whole."""
    key = ResourceKey("Widget", "a", "a", "apps")
    [change] = changes(Resource(key, "example.com/v1", {"x": 1}), Resource(key, "example.com/v1", {"x": 2}))
    assert (change.name, change.direction, change.hazard) == ("spec", "change", "safe")


@pytest.mark.parametrize(
    ("text", "former"), [("old", ("team-a", "old")), ("team-b/old", ("team-b", "old")), ("", None)]
)
def test_former_key(text: str, former: tuple[str, str] | None) -> None:
    """renamed-from names a resource of the same kind, in this or another namespace."""
    found = former_key(resource("Volume", volume(), renamed_from=text))
    assert (found and (found.namespace, found.name)) == former


def side(*resources: Resource) -> dict[ResourceKey, Resource]:
    return {found.key: found for found in resources}


def test_pairs() -> None:
    """Resources are matched by key, in order of their keys."""
    a, b, c = (resource("Volume", volume(), name) for name in "abc")
    assert [(p.before, p.after) for p in pairs(side(b, a), side(c, b))] == [(a, None), (b, b), (None, c)]


def test_a_renamed_resource_is_one_resource() -> None:
    """Neither deleted nor created, as long as nobody carries the old name; only one can have been it."""
    old, new = resource("Volume", volume(), "old"), resource("Volume", volume(), "new", renamed_from="old")
    twin = resource("Volume", volume(), "twin", renamed_from="old")
    assert [(p.before, p.after) for p in pairs(side(old), side(new))] == [(old, new)]
    assert [(p.before, p.after) for p in pairs(side(old), side(new, twin))] == [(old, new), (None, twin)]
    assert [(p.before, p.after) for p in pairs(side(old), side(new, old))] == [(None, new), (old, old)]
    [change] = [c for c in changes(old, new) if c.name == "metadata.name"]
    assert (change.before, change.after, change.reason) == ("team-a/old", "team-a/new", "renamed")


def other(kind: str, spec: Json, group: str = "hub.traefik.io", version: str = "v1alpha1") -> Resource:
    return Resource(ResourceKey(kind, "n", "a", group), f"{group}/{version}" if group else version, spec)  # type: ignore[arg-type]


def told(before: Resource, after: Resource) -> list[tuple[str, str, str]]:
    return [(change.name, change.direction, change.hazard) for change in changes(before, after)]


def test_limits_of_a_plan() -> None:
    """A lower limit, a longer period and a new limit disturb who uses an API; the other way round nobody notices."""
    loose = {"title": "a", "rateLimit": {"limit": 10, "period": "1s"}}
    tight = {"title": "a", "rateLimit": {"limit": 5, "period": "1m"}}
    assert told(other("APIPlan", loose), other("APIPlan", tight)) == [
        ("spec.rateLimit.limit", "decrease", "disruptive"),
        ("spec.rateLimit.period", "increase", "disruptive"),
    ]
    assert {hazard for _, _, hazard in told(other("APIPlan", tight), other("APIPlan", loose))} == {"safe"}
    [found] = [c for c in told(other("APIPlan", {"title": "a"}), other("APIPlan", loose)) if c[0].endswith("limit")]
    assert found == ("spec.rateLimit.limit", "add", "disruptive")


def test_who_loses_access() -> None:
    """An API, a group or an application that is taken out of a list loses something; one that is added does not."""
    two = {"apiPlan": {"name": "p"}, "apis": [{"name": "a"}, {"name": "b"}]}
    one = {"apiPlan": {"name": "p"}, "apis": [{"name": "b"}]}
    assert told(other("ManagedSubscription", two), other("ManagedSubscription", one)) == [
        ("spec.apis[name=a]", "remove", "disruptive")
    ]
    assert told(other("ManagedSubscription", one), other("ManagedSubscription", two)) == [
        ("spec.apis[name=a]", "add", "safe")
    ]


def test_fields_that_a_schema_does_not_name() -> None:
    """What is inside an open field counts as that field does, so that no change goes unseen."""
    before, after = (other("Middleware", {"rateLimit": {"average": n}}, "traefik.io") for n in (10, 5))
    assert told(before, after) == [("spec.rateLimit.average", "decrease", "disruptive")]


def test_what_is_not_as_its_schema_says() -> None:
    """Guards impact: a manifest of another group is compared even where its items have no names and its sizes no form."""
    odd = {"apis": ["x", {"nome": 1}], "apiPlan": 3}
    assert told(other("ManagedSubscription", odd), other("ManagedSubscription", {}))
    claim = {"resources": {"requests": {"storage": "lots"}}}
    [(name, direction, _)] = told(
        other("PersistentVolumeClaim", claim, "", "v1"), other("PersistentVolumeClaim", {}, "", "v1")
    )
    assert (name, direction) == ("spec.resources.requests.storage", "remove")


def test_secrets_are_told_without_their_values() -> None:
    """That a Secret changes is told, what it holds is not."""
    key = ResourceKey("Secret", "n", "a", "")
    before, after = (Resource(key, "v1", {"data": {"key": value}}) for value in ("b25l", "dHdv"))
    [change] = changes(before, after)
    assert (change.before, change.after) == ({"key": "(secret)"}, {"key": "(secret)"})
    [gone] = changes(before, None)
    assert "b25l" not in str(gone.to_json())
