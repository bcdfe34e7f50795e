"""Devices of every driver, and stacks of them, through the real reconciler; on simulated and on live targets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from live_world import KINDS, LiveTarget
from stacking import KEY, OTHER_KEY, bdevs, come_true, device, file, key_file, pool, settled
from world import NQN, World, volume, world

from reconciler.demo.patience import until
from reconciler.plan import plan_json, result_json

UUID = "77777777-0000-4000-8000-{:012d}"


@pytest.fixture(params=KINDS)
def site(request: pytest.FixtureRequest) -> Iterator[World]:
    """A site with one target that is simulated or live, an empty ledger and a clock that stands still."""
    settings: dict[str, Any] = {"begin": lambda socket: LiveTarget(socket).start(), "patience": 5.0}
    with world(**(settings if request.param == "live" else {})) as made:
        yield made


def raid(site: World, name: str = "array") -> dict[str, Any]:
    found = site.call("bdev_raid_get_bdevs", {"category": "all"})
    return next((r for r in found if r["name"].endswith(f"-{name}")), {})


def legs(site: World, name: str = "array") -> list[bool]:
    return [leg["is_configured"] for leg in raid(site, name)["base_bdevs_list"]]


MIRROR = {"level": "raid1", "members": ["a", "b"]}


def mirror(site: World, *more: Mapping[str, Any]) -> None:
    site.commit(file(site, "a"), file(site, "b"), device("array", raid=MIRROR), *more)


def test_every_simple_driver_is_made_kept_and_made_again(site: World) -> None:
    """Guards uring, passthru and delay beside aio, malloc and null, in a stack four devices high, over a restart."""
    site.commit(
        file(site, "ring", "uring"),
        device("memory", malloc={"size": "16Mi"}),
        device("nothing", null={"size": "16Mi"}),
        device("through", passthru={"deviceRef": "ring"}),
        device("slow", delay={"deviceRef": "through", "readMicroseconds": 7, "writeP99Microseconds": 9}),
        device("slower", delay={"deviceRef": "slow"}),
    )
    settled(site)
    before = {name: b["uuid"] for name, b in bdevs(site).items()}
    assert before.keys() >= {"ring", "memory", "nothing", "through", "slow", "slower"}
    latency = bdevs(site)["slow"]["driver_specific"]["delay"]
    assert (latency["avg_read_latency"], latency["p99_read_latency"], latency["p99_write_latency"]) == (7, 7, 9)

    site.restart_target()

    settled(site)
    assert {name: b["uuid"] for name, b in bdevs(site).items()} == before


def test_a_stack_is_taken_down_from_the_top(site: World) -> None:
    """Guards the order of deletion: a crypto, delay or passthru device is never left without its base."""
    key = key_file(site)
    stack = [
        file(site, "a", reclaimPolicy="Delete"),
        device("vault", crypto={"deviceRef": "a", "keyFrom": {"file": key}}, reclaimPolicy="Delete"),
        device("slow", delay={"deviceRef": "vault"}),
    ]
    site.commit(*stack)
    settled(site)
    names = {b["name"] for b in site.call("bdev_get_bdevs")}

    site.commit()

    settled(site)
    left = {b["name"] for b in site.call("bdev_get_bdevs")}
    assert {name.split("-", 2)[-1] for name in names - left} == {"a", "vault", "slow"}
    site.commit(*stack)  # nothing is left of them that would stand in the way
    settled(site)
    assert site.call("accel_crypto_keys_get")[0]["name"].startswith("hf-")


def test_a_pool_outlives_a_restart_on_every_kind_of_stack(site: World) -> None:
    """Guards that a pool on a stacked device comes back on that device, and its volumes with their uids."""
    key = key_file(site)
    site.commit(
        *(file(site, name) for name in "abcd"),
        device("slow", uuid=UUID.format(1), delay={"deviceRef": "a"}),
        device("vault", crypto={"deviceRef": "b", "keyFrom": {"file": key}}),
        device("stripe", uuid=UUID.format(3), raid={"level": "raid0", "members": ["c", "d"], "superblock": False}),
    )
    settled(site)
    vault = bdevs(site)["vault"]["uuid"]
    pools = [
        pool("slow", UUID.format(1), 64 << 20, "on-slow"),
        pool("vault", vault, 64 << 20, "on-vault"),
        pool("stripe", UUID.format(3), 128 << 20, "on-stripe"),
    ]
    volumes = [volume(f"v{p['metadata']['name']}", poolRef=p["metadata"]["name"]) for p in pools]
    site.commit(
        *(file(site, name) for name in "abcd"),
        device("slow", uuid=UUID.format(1), delay={"deviceRef": "a"}),
        device("vault", crypto={"deviceRef": "b", "keyFrom": {"file": key}}),
        device("stripe", uuid=UUID.format(3), raid={"level": "raid0", "members": ["c", "d"], "superblock": False}),
        *pools,
        *volumes,
    )
    settled(site)
    before = site.lvols()
    assert len(before) == 3

    site.restart_target()

    settled(site)
    assert site.lvols() == before
    bases = {s["name"].split("-", 2)[-1]: s["base_bdev"] for s in site.call("bdev_lvol_get_lvstores")}
    assert {name: base.split("-", 2)[-1] for name, base in bases.items() if name.startswith("on-")} == {
        "on-slow": "slow",
        "on-vault": "vault",
        "on-stripe": "stripe",
    }


def test_a_mirror_assembles_itself_and_is_never_made_twice(site: World) -> None:
    """Guards bytes: an array whose superblocks put it together again is not created over them."""
    mirror(site)
    settled(site)
    uuid = raid(site)["uuid"]
    sent = len(creations(site))

    site.restart_target()

    come_true(site, lambda: raid(site).get("state") == "online")
    settled(site)
    assert raid(site)["uuid"] == uuid
    assert len(creations(site)) == sent


def creations(site: World) -> list[str]:
    """Journal entries of arrays that were created."""
    rows = site.store.rows("SELECT change FROM journal WHERE action = 'create' AND kind = 'bdev'")
    return [change for (change,) in rows if json.loads(change).get("driver") == "raid"]


def test_a_mirror_that_somebody_deleted_is_put_together_again(site: World) -> None:
    """Guards the drift of a whole array: its members are attached anew, and their superblocks do the rest."""
    mirror(site)
    settled(site)
    uuid, sent = raid(site)["uuid"], len(creations(site))
    site.call("bdev_raid_delete", {"name": raid(site)["name"]})

    found = site.tick().plan.drifts

    assert [drift.kind.value for drift in found] == ["Missing"]
    come_true(site, lambda: raid(site).get("state") == "online")
    settled(site)
    assert raid(site)["uuid"] == uuid
    assert len(creations(site)) == sent


def test_a_mirror_without_its_superblocks_is_not_made_again(site: World) -> None:
    """Guards bytes: members that lost what made them members are shown to a person, never overwritten."""
    mirror(site)
    settled(site)
    site.simulators["n1"].kill()
    for name in "ab":
        with (site.folder / f"{name}.img").open("r+b") as disk:
            disk.write(bytes(1 << 20))
    site.simulators["n1"].start()

    tick = site.converge()

    assert "RaidNotAssembled" in site.reasons(tick)
    assert not raid(site)


def test_a_mirror_is_not_made_of_devices_that_hold_something(site: World) -> None:
    """Guards bytes: a superblock would overwrite the front of its members."""
    first = file(site, "a")
    with (site.folder / "a.img").open("r+b") as disk:
        disk.write(b"somebody's")
    site.commit(first, file(site, "b"), device("array", raid=MIRROR))

    tick = site.converge()

    assert "BlankUnproven" in site.reasons(tick)
    assert not raid(site)
    assert (site.folder / "a.img").read_bytes()[:10] == b"somebody's"


def test_a_lost_member_comes_back_and_is_rebuilt(site: World) -> None:
    """Guards re-adding: a member that somebody took out of a mirror is drift, and is put back."""
    mirror(site)
    settled(site)
    member = raid(site)["base_bdevs_list"][0]["name"]
    site.call("bdev_raid_remove_base_bdev", {"name": member})
    until(lambda: legs(site) == [False, True], "the member to go")

    found = site.tick()

    assert "RaidDegraded" in site.reasons(found)
    assert [d.differences[0].path for d in found.plan.drifts] == ["spec.raid.members"]
    come_true(site, lambda: legs(site) == [True, True] and "process" not in raid(site))
    settled(site)


def test_a_mirror_that_lost_a_member_before_a_restart_takes_it_back(site: World) -> None:
    """Guards the member that has fallen behind: it is rebuilt from the others, never read as it is."""
    mirror(site)
    settled(site)
    site.call("bdev_raid_remove_base_bdev", {"name": raid(site)["base_bdevs_list"][0]["name"]})
    until(lambda: legs(site) == [False, True], "the member to go")
    site.restart_target()

    come_true(site, lambda: raid(site).get("state") == "online" and all(legs(site)) and "process" not in raid(site))

    settled(site)


def test_a_stripe_that_fell_apart_is_put_together_when_its_member_is_back(site: World) -> None:
    """Guards arrays without superblock: deleting one that is no device any more destroys nothing."""
    stripe = {"level": "raid0", "members": ["a", "b"], "superblock": False, "stripSizeKiB": 64}
    site.commit(file(site, "a"), file(site, "b"), device("array", raid=stripe))
    settled(site)
    uuid = raid(site)["uuid"]
    site.call("bdev_aio_delete", {"name": raid(site)["base_bdevs_list"][0]["name"]})
    until(lambda: raid(site)["state"] == "offline", "the array to fall apart")

    come_true(site, lambda: raid(site).get("state") == "online")

    settled(site)
    assert raid(site)["uuid"] == uuid


def test_another_key_is_refused_before_anything_is_decrypted_with_it(site: World) -> None:
    """Guards WrongKey: SPDK takes any key, and shows noise; and a file that is put right again goes on."""
    key = key_file(site)
    site.commit(file(site, "a"), device("vault", crypto={"deviceRef": "a", "keyFrom": {"file": key}}))
    settled(site)
    key_file(site, OTHER_KEY)
    site.restart_target()

    tick = site.converge()

    assert "WrongKey" in site.reasons(tick)
    assert "vault" not in bdevs(site)
    assert site.call("accel_crypto_keys_get") == []
    key_file(site)
    settled(site)
    assert "vault" in bdevs(site)


def test_a_key_that_cannot_be_read_leaves_what_runs_alone(site: World) -> None:
    """Guards the missing file: nothing is made without a key, nothing is taken down for the lack of one."""
    key = key_file(site)
    site.commit(file(site, "a"), device("vault", crypto={"deviceRef": "a", "keyFrom": {"file": key}}))
    settled(site)
    Path(key).unlink()

    assert "KeyUnavailable" in site.reasons(site.tick())
    assert "vault" in bdevs(site)
    site.restart_target()
    assert "KeyUnavailable" in site.reasons(site.converge())
    assert "vault" not in bdevs(site)


def test_a_key_of_our_name_with_other_bytes_is_not_used(site: World) -> None:
    """Guards the name of a key: whoever put another key under it cannot have data written with that."""
    key = key_file(site)
    site.commit(file(site, "a"), device("vault", crypto={"deviceRef": "a", "keyFrom": {"file": key}}))
    settled(site)
    name = bdevs(site)["vault"]["driver_specific"]["crypto"]["key_name"]
    site.restart_target()
    half = len(OTHER_KEY) // 2
    other = {"key": OTHER_KEY[:half], "key2": OTHER_KEY[half:]}
    site.call("accel_crypto_key_create", {"cipher": "AES_XTS", "name": name} | other)

    tick = site.converge()

    assert "vault" not in bdevs(site)
    assert any("WrongKey" in result.message for result in tick.execution.results) or "BackingOff" in site.reasons(tick)


def test_no_secret_is_ever_written_down(site: World, capfd: pytest.CaptureFixture[str]) -> None:
    """Guards secrets: key material is in no ledger, journal, event, plan, error or log, also when things go wrong."""
    key = key_file(site)
    logged: list[str] = []
    site.keepers["n1"]._books._log = lambda *words, **more: logged.append(repr((words, more)))
    crypto = {"deviceRef": "a", "keyFrom": {"file": key}}
    site.commit(file(site, "a"), device("vault", crypto=crypto))
    ticks = [site.converge()]
    key_file(site, OTHER_KEY)
    site.restart_target()
    ticks.append(site.converge())
    key_file(site, "not-a-key-" + KEY)
    site.commit(file(site, "b"), device("vault2", crypto=crypto | {"deviceRef": "b"}))
    ticks.append(site.converge())

    said = json.dumps([[plan_json(t.plan), [result_json(r) for r in t.execution.results], t.message] for t in ticks])
    said += repr([(t.plan, t.execution) for t in ticks]) + "".join(capfd.readouterr())
    said += repr(site.house.history.events(10_000))
    said += "".join(logged)
    assert logged
    assert "vault2" in said
    kept = b"".join(path.read_bytes() for path in sorted(site.folder.glob("holdfast.db*")))
    for secret in (KEY, OTHER_KEY):
        for part in (secret[:32], secret[32:]):
            assert part not in said
            assert part.encode() not in kept


def test_latency_is_changed_in_place(site: World) -> None:
    """Guards the one thing of a delay device that changes while it is used: by a commit, and by somebody else."""
    site.commit(file(site, "a"), device("slow", delay={"deviceRef": "a", "readMicroseconds": 5}))
    settled(site)
    uuid = bdevs(site)["slow"]["uuid"]
    site.commit(file(site, "a"), device("slow", delay={"deviceRef": "a", "readMicroseconds": 50}))
    settled(site)
    name = bdevs(site)["slow"]["name"]
    call = {"delay_bdev_name": name, "latency_type": "avg_write", "latency_us": 99}
    site.call("bdev_delay_update_latency", call)

    drifts = site.tick().plan.drifts

    assert [d.differences[0].path for d in drifts] == ["spec.delay.writeMicroseconds"]
    settled(site)
    shown = bdevs(site)["slow"]
    assert shown["uuid"] == uuid
    assert shown["driver_specific"]["delay"]["avg_read_latency"] == 50
    assert shown["driver_specific"]["delay"]["avg_write_latency"] == 0


def test_two_namespaces_of_one_controller_share_its_ways() -> None:
    """Guards the ledger: a way that two devices go has one owner, and passes to the other when that one leaves."""
    with world(targets=("n1", "n2")) as site:
        site.call("nvmf_create_transport", {"trtype": "TCP"}, target="n2")
        site.call("nvmf_create_subsystem", {"nqn": f"{NQN}far", "allow_any_host": True}, target="n2")
        at = {"trtype": "TCP", "adrfam": "IPv4", "traddr": "127.0.0.9", "trsvcid": "4439"}
        site.call("nvmf_subsystem_add_listener", {"nqn": f"{NQN}far", "listen_address": at}, target="n2")
        for nsid in (1, 2):
            site.call("bdev_malloc_create", {"name": f"M{nsid}", "num_blocks": 4096, "block_size": 4096}, target="n2")
            shown = {"nqn": f"{NQN}far", "namespace": {"nsid": nsid, "bdev_name": f"M{nsid}"}}
            site.call("nvmf_subsystem_add_ns", shown, target="n2")
        way = {"transport": "TCP", "address": "127.0.0.9", "port": 4439}
        pair = [
            device(f"d{nsid}", bdevName=f"Farn{nsid}", nvme={"address": way, "subsystemNQN": f"{NQN}far", "nsid": nsid})
            for nsid in (1, 2)
        ]
        site.commit(*pair)
        tick = site.converge()
        assert "NameTaken" not in site.reasons(tick)
        assert not site.tick().plan.records
        site.commit(pair[1])
        site.converge()
        assert site.call("bdev_nvme_get_controllers")
        again = site.tick()
        assert (again.plan.records, again.plan.steps) == ((), ())
        owners = {r.resource.name for r in site.house.ledger.records("n1") if r.key.kind == "nvmepath"}
        assert owners == {"d2"}
