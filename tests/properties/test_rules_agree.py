"""Rules against what they claim: repositories of few names, drawn at random, judged a second time from the plain
manifests alone, by other means. Where the two differ, one of them is wrong.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from analyzer.analyze import analyze
from analyzer.authority.acts import State, acts_of
from analyzer.document import parse
from analyzer.graph import link
from analyzer.manifest import decode
from analyzer.report import Report
from analyzer.snapshot import Blob, Snapshot, blob_id

Manifest: TypeAlias = dict[str, Any]
API = "storage.holdfast.dev/v1alpha1"
MIB = 1 << 20
UUID = "5b0a0c7e-2f6b-4d0e-9d35-6a1e0b7c1f0{}"
TEAMS, VOLUMES, POOLS, NODES = ("a", "b"), ("u", "v", "w"), ("p", "q"), ("n", "m")

BOOL = st.booleans()
MAYBE = st.none() | BOOL


def manifest(kind: str, name: str, spec: Mapping[str, Any], namespace: str = "", **metadata: Any) -> Manifest:
    about = {"name": name, **({"namespace": namespace} if namespace else {}), **metadata}
    return {"apiVersion": API, "kind": kind, "metadata": about, "spec": dict(spec)}


def judged(manifests: list[Manifest]) -> Report:
    data = "\n---\n".join(map(json.dumps, manifests)).encode()
    return analyze(Snapshot("", {"site.yaml": Blob("site.yaml", blob_id(data), data)}), as_of=date(2026, 6, 1))


def found(report: Report, rule: str) -> set[str]:
    """The resources that a rule tells of."""
    return {f.resource.path for f in report.findings if f.rule == rule and f.resource}


def drop_none(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in spec.items() if value is not None}


# --- pools and quotas


@st.composite
def sites(draw: st.DrawFn) -> list[Manifest]:
    """A target with two pools in memory, a class on one of them, and volumes with snapshots, copies and schedules."""
    manifests = [manifest("Target", "n", {"connection": {"unixSocket": "/s"}})]
    for number, pool in enumerate(POOLS):
        size, ratio = draw(st.integers(4, 40)), draw(st.sampled_from([1.0, 1.5, 3.0]))
        manifests += [
            manifest("BlockDevice", f"d{pool}", {"targetRef": "n", "malloc": {"size": f"{size}Mi"}}),
            manifest("StoragePool", pool, {"deviceRef": f"d{pool}", "lvstoreUUID": UUID.format(number),
                                           "clusterSize": "1Mi", "overcommitRatio": ratio}),
        ]  # fmt: skip
    manifests.append(manifest("StorageClass", "c", drop_none({"poolRef": "p", "thin": draw(MAYBE)})))
    schedule = {"selector": {"matchLabels": {"k": "y"}}, "cron": "0 2 * * *", "retain": {"last": 2}}
    manifests += [manifest("SnapshotSchedule", "s", schedule, team) for team in TEAMS if draw(BOOL)]
    for team in TEAMS:
        for name in VOLUMES:
            manifests += draw(volumes(team, name))
        if draw(BOOL):
            limits = {"capacity": f"{draw(st.integers(1, 60))}Mi", "volumes": draw(st.integers(0, 3))}
            limits |= {"iops": draw(st.integers(1, 6)) * 1000} if draw(BOOL) else {}
            manifests.append(manifest("Quota", "all", limits, team))
    return manifests


@st.composite
def volumes(draw: st.DrawFn, team: str, name: str) -> list[Manifest]:
    where = draw(st.sampled_from([{"poolRef": "p"}, {"poolRef": "q"}, {"storageClassName": "c"}, {}]))
    if not where:
        return []
    size = draw(st.sampled_from(["1Mi", "1500Ki", "3Mi", "8Mi", 5 * MIB + 1]))
    spec = drop_none(where | {"size": size, "thin": draw(MAYBE)})
    spec |= {"qos": {"iops": draw(st.sampled_from([0, 1000, 3000]))}} if draw(BOOL) else {}
    labels = {"labels": {"k": draw(st.sampled_from(["y", "n"]))}} if draw(BOOL) else {}
    made = [manifest("Volume", name, spec, team, **labels)]
    if draw(BOOL):
        made.append(manifest("VolumeSnapshot", f"{name}-s", {"volumeRef": name}, team))
    if draw(BOOL):
        copy = where | {"size": size, "source": {"volumeRef": name}}
        made.append(manifest("Volume", f"{name}-c", copy, team))
    return made


def amount(size: Any) -> int:
    """Bytes, for the few forms that are drawn."""
    if isinstance(size, int):
        return size
    return int(size[:-2]) * {"Mi": MIB, "Ki": 1024}[size[-2:]]


class Ledger:
    """The same site from its plain manifests."""

    def __init__(self, manifests: list[Manifest]) -> None:
        self.all = manifests
        [self.the_class] = [m["spec"] for m in manifests if m["kind"] == "StorageClass"]

    def of(self, kind: str) -> Iterator[tuple[str, str, Manifest]]:
        for found in self.all:
            if found["kind"] == kind:
                yield found["metadata"].get("namespace", ""), found["metadata"]["name"], found

    def pool(self, volume: Manifest) -> str:
        return str(volume["spec"].get("poolRef", self.the_class["poolRef"]))

    def is_thin(self, volume: Manifest) -> bool:
        if "thin" in volume["spec"]:
            return bool(volume["spec"]["thin"])
        return "source" in volume["spec"] or bool("storageClassName" in volume["spec"] and self.the_class.get("thin"))

    def layers(self, team: str, name: str, volume: Manifest) -> int:
        """Snapshots that hold the volume's former bytes."""
        taken = sum(t == team and m["spec"]["volumeRef"] == name for t, _, m in self.of("VolumeSnapshot"))
        copied = sum(t == team and m["spec"].get("source") == {"volumeRef": name} for t, _, m in self.of("Volume"))
        chosen = volume["metadata"].get("labels", {}).get("k") == "y"
        return taken + copied + sum(chosen and t == team for t, _, _ in self.of("SnapshotSchedule"))

    def overfull(self) -> set[str]:
        wrong = set()
        for _, pool, about in self.of("StoragePool"):
            [device] = [m["spec"] for _, name, m in self.of("BlockDevice") if name == about["spec"]["deviceRef"]]
            room = amount(device["malloc"]["size"]) // MIB - 1  # clusters of 1 MiB; one is the store's own
            here = [(t, n, v) for t, n, v in self.of("Volume") if self.pool(v) == pool]
            clusters = {(t, n): -(-amount(v["spec"]["size"]) // MIB) for t, n, v in here}
            thick = sum(clusters[t, n] for t, n, v in here if not self.is_thin(v))
            extra = sum(clusters[t, n] * self.layers(t, n, v) for t, n, v in here if not self.is_thin(v))
            if thick > room or sum(clusters.values()) + extra > int(room * about["spec"]["overcommitRatio"]):
                wrong.add(pool)
        return wrong

    def over_quota(self) -> set[str]:
        wrong = set()
        for team, _, quota in self.of("Quota"):
            mine = [(name, v["spec"]) for t, name, v in self.of("Volume") if t == team]
            limits = {name: spec.get("qos", {}).get("iops", 0) for name, spec in mine}
            most = quota["spec"]
            if (
                sum(amount(spec["size"]) for _, spec in mine) > amount(most["capacity"])
                or len(mine) > most["volumes"]
                or sum(limits.values()) > most.get("iops", sum(limits.values()))
            ):
                wrong.add(f"{team}/all")
            if "iops" in most:
                wrong |= {f"{team}/{name}" for name, limit in limits.items() if not limit}
        return wrong


@given(sites())
def test_pools_and_quotas(manifests: list[Manifest]) -> None:
    """Guards pool-overcommitted and quota-exceeded: each tells of exactly those that are, by a second count."""
    report, ledger = judged(manifests), Ledger(manifests)
    assert found(report, "pool-overcommitted") == ledger.overfull()
    assert found(report, "quota-exceeded") == ledger.over_quota()


# --- namespaces and exports

SUBSYSTEMS = ("s", "t")


@st.composite
def exports(draw: st.DrawFn) -> list[Manifest]:
    """Two subsystems on two targets, which show volumes under ids."""
    about = {"connection": {"unixSocket": "/s"}, "portals": [{"name": "f", "address": "127.0.0.1"}]}
    manifests = [manifest("Target", node, about | {"connection": {"unixSocket": f"/{node}"}}) for node in NODES]
    for number, (node, pool) in enumerate(zip(NODES, POOLS, strict=True)):
        manifests += [
            manifest("BlockDevice", f"d{pool}", {"targetRef": node, "malloc": {"size": "1Gi"}}),
            manifest("StoragePool", pool, {"deviceRef": f"d{pool}", "lvstoreUUID": UUID.format(number)}),
        ]
    manifests += [manifest("Volume", v, {"poolRef": draw(st.sampled_from(POOLS)), "size": "8Mi"}, "a") for v in VOLUMES]
    for name in SUBSYSTEMS:
        shown = draw(st.lists(st.tuples(st.integers(1, 3), st.sampled_from(VOLUMES)), max_size=3))
        spec = {
            "nqn": f"nqn.2026-01.com.example:{name}",
            "exports": [{"targetRef": draw(st.sampled_from(NODES)), "portals": ["f"]}],
            "namespaces": [{"nsid": nsid, "volumeRef": volume} for nsid, volume in shown],
        }
        manifests.append(manifest("Subsystem", name, spec, "a"))
    return manifests


@given(exports())
def test_namespaces_and_exports(manifests: list[Manifest]) -> None:
    """Guards duplicate-nsid, volume-exported-twice, cross-target-reference and unexported-volume by a second look."""
    report = judged(manifests)
    pools = {m["metadata"]["name"]: m["spec"]["poolRef"] for m in manifests if m["kind"] == "Volume"}
    home = dict(zip(POOLS, NODES, strict=True))
    subsystems = {m["metadata"]["name"]: m["spec"] for m in manifests if m["kind"] == "Subsystem"}
    shown = [(name, entry["nsid"], entry["volumeRef"]) for name, s in subsystems.items() for entry in s["namespaces"]]

    ids = Counter((name, nsid) for name, nsid, _ in shown)
    assert found(report, "duplicate-nsid") == {f"a/{name}" for (name, _), count in ids.items() if count > 1}
    uses = Counter(volume for _, _, volume in shown)
    assert bool(found(report, "volume-exported-twice")) == any(count > 1 for count in uses.values())
    away = {
        f"a/{name}" for name, _, volume in shown if subsystems[name]["exports"][0]["targetRef"] != home[pools[volume]]
    }
    assert found(report, "cross-target-reference") == away
    idle = {f"a/{volume}" for volume in pools.keys() - uses.keys()} if shown else set()
    assert found(report, "unexported-volume") == idle


# --- devices

PATHS = ("/dev/disk/by-id/x", "/dev/disk/by-id/../by-id/x", "/srv/x", "/srv//x", "/srv/y")
CONNECTIONS = ({"unixSocket": "/n"}, {"unixSocket": "/m"}, {"tcp": "127.0.0.1:1"}, {"tcp": "127.0.0.1:2"})


@st.composite
def stacks(draw: st.DrawFn) -> list[Manifest]:
    """Devices of two targets that open files, disks by serial number, and namespaces of others."""
    ways = draw(st.lists(st.sampled_from(CONNECTIONS), min_size=2, max_size=2, unique_by=str))
    manifests = [manifest("Target", node, {"connection": way}) for node, way in zip(NODES, ways, strict=True)]
    for number in range(draw(st.integers(2, 4))):
        address = {"transport": "TCP", "address": f"10.0.0.{draw(st.integers(1, 2))}", "port": 4420}
        about = draw(st.sampled_from(["aio", "uring", "nvme"]))
        opened: dict[str, Any] = {"path": draw(st.sampled_from(PATHS))}
        if about == "nvme":
            opened = {"address": address, "subsystemNQN": "nqn.2026-01.com.example:x", "nsid": draw(st.integers(1, 2))}
        spec = {"targetRef": draw(st.sampled_from(NODES)), about: opened}
        manifests.append(manifest("BlockDevice", f"d{number}", spec))
    return manifests


def opened(device: Mapping[str, Any], machines: Mapping[str, str]) -> tuple[object, ...]:
    """What a device opens, as equal values where the bytes are the same."""
    spec = device["spec"]
    if "nvme" in spec:
        return ("nvme", spec["nvme"]["address"]["address"], spec["nvme"]["nsid"])
    path = {PATHS[1]: PATHS[0], PATHS[3]: PATHS[2]}.get(path := next(iter(_paths(spec))), path)
    return ("serial", path) if "by-id" in path else (machines[spec["targetRef"]], path)


def _paths(spec: Mapping[str, Any]) -> Iterator[str]:
    for driver in ("aio", "uring"):
        if driver in spec:
            yield spec[driver]["path"]


@given(stacks())
def test_devices(manifests: list[Manifest]) -> None:
    """Guards device-opened-twice: all but one of those who open the same bytes are told of, and nobody else."""
    machines = {
        m["metadata"]["name"]: "here" if "unixSocket" in m["spec"]["connection"] else m["metadata"]["name"]
        for m in manifests
        if m["kind"] == "Target"
    }
    groups: dict[tuple[object, ...], list[str]] = {}
    for device in (m for m in manifests if m["kind"] == "BlockDevice"):
        groups.setdefault(opened(device, machines), []).append(device["metadata"]["name"])
    told = found(judged(manifests), "device-opened-twice")
    assert told == {name for names in groups.values() for name in sorted(names)[1:]}


# --- merges

STATES = st.dictionaries(st.sampled_from(VOLUMES), st.integers(1, 3), max_size=3)


def state(sizes: Mapping[str, int]) -> State:
    """Volumes of these sizes."""
    made = []
    for name, size in sizes.items():
        data = json.dumps(manifest("Volume", name, {"poolRef": "p", "size": size}, "a")).encode()
        made.append(decode(parse(data).documents[0], f"{name}.yaml"))
    return State({"": link(made)})


@given(STATES, STATES, STATES, STATES)
def test_merges(before: dict[str, int], one: dict[str, int], other: dict[str, int], after: dict[str, int]) -> None:
    """Guards what a merge answers for: all that is not what one side made of it while the other left it alone."""
    due = {}
    for name in VOLUMES:
        start, left, right = before.get(name), one.get(name), other.get(name)
        due[name] = {right} if left == start else {left} if right in (start, left) else set()
    acts = acts_of(state(after), [state(one), state(other)], state(before), "c")
    assert {act.key.name for act in acts} == {name for name in VOLUMES if after.get(name) not in due[name]}
    assert {act.key.name for act in acts_of(state(after), [state(one)], None, "c")} == {
        name for name in VOLUMES if one.get(name) != after.get(name)
    }
    lost = acts_of(state(after), [state(one), state(other)], None, "c")
    assert {act.key.name for act in lost} == {
        name for name in VOLUMES if not one.get(name) == other.get(name) == after.get(name)
    }
