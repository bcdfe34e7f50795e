"""What a change of the repository does, and whom it reaches."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from analyzer.impact.difference import Impact, impact
from analyzer.impact.radius import Radius
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
    assert [str(hazard) for hazard in found.tally()] == ["data-loss", "disruptive", "refused", "safe"]
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


TWO_DISKS = """
---
apiVersion: storage.holdfast.dev/v1alpha1
kind: Volume
metadata: {name: wal, namespace: team-a}
spec: {poolRef: fast, size: 10Gi}
---
apiVersion: storage.holdfast.dev/v1alpha1
kind: Host
metadata: {name: web-2}
spec: {nqn: "nqn.2014-08.org.nvmexpress:uuid:4c4c4544-0051-4d10-8052-b7c04f4d3433"}
"""


@pytest.fixture
def shared(house: House) -> House:
    """A subsystem with two volumes and two hosts."""
    db = house["db.yaml"].replace("[{nsid: 1, volumeRef: db}]", "[{nsid: 1, volumeRef: db}, {nsid: 7, volumeRef: wal}]")
    return house | {"db.yaml": db.replace("refs: [web-1]", "refs: [web-1, web-2]") + TWO_DISKS}


TOUCHED = [  # file, before, after: volumes, bytes in GiB, subsystems, hosts
    (("db.yaml", "size: 10Gi", "size: 10Gi, qos: {iops: 1000}"), (1, 10, 1, 2)),
    (("db.yaml", "size: 10Gi", "size: 20Gi"), (1, 20, 1, 2)),
    (("db.yaml", "size: 10Gi", "size: 10Gi, reclaimPolicy: Delete"), (1, 10, 0, 0)),
    (("db.yaml", "{nsid: 7, volumeRef: wal}", ""), (1, 10, 1, 2)),
    (("db.yaml", "{nsid: 7, volumeRef: wal}", "{nsid: 8, volumeRef: wal}"), (1, 10, 1, 2)),
    (("db.yaml", "refs: [web-1, web-2]", "refs: [web-1]"), (2, 110, 1, 1)),
    (("db.yaml", "4d3433", "4d3434"), (2, 110, 1, 1)),
    (("db.yaml", "team-a:db", "team-a:database"), (2, 110, 1, 2)),
    (("db.yaml", "portals: [front]", "portals: [back]"), (2, 110, 1, 2)),
    (("target.yaml", "4420", "4421"), (2, 110, 1, 2)),
    (("pool.yaml", "spec: {", "spec: {reserve: 5%, "), (0, 0, 0, 0)),
    (("db.yaml", "spec:\n  nqn", "spec:\n  driftPolicy: warn\n  nqn"), (0, 0, 1, 0)),
]


@pytest.mark.parametrize(("edit", "touched"), TOUCHED)
def test_the_radius_is_what_is_touched(
    lint: Lint, shared: House, edit: tuple[str, str, str], touched: tuple[int, int, int, int]
) -> None:
    """One volume's limit touches that volume and its hosts; one host's removal that host; nobody else is counted."""
    file, before, after = edit
    assert before in shared[file]
    found = compare(lint, shared, shared | {file: shared[file].replace(before, after)})
    radius = found.radius[found.hazard]
    assert radius.bytes is not None
    assert (radius.volumes, radius.bytes / 2**30, radius.subsystems, radius.hosts) == touched


REMOVAL = """\
apiVersion: storage.holdfast.dev/v1alpha1
kind: Removal
metadata: {name: db, namespace: team-a}
spec: {ref: {kind: Volume, name: %s}, uid: a4074450-b6aa-48e8-819c-23987a12684c, reason: r, expires: 2026-12-31}
"""


def test_a_removal_destroys_what_it_names(lint: Lint, house: House) -> None:
    """A Removal alone destroys retained bytes: it is data-loss, names them, and a size nobody declares is unknown."""
    [change] = (found := compare(lint, house, house | {"r.yaml": REMOVAL % "old"})).changes
    assert (change.hazard, str(change.destroys)) == ("data-loss", "Volume team-a/old")
    assert found.radius["data-loss"] == Radius(1, None, 0, 0, ("team-a",))
    withdrawn = compare(lint, house | {"r.yaml": REMOVAL % "old"}, house)
    assert (withdrawn.hazard, withdrawn.changes[0].destroys) == ("safe", None)


SCHEDULE = """\
apiVersion: storage.holdfast.dev/v1alpha1
kind: SnapshotSchedule
metadata: {name: nightly, namespace: team-a}
spec: {selector: {matchLabels: {backup: nightly}}, cron: "0 2 * * *", timeZone: Etc/UTC, retain: {daily: %d}}
"""


def test_a_stricter_retention_loses_snapshots_and_not_the_schedule(lint: Lint, house: House) -> None:
    """A schedule that keeps less is data-loss of what it took; it is not itself named as destroyed."""
    [change] = compare(lint, house | {"s.yaml": SCHEDULE % 7}, house | {"s.yaml": SCHEDULE % 2}).changes
    assert (change.hazard, change.destroys) == ("data-loss", None)


def test_a_removal_together_with_its_volume(lint: Lint, house: House) -> None:
    """Consent and deletion in one commit destroy one volume, whose size and users are known."""
    base = house | {"db.yaml": house["db.yaml"].replace("size:", "reclaimPolicy: Delete, size:")}
    head = {path: text for path, text in base.items() if path != "db.yaml"} | {"r.yaml": REMOVAL % "db"}
    found = compare(lint, base, head)
    assert [str(change.destroys) for change in found.changes if change.hazard == "data-loss"] == [
        "Volume team-a/db"
    ] * 2
    assert found.radius["data-loss"] == Radius(1, 100 * 2**30, 1, 1, ("team-a",))


def test_what_is_refused_touches_nothing(lint: Lint, house: House) -> None:
    """A shrink is never carried out: it is neither safe nor a loss, and reaches nobody."""
    found = compare(lint, house, house | {"db.yaml": house["db.yaml"].replace("100Gi", "50Gi")})
    assert told(found) == ["refused: update Volume team-a/db"]
    assert (found.hazard, found.changes[0].dependents, found.changes[0].destroys) == ("refused", (), None)
    assert {radius.volumes for radius in found.radius.values()} == {0}


def test_items_are_named_by_what_identifies_them(lint: Lint, shared: House) -> None:
    """Of a change and of the way to whom it reaches: the same item has one name, whatever its place in the list."""
    found = compare(lint, shared, shared | {"db.yaml": shared["db.yaml"].replace("size: 10Gi", "size: 20Gi")})
    assert [reached.names for reached in found.changes[0].dependents] == [("spec.namespaces[nsid=7].volumeRef",)]
    moved = compare(lint, shared, shared | {"db.yaml": shared["db.yaml"].replace("nsid: 7", "nsid: 9")})
    names = [field.name for field in moved.changes[0].fields]
    assert names == ["spec.namespaces[nsid=7]", "spec.namespaces[nsid=9]"]


def test_a_rejected_head_is_told(lint: Lint, house: House) -> None:
    """Findings that keep the head from being accepted go with the comparison."""
    head = lint(house | {"db.yaml": house["db.yaml"].replace("volumeRef: db", "volumeRef: bd")})
    found = impact(lint(house).graph, head.graph, head.at_least(head.config.fail_on))
    assert [finding.rule for finding in found.rejected] == ["dangling-reference"]
    assert found.changes


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
    foreign = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a, namespace: b}\nspec: {replicas: 1}\n"
    found = compare(lint, house | {"f.yaml": foreign}, house | {"f.yaml": foreign.replace("1}", "2}")})
    assert told(found) == ["safe: update Widget b/a"]
    namesake = foreign.replace("example.com/v1", "longhorn.io/v1").replace("Widget", "Volume")
    found = compare(lint, house, house | {"f.yaml": namesake})
    assert (told(found), found.radius["safe"].volumes) == (["safe: create Volume b/a"], 0)


SELECTING = "hosts: {selector: {matchLabels: {uses: db}}}"


def labelled(house: House, *, label: str = "db", tenants: str = "", pick: str = SELECTING) -> House:
    """The subsystem picks its host by a label."""
    about = house["host.yaml"].replace("{name: web-1}", f"{{name: web-1, labels: {{uses: {label}, rack: a}}}}")
    return house | {
        "host.yaml": about.replace('3432",', f'3432"{tenants or ", allowedNamespaces: [team-a]"},'),
        "db.yaml": house["db.yaml"].replace("hosts: {refs: [web-1]}", pick),
    }


def test_a_label_by_which_a_host_is_picked(lint: Lint, house: House) -> None:
    """A host that a selector drops loses the subsystem, just as one that is no longer named; another label is safe."""
    base = labelled(house)
    for head in (labelled(house, label="web"), labelled(house, tenants=", allowedNamespaces: [team-b]")):
        found = compare(lint, base, head)
        assert told(found) == ["disruptive: update Host web-1"]
        assert [str(reached.key) for reached in found.changes[0].dependents] == ["Subsystem team-a/db"]
        assert found.radius["disruptive"] == Radius(1, 100 * 2**30, 1, 1, ("team-a",))
    back = compare(lint, labelled(house, label="web"), base)
    assert (back.hazard, [str(r.key) for r in back.changes[0].dependents]) == ("safe", ["Subsystem team-a/db"])
    beside = compare(lint, base, base | {"host.yaml": base["host.yaml"].replace("rack: a", "rack: b")})
    assert (beside.hazard, beside.changes[0].dependents) == ("safe", ())


def test_a_picked_host_that_goes(lint: Lint, house: House) -> None:
    """Nothing dangles when a host goes that is only picked by a label, and yet it loses the subsystem."""
    base = labelled(house)
    head = {path: content for path, content in base.items() if path != "host.yaml"}
    assert told(compare(lint, base, head)) == ["disruptive: delete Host web-1"]


def test_a_host_that_is_named_as_well_loses_nothing(lint: Lint, house: House) -> None:
    """A label that goes costs nothing where the subsystem also names the host."""
    both = "hosts: {refs: [web-1], selector: {matchLabels: {uses: db}}}"
    found = compare(lint, labelled(house, pick=both), labelled(house, label="web", pick=both))
    assert (found.hazard, found.changes[0].dependents) == ("safe", ())


def test_perhaps_renamed(lint: Lint, house: House) -> None:
    """What comes and says the same as what goes is told of it, and the deletion stays one."""
    head = house | {"pool.yaml": house["pool.yaml"].replace("name: fast", "name: quick")}
    found = compare(lint, house, head)
    assert told(found) == ["safe: delete StoragePool fast", "safe: create StoragePool quick"]
    assert [str(change.perhaps) for change in found.changes] == ["StoragePool quick", "StoragePool fast"]
    twice = head | {"pool2.yaml": house["pool.yaml"].replace("name: fast", "name: again")}
    assert {change.perhaps for change in compare(lint, house, twice).changes} == {None}


CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: b%s}\ndata: {k: v}\n"


def test_a_rename_that_others_do_not_know(lint: Lint, house: House) -> None:
    """The annotation is ours: for another tool's kind a new name is a deletion and a creation, perhaps a rename."""
    note = ", annotations: {holdfast.dev/renamed-from: b/a}"
    head = house | {"f.yaml": (CONFIG % note).replace("name: a", "name: z")}
    found = compare(lint, house | {"f.yaml": CONFIG % ""}, head)
    assert [(change.action, str(change.perhaps)) for change in found.changes] == [
        ("delete", "ConfigMap b/z"),
        ("create", "ConfigMap b/a"),
    ]


