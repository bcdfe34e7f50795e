"""The rules about storage and its changes where a page has no room: the edges of each, and what must stay quiet."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, TypeAlias

import pytest

from analyzer.analyze import analyze
from analyzer.explain import find
from analyzer.finding import Confidence
from analyzer.report import Report
from analyzer.rule import Rule
from analyzer.snapshot import Blob, Snapshot, blob_id
from schemas.kinds import settings
from schemas.nqn import why_invalid

Manifest: TypeAlias = dict[str, Any]
API = "storage.holdfast.dev/v1alpha1"
UUIDS = [f"{n}b0a0c7e-2f6b-4d0e-9d35-6a1e0b7c1f01" for n in range(6)]

NAMED = [
    "pool-overcommitted",
    "quota-exceeded",
    "immutable-field-change",
    "duplicate-nqn",
    "invalid-nqn",
    "nqn-outside-prefix",
    "namespace-not-allowed",
    "duplicate-nsid",
    "nsid-reused",
    "duplicate-host-nqn",
    "listener-conflict",
    "portal-transport-mismatch",
    "open-subsystem",
    "unauthenticated-host",
    "dhchap-over-secure-channel",
    "unexported-volume",
    "volume-exported-twice",
    "device-opened-twice",
    "unstable-device-path",
    "cross-target-reference",
    "source-in-other-pool",
    "clone-key-mismatch",
    "clone-depth",
    "schedule-without-volumes",
    "qos-conflict",
    "encrypted-pool-without-key",
    "raid-member-shared",
    "data-remanence",
    "unsupported-by-target",
    "restart-required-field",
    "pool-neither-initialised-nor-imported",
    "data-loss-without-removal",
    "volume-shrink",
    "removal-of-declared",
    "recreates-lost-data",
    "budget-exceeded",
    "disruptive-change",
    "mass-change",
    "history-rewritten",
    "unsigned-change",
    "access-denied",
    "stale-removal",
]


def manifest(kind: str, name: str, spec: Mapping[str, Any], namespace: str = "", **metadata: Any) -> Manifest:
    about = {"name": name, **({"namespace": namespace} if namespace else {}), **metadata}
    return {"apiVersion": API, "kind": kind, "metadata": about, "spec": dict(spec)}


def volume(name: str, size: str = "1Gi", **spec: Any) -> Manifest:
    return manifest("Volume", name, {"poolRef": "p", "size": size, **spec}, "team")


def subsystem(name: str, *volumes: str, **spec: Any) -> Manifest:
    about = {
        "nqn": f"nqn.2026-01.com.example:{name}",
        "exports": [{"targetRef": "n", "portals": ["front"]}],
        "namespaces": [{"nsid": number, "volumeRef": ref} for number, ref in enumerate(volumes, 1)],
    }
    return manifest("Subsystem", name, about | spec, "team")


def node(**spec: Any) -> list[Manifest]:
    """A target with one portal, and a pool of 10 GiB."""
    about = {"connection": {"unixSocket": "/s"}, "portals": [{"name": "front", "address": "10.0.0.1"}]}
    return [
        manifest("Target", "n", about | spec),
        manifest("BlockDevice", "d", {"targetRef": "n", "malloc": {"size": "10Gi"}}),
        manifest("StoragePool", "p", {"deviceRef": "d", "lvstoreUUID": UUIDS[0]}),
    ]


def snapshot(manifests: Sequence[Manifest], revision: str) -> Snapshot:
    data = "\n---\n".join(map(json.dumps, manifests)).encode()
    return Snapshot(revision, {"site.yaml": Blob("site.yaml", blob_id(data), data)})


def judged(*manifests: Manifest, base: Sequence[Manifest] | None = None) -> Report:
    as_of = date(2026, 6, 1)
    before = analyze(snapshot(base, "base"), as_of=as_of) if base is not None else None
    return analyze(snapshot(manifests, "head"), as_of=as_of, base=before)


def rules(report: Report) -> list[str]:
    return [finding.rule for finding in report.findings]


@pytest.mark.parametrize("name", NAMED)
def test_every_name_is_explained(name: str) -> None:
    """Guards the names that people know: each is a rule, with a page and a severity that a policy may name."""
    found = find(name)
    assert isinstance(found, Rule)
    assert found.id == name
    assert name in {str(field).rpartition(".")[2] for field in settings()[".holdfast.yaml"].fields.values()}


@pytest.mark.parametrize(
    ("nqn", "valid"),
    [
        ("nqn.2014-08.org.nvmexpress.discovery", True),
        ("nqn.2014-08.org.nvmexpress:uuid:4C4C4544-0051-4d10-8052-b7c04f4d3432", True),
        ("nqn.2014-08.org.nvmexpress:uuid:4c4c4544", False),
        ("nqn.2026-01.com.example:a:b", True),
        ("nqn.2026-01.c-d.e--f:x", True),
        ("nqn.2026-01.com.-a:x", False),
        ("nqn.2026-01.com.a-:x", False),
        ("nqn.2026-01.com..a:x", False),
        ("nqn.2026-01.com.3m:x", False),
        ("nqn.2026-01.com.example:", False),
        ("nqn.2026-01.com.example", False),
        (f"nqn.2026-01.{'a' * 64}:x", True),
        (f"nqn.2026-01.{'a' * 65}:x", False),
        (f"nqn.2026-01.com.example:{'x' * 199}", True),
        (f"nqn.2026-01.com.example:{'x' * 200}", False),
        (f"nqn.2026-01.com.example:{'é' * 100}", False),
    ],
)
def test_names_that_spdk_takes(nqn: str, *, valid: bool) -> None:
    """Guards the border: what SPDK takes is taken, also at its longest; what it refuses is told."""
    assert (why_invalid(nqn) == "") is valid


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/dev/sda", True), ("/dev/sdaa1", True), ("/dev/nvme0n1", True), ("/dev/nvme10n2p1", True),
        ("/dev/vdb", True), ("/dev/dm-0", True), ("/dev/md127", True), ("/dev//sdb", True), ("/dev/loop7", True),
        ("/dev/disk/by-id/nvme-x", False), ("/dev/mapper/vg-lv", False), ("/dev/vg/lv", False),
        ("/srv/sda", False), ("/dev/md/data", False), ("/dev/nvme-fabrics", False), ("/dev/sdlab/x", False),
    ],
)  # fmt: skip
def test_disks_by_order(path: str, *, found: bool) -> None:
    """Guards names that stay: only what the kernel counts is told."""
    device = manifest("BlockDevice", "e", {"targetRef": "n", "uring": {"path": path}})
    assert ("unstable-device-path" in rules(judged(*node(), device))) is found


def host(**spec: Any) -> Manifest:
    return manifest("Host", "h", {"nqn": "nqn.2026-01.com.example:h", **spec})


DHCHAP = {"dhchap": {"keyFrom": {"file": "/k"}}}
TLS = {"tls": {"pskFrom": {"file": "/p"}}}


@pytest.mark.parametrize(
    ("keys", "secure", "found"),
    [
        ({}, [False], ["unauthenticated-host"]),
        (DHCHAP, [False], []),
        (TLS, [True], []),
        (TLS, [False], ["secure-channel-mismatch"]),
        (TLS, [True, False], ["unauthenticated-host"]),
        (DHCHAP | TLS, [True], ["dhchap-over-secure-channel"]),
        (DHCHAP | TLS, [True, False], []),
        ({}, [True], ["unauthenticated-host", "secure-channel-mismatch"]),
    ],
)
def test_keys_of_hosts(keys: Manifest, secure: list[bool], found: list[str]) -> None:
    """Guards what a host can prove where it connects: each way has at most the findings that are its own."""
    portals = [{"name": f"p{n}", "address": f"10.0.0.{n + 1}", "secureChannel": s} for n, s in enumerate(secure)]
    exports = [{"targetRef": "n", "portals": [portal["name"] for portal in portals]}]
    shown = subsystem("s", exports=exports, hosts={"refs": ["h"]})
    assert sorted(rules(judged(*node(portals=portals), shown, host(**keys)))) == sorted(found)


def test_hosts_of_this_machine_need_no_key() -> None:
    """Guards examples and tests: over loopback nobody else comes."""
    portals = [{"name": "front", "address": "127.0.0.2"}, {"name": "six", "address": "::1"}]
    exports = [{"targetRef": "n", "portals": ["front", "six"]}]
    assert rules(judged(*node(portals=portals), subsystem("s", exports=exports, hosts={"refs": ["h"]}), host())) == []


def test_volumes_that_nobody_sees() -> None:
    """Guards against noise: snapshots and copies are uses, and where nobody exports, nothing is said."""
    assert rules(judged(*node(), volume("a"))) == []
    shown = [*node(), volume("a"), subsystem("s", "a")]
    assert rules(judged(*shown, volume("b"))) == ["unexported-volume"]
    kept = manifest("VolumeSnapshot", "k", {"volumeRef": "b"}, "team")
    assert rules(judged(*shown, volume("b", thin=True), kept)) == []


IMAGE = manifest("Image", "i", {"targetRef": "n", "path": "/i"})
KEY, OTHER = ({"encryption": {"keyFrom": {"file": f"/etc/holdfast/{name}"}}} for name in "ab")
SEALED = manifest("StorageClass", "c", {"poolRef": "p", "thin": True, **KEY})


@pytest.mark.parametrize(
    ("source", "clone", "found"),
    [
        ({}, {}, []),
        (KEY, {}, []),
        (KEY, KEY, []),
        ({}, KEY, [Confidence.HIGH]),
        (KEY, OTHER, [Confidence.LOW]),
    ],
)
def test_keys_of_clones(source: Manifest, clone: Manifest, found: list[Confidence]) -> None:
    """Guards clones: one of plain bytes has no key; one with another place of a key is perhaps wrong."""
    taken = manifest("VolumeSnapshot", "k", {"volumeRef": "a"}, "team")
    for origin in ({"volumeRef": "a"}, {"snapshotRef": "k"}):
        copy = volume("b", source=origin, **clone)
        report = judged(*node(), volume("a", thin=True, **source), taken, copy)
        told = [finding.confidence for finding in report.findings if finding.rule == "clone-key-mismatch"]
        assert told == found


def test_keys_by_class() -> None:
    """Guards classes: an image under a sealed class is noise for certain; a source of a class perhaps is not."""
    by_class = manifest("Volume", "b", {"storageClassName": "c", "size": "1Gi", "source": {"imageRef": "i"}}, "team")
    [found] = judged(*node(), IMAGE, SEALED, by_class).findings
    assert (found.rule, found.confidence, found.path) == (
        "clone-key-mismatch", Confidence.HIGH, ("spec", "storageClassName"),
    )  # fmt: skip
    plain = manifest("StorageClass", "q", {"poolRef": "p", "thin": True})
    origin = manifest("Volume", "a", {"storageClassName": "q", "size": "1Gi"}, "team")
    [found] = judged(*node(), plain, origin, volume("b", source={"volumeRef": "a"}, **KEY)).findings
    assert (found.rule, found.confidence) == ("clone-key-mismatch", Confidence.LOW)


def test_chains_of_clones() -> None:
    """Guards depth: counted from what stands alone; a cycle ends; a thick copy begins anew."""
    chain = [volume("c0", "1Mi", thin=True)]
    chain += [volume(f"c{n}", "1Mi", source={"volumeRef": f"c{n - 1}"}) for n in range(1, 10)]
    assert rules(judged(*node(), *chain)) == ["clone-depth"]
    chain[5]["spec"]["thin"] = False
    assert rules(judged(*node(), *chain)) == []
    ring = [volume(f"r{n}", "1Mi", source={"volumeRef": f"r{(n + 1) % 12}"}) for n in range(12)]
    assert "reference-cycle" in rules(judged(*node(), *ring))


@pytest.mark.parametrize(("was", "now", "found"), [
    ("1Gi", "1Gi", []), ("2Gi", "2Gi", ["detach-after-growth"]), ("1Gi", "2Gi", []),
])  # fmt: skip
def test_detaching_what_has_grown(was: str, now: str, found: list[str]) -> None:
    """Guards the order: detached first and grown afterwards is well, also in one commit."""
    rest = [*node(), volume("a", thin=True)]
    before = volume("b", was, source={"volumeRef": "a"})
    after = volume("b", now, source={"volumeRef": "a", "detach": True})
    assert rules(judged(*rest, after, base=[*rest, before])) == found
    assert rules(judged(*rest, after)) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"uid": UUIDS[2]}, True),
        ({"uid": UUIDS[1]}, False),
        ({}, False),
        ({"uid": UUIDS[2], "recreate": UUIDS[1]}, False),
    ],
)
def test_another_pinned_uuid(change: Manifest, *, found: bool) -> None:
    """Guards hosts: one namespace id does not become another disk by a pinned uuid, unless somebody consents."""
    rest = [*node(), subsystem("s", "a")]
    report = judged(*rest, volume("a", **change), base=[*rest, volume("a", uid=UUIDS[1])])
    assert ("nsid-reused" in rules(report)) is found
    consented = subsystem("s", "a")
    consented["spec"]["namespaces"][0]["reuses"] = UUIDS[1]
    report = judged(*node(), consented, volume("a", **change), base=[*rest, volume("a", uid=UUIDS[1])])
    assert "nsid-reused" not in rules(report)


def test_retained_bytes_take_room() -> None:
    """Guards a volume that is replaced: what goes stays in the pool, unless a Removal, or a rename, says otherwise."""
    base = [*node(), volume("a", "6Gi")]
    [found] = judged(*node(), volume("b", "6Gi"), base=base).at_least(judged().config.fail_on)
    assert (found.rule, found.confidence) == ("pool-overcommitted", Confidence.LOW)
    assert "Retained ones included" in found.message
    consent = {"ref": {"kind": "Volume", "name": "a"}, "uid": UUIDS[1], "reason": "r", "expires": "2026-12-31"}
    removal = manifest("Removal", "a", consent, "team")
    assert "pool-overcommitted" not in rules(judged(*node(), volume("b", "6Gi"), removal, base=base))
    renamed = volume("b", "6Gi")
    renamed["metadata"]["annotations"] = {"holdfast.dev/renamed-from": "a"}
    assert rules(judged(*node(), renamed, base=base)) == []


def test_schedules_take_room() -> None:
    """Guards thick volumes under a schedule: its newest snapshot always stays, and may hold as much again."""
    kept = manifest(
        "SnapshotSchedule", "nightly",
        {"selector": {"matchLabels": {"b": "y"}}, "cron": "0 2 * * *", "retain": {"last": 3}}, "team",
    )  # fmt: skip
    labelled = volume("a", "6Gi")
    labelled["metadata"]["labels"] = {"b": "y"}
    assert rules(judged(*node(), labelled, kept)) == ["pool-overcommitted"]
    labelled["spec"]["thin"] = True
    assert rules(judged(*node(), labelled, kept)) == []


def test_a_revert_of_a_removal() -> None:
    """Guards whoever reverts: a manifest that comes back after its Removal brings no bytes, and that is said once."""
    consent = {"ref": {"kind": "Volume", "name": "a"}, "uid": UUIDS[1], "reason": "r", "expires": "2026-12-31"}
    removal = manifest("Removal", "a", consent, "team")
    assert rules(judged(*node(), volume("a"), base=[*node(), removal])) == ["recreates-lost-data"]
    assert rules(judged(*node(), volume("a"), base=[*node(), volume("a"), removal])) == []


def test_what_is_done_at_once() -> None:
    """Guards against sweeping changes, and ordinary ones against being called so."""
    many = [volume(f"v{n}", "1Mi") for n in range(20)]
    assert "mass-change" in rules(judged(*node(), *many[10:], base=[*node(), *many]))
    assert rules(judged(*node(), *many[9:], base=[*node(), *many])) == []
    grown = [volume(f"v{n}", "2Mi", qos={"iops": 1000}) for n in range(20)]
    assert rules(judged(*node(), *grown, base=[*node(), *many])) == []
    renamed = [volume(f"w{n}", "1Mi") for n in range(20)]
    for number, each in enumerate(renamed):
        each["metadata"]["annotations"] = {"holdfast.dev/renamed-from": f"v{number}"}
    assert rules(judged(*node(), *renamed, base=[*node(), *many])) == []


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (lambda s: s["spec"].update(maxNamespaces=64), "disruptive-change"),
        (lambda s: s["spec"]["namespaces"].append({"nsid": 2, "volumeRef": "b"}), ""),
        (lambda s: s["metadata"].update(labels={"a": "b"}), ""),
        (lambda s: s["spec"]["hosts"]["refs"].clear(), "disruptive-change"),
    ],
    ids=["made anew", "one more", "a label", "a host less"],
)
def test_ordinary_changes_are_quiet(edit: Callable[[Manifest], None], found: str) -> None:
    """Guards the pull request's reader: what nobody would notice is not told, and what somebody would is a remark."""
    rest = [*node(), volume("a"), volume("b"), subsystem("t", "b"), host(**DHCHAP)]
    before, after = (subsystem("s", "a", hosts={"refs": ["h"]}) for _ in range(2))
    edit(after)
    report = judged(*rest, after, base=[*rest, before])
    assert [rule for rule in rules(report) if rule in NAMED and rule != "volume-exported-twice"] == [found] * bool(
        found
    )


