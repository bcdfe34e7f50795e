"""The whole way from files to a report."""

from __future__ import annotations

import random  # noqa: TID251  # a seeded shuffle
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer import document
from analyzer.analyze import analyze
from analyzer.finding import Confidence, Severity
from analyzer.render import json, text
from analyzer.report import Report
from analyzer.scope import _file
from analyzer.snapshot import Snapshot, Unread

Lint = Callable[..., Report]
House = dict[str, str]


def rules(report: Report) -> list[str]:
    return [finding.rule for finding in report.findings]


def test_a_sound_house(lint: Lint, house: House) -> None:
    """A sound repository has no findings and does not block."""
    report = lint(house)
    assert (report.findings, report.blocks, report.counts.files, report.counts.resources) == ((), False, 5, 6)
    assert report.graph.unread == ()


def test_an_empty_repository(lint: Lint) -> None:
    """Nothing declared is nothing wrong."""
    assert lint({}).findings == lint({"a.yaml": "", "b.yaml": "# nothing\n---\n"}).findings == ()


def shuffled(files: dict[str, Any], seed: int) -> dict[str, Any]:
    items = list(files.items())
    random.Random(seed).shuffle(items)  # noqa: S311  # the same order every time
    return dict(items)


def test_order_of_files_is_irrelevant(lint: Lint, house: House) -> None:
    """The same bytes come out whatever order the files go in, also when much is wrong with them."""
    files = house | {
        "again.yaml": house["db.yaml"].replace("size: 100Gi", "size: 10Gi"),
        "bad.yaml": "a: [",
        "dup.yaml": house["host.yaml"].replace("web-1", "web-2"),
        "far.yaml": house["pool.yaml"].replace("disk-0", "disk-9").replace("fast", "far"),
        "kind.yaml": house["host.yaml"].replace("kind: Host", "kind: Hots"),
    }
    reports = [lint(shuffled(files, seed)) for seed in range(20)]
    assert len({json.render(report) for report in reports}) == 1
    assert len({text.render(report) for report in reports}) == 1
    assert len(reports[0].findings) > 5


def test_warm_equals_cold(lint: Lint, house: House) -> None:
    """What is remembered from an earlier run changes nothing in the answer."""
    files = house | {"bad.yaml": "a: 1\na: 2\n", "far.yaml": house["pool.yaml"].replace("disk-0", "disk-9")}
    warm = [json.render(lint(files)) for _ in range(2)]
    document._remembered.clear()
    _file.cache_clear()
    assert {json.render(lint(files)), *warm} == {warm[0]}


def test_files_of_equal_content_keep_their_own_paths(lint: Lint) -> None:
    """Content is remembered by blob id; where it stands is not."""
    assert [str(f.location) for f in lint({"a.yaml": "a: 1\n", "b.yaml": "a: 1\n"}).findings] == [
        "a.yaml:1:1",
        "b.yaml:1:1",
    ]


def test_unread_files_block() -> None:
    """What was met and not read is an error, and a hole in the graph."""
    report = analyze(Snapshot("", {}, (Unread("a.yaml", "a symbolic link"),)), as_of=date(2026, 1, 1))
    assert (rules(report), report.blocks) == (["unreadable-file"], True)
    assert [str(place) for place, _ in report.graph.unread] == ["a.yaml:1:1"]


NOT_MANIFESTS = [
    "just text",
    "- a\n- b\n",
    "a: 1\n",
    "kind: Volume\n",
    "apiVersion: v1\nkind: 3\n",
    "apiVersion: ''\nkind: A\n",
]


@pytest.mark.parametrize("content", NOT_MANIFESTS)
def test_what_is_no_manifest_is_told(lint: Lint, content: str) -> None:
    """A YAML file that is not in Kubernetes form is never passed over in silence."""
    report = lint({"a.yaml": content})
    assert (rules(report), report.blocks) == (["invalid-resource"], True)
    assert report.graph.unread


MISSPELT = [
    ("apiVersion: storage.holdfast.dev/v1alpha1\nkind: volume\n", 'no kind "volume"; did you mean "Volume"?'),
    ("apiVersion: storage.holdfast.dev/v1beta1\nkind: Volume\n", 'it is "storage.holdfast.dev/v1alpha1"'),
    ("apiVersion: storage.holdfst.dev/v1alpha1\nkind: Volume\n", 'it is "storage.holdfast.dev/v1alpha1"'),
]