def test_what_was_renamed_says_from_what(lint: Lint, house: House) -> None:
    """A rename that is declared names what it was called before."""
    renamed = house["host.yaml"].replace(
        "{name: web-1}", "{name: web, annotations: {holdfast.dev/renamed-from: web-1}}"
    )
    [change] = compare(lint, house, house | {"host.yaml": renamed}).changes
    assert str(change.former) == "Host web-1"


def test_a_broken_manifest_of_others_hides_nothing(lint: Lint, house: House) -> None:
    """What another tool's manifest does wrong is compared as it is written, and the rest as ever."""
    wrong = "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: b}\nspec: {ports: [{port: %s}]}\n"
    head = house | {"f.yaml": wrong % "nope", "target.yaml": house["target.yaml"].replace("4420", "4421")}
    found = compare(lint, house | {"f.yaml": wrong % "80"}, head)
    assert told(found) == ["disruptive: update Target node-1", "safe: update Service b/a"]
    twice = house | {"f.yaml": wrong % "80", "g.yaml": wrong % "81"}
    assert compare(lint, twice, head | {"f.yaml": wrong % "80", "g.yaml": wrong % "81"}).unreadable == ()
    assert compare(lint, twice, head | {"f.yaml": wrong % "80"}).unreadable


def test_a_host_that_is_let_in_all_the_same(lint: Lint, house: House) -> None:
    """Struck off the list, but picked by a label, or listed under another name: nobody is put out."""
    both = "hosts: {refs: [web-1], selector: {matchLabels: {uses: db}}}"
    found = compare(lint, labelled(house, pick=both), labelled(house))
    assert (found.hazard, [c.fields[0].reason for c in found.changes]) == (
        "safe", ["every host that it let in is still let in"],
    )  # fmt: skip
    again = house["host.yaml"].replace("web-1", "web")
    head = house | {"host.yaml": again, "db.yaml": house["db.yaml"].replace("web-1", "web")}
    assert compare(lint, house, head).hazard == "safe"
    wider = labelled(house, pick="hosts: {selector: {matchLabels: {rack: a}}}")
    assert compare(lint, labelled(house), wider).hazard == "safe"
    narrower = labelled(house, pick="hosts: {selector: {matchLabels: {uses: db, rack: b}}}")
    assert compare(lint, labelled(house), narrower).hazard == "disruptive"


def test_a_copy_feels_nothing_of_its_origin(lint: Lint, house: House) -> None:
    """A limit, or growth, of a volume reaches who uses it, and nobody who has a snapshot or a clone of it."""
    copies = (
        "apiVersion: storage.holdfast.dev/v1alpha1\nkind: VolumeSnapshot\nmetadata: {name: s, namespace: team-a}\n"
        "spec: {volumeRef: db}\n---\napiVersion: storage.holdfast.dev/v1alpha1\nkind: Volume\n"
        "metadata: {name: clone, namespace: team-a}\nspec: {poolRef: fast, size: 200Gi, source: {volumeRef: db}}\n"
    )
    base = house | {"copies.yaml": copies}
    found = compare(lint, base, base | {"db.yaml": house["db.yaml"].replace("100Gi", "150Gi")})
    assert [str(reached.key) for reached in found.changes[0].dependents] == ["Subsystem team-a/db"]
