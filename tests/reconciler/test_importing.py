"""Importing: a target that was configured by hand goes on as it is, and is ours from then on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import pytest
from world import NQN, World, removal, world

from analyzer.finding import Severity
from backends.contract import Incarnation, Interest, Observed
from backends.objects import Bdev, index
from reconciler.importing import Imported, import_target
from reconciler.plan import DriftClass
from schemas.kinds import our_kinds

HOST = "nqn.2014-08.org.nvmexpress:uuid:4c4c4544-0051-4d10-8052-b7c04f4d3432"
ADDRESS = {"trtype": "TCP", "adrfam": "IPv4", "traddr": "127.0.0.2", "trsvcid": "4421"}
OTHER = "0d3a5a0e-6d3c-4f55-9d0e-5a1f8b1c2d3e"
OLD = "nqn.2020-01.io.example:Old.One"


@pytest.fixture
def here() -> Iterator[World]:
    """A target that somebody configured with names of their own."""
    with world() as made:
        _configure(made)
        yield made


def _configure(made: World) -> None:
    made.call("nvmf_create_transport", {"trtype": "TCP"})
    made.call("bdev_aio_create", {"name": "Disk_0", "filename": str(made.disk("n1")), "block_size": 4096})
    made.call("bdev_lvol_create_lvstore", {"bdev_name": "Disk_0", "lvs_name": "Old Pool", "cluster_sz": 4 << 20})
    for name, thin in (("Vol_1", True), ("vol 1", False), ("base", True)):
        lvol = {"lvs_name": "Old Pool", "lvol_name": name, "size_in_mib": 8, "thin_provision": thin}
        made.call("bdev_lvol_create", lvol)
    made.call("bdev_null_create", {"name": "Null0", "num_blocks": 1000, "block_size": 512})
    _export(made, OLD, {"bdev_name": "Old Pool/Vol_1", "nsid": 3}, serial_number="S1", model_number="Mod")
    made.call("nvmf_subsystem_add_host", {"nqn": OLD, "host": HOST})
    _export(made, f"{NQN}any", {"bdev_name": "Null0"}, serial_number="S2", allow_any_host=True)
    made.call("bdev_set_qos_limit", {"name": "Old Pool/Vol_1", "rw_ios_per_sec": 20000})


def _export(made: World, nqn: str, namespace: Mapping[str, Any], **subsystem: Any) -> None:
    made.call("nvmf_create_subsystem", {"nqn": nqn} | subsystem)
    made.call("nvmf_subsystem_add_ns", {"nqn": nqn, "namespace": dict(namespace)})
    made.call("nvmf_subsystem_add_listener", {"nqn": nqn, "listen_address": ADDRESS})


def imported(here: World) -> Imported:
    observed = here.keepers["n1"].backend.observe(Interest())
    return import_target(observed, "n1", {"unixSocket": str(here.socket("n1"))}, "old")


def enforce(here: World, found: Imported) -> None:
    report = here.push(chain.from_iterable(found.files.values()))
    assert not report.at_least(Severity.WARNING), report.findings


def test_the_next_plan_has_nothing_to_do(here: World) -> None:
    """Guards adoption: what is imported passes lint and is then in order as it is."""
    before = here.mutations()
    found = imported(here)
    enforce(here, found)
    here.converge()
    assert found.left_out == ()
    assert [call.method for call in here.simulators["n1"].mutations[before:]] == []
    assert not here.house.history.drifts()


def test_what_was_imported_is_ours(here: World) -> None:
    """Guards what comes after: drift is repaired, a restart is replayed with the same bytes under the same identity."""
    enforce(here, imported(here))
    here.converge()
    before = {nqn: (s["serial_number"], s["namespaces"], s["hosts"]) for nqn, s in here.subsystems().items()}
    here.call("nvmf_subsystem_remove_host", {"nqn": OLD, "host": HOST})
    here.converge()
    here.restart_target()
    here.converge()
    after = {nqn: (s["serial_number"], s["namespaces"], s["hosts"]) for nqn, s in here.subsystems().items()}
    assert after == before
    assert {drift.kind for drift in here.house.history.drifts()} == {DriftClass.MISSING, DriftClass.TARGET_RESTART}


def test_what_was_imported_is_kept_when_its_manifest_goes(here: World) -> None:
    """Guards bytes that others wrote: they are retained like any other's, whatever a Removal of other bytes says."""
    found = imported(here)
    enforce(here, found)
    here.converge()
    kept = [m for m in chain.from_iterable(found.files.values()) if m["metadata"]["name"] != "base"]
    here.push([*kept, removal("base", here.lvols()["Vol_1"])])
    here.converge()
    assert "base" in here.lvols()


