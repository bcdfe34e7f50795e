"""Importing a target that has something of every kind; a simulated one and a live one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from live_world import KINDS, LiveTarget
from stacking import KEY, OTHER_KEY, key_file
from world import World, world

from analyzer.finding import Severity
from backends.spdk import saved
from reconciler import app
from reconciler.cli.manuscript import manuscripts
from reconciler.demo.patience import until
from reconciler.importing import Imported
from reconciler.reconcile import Verdict

NQN = "nqn.2020-01.io.old:"
HOSTS = [f"nqn.2014-08.org.nvmexpress:uuid:4c4c4544-0051-4d10-8052-b7c04f4d340{n}" for n in range(2)]
ADDRESS = {"trtype": "TCP", "adrfam": "IPv4", "traddr": "127.0.0.2", "trsvcid": "4431"}
OTHER = ADDRESS | {"traddr": "127.0.0.3"}
DISCOVERY = "nqn.2014-08.org.nvmexpress.discovery"


@pytest.fixture(params=KINDS)
def here(request: pytest.FixtureRequest) -> Iterator[World]:
    """A target that somebody configured with names of their own."""
    settings: dict[str, Any] = {"begin": lambda socket: LiveTarget(socket).start(), "patience": 5.0}
    with world(**(settings if request.param == "live" else {})) as made:
        configure(made)
        yield made


def file(made: World, name: str) -> str:
    path = made.folder / f"{name}.img"
    with path.open("wb") as disk:
        disk.truncate(64 << 20)
    return str(path)


def aio(made: World, name: str, **more: Any) -> None:
    made.call("bdev_aio_create", {"name": name, "filename": file(made, name), "block_size": 4096} | more)


def configure(made: World) -> None:
    devices(made)
    volumes(made)
    exports(made)


def devices(made: World) -> None:
    """Files, memory, arrays, layers on layers, and an encrypted device."""
    made.call("nvmf_create_transport", {"trtype": "TCP", "max_queue_depth": 64, "c2h_success": False})
    for name in ("Disk_0", "D", "E", "F", "G", "H"):
        aio(made, name)
    made.call("bdev_uring_create", {"name": "U", "filename": file(made, "U"), "block_size": 512})
    aio(made, "Golden", readonly=True)
    made.call("bdev_malloc_create", {"name": "M", "num_blocks": 32768, "block_size": 512})
    made.call("bdev_null_create", {"name": "N", "num_blocks": 32768, "block_size": 512})
    arrays = (("R0", "raid0", ["D", "E"], {"strip_size_kb": 64}), ("R1", "raid1", ["F", "G"], {"superblock": True}))
    for name, level, members, more in arrays:
        made.call("bdev_raid_create", {"name": name, "raid_level": level, "base_bdevs": members} | more)
    made.call("bdev_passthru_create", {"name": "P", "base_bdev_name": "M"})
    times = {f"{kind}_latency": place for place, kind in enumerate(("avg_read", "p99_read", "avg_write", "p99_write"))}
    made.call("bdev_delay_create", {"name": "L", "base_bdev_name": "P"} | times)
    halves = {"key": KEY[:32], "key2": KEY[32:]}
    made.call("accel_crypto_key_create", {"name": "key0", "cipher": "AES_XTS"} | halves)
    made.call("bdev_crypto_create", {"name": "C", "base_bdev_name": "H", "key_name": "key0"})


def volumes(made: World) -> None:
    """A pool on a file and one on an encrypted device; snapshots of snapshots, clones, a clone of an image."""
    for name, on in (("Old Pool", "Disk_0"), ("vault", "C")):
        made.call("bdev_lvol_create_lvstore", {"bdev_name": on, "lvs_name": name, "cluster_sz": 1 << 20})
    for name, thin, pool in (("Vol_1", True, "Old Pool"), ("vol 1", False, "Old Pool"), ("secret", True, "vault")):
        lvol = {"lvs_name": pool, "lvol_name": name, "size_in_mib": 4, "thin_provision": thin}
        made.call("bdev_lvol_create", lvol)
    for name in ("s1", "s2"):
        made.call("bdev_lvol_snapshot", {"lvol_name": "Old Pool/Vol_1", "snapshot_name": name})
    made.call("bdev_lvol_clone", {"snapshot_name": "Old Pool/s1", "clone_name": "copy"})
    made.call("bdev_lvol_clone_bdev", {"bdev": "Golden", "lvs_name": "Old Pool", "clone_name": "root"})


def exports(made: World) -> None:
    """One subsystem for two hosts over two portals, and one that is open; discovery and a referral."""
    first = {"nqn": f"{NQN}One", "serial_number": "S1", "model_number": "Mod", "max_namespaces": 16}
    made.call("nvmf_create_subsystem", first | {"min_cntlid": 5, "max_cntlid": 99})
    made.call("nvmf_create_subsystem", {"nqn": f"{NQN}any", "serial_number": "S2", "allow_any_host": True})
    shown = {"One": [(3, "Old Pool/Vol_1"), (7, "Old Pool/copy"), (9, "vault/secret")], "any": [(1, "N"), (2, "R0")]}
    for name, namespaces in shown.items():
        for nsid, bdev in namespaces:
            made.call("nvmf_subsystem_add_ns", {"nqn": NQN + name, "namespace": {"nsid": nsid, "bdev_name": bdev}})
    for host in HOSTS:
        made.call("nvmf_subsystem_add_host", {"nqn": f"{NQN}One", "host": host})
    made.call("nvmf_subsystem_add_host", {"nqn": f"{NQN}any", "host": HOSTS[0]})
    made.call("nvmf_create_subsystem", {"nqn": f"{NQN}far", "ana_reporting": True, "max_namespaces": 4})
    masked = {"nsid": 1, "bdev_name": "Old Pool/root", "no_auto_visible": True, "anagrpid": 3}
    made.call("nvmf_subsystem_add_ns", {"nqn": f"{NQN}far", "namespace": masked})
    made.call("nvmf_subsystem_add_host", {"nqn": f"{NQN}far", "host": HOSTS[1]})
    made.call("nvmf_ns_add_host", {"nqn": f"{NQN}far", "nsid": 1, "host": HOSTS[1]})
    made.call("nvmf_subsystem_add_listener", {"nqn": f"{NQN}far", "listen_address": ADDRESS})
    away = {"nqn": f"{NQN}far", "listen_address": ADDRESS}
    made.call("nvmf_subsystem_listener_set_ana_state", away | {"ana_state": "non_optimized"})
    made.call("nvmf_subsystem_listener_set_ana_state", away | {"ana_state": "inaccessible", "anagrpid": 2})
    for nqn, at in ((f"{NQN}One", ADDRESS), (f"{NQN}One", OTHER), (f"{NQN}any", OTHER), (DISCOVERY, ADDRESS)):
        made.call("nvmf_subsystem_add_listener", {"nqn": nqn, "listen_address": at})
    referral = {"trtype": "TCP", "adrfam": "IPv4", "traddr": "127.0.0.9", "trsvcid": "8009"}
    made.call("nvmf_discovery_add_referral", {"address": referral})
    made.call("bdev_set_qos_limit", {"name": "Old Pool/Vol_1", "rw_ios_per_sec": 20000, "r_mbytes_per_sec": 9})


def imported(here: World) -> Imported:
    return app.import_live("n1", {"unixSocket": str(here.socket("n1"))}, "old")


def filled_in(here: World, found: Imported, key: str = KEY) -> list[dict[str, Any]]:
    """The manifests, with the key where they say."""
    manifests: list[dict[str, Any]] = json.loads(json.dumps([*chain.from_iterable(found.files.values())]))
    for each in manifests:
        if "crypto" in each["spec"]:
            each["spec"]["crypto"]["keyFrom"] = {"file": key_file(here, key)}
    return manifests


def enforce(here: World, manifests: Sequence[Mapping[str, Any]]) -> None:
    report = here.push(manifests)
    assert not report.at_least(Severity.WARNING), report.findings


def state(here: World) -> dict[str, Any]:
    """All that hosts and operators see, without what is ours and what counts."""
    bdevs = [b for b in here.call("bdev_get_bdevs") if not b["name"].startswith("holdfast.")]
    kept = ("name", "uuid", "aliases", "num_blocks", "block_size", "assigned_rate_limits")
    return {
        "bdevs": sorted(([b[k] for k in kept] for b in bdevs), key=str),
        "lvols": sorted(here.call("bdev_lvol_get_lvols"), key=str),
        "subsystems": here.call("nvmf_get_subsystems"),
        "transports": here.call("nvmf_get_transports"),
        "referrals": here.call("nvmf_discovery_get_referrals"),
        "paths": here.call("nvmf_subsystem_get_listeners", {"nqn": f"{NQN}far"}),
    }


def test_the_next_plan_has_nothing_to_do(here: World) -> None:
    """Guards adoption of every kind: what is imported passes lint, and is then in order as it is."""
    before = state(here)
    found = imported(here)
    assert found.left_out == ()
    enforce(here, filled_in(here, found))
    plan = here.tick().plan
    assert [step.id for step in plan.steps if step.cause != "claim"] == []
    assert (plan.held, plan.drifts) == ((), ())
    tick = here.converge()
    assert (tick.verdict, state(here)) == (Verdict.CONVERGED, before)


def test_what_was_imported_comes_back_after_a_restart(here: World) -> None:
    """Guards that everything needed to make it again was written down: the same target, from manifests alone."""
    before = state(here)
    enforce(here, filled_in(here, imported(here)))
    here.converge()
    here.restart_target()
    here.converge()
    tick = here.converge()
    assert tick.verdict is Verdict.CONVERGED, (tick.plan.held, tick.plan.remarks)
    after = state(here)
    for name, things in before.items():
        assert [thing for thing in after[name] if thing not in things] == []
        assert [thing for thing in things if thing not in after[name]] == []


def test_importing_again_writes_the_same(here: World) -> None:
    """Guards a stable repository: adopting changes nothing that a second import would see."""
    found = imported(here)
    enforce(here, filled_in(here, found))
    here.converge()
    assert imported(here).files == found.files


def test_a_device_is_not_taken_over_with_another_key(here: World) -> None:
    """Guards bytes: were it, the next restart would write with the wrong key."""
    enforce(here, filled_in(here, imported(here), OTHER_KEY))
    tick = here.converge()
    assert "WrongKey" in here.reasons(tick)
    assert here.house.ledger.sealed() == {}
    key_file(here)
    assert here.converge().verdict is Verdict.CONVERGED
    assert len(here.house.ledger.sealed()) == 1


def test_no_key_is_written(here: World) -> None:
    """Guards secrets: an import says where to put a key, and never what it is."""
    found = imported(here)
    text = "".join(manuscripts(found, "n1").values()) + repr(found)
    assert "key0" in text
    assert KEY[:32] not in text
    assert KEY[32:] not in text


def test_a_saved_configuration_says_the_same_of_what_it_tells(here: World) -> None:
    """Guards --saved-config: without the target, the same manifests of all that is not on the disks."""
    parts = [{"subsystem": name, "config": here.call("framework_get_config", {"name": name})} for name in saved.PARTS]
    file = here.folder / "saved.json"
    file.write_text(json.dumps({"subsystems": parts}))
    live = imported(here)

    found = app.import_saved(file, "n1", {"unixSocket": str(here.socket("n1"))}, "old")

    told = {(m["kind"], m["metadata"]["name"]): m for m in chain.from_iterable(found.files.values())}
    seen = {(m["kind"], m["metadata"]["name"]): m for m in chain.from_iterable(live.files.values())}
    assert {key for key, m in told.items() if m != seen[key]} == set()
    assert {kind for kind, _ in seen.keys() - told.keys()} == {
        "StoragePool", "Volume", "VolumeSnapshot", "Subsystem", "Host", "BlockDevice",
    }  # fmt: skip
    missing = {name for kind, name in seen.keys() - told.keys() if kind in ("BlockDevice", "Subsystem")}
    assert missing == {"n1-r1", "one", "far"}
    assert any("lvolstore" in line for line in found.left_out)


def test_what_no_manifest_can_say_is_named(here: World) -> None:
    """Guards omissions: options that the getters hide, devices of other kinds, and what stands on a volume."""
    here.call("bdev_malloc_create", {"name": "Meta", "num_blocks": 1024, "block_size": 512, "md_size": 8})
    here.call("bdev_crypto_create", {"name": "OnVol", "base_bdev_name": "Old Pool/vol 1", "key_name": "key0"})
    here.call("nvmf_create_subsystem", {"nqn": f"{NQN}odd", "enable_nssr": True})
    here.call("nvmf_subsystem_add_listener", {"nqn": f"{NQN}odd", "listen_address": OTHER})
    found = imported(here)
    assert {line.partition(": ")[0] for line in found.left_out} >= {
        "bdev Meta",
        "bdev OnVol",
        "lvol Old Pool/vol 1",
        f"subsystem {NQN}odd",
    }
    enforce(here, filled_in(here, found))
    before = state(here)
    here.converge()
    assert state(here) == before
    assert all(line in "".join(manuscripts(found, "n1").values()) for line in found.left_out)


@pytest.mark.parametrize("kind", KINDS)
def test_controllers_with_several_ways_are_imported(kind: str) -> None:
    """Guards NVMe devices: two namespaces of one controller, each way to it, and how it was attached."""
    settings: dict[str, Any] = {"begin": lambda socket: LiveTarget(socket).start(), "patience": 5.0}
    with world(targets=("n1", "n2"), **(settings if kind == "live" else {})) as here:
        here.call("nvmf_create_transport", {"trtype": "TCP"}, target="n2")
        here.call("nvmf_create_subsystem", {"nqn": f"{NQN}far", "allow_any_host": True}, target="n2")
        for nsid in (1, 2):
            here.call("bdev_malloc_create", {"name": f"M{nsid}", "num_blocks": 4096, "block_size": 4096}, target="n2")
            shown = {"nqn": f"{NQN}far", "namespace": {"nsid": nsid, "bdev_name": f"M{nsid}"}}
            here.call("nvmf_subsystem_add_ns", shown, target="n2")
        for at in (ADDRESS, OTHER):
            far = {"nqn": f"{NQN}far", "listen_address": at}
            here.call("nvmf_subsystem_add_listener", far, target="n2")
            way = {"name": "Far", "subnqn": f"{NQN}far", "hostnqn": HOSTS[0], "multipath": "multipath"}
            times = {"ctrlr_loss_timeout_sec": 30, "reconnect_delay_sec": 3, "fast_io_fail_timeout_sec": 5}
            here.call("bdev_nvme_attach_controller", at | way | times)
        found = imported(here)
        assert found.left_out == ()
        spec = found.files["nodes/n1.yaml"][1]["spec"]
        told = (spec["nvme"]["ctrlrLossTimeout"], spec["nvme"]["reconnectDelay"], spec["nvme"]["fastIOFailTimeout"])
        assert told == (30, 3, 5)
        assert spec["nvme"]["multipath"]["addresses"] == [{"address": "127.0.0.3", "port": 4431}]
        enforce(here, filled_in(here, found))
        assert [step.id for step in here.tick().plan.steps if step.cause != "claim"] == []
        here.converge()
        assert here.tick().plan.steps == here.tick().plan.drifts == ()
        before = here.call("bdev_nvme_get_controllers")
        here.restart_target()
        here.converge()
        assert [len(c["ctrlrs"]) for c in here.call("bdev_nvme_get_controllers")] == [len(before[0]["ctrlrs"])]
        assert {b["name"] for b in here.call("bdev_get_bdevs")} >= {"Farn1", "Farn2"}


@pytest.mark.spdk
def test_a_target_that_was_made_by_load_config_is_imported() -> None:
    """Guards the usual way in: a target that its own client made from a file goes on as it is."""
    client = Path(os.environ["SPDK_TGT"]).parents[2] / "scripts" / "rpc.py"
    if not client.exists():
        pytest.skip(f"needs SPDK's own client, {client}")
    with world(begin=lambda socket: LiveTarget(socket).start(), patience=5.0) as here:
        configure(here)
        names = [part["subsystem"] for part in here.call("framework_get_subsystems")]
        parts = [{"subsystem": name, "config": here.call("framework_get_config", {"name": name})} for name in names]
        before = state(here)
        here.restart_target()
        load = [sys.executable, str(client), "-s", str(here.socket("n1")), "load_config"]
        subprocess.run(load, input=json.dumps({"subsystems": parts}), text=True, check=True, capture_output=True)
        until(lambda: state(here)["lvols"] == before["lvols"], "the pools to be loaded")
        found = imported(here)
        assert found.left_out == ()
        enforce(here, filled_in(here, found))
        plan = here.tick().plan
        assert [step.id for step in plan.steps if step.cause != "claim"] == []
        assert (plan.held, plan.drifts) == ((), ())
