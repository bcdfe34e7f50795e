"""Whose bytes these are, and what hosts take them for: one owner, one identity, whatever is declared or lost."""

from __future__ import annotations

from typing import Any

import pytest
from planning import Case, base, key, lvol, reasons, record, records, steps
from world import GENEROUS, NQN, SITE, World, host, manifest, removal, subsystem, volume, world

from backends.objects import ObjectKind
from backends.spdk.simulator.faults import Refuse
from reconciler import identity
from reconciler.plan import Phase
from reconciler.recovery import unknown_uid

UID = "aaaaaaaa-0000-4000-8000-000000000001"
TIGHT = GENEROUS | {"budget": {"disruptiveSubsystems": 0}}


def other(name: str, **annotations: str) -> dict[str, Any]:
    """A volume of another tenant."""
    return manifest("Volume", name, {"poolRef": "n1-pool", "size": "8Mi", "thin": True}, "other", **annotations)


def seen(site: World) -> dict[str, set[str]]:
    """Which bdevs are shown under each identity."""
    found: dict[str, set[str]] = {}
    for exported in site.subsystems().values():
        for namespace in exported["namespaces"]:
            found.setdefault(namespace["uuid"], set()).add(namespace["bdev_name"])
    return found


# --- names


@pytest.mark.parametrize("taker", [other("b"), volume("b")])
def test_a_name_that_is_still_borne_gives_nothing_away(taker: dict[str, Any]) -> None:
    """Guards renamed-from: neither another tenant nor a second resource gets bytes whose owner is still declared."""
    taker = taker | {"metadata": taker["metadata"] | {"annotations": {"holdfast.dev/renamed-from": "team/a"}}}
    live = [*base(), lvol("a")]
    case = Case([volume("a"), taker], live, records(*live), unchecked=True)
    found = case.plan()
    assert {r.resource.name for r in found.records if r.uid == lvol("a").uuid} <= {"a"}
    assert any(step.startswith("create lvol") for step in steps(found))


def test_a_new_name_in_another_namespace_gets_nothing() -> None:
    """Guards tenants: what one of them retained does not pass to another by an annotation."""
    live = [*base(), lvol("a")]
    case = Case([other("b", renamed_from="team/a")], live, records(*live), unchecked=True)
    assert not [r for r in case.plan().records if r.resource.namespace == "other"]


def test_what_has_an_owner_cannot_be_adopted(site: World) -> None:
    """Guards adopt: not what the ledger gives to another resource, and of two that ask for the same only one."""
    site.commit(volume("a"))
    site.converge()
    name = next(iter(site.lvols()))
    site.call("bdev_lvol_create", {"uuid": site.pool()["uuid"], "lvol_name": "db", "size_in_mib": 8})
    site.commit(volume("a"), other(name, adopt="true"), other("db", adopt="true"), volume("db") | _adopting("db"))
    tick = site.converge()
    assert "NotAdoptable" in site.reasons(tick)
    owners = [r.resource for r in site.house.ledger.records("n1") if r.key.kind is ObjectKind.LVOL]
    assert len(owners) == len(set(owners)) == 2


def _adopting(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "team", "annotations": {"holdfast.dev/adopt": "true"}}}


def test_two_resources_with_one_derived_name_do_not_stop_a_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards a collision of digests, which anybody can compute: one gets the name, the other is held and told."""
    real = identity.object_name
    same = key("Volume", "a")
    monkeypatch.setattr(identity, "object_name", lambda site, k: real(site, same if k.kind == "Volume" else k))
    found = Case([volume("a"), volume("b")], base(), records(*base())).plan()
    assert len([step for step in steps(found) if step.startswith("create lvol")]) == 1
    assert {held.reason for held in found.held} == {"NameTaken"}


# --- identities


def test_no_two_disks_under_one_identity(site: World) -> None:
    """Guards hosts: of two volumes with the same uid, or one with another's lvol uuid, one is not exported."""
    site.commit(volume("a"), subsystem("s", {1: "a"}))
    site.converge()
    taken = site.uid("a")
    twins = [volume("b", uid=taken), volume("c", uid=UID), volume("d", uid=UID)]
    exports = [subsystem("s", {1: "a"}), subsystem("t", {1: "b", 2: "c", 3: "d"})]
    site.push([*site.nodes(), volume("a"), *twins, *exports], unchecked=True)
    tick = site.converge()
    assert all(len(bdevs) == 1 for bdevs in seen(site).values())
    assert (site.exports()["s", 1], len(site.exports())) == (taken, 2)
    assert "IdentityReused" in site.reasons(tick)


def test_a_devices_identity_stays_with_its_path(site: World) -> None:
    """Guards hosts: a device that is declared again with another file does not come back as the same disk."""
    files = [site.folder / name for name in ("x1.img", "x2.img")]
    for file in files:
        file.write_bytes(bytes(1 << 20))

    def device(path: object) -> dict[str, Any]:
        spec = {"targetRef": "n1", "aio": {"path": str(path), "blockSize": 512}, "reclaimPolicy": "Delete"}
        return manifest("BlockDevice", "x", spec)

    export = subsystem("s", {})
    export["spec"]["namespaces"] = [{"nsid": 1, "deviceRef": "x"}]
    site.commit(device(files[0]), export)
    site.converge()
    before = seen(site)
    site.commit()
    site.converge()
    site.commit(device(files[1]), export)
    tick = site.converge()
    assert (len(before), seen(site)) == (1, {})
    assert "IdentityReused" in site.reasons(tick)


# --- who can see