def test_two_volumes_cannot_adopt_the_same_bytes(here: World) -> None:
    """Guards "bytes have one owner": the second manifest that names an lvol gets nothing."""
    found = imported(here)
    enforce(here, found)
    here.converge()
    volumes = found.files["old/volumes.yaml"]
    second = dict(volumes[0]) | {"metadata": dict(volumes[0]["metadata"]) | {"name": "thief"}}
    here.push([*chain.from_iterable(found.files.values()), second])
    assert "NotAdoptable" in here.reasons(here.converge())


def test_a_device_with_a_name_of_its_own_is_taken_over_only_when_asked(here: World) -> None:
    """Guards foreign devices: naming a bdev is not consent to own it, and adopting never makes one."""
    found = imported(here)
    manifests = [dict(m) for m in chain.from_iterable(found.files.values())]
    for m in manifests:
        m["metadata"] = {key: value for key, value in m["metadata"].items() if key != "annotations"}
    here.push(manifests)
    assert "Foreign" in here.reasons(here.converge())
    renamed = [m for m in chain.from_iterable(found.files.values()) if "null" in m["spec"]]
    spec = dict(renamed[0]["spec"]) | {"bdevName": "Elsewhere", "uuid": OTHER}
    elsewhere = renamed[0] | {"metadata": renamed[0]["metadata"] | {"name": "other"}, "spec": spec}
    enforce(here, Imported({"site.yaml": [*manifests, elsewhere]}, ()))
    assert "NothingToAdopt" in here.reasons(here.converge())


def test_what_cannot_be_said_is_left_alone(here: World) -> None:
    """Guards hosts: a subsystem that we could not keep exactly as it is stays foreign, and every omission is named."""
    here.call("bdev_lvol_snapshot", {"lvol_name": "Old Pool/base", "snapshot_name": "snap"})
    here.call("bdev_malloc_create", {"name": "M0", "num_blocks": 2048, "block_size": 512})
    _export(here, f"{NQN}memory", {"bdev_name": "M0"})
    _export(here, f"{NQN}odd", {"bdev_name": "Old Pool/vol 1", "nguid": "ABCDEF0123456789ABCDEF0123456789"})
    here.call("nvmf_create_subsystem", {"nqn": f"{NQN}deaf"})
    found = imported(here)
    nqns = {m["spec"]["nqn"] for m in found.files["old/subsystems.yaml"]}
    assert nqns == {OLD, f"{NQN}any"}
    assert [line.partition(":")[0] for line in found.left_out] == [
        *["subsystem nqn.2026-01.com.example"] * 3,
    ]
    enforce(here, found)
    before = here.subsystems()
    here.converge()
    assert here.subsystems() == before


def test_names_become_labels_that_are_given_once() -> None:
    """Guards names: whatever SPDK allows becomes a DNS label, and two things never share one."""
    names = ["A_b", "a b", "a-b", "---", "x" * 80, "x" * 81]
    seen = index(Bdev(name, "null", size=512, block_size=512) for name in names)
    found = import_target(Observed(Incarnation(1, None), seen), "n1", {"unixSocket": "/t.sock"}, "old")
    devices = found.files["nodes/n1.yaml"][1:]
    assert len({device["metadata"]["name"] for device in devices}) == len(names)
    assert not [problem for device in devices for problem in our_kinds()["BlockDevice"].problems(device)]