def test_targets_that_say_no_version() -> None:
    """Guards the daemon's word: without a version nothing is called too new."""
    masked = subsystem("s", "a", hosts={"refs": ["h"]})
    masked["spec"]["namespaces"][0]["visibleTo"] = ["h"]
    rest = [volume("a"), host(**DHCHAP), masked]
    assert rules(judged(*node(), *rest)) == []
    assert rules(judged(*node(spdkVersion="24.01"), *rest)) == ["unsupported-by-target"] * 2
    assert rules(judged(*node(spdkVersion="24.05.1"), *rest)) == ["unsupported-by-target"]
    assert rules(judged(*node(spdkVersion="25.01"), *rest)) == []


def test_a_very_long_chain() -> None:
    """Guards lint's time: a chain of clones without end is followed so far and no further."""
    chain = [
        volume("c0", "1Mi", thin=True),
        *(volume(f"c{n}", "1Mi", source={"volumeRef": f"c{n - 1}"}) for n in range(1, 300)),
    ]
    report = judged(*node(), *chain)
    deep = [f for f in report.findings if f.rule == "clone-depth"]
    assert len(deep) == 291
    assert "64 or more deep" in deep[-1].message


def test_budgets_of_the_base() -> None:
    """Guards the limit: that of the revision before counts, and what nobody notices costs nothing."""
    rest = [*node(), volume("a"), volume("b"), subsystem("x", "a"), subsystem("y", "b")]
    wider = [*rest[:5], subsystem("x", "a", maxNamespaces=64), subsystem("y", "b", maxNamespaces=64)]
    assert rules(judged(*wider, base=rest)).count("budget-exceeded") == 1
    assert "budget-exceeded" not in rules(judged(*rest[:5], wider[5], rest[6], base=rest))
    grown = [*node(), volume("a", "2Gi"), volume("b", "2Gi"), *rest[5:]]
    assert rules(judged(*grown, base=rest)) == []
