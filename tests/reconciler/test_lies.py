"""A target that says one thing and does another: what can be looked at is not believed, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from world import World, host, manifest, removal, subsystem, volume, world

from backends.spdk.simulator import Deny, DropAfter, Fault, Pretend, Refuse
from reconciler.plan import Phase
from reconciler.reconcile import Tick, Verdict
from schemas.resources import Json

UNKNOWN = "0a0a0a0a-0000-4000-8000-00000000abcd"


@pytest.fixture
def site() -> Iterator[World]:
    with world() as made:
        yield made


def lied(site: World, method: str, fault: Fault) -> Tick:
    """Ticks until nothing is left to do; the first call of a method is not what it seems."""
    left = [fault]
    site.simulators["n1"].before(method, lambda *_: left.pop() if left else None)
    for _ in range(20):
        if left:
            site.tick()
    site.simulators["n1"].forget_hooks()
    assert not left
    return site.converge(limit=20)


def destroy(site: World, fault: Fault) -> tuple[str, Tick]:
    """A volume goes by consent, and the target is not honest about it."""
    site.commit(volume("a", reclaimPolicy="Delete"))
    site.converge()
    uid = site.uid("a")
    site.commit(removal("a", uid))
    return uid, lied(site, "bdev_lvol_delete", fault)


def phase(site: World, uid: str) -> Phase:
    return next(record.phase for record in site.house.ledger.records("n1") if record.uid == uid)


def test_bytes_that_were_said_to_be_destroyed_and_are_there(site: World) -> None:
    """Guards the word of a target: an lvol that is there (again) after its deletion is told of until it is gone."""
    uid, tick = destroy(site, Pretend())
    assert uid in site.lvols().values()
    assert "NotDestroyed" in site.reasons(tick)
    assert tick.verdict is Verdict.HELD
    before = site.mutations()
    assert "NotDestroyed" in site.reasons(site.tick())
    assert site.mutations() == before

    site.call("bdev_lvol_delete", {"name": uid})
    assert site.converge().verdict is Verdict.CONVERGED


@pytest.mark.parametrize("fault", [DropAfter(), Deny(-32603, "Device or resource busy")])
def test_a_destruction_that_happened_is_known_whatever_was_answered(site: World, fault: Fault) -> None:
    """Guards consent: bytes that are gone as a Removal said are destroyed, not missing, and the Removal is spent."""
    uid, tick = destroy(site, fault)
    assert uid not in site.lvols().values()
    assert phase(site, uid) is Phase.DESTROYED
    assert uid in site.house.ledger.removals_spent()
    assert not tick.plan.drifts
    site.commit(volume("a"))
    tick = site.converge()
    assert "DataMissing" in site.reasons(tick)
    assert not tick.plan.drifts


def test_an_unanswered_destruction_is_open_while_its_pool_is_away(site: World) -> None:
    """Guards the unknown: an lvol whose store is not loaded has not been destroyed because it is not seen."""
    site.commit(volume("a", reclaimPolicy="Delete"))
    site.converge()
    uid = site.uid("a")
    site.commit(removal("a", uid))
    simulator = site.simulators["n1"]
    simulator.before("bdev_lvol_delete", lambda *_: DropAfter())
    site.tick()
    simulator.forget_hooks()
    device = site.pool()["base_bdev"]
    site.call("bdev_aio_delete", {"name": device})
    simulator.before("bdev_aio_create", lambda *_: Refuse(-32603, "no"))
    for _ in range(3):
        site.tick()
        assert phase(site, uid) is not Phase.DESTROYED
    simulator.forget_hooks()


def test_a_degraded_clone_that_cannot_be_deleted_is_not_destroyed(site: World) -> None:
    """Guards the ledger: an lvol without a bdev is there all the same, so a refusal to delete it is one."""
    image = site.folder / "golden.raw"
    image.write_bytes(bytes(8 << 20))
    golden = manifest("Image", "golden", {"targetRef": "n1", "path": str(image)})
    clone = volume("c", source={"imageRef": "golden"}, reclaimPolicy="Delete")
    site.commit(golden, clone)
    site.converge()
    uid = site.uid("c")
    image.rename(image.with_suffix(".away"))
    site.restart_target()
    site.converge()
    site.commit(golden, removal("c", uid))
    refuse = Refuse(-32603, "Device or resource busy")
    site.simulators["n1"].before("bdev_lvol_delete", lambda *_: refuse)
    site.tick()
    site.tick()
    site.simulators["n1"].forget_hooks()
    assert uid in site.lvols().values()
    assert phase(site, uid) is not Phase.DESTROYED
    site.converge()
    assert uid not in site.lvols().values()
    assert phase(site, uid) is Phase.DESTROYED


@pytest.mark.parametrize(
    ("method", "fault", "reason"),
    [
        ("bdev_lvol_create", Pretend(UNKNOWN), "DataMissing"),
        ("bdev_lvol_create", Deny(-32602, "No space left on device"), "Recovering"),
        ("bdev_lvol_snapshot", Pretend(UNKNOWN), "DataMissing"),
        ("bdev_lvol_snapshot", Deny(-32602, "File exists"), "Recovering"),
        ("bdev_lvol_clone", Pretend(UNKNOWN), "DataMissing"),
        ("bdev_lvol_clone", Deny(-32602, "File exists"), "Recovering"),
        ("bdev_lvol_create_lvstore", Pretend(UNKNOWN), "PoolNotFound"),
        ("bdev_lvol_create_lvstore", Deny(-32602, "no"), "DeviceCarriesPool"),
    ],
)
def test_bytes_are_not_made_again_for_a_lie(site: World, method: str, fault: Fault, reason: str) -> None:
    """Guards what bears data: made and denied, or claimed and not made, it stops and shows, and is never made twice."""
    site.commit(
        volume("a"),
        manifest("VolumeSnapshot", "p", {"volumeRef": "a"}, "team"),
        volume("c", source={"snapshotRef": "p"}),
    )
    tick = lied(site, method, fault)
    assert reason in site.reasons(tick)
    assert len([call for call, _ in site.simulators["n1"].mutations if call == method]) == 1


def test_a_volume_without_a_uuid_is_in_doubt(site: World) -> None:
    """Guards malformed answers: what was created under no identity is looked for, and there is one of it in the end."""
    site.commit(volume("a"))
    lied(site, "bdev_lvol_create", Pretend(7))
    assert len(site.lvols()) == 1


@pytest.mark.parametrize(
    "method",
    [
        "bdev_aio_create",
        "nvmf_create_transport",
        "nvmf_create_subsystem",
        "nvmf_subsystem_add_host",
        "nvmf_subsystem_add_ns",
        "nvmf_subsystem_add_listener",
        "bdev_set_qos_limit",
        "bdev_null_create",
    ],
)
@pytest.mark.parametrize("fault", [Pretend(), Deny(-32603, "Internal error")], ids=["claimed", "denied"])
def test_what_bears_no_data_is_looked_at_and_made(site: World, method: str, fault: Fault) -> None:
    """Guards convergence: after one lie about a stateless object it comes to be as declared."""
    site.commit(volume("a", qos={"iops": 1000}), host("web"), subsystem("s", {1: "a"}, hosts=["web"]))
    assert lied(site, method, fault).verdict is Verdict.CONVERGED
    made = site.subsystems()["nqn.2026-01.com.example:s"]
    assert [len(made[part]) for part in ("namespaces", "hosts", "listen_addresses")] == [1, 1, 1]
    before = site.mutations()
    assert site.tick().settled
    assert site.mutations() == before


READS = (
    "bdev_get_bdevs",
    "bdev_lvol_get_lvstores",
    "bdev_lvol_get_lvols",
    "nvmf_get_subsystems",
    "nvmf_get_transports",
    "framework_get_reactors",
    "notify_get_notifications",
    "rpc_get_methods",
    "bdev_raid_get_bdevs",
    "bdev_nvme_get_controllers",
)
ODD: dict[str, Json] = {
    "nothing": None,
    "yes": True,
    "a number": -1,
    "words": "Method not found",
    "an empty list": [],
    "an object": {},
    "a list of nothing": [None],
    "a list of empty objects": [{}],
    "a list of lists": [[[]]],
    "half an object": [{"name": "x", "uuid": None, "nqn": "x", "subtype": "NVMe", "lvs": {}, "id": "1"}],
}
BYTES = ("bdev_lvol_create", "bdev_lvol_snapshot", "bdev_lvol_clone", "bdev_lvol_delete", "bdev_lvol_resize")


@pytest.mark.parametrize("method", READS)
def test_no_answer_however_odd_costs_bytes(site: World, method: str) -> None:
    """Guards what bears data: whatever a target says it has, nothing is made twice or destroyed, and it is undone."""
    manifests = [
        volume("a", reclaimPolicy="Delete"),
        manifest("VolumeSnapshot", "p", {"volumeRef": "a"}, "team"),
        host("web"),
        subsystem("s", {1: "a"}, hosts=["web"]),
    ]
    site.commit(*manifests)
    site.converge()
    before, simulator = site.lvols(), site.simulators["n1"]
    for answer in ODD.values():
        asked = site.mutations()
        simulator.before(method, lambda *_, answer=answer: Pretend(answer))
        for _ in range(2):
            site.tick()
            site.clock.advance(70.0)
        simulator.forget_hooks()
        tick = site.converge()
        sent = {call for call, _ in simulator.mutations[asked:]}
        assert not {call for call in sent if call.startswith(BYTES)}, (answer, sent)
        assert (site.lvols(), tick.verdict) == (before, Verdict.CONVERGED), answer
    assert len(site.exports()) == 1