@pytest.mark.parametrize(("head", "message"), MISSPELT)
def test_kinds_of_ours_misspelt(lint: Lint, head: str, message: str) -> None:
    """A slip in kind, version or group is an error with the right word, because the resource would silently vanish."""
    [finding] = lint({"a.yaml": head + "metadata: {name: a, namespace: b}\nspec: {}\n"}).findings
    assert (finding.rule, finding.severity) == ("unknown-kind", Severity.ERROR)
    assert finding.message.endswith(message)


def test_every_problem_of_a_manifest_is_told_at_its_place(lint: Lint) -> None:
    """Schema problems come with the place of the value, of the unknown key, or of what lacks something."""
    content = """\
apiVersion: storage.holdfast.dev/v1alpha1
kind: Target
metadata:
  name: Node_1
  namespace: team-a
spec:
  portals:
    - {name: front, address: nowhere, prot: 4420}
status: {}
"""
    found = {f"{f.location.line}:{f.location.column} {f.message}" for f in lint({"a.yaml": content}).findings}
    assert found == {
        '4:9 "Node_1" is not a DNS label (lowercase letters, digits and \'-\'), such as "db-01"',
        "5:3 a Target has no namespace: it is cluster-scoped, and every namespace shares it",
        '6:1 "connection" is missing, such as {"unixSocket": "/var/tmp/spdk.sock"}',
        '8:30 "nowhere" is not an IPv4 or IPv6 address, such as "10.0.0.11"',
        '8:39 unknown field "prot"; did you mean "port"?',
        "9:1 status is live state; it is never declared",
    }


def test_duplicates_have_one_story(lint: Lint, house: House) -> None:
    """Three manifests of one key are two findings, each pointing at the first; their fields count once."""
    report = lint(house | {"x.yaml": house["pool.yaml"], "y.yaml": house["pool.yaml"]})
    assert rules(report) == ["duplicate-resource"] * 2
    assert {str(finding.related[0][0]) for finding in report.findings} == {"pool.yaml:3:18"}


def test_broken_documents_are_not_judged_further(lint: Lint, house: House) -> None:
    """One slip in the YAML of a manifest is one finding: what refers to it still finds it."""
    house["pool.yaml"] = house["pool.yaml"].replace("deviceRef: disk-0", "deviceRef: disk-0, deviceRef: disk-1")
    assert rules(lint(house)) == ["duplicate-key"]


def test_dangling_references_mention_what_could_not_be_read(lint: Lint, house: House) -> None:
    """When a file cannot be read, the cause of what dangles is likely there."""
    house["pool.yaml"] = "a: ["
    by_rule = {finding.rule: finding for finding in lint(house).findings}
    assert set(by_rule) == {"invalid-yaml", "dangling-reference"}
    assert by_rule["dangling-reference"].help == "it may be in pool.yaml, which could not be made out"
    assert by_rule["dangling-reference"].confidence is Confidence.LOW


def test_nothing_is_surely_missing_where_a_file_is_not_read(lint: Lint, house: House) -> None:
    """Guards against certain errors about what may stand in a file that could not be made out."""
    house["class.yaml"] = """\
apiVersion: storage.holdfast.dev/v1alpha1
kind: StorageClass
metadata: {name: gold}
spec: {poolSelector: {matchLabels: {tier: gold}}}
---
apiVersion: storage.holdfast.dev/v1alpha1
kind: VolumeSnapshot
metadata: {name: before, namespace: team-a}
spec: {volumeRef: gone}
"""
    sure = {f.rule for f in lint(house).findings if f.confidence is Confidence.HIGH}
    assert {"no-pool-selected", "snapshot-without-volume"} <= sure
    house["z.yaml"] = "a: ["
    assert {f.rule for f in lint(house).findings if f.confidence is Confidence.HIGH} == {"invalid-yaml"}


def test_causes_come_first(lint: Lint, house: House) -> None:
    """What dangles perhaps only because a file is unreadable is told after that file, whatever their names."""
    del house["pool.yaml"]
    house["z.yaml"] = "a: ["
    assert rules(lint(house)) == ["invalid-yaml", "dangling-reference"]


def test_change_rules_are_silent_when_files_are_missing(lint: Lint, house: House) -> None:
    """A file that cannot be read is not a file that was removed."""
    house["db.yaml"] = house["db.yaml"].replace("size: 100Gi", "size: 100Gi, reclaimPolicy: Delete")
    assert "data-loss-without-removal" not in rules(lint(house | {"db.yaml": "a: ["}, house))
    assert "data-loss-without-removal" in rules(lint(house | {"db.yaml": ""}, house))


REMOVAL = """\
apiVersion: storage.holdfast.dev/v1alpha1
kind: Removal
metadata: {name: db, namespace: team-a}
spec: {ref: {kind: Volume, name: db}, uid: a4074450-b6aa-48e8-819c-23987a12684c, reason: r, expires: 2026-06-01}
"""