@pytest.mark.parametrize("way", ["held", "refused"])
def test_new_bytes_do_not_reach_who_is_to_go(site: World, way: str) -> None:
    """Guards against exposure: a namespace is added only once hosts that must not see it are off the list."""
    people = [host("web"), host("guest")]
    before = {"refs": ["web", "guest"]} if way == "held" else {"any": True}
    first = subsystem("s", {1: "a"})
    first["spec"]["hosts"] = before
    site.commit(*people, volume("a"), first, policy=TIGHT)
    site.converge()
    if way == "refused":
        site.simulators["n1"].before("nvmf_subsystem_allow_any_host", lambda *_: Refuse(-32603, "Internal error"))
    both = subsystem("s", {1: "a", 2: "secret"}, hosts=["web"])
    site.commit(*people, volume("a"), volume("secret"), both, policy=TIGHT)
    site.tick()
    site.tick()
    assert set(site.exports()) == {("s", 1)}


# --- what was lost


def lose_the_ledger(site: World) -> None:
    site.die()
    for path in site.folder.glob("holdfast.db*"):
        path.unlink()
    site.wake()
    assert site.desired is not None
    site.house.ledger.accept(site.desired.revision, "test", site.desired.policy, site.clock.now())


def test_a_confirmed_ledger_knows_renamed_and_adopted_volumes(site: World) -> None:
    """Guards import --confirm: bytes under a former name, or one of their own, are found; none are replaced."""
    site.commit(volume("a"), volume("gone"))
    site.converge()
    site.call("bdev_lvol_create", {"uuid": site.pool()["uuid"], "lvol_name": "db", "size_in_mib": 8})
    metadata = {"name": "b", "namespace": "team", "annotations": {"holdfast.dev/renamed-from": "a"}}
    renamed = volume("b") | {"metadata": metadata}
    adopted = volume("db") | _adopting("db")
    declared = [renamed, adopted, volume("gone"), subsystem("s", {1: "b", 2: "db", 3: "gone"})]
    site.commit(*declared)
    site.converge()
    before = site.exports()
    site.call("nvmf_subsystem_remove_ns", {"nqn": f"{NQN}s", "nsid": 3})
    site.call("bdev_lvol_delete", {"name": site.uid("gone")})
    names = set(site.lvols())

    lose_the_ledger(site)
    site.restart_target()
    site.converge()
    assert site.desired is not None
    site.keepers["n1"].confirm(site.desired)
    site.converge()
    tick = site.keepers["n1"].tick(site.desired)

    assert (set(site.lvols()), site.exports()) == (names, {k: v for k, v in before.items() if k != ("s", 3)})
    assert "DataMissing" in site.reasons(tick)
    site.commit(*declared[:2], volume("gone", recreate=unknown_uid(SITE, key("Volume", "gone"))), declared[3])
    site.converge()
    assert ("s", 3) in site.exports()


def test_another_sites_volumes_are_not_shadowed_by_blank_ones() -> None:
    """Guards a lost state directory: a new site makes nothing in a store that holds the old one's volumes."""
    theirs = lvol("a", uuid=UID, name=identity.object_name("0" * 36, key("Volume", "a")))
    found = Case([volume("a")], [*base(), theirs], records(*base())).plan()
    assert (steps(found), reasons(found)["a"]) == ([], "ForeignSite")


def test_an_imposter_is_not_taken_for_the_lost_bytes() -> None:
    """Guards records: bytes are known by their uid; another lvol under the same name is somebody else's."""
    live = [*base(), lvol("a", uuid=UID)]
    lost = [*records(*base()), record(lvol("a"), key("Volume", "a"), Phase.CREATED)]
    assert not [r for r in Case([], live, lost).plan().records if r.uid == UID]


@pytest.mark.parametrize("declared", [True, False])
def test_a_recreate_that_is_taken_back_makes_nothing(declared: bool) -> None:  # noqa: FBT001  # a parameter of pytest's
    """Guards consent: it was asked for, never answered and withdrawn; the loss is still known when the name returns."""
    asked = record(lvol("a"), key("Volume", "a"), Phase.CREATING, uid=UID)
    found = Case([volume("a")] if declared else [], base(), [*records(*base()), asked]).plan()
    assert (steps(found), found.forget) == ([], ())
    if declared:
        assert reasons(found)["a"] == "DataMissing"
    else:
        assert [(r.phase, r.uid) for r in found.records if r.key == asked.key] == [(Phase.CREATED, UID)]


def test_a_renamed_store_has_one_record(site: World) -> None:
    """Guards the ledger: what is called otherwise is the same bytes, known once, destroyed once."""
    site.commit(volume("a", reclaimPolicy="Delete"))
    site.converge()
    uid = site.uid("a")
    site.call("bdev_lvol_rename_lvstore", {"old_name": site.pool()["name"], "new_name": "renamed"})
    site.converge()
    assert len(site.house.ledger.records("n1")) == len({r.resource for r in site.house.ledger.records("n1")})
    site.commit(removal("a", uid))
    site.converge()
    assert site.lvols() == {}


def test_bytes_that_were_left_on_another_target_go_on_being_called_retained() -> None:
    """Guards Retained: a manifest that comes back on another target does not hide the bytes that lie on the first."""
    with world(targets=("n1", "n2")) as site:
        site.commit(volume("a"))
        site.converge("n1")
        uid = site.uid("a")
        site.commit()
        assert "Retained" in site.reasons(site.converge("n1"))
        site.commit(volume("a", target="n2"))

        found = site.converge("n1").plan

        assert [r.message for r in found.remarks if r.reason == "Retained"] == [
            f"no longer declared on this target; its bytes are kept under uid {uid}"
        ]
        assert "RecordedElsewhere" in site.reasons(site.converge("n2"))
