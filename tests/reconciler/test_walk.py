"""The whole way from manifests to a target, and back."""

from __future__ import annotations

from world import NQN, World, host, removal, subsystem, volume

from reconciler.reconcile import Verdict


def shop(*more: dict[str, object]) -> list[dict[str, object]]:
    return [
        host("web"),
        volume("a"),
        volume("b", qos={"iops": 1500, "readMBps": 7}),
        subsystem("s", {1: "a", 2: "b"}, hosts=["web"]),
        *more,
    ]


def test_converges_from_empty_and_then_writes_nothing(site: World) -> None:
    """Guards the main job: one tick builds everything, the next finds nothing to do and writes nothing."""
    assert not site.commit(*shop()).blocks
    assert site.tick().verdict is Verdict.BUSY
    before = site.mutations()

    tick = site.tick()

    assert (tick.verdict, tick.settled, site.mutations()) == (Verdict.CONVERGED, True, before)
    assert set(site.exports()) == {("s", 1), ("s", 2)}
    assert site.exports()["s", 1] == site.uid("a")
    assert [h["nqn"] for h in site.subsystems()[f"{NQN}s"]["hosts"]] == [f"{NQN}host-web"]
    assert site.call("bdev_get_bdevs", {"name": site.uid("b")})[0]["assigned_rate_limits"]["rw_ios_per_sec"] == 2000


def test_drift_is_found_and_closed(site: World) -> None:
    """Guards that what others change on a target is seen, recorded and put right."""
    site.commit(*shop())
    site.converge()
    site.call("nvmf_subsystem_remove_ns", {"nqn": f"{NQN}s", "nsid": 1})
    site.call("nvmf_subsystem_add_host", {"nqn": f"{NQN}s", "host": f"{NQN}stranger"})
    site.call("bdev_set_qos_limit", {"name": site.uid("b"), "rw_ios_per_sec": 9000})

    site.converge()

    assert site.exports()["s", 1] == site.uid("a")
    assert [h["nqn"] for h in site.subsystems()[f"{NQN}s"]["hosts"]] == [f"{NQN}host-web"]
    closed = {(record.kind, record.object.split()[0]) for record in site.house.history.drifts() if record.closed}
    assert closed == {("Missing", "namespace"), ("Extra", "host"), ("Modified", "qos")}


def test_removing_a_retained_volume_keeps_its_bytes_and_a_revert_brings_them_back(site: World) -> None:
    """Guards Retain: the export goes, the bytes stay, and the same bytes return with the manifest."""
    site.commit(*shop())
    site.converge()
    uid = site.uid("a")

    site.commit(host("web"), volume("b"), subsystem("s", {2: "b"}, hosts=["web"]))
    site.converge()
    assert (set(site.exports()), site.uid("a")) == ({("s", 2)}, uid)
    assert "Retained" in site.events()

    site.commit(*shop())
    site.converge()
    assert site.exports()["s", 1] == uid
    assert "Rebound" in site.events()


def test_a_removal_destroys_exactly_what_it_names_and_a_revert_makes_no_blank_disk(site: World) -> None:
    """Guards the only way in which bytes are destroyed, and that they never come back blank."""
    site.commit(volume("a", reclaimPolicy="Delete"), subsystem("s", {1: "a"}))
    site.converge()
    uid = site.uid("a")
    assert "data-loss-without-removal" in {f.rule for f in site.commit(subsystem("s", {})).findings}

    assert not site.commit(subsystem("s", {}), removal("a", uid)).blocks
    site.converge()
    assert (site.lvols(), site.exports()) == ({}, {})

    site.commit(volume("a", reclaimPolicy="Delete"), subsystem("s", {1: "a"}))
    tick = site.converge()
    assert (site.lvols(), site.exports()) == ({}, {})
    assert "DataMissing" in site.reasons(tick)

    site.commit(volume("a", reclaimPolicy="Delete", recreate=uid), subsystem("s", {1: "a"}))
    site.converge()
    assert site.uid("a") != uid
    assert site.exports() == {("s", 1): site.uid("a")}


def test_a_removal_that_destroys_nothing_says_why(site: World) -> None:
    """Guards people who believe that bytes are gone: another uid, or a day that has passed, is named and needs them."""
    site.commit(volume("a"))
    site.converge()
    site.commit(removal("a", "11111111-1111-4111-8111-111111111111"))
    tick = site.converge()
    assert (max(site.reasons(tick) - {"Retained"}), tick.verdict) == ("RemovalNotHonoured", Verdict.HELD)
    uid = site.uid("a")
    site.commit(removal("a", uid, expires="2026-11-22"))
    site.clock.advance(3 * 86400)
    assert "expired on 2026-11-22" in " ".join(r.message for r in site.tick().plan.remarks)
    assert site.uid("a") == uid


def test_a_subsystem_without_one_of_its_namespaces_is_not_ready(site: World) -> None:
    """Guards the status against saying "as declared" while a namespace is missing."""
    site.commit(volume("a"), volume("b"), subsystem("s", {1: "a", 2: "b"}))
    site.converge()
    site.call("nvmf_subsystem_remove_ns", {"nqn": f"{NQN}s", "nsid": 2})
    site.call("bdev_lvol_delete", {"name": site.uid("b")})
    tick = site.converge()
    said = {remark.resource.name: remark for remark in tick.plan.remarks}
    assert (said["s"].reason, said["s"].ready) == ("ExportedIncomplete", False)
    assert site.exports() == {("s", 1): site.uid("a")}


def test_what_is_not_ours_is_named_and_left_alone(site: World) -> None:
    """Guards foreign objects: seen, said, never changed, and no reason to be called out of order."""
    site.commit(*shop())
    site.converge()
    site.call("bdev_malloc_create", {"name": "theirs", "num_blocks": 2048, "block_size": 512})
    site.call("nvmf_create_subsystem", {"nqn": f"{NQN}theirs"})
    before = site.mutations()
    tick = site.converge()
    said = next(remark for remark in tick.plan.remarks if remark.reason == "ForeignObjects")
    assert said.message == f"not ours, and left alone: bdev theirs, subsystem {NQN}theirs"
    assert (tick.verdict, site.mutations()) == (Verdict.CONVERGED, before)


def test_a_reverted_grow_keeps_the_larger_size(site: World) -> None:
    """Guards against shrinking: SPDK would cut off data without asking."""
    site.commit(volume("a"))
    site.converge()
    site.commit(volume("a", size="16Mi"))
    site.converge()

    assert not site.commit(volume("a")).blocks
    tick = site.converge()

    assert site.call("bdev_get_bdevs", {"name": site.uid("a")})[0]["num_blocks"] * 4096 == 16 << 20
    assert "KeptLarger" in site.reasons(tick)
    assert tick.verdict is Verdict.CONVERGED


def test_a_restarted_target_is_built_again_around_its_stores(site: World) -> None:
    """Guards the replay after kill -9: same bytes, same exports, limits included."""
    site.commit(*shop())
    site.converge()
    before = (site.lvols(), site.exports())

    site.restart_target()
    site.converge()

    assert (site.lvols(), site.exports()) == before
    assert site.call("bdev_get_bdevs", {"name": site.uid("b")})[0]["assigned_rate_limits"]["rw_ios_per_sec"] == 2000
    assert len(site.subsystems()[f"{NQN}s"]["listen_addresses"]) == 1
    assert "TargetRestarted" in site.events()