@pytest.mark.parametrize(
    ("removal", "day", "passes"),
    [
        (REMOVAL, date(2026, 6, 1), True),
        (REMOVAL, date(2026, 6, 2), False),
        (REMOVAL.replace("team-a", "team-b"), date(2026, 6, 1), False),
        (REMOVAL.replace(", namespace: team-a", ""), date(2026, 6, 1), False),
        (REMOVAL.replace("name: db}, uid", "name: db2}, uid"), date(2026, 6, 1), False),
        ("", date(2026, 6, 1), False),
    ],
)
def test_consent_to_data_loss(lint: Lint, house: House, removal: str, day: date, passes: bool) -> None:  # noqa: FBT001  # a column of the table
    """Only a Removal of the same namespace and name counts, and only until its last day has ended."""
    house["db.yaml"] = house["db.yaml"].replace("size: 100Gi", "size: 100Gi, reclaimPolicy: Delete")
    found = rules(lint(house | {"db.yaml": removal}, house, as_of=day))
    assert ("data-loss-without-removal" not in found) == passes


def test_what_was_declared_last_decides(lint: Lint, house: House) -> None:
    """The reclaim policy of the base counts: a Retained volume may go, and no commit turns Delete on and uses it."""
    retained = house
    deleted = house | {"db.yaml": house["db.yaml"].replace("size: 100Gi", "size: 100Gi, reclaimPolicy: Delete")}
    gone = house | {"db.yaml": ""}
    assert rules(lint(gone, retained)) == ["disruptive-change"]  # of the subsystem
    assert rules(lint(gone, deleted)) == ["data-loss-without-removal", "disruptive-change"]


@pytest.mark.parametrize(
    ("device", "found"), [("malloc: {size: 1Gi}", ["data-loss-without-removal"]), ("aio: {path: /a}", [])]
)
def test_devices(lint: Lint, house: House, device: str, found: list[str]) -> None:
    """Detaching a file or disk loses nothing; the bytes of a memory device are gone."""
    extra = house["disk.yaml"].replace("disk-0", "spare").replace("aio: {path: /dev/disk/by-id/nvme-0}", device)
    extra = extra.replace("{targetRef", "{reclaimPolicy: Delete, targetRef")
    assert rules(lint(house, house | {"spare.yaml": extra})) == found


def test_renaming_loses_nothing(lint: Lint, house: House) -> None:
    """A volume that says what it was called before is still there, and is compared with what it was."""
    base = house | {"db.yaml": house["db.yaml"].replace("size: 100Gi", "size: 100Gi, reclaimPolicy: Delete")}
    renamed = (
        base["db.yaml"]
        .replace(
            "{name: db, namespace: team-a}\nspec: {pool",
            "{name: sql, namespace: team-a, annotations: {holdfast.dev/renamed-from: db}}\nspec: {pool",
        )
        .replace("volumeRef: db", "volumeRef: sql")
    )
    assert rules(lint(house | {"db.yaml": renamed}, base)) == []
    assert rules(lint(house | {"db.yaml": renamed.replace("100Gi", "99Gi")}, base)) == ["volume-shrink"]


def test_pools(lint: Lint, house: House) -> None:
    """Capacity is known from initialize or from the device; what is not known is not judged."""
    pool = house["pool.yaml"].replace(
        "lvstoreUUID: 86b25858-0754-4031-8e53-7d936a7ab16c",
        "initialize: {deviceUUID: 86b25858-0754-4031-8e53-7d936a7ab16c, sizeBytes: SIZE, expires: 2026-12-31}",
    )
    assert rules(lint(house | {"pool.yaml": pool.replace("SIZE", "100Gi")})) == ["pool-overcommitted"]
    assert rules(lint(house | {"pool.yaml": pool.replace("SIZE", "102404Mi")})) == []
    thin = {"db.yaml": house["db.yaml"].replace("size: 100Gi", "size: 100Gi, thin: true")}
    half = pool.replace("SIZE", "50Gi")
    assert rules(lint(house | thin | {"pool.yaml": half})) == ["pool-overcommitted"]
    assert rules(lint(house | thin | {"pool.yaml": half.replace("spec: {", "spec: {overcommitRatio: 2.5, ")})) == []
    assert rules(lint(house | {"pool.yaml": half.replace("spec: {", "spec: {overcommitRatio: 2.5, ")})) == [
        "pool-overcommitted"
    ]


def test_what_a_pool_may_promise(lint: Lint, house: House) -> None:
    """The message gives the limit itself, not what it is a multiple of."""
    house["db.yaml"] = house["db.yaml"].replace("size: 100Gi", "size: 100Gi, thin: true")
    house["disk.yaml"] = house["disk.yaml"].replace("aio: {path: /dev/disk/by-id/nvme-0}", "malloc: {size: 40964Mi}")
    house["pool.yaml"] = house["pool.yaml"].replace("spec: {", "spec: {overcommitRatio: 1.5, ")
    [finding] = lint(house).findings
    assert finding.message == (
        "StoragePool fast may promise 60Gi (40Gi × overcommitRatio 1.5); its volumes declare 100Gi"
    )


@pytest.mark.parametrize(
    ("connection", "addresses", "found"),
    [
        ("unixSocket: /b", ("10.0.0.1", "10.0.0.1"), ["listener-conflict"]),
        ("unixSocket: /b", ("fd00::1", "fd00:0::1"), ["listener-conflict"]),
        ("unixSocket: /b", ("10.0.0.1", "10.0.0.2"), []),
        ("unixSocket: /b", ("127.0.0.1", "127.0.0.1"), ["listener-conflict"]),
        ('tcp: "127.0.0.1:5260"', ("127.0.0.1", "127.0.0.1"), []),
        ("unixSocket: /x/../a", ("10.0.0.1", "10.0.0.2"), ["duplicate-connection"]),
    ],
)
def test_two_targets(lint: Lint, connection: str, addresses: tuple[str, str], found: list[str]) -> None:
    """One address belongs to one process; loopback is every machine's own, and a socket has one name."""
    both = zip(("one", "two"), ("unixSocket: /a", connection), addresses, strict=True)
    files = {
        f"{name}.yaml": "apiVersion: storage.holdfast.dev/v1alpha1\nkind: Target\n"
        f"metadata: {{name: {name}}}\n"
        f'spec: {{connection: {{{way}}}, portals: [{{name: front, address: "{address}"}}]}}\n'
        for name, way, address in both
    }
    assert rules(lint(files)) == found


def test_a_device_without_a_uuid_mismatches_nothing(lint: Lint, house: House) -> None:
    """A derived uuid is not known here, so only a declared one is compared."""
    uuids = "86b25858-0754-4031-8e53-7d936a7ab16c", "c4a8d2b6-90e1-4f57-8a3c-1d2e3f405162"
    consent = f"initialize: {{deviceUUID: {uuids[0]}, sizeBytes: 1Ti, expires: 2026-12-31}}"
    house["pool.yaml"] = house["pool.yaml"].replace(f"lvstoreUUID: {uuids[0]}", consent)
    assert rules(lint(house)) == []
    for uuid, found in zip(uuids, ([], ["device-uuid-mismatch"]), strict=True):
        disk = house["disk.yaml"].replace("spec: {", f"spec: {{uuid: {uuid}, ")
        assert rules(lint(house | {"disk.yaml": disk})) == found


def test_invalid_neighbours_disturb_no_rule(lint: Lint, house: House) -> None:
    """Rules take apart only what its schema lets through; the rest has its own findings already."""
    for path, content in house.items():
        for old, new in (
            ("spec: {", "spec: [] # {"),
            ("spec:\n", "spec: 3\nx:\n"),
            ("100Gi", "[]"),
            ("nsid: 1", "nsid: x"),
            ("name: front", "name: [1]"),
            ("refs: [web-1]", "refs: {a: 1}"),
        ):
            broken = house | {path: content.replace(old, new)}
            report = lint(broken, house)
            assert (broken == house) == (report.findings == ())
            lint(house, broken)


PIECES = ["", "\n", "  ", "- ", "a", "1", "null", "&x ", "*x", "!!int ", "---\n", *" []{}:'\"#é"]


def mutated(data: st.DataObject, house: House) -> House:
    """The house with a few characters of a few files replaced."""
    files = dict(house)
    for path in data.draw(st.lists(st.sampled_from(sorted(files)), max_size=3)):
        start = data.draw(st.integers(0, len(files[path])))
        end = start + data.draw(st.integers(0, 12))
        files[path] = files[path][:start] + data.draw(st.sampled_from(PIECES)) + files[path][end:]
    return files


@given(data=st.data())
@settings(
    max_examples=200, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_fuzzed_manifests(lint: Lint, house: House, data: st.DataObject) -> None:
    """Whatever becomes of the manifests, the answer is a report that can be shown; what cannot be made out blocks."""
    report = lint(mutated(data, house), mutated(data, house))
    assert text.render(report)
    assert json.render(report)
    assert report.blocks or not report.graph.unread
