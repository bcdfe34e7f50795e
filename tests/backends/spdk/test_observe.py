"""Observing: the whole target in few calls, nothing unread taken for absent, nothing unchanged read twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lab import MIB, NQN, LaidDown, LiveLab, SimulatedLab, simulated
from peers import Script, line

from backends.contract import Gap, Interest, Observed, Terminal, Transient
from backends.objects import (
    OWNER_MARKER,
    AllowedHost,
    Bdev,
    Listener,
    LiveObject,
    Lvol,
    LvolStore,
    Namespace,
    ObjectKey,
    ObjectKind,
    QosLimits,
    Referral,
    Subsystem,
    Transport,
    VisibleHost,
    index,
)
from backends.spdk.backend import SpdkBackend
from backends.spdk.simulator import DropBefore, Hold, Refuse, Simulator
from backends.spdk.transport import Transport as Carrier

OWNER = "77777777-7777-4777-8777-777777777777"
LISTENER = {"trtype": "TCP", "adrfam": "IPv4", "traddr": "127.0.0.1", "trsvcid": "4477"}
APART = {
    ObjectKind.QOS,
    ObjectKind.NVME_PATH,
    ObjectKind.PROVISIONING,
}  # part of what is limited or provisioned; elsewhere
EVERYTHING = frozenset(ObjectKind) - APART
REFERRAL = Referral("TCP", "10.0.0.12", 8009, "nqn.2014-08.org.nvmexpress.discovery")
EXPORTS = {ObjectKind.SUBSYSTEM, ObjectKind.HOST, ObjectKind.NAMESPACE, ObjectKind.LISTENER}


def furnish(target: SimulatedLab | LiveLab) -> dict[ObjectKey, LiveObject]:
    """One of everything, made past the backend; as it ought to be observed."""
    target.pool()
    uuid = target.call("bdev_lvol_create", lvs_name="pool", lvol_name="v", size_in_mib=4, thin_provision=True)
    target.call("bdev_null_create", name="null", num_blocks=2048, block_size=512)
    null = target.call("bdev_get_bdevs", name="null")[0]["uuid"]
    disk = target.call("bdev_get_bdevs", name="disk")[0]["uuid"]
    store = target.call("bdev_lvol_get_lvstores")[0]["uuid"]
    target.call("nvmf_create_transport", trtype="TCP", max_queue_depth=64)
    nqn = target.export("s", n1="pool/v")
    target.call("nvmf_subsystem_add_ns", nqn=nqn, namespace={"nsid": 7, "bdev_name": "null", "no_auto_visible": True})
    target.call("nvmf_ns_add_host", nqn=nqn, nsid=7, host=f"{NQN}other")
    key = target.key("k1")
    LaidDown().deposit(key)
    target.call("keyring_file_add_key", name=key.name, path=key.path)
    target.call("nvmf_subsystem_add_host", nqn=nqn, host=f"{NQN}host", dhchap_key="k1")
    target.call("nvmf_subsystem_add_listener", nqn=nqn, listen_address=LISTENER)
    target.call("bdev_set_qos_limit", name="pool/v", rw_ios_per_sec=1500, r_mbytes_per_sec=7)
    target.make(REFERRAL)
    (transport,) = target.call("nvmf_get_transports")
    return index(
        [
            Transport(
                "TCP",
                64,
                127,
                4096,
                transport["max_io_size"],
                max_aq_depth=128,
                abort_timeout_sec=1,
                c2h_success=True,
                zcopy=False,
            ),
            Bdev(
                "disk",
                "aio",
                disk,
                64 * MIB,
                4096,
                str(target.folder / "disk.img"),
                fallocate=False,
                read_only=False,
            ),
            Bdev("null", "null", null, MIB, 512),
            LvolStore("pool", "disk", store, MIB),
            Lvol("pool", "v", uuid, 4 * MIB, thin=True),
            key,
            Subsystem(nqn, "0" * 20, "SPDK bdev Controller", 32, 1, 65519, ana_reporting=False),
            AllowedHost(nqn, f"{NQN}host", "k1", psk=""),
            Namespace(nqn, 1, uuid, uuid, uuid.replace("-", "").upper(), masked=False),
            Namespace(nqn, 7, null, null, null.replace("-", "").upper(), masked=True),
            VisibleHost(nqn, 7, f"{NQN}other"),
            Listener(nqn, "TCP", "127.0.0.1", 4477, secure_channel=False),
            REFERRAL,
        ]
    )


# --- the whole target


def test_a_whole_target(target: SimulatedLab | LiveLab) -> None:
    """Guards that every kind is found, each declared field as it is, namespaces by the uuid of what they show."""
    wanted = furnish(target)
    seen = target.observe()
    assert {key.kind for key in wanted} == EVERYTHING
    assert seen.objects == wanted
    assert seen.gaps == ()
    assert seen.version.startswith("SPDK v26.05")
    disk, lvol = seen.objects[ObjectKey(ObjectKind.BDEV, "disk")], seen.objects[ObjectKey(ObjectKind.LVOL, "pool/v")]
    assert isinstance(disk, Bdev)
    assert isinstance(lvol, Lvol)
    assert (disk.claimed, disk.limits) == (True, QosLimits())
    assert (lvol.claimed, lvol.limits, lvol.clones) == (True, QosLimits(iops=2000, read_mbps=7), ())


def test_an_empty_target(target: SimulatedLab | LiveLab) -> None:
    """Guards that a target with nothing on it has no objects, no owner, and no gaps."""
    seen = target.observe()
    assert (seen.objects, seen.gaps, seen.incarnation.owner) == ({}, (), None)
    assert seen.last_notification == -1


def test_snapshots_and_clones(target: SimulatedLab | LiveLab) -> None:
    """Guards that what must not be deleted is known as such: a snapshot with the clones that stand on it."""
    target.pool()
    target.lvol("v")
    target.call("bdev_lvol_snapshot", lvol_name="pool/v", snapshot_name="snap")
    target.call("bdev_lvol_clone", snapshot_name="pool/snap", clone_name="clone")
    found = {lvol.name: lvol for lvol in target.observe().objects.values() if isinstance(lvol, Lvol)}
    assert (found["snap"].snapshot, found["snap"].read_only, sorted(found["snap"].clones)) == (
        True,
        True,
        ["clone", "v"],
    )
    assert [(found[name].snapshot, found[name].read_only, found[name].clones) for name in ("v", "clone")] == [
        (False, False, ())
    ] * 2


@pytest.mark.parametrize("stores", [0, 1, 3])
def test_a_whole_target_takes_one_call_for_each_kind_and_store(lab: SimulatedLab, stores: int) -> None:
    """Guards that what an observation costs does not grow with lvols, devices, subsystems, hosts or namespaces."""
    for number in range(stores):
        lab.pool(f"pool{number}", f"disk{number}")
        for name in range(20):
            lab.call("bdev_lvol_create", lvs_name=f"pool{number}", lvol_name=f"v{name}", size_in_mib=1)
        lab.export(f"s{number}", **{f"n{name + 1}": f"pool{number}/v{name}" for name in range(20)})
    lab.backend.close()
    lab.calls()
    assert len(lab.observe().objects) == stores * (2 + 20 + 1 + 20)
    first = lab.calls()
    assert set(first.values()) <= {1, stores}
    assert sum(first.values()) == 13 + stores
    lab.observe()
    assert sum(lab.calls().values()) == 11 + stores


def test_clusters_that_were_given_out_twice_are_counted(lab: SimulatedLab) -> None:
    """Guards the one sign of a store that SPDK broke: its volumes have more clusters than it gave out."""
    lab.pool()
    lab.lvol("v", thin=False)
    lab.lvol("w", thin=False)
    key = ObjectKey(ObjectKind.LVOL_STORE, "pool")
    whole = lab.live(key)
    lab.simulator._target.stores[0].used_clusters -= 3
    broken = lab.live(key)
    assert isinstance(whole, LvolStore)
    assert isinstance(broken, LvolStore)
    assert (whole.shared_clusters, broken.shared_clusters) == (0, 3)


def test_observing_changes_nothing(lab: SimulatedLab) -> None:
    """Guards that looking is only looking, and that connections are asked about (which pauses I/O) only on demand."""
    furnish(lab)
    before = lab.mutations
    lab.calls()
    lab.observe()
    assert lab.mutations == before
    assert not [method for method in lab.calls() if method.startswith("nvmf_subsystem_")]


# --- what cannot be read


@pytest.mark.parametrize(
    ("method", "kinds"),
    [
        ("nvmf_get_transports", {ObjectKind.TRANSPORT}),
        ("bdev_get_bdevs", {ObjectKind.BDEV, ObjectKind.LVOL}),
        ("bdev_lvol_get_lvstores", {ObjectKind.LVOL_STORE, ObjectKind.LVOL}),
        ("nvmf_get_subsystems", EXPORTS),
        ("keyring_get_keys", {ObjectKind.KEY}),
    ],
)
def test_a_refused_list_is_a_gap(lab: SimulatedLab, method: str, kinds: set[ObjectKind]) -> None:
    """Guards that what a target refuses to tell is unknown, with the reason, and all else is observed as ever."""
    wanted = furnish(lab)
    lab.simulator.before(method, lambda *_: Refuse(-12, "Cannot allocate memory"))
    seen = lab.observe()
    assert {gap.kind for gap in seen.gaps} == kinds
    assert {(gap.within, gap.because) for gap in seen.gaps} == {("", f"{method}: Cannot allocate memory (code -12)")}
    unread = {*kinds, ObjectKind.NAMESPACE} if method == "bdev_get_bdevs" else kinds  # which go by uuid
    assert {k: t for k, t in seen.objects.items() if k.kind not in unread} == {
        k: t for k, t in wanted.items() if k.kind not in unread
    }


def test_one_store_that_cannot_be_read_is_a_gap_of_its_own(lab: SimulatedLab) -> None:
    """Guards that the lvols of other stores stay known."""
    bad = lab.pool("bad", "a")
    lab.pool("good", "b")
    lab.lvol("v", store="bad")
    lab.lvol("v", store="good")
    lab.simulator.before(
        "bdev_lvol_get_lvols",
        lambda _, params: Refuse(-19, "No such device") if params["lvs_uuid"] == bad.uuid else None,
    )
    seen = lab.observe()
    assert seen.gaps == (Gap(ObjectKind.LVOL, "bad", "bdev_lvol_get_lvols: No such device (code -19)"),)
    assert [key.name for key in seen.objects if key.kind is ObjectKind.LVOL] == ["good/v"]


@dataclass
class Distorted:
    """A connection on which some bytes of what arrives are others."""

    inner: Carrier
    old: bytes
    new: bytes
    peer_pid: int | None = None
    peer_user: int | None = None

    def send(self, requests_: Sequence[bytes]) -> None:
        self.inner.send(requests_)

    def receive(self, timeout: float) -> bytes:
        return self.inner.receive(timeout).replace(self.old, self.new)

    def close(self) -> None:
        self.inner.close()


@pytest.mark.parametrize(
    ("old", "new", "kinds"),
    [
        (b'"claimed":true', b'"claimed":null', {ObjectKind.BDEV, ObjectKind.LVOL}),
        (b'"claimed":true', b'"claimed":}}', {ObjectKind.BDEV, ObjectKind.LVOL}),
        (b'"base_bdev":', b'"base":', {ObjectKind.LVOL_STORE, ObjectKind.LVOL}),
        (b'"num_allocated_clusters":0,"lvs"', b'"num":0,"lvs"', {ObjectKind.LVOL}),
        (b'"max_queue_depth":', b'"depth":', {ObjectKind.TRANSPORT}),
        (b'"hosts":[', b'"guests":[', EXPORTS),
        (b'"subtype":"NVMe"', b'"subtype":"\xff"', EXPORTS),
    ],
    ids=["no flag", "no JSON", "store", "lvol", "transport", "hosts", "no UTF-8"],
)
def test_an_unreadable_list_is_a_gap(old: bytes, new: bytes, kinds: set[ObjectKind]) -> None:
    """Guards that an answer of another shape, or none at all, is unknown and not empty, and stops nothing else."""
    with simulated() as lab:
        wanted = furnish(lab)
        connect = lab.backend.connect
        lab.backend.close()
        lab.backend.connect = lambda: Distorted(connect(), old, new)
        seen = lab.observe()
        assert {gap.kind for gap in seen.gaps} == kinds
        assert {key.kind for key in wanted} - {key.kind for key in seen.objects} <= kinds
        assert all("the answer" in gap.because for gap in seen.gaps)
        lab.backend.close()
        lab.backend.connect = connect
        assert lab.observe().objects == wanted


def test_a_list_that_is_cut_off_at_32_mib_is_a_gap(target: SimulatedLab | LiveLab) -> None:
    """Guards that a target with more devices than it can tell is observed but for them, on the same connection."""
    names = [str(number) + "n" * 200_000 for number in range(200)]  # one answer of 40 MB
    for name in names:
        target.call("bdev_null_create", name=name, num_blocks=8, block_size=512)
    target.call("nvmf_create_subsystem", nqn=f"{NQN}s")
    seen = target.observe()
    assert {(gap.kind, gap.within) for gap in seen.gaps} == {(ObjectKind.BDEV, ""), (ObjectKind.LVOL, "")}
    assert "32 MiB, where the target cuts it off" in seen.gaps[0].because
    assert [key.name for key in seen.objects] == [f"{NQN}s"]
    assert target.backend._client().closed is None
    for name in names[:60]:
        target.call("bdev_null_delete", name=name)
    seen = target.observe()
    assert seen.gaps == ()
    assert len(seen.objects) == 141


def test_a_list_that_does_not_come_is_no_observation() -> None:
    """Guards that a target which stops answering is unreachable: the other lists are not waited for just as long."""
    script = Script()
    script.answer(*(line(id_, answer) for id_, answer in enumerate([{"pid": 7}, {"version": "v"}, [], [], [], []], 1)))
    before = script.clock.now
    with pytest.raises(Transient, match="bdev_get_bdevs: no answer within 30 s"):
        SpdkBackend(lambda: script, script.clock).observe(Interest())
    assert script.clock.now - before == 30


def test_a_target_that_goes_meanwhile_is_no_observation(lab: SimulatedLab) -> None:
    """Guards that half of a target is not taken for the whole."""
    lab.make(lab.disk())
    lab.simulator.before("bdev_get_bdevs", lambda *_: DropBefore())
    with pytest.raises(Transient, match="the target closed the connection"):
        lab.observe()
    lab.simulator.forget_hooks()
    assert [str(key) for key in lab.observe().objects] == ["bdev disk"]


@pytest.mark.parametrize("method", ["spdk_get_version", "framework_get_reactors"])
def test_a_target_that_does_not_say_who_it_is_is_not_observed(lab: SimulatedLab, method: str) -> None:
    """Guards that nothing is decided about a process that cannot be told from another."""
    lab.simulator.before(method, lambda *_: Refuse(-1, "Operation not permitted"))
    with pytest.raises(Transient, match=f"^{method}: Operation not permitted"):
        lab.observe()
    lab.simulator.forget_hooks()
    lab.simulator.before(method, lambda *_: Refuse(-32601, "Method not found"))
    with pytest.raises(Terminal, match="does not offer the method"):
        lab.observe()


def test_a_target_that_tells_no_news_is_observed_all_the_same(lab: SimulatedLab) -> None:
    """Guards that notifications, which only hurry, are not needed."""
    wanted = furnish(lab)
    lab.simulator.before("notify_get_notifications", lambda *_: Refuse(-32601, "Method not found"))
    seen = lab.observe()
    assert (seen.objects, seen.gaps, seen.last_notification) == (wanted, (), -1)


# --- what is not loaded


def test_an_lvol_without_its_bdev_is_there_without_a_size(target: SimulatedLab | LiveLab) -> None:
    """Guards that a clone whose image is not attached (yet) after a restart is neither absent nor empty."""
    target.pool()
    image = target.disk("image", 8 * MIB, uuid="77777777-7777-4777-8777-777777777777")
    target.make(image)
    target.call("bdev_lvol_clone_bdev", bdev=image.uuid, lvs_name="pool", clone_name="clone")
    key = ObjectKey(ObjectKind.LVOL, "pool/clone")
    whole = target.live(key)
    target.backend.close()
    target.restart()
    target.attach()
    degraded = target.live(key)
    assert isinstance(whole, Lvol)
    assert isinstance(degraded, Lvol)
    assert (whole.size, degraded.size, degraded.limits, degraded.uuid) == (8 * MIB, None, None, whole.uuid)
    target.make(image)
    assert target.live(key) == whole


def test_a_store_that_is_not_loaded_is_not_there_and_its_device_not_blank(lab: SimulatedLab) -> None:
    """Guards what never may be taken for a free disk: an unclaimed device whose store nobody has examined."""
    lab.pool()
    lab.lvol("v")
    lab.backend.close()
    lab.simulator.stop()
    with Simulator(lab.socket, wait_for_rpc=True):
        lab.call("bdev_set_options", bdev_auto_examine=False)
        lab.call("framework_start_init")
        lab.attach()
        seen = lab.observe(Interest(blank=frozenset({"disk"})))
        assert [str(key) for key in seen.objects] == ["bdev disk"]
        (disk,) = seen.objects.values()
        assert isinstance(disk, Bdev)
        assert (disk.claimed, seen.blank, seen.gaps) == (False, {"disk": False}, ())
        lab.call("bdev_examine", name="disk")
        assert {key.name for key in lab.observe().objects} == {"disk", "pool", "pool/v"}
        lab.backend.close()
    lab.simulator.start()


# --- what is not read twice


def test_an_unchanged_target_is_the_very_same_observation(target: SimulatedLab | LiveLab) -> None:
    """Guards that nothing is parsed, joined or compared again while every answer is the one before."""
    furnish(target)
    first = target.observe()
    assert target.observe() is first
    asked = target.observe(Interest(connections=frozenset({f"{NQN}s"})))
    assert asked.objects is first.objects
    assert asked.connections == {f"{NQN}s": {}}
    assert target.observe().objects is first.objects


STANDING = {ObjectKind.BDEV, ObjectKind.LVOL, ObjectKind.NAMESPACE}  # on which devices there are
TOLD_TWICE = {*EXPORTS, ObjectKind.VISIBILITY}  # by the list, and by the configuration
CHANGES: dict[str, tuple[Callable[[SimulatedLab], object], set[ObjectKind]]] = {
    "device": (lambda t: t.call("bdev_null_create", name="new", num_blocks=8, block_size=512), STANDING),
    "subsystem": (lambda t: t.call("nvmf_create_subsystem", nqn=f"{NQN}new"), TOLD_TWICE),
    "limits": (lambda t: t.call("bdev_set_qos_limit", name="pool/v", w_mbytes_per_sec=9), STANDING),
    "any host": (lambda t: t.call("nvmf_subsystem_allow_any_host", nqn=f"{NQN}s", allow_any_host=True), TOLD_TWICE),
    "lvol": (
        lambda t: t.call("bdev_lvol_create", lvs_name="pool", lvol_name="new", size_in_mib=1),
        STANDING | {ObjectKind.LVOL_STORE},
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_did_not_change_is_the_very_same(lab: SimulatedLab, change: str) -> None:
    """Guards that each list is recognised by itself: its objects are new only where its answer is."""
    furnish(lab)
    before = lab.observe()
    act, touched = CHANGES[change]
    act(lab)
    after = lab.observe()
    assert after is not before
    kept = [key for key, thing in before.objects.items() if after.objects[key] is thing]
    assert set(kept) >= {key for key in before.objects if key.kind not in touched}


def _limits(seen: Observed) -> list[QosLimits | None]:
    return [thing.limits for thing in seen.objects.values() if isinstance(thing, (Bdev, Lvol))]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from(["v", "w", "null", "host", "any", "qos", "look"]), max_size=8))
def test_remembered_answers_hide_nothing(acts: list[str]) -> None:
    """Guards that an observer with a memory always sees what one without it sees."""
    with simulated() as lab:
        furnish(lab)
        toggles = {act: _toggle(lab, act) for act in set(acts) - {"look"}}
        for act in acts:
            if act == "look":
                lab.observe()
            else:
                next(toggles[act])
        remembered = lab.observe()
        lab.backend.close()
        fresh = lab.observe()
        assert remembered == fresh
        assert _limits(remembered) == _limits(fresh)


def _toggle(lab: SimulatedLab, what: str) -> Iterator[None]:
    """One thing to and fro."""
    nqn = f"{NQN}s"
    while True:
        for forth in (True, False):
            match what, forth:
                case "v" | "w", True:
                    lab.call("bdev_lvol_create", lvs_name="pool", lvol_name=f"toggled-{what}", size_in_mib=1)
                case "v" | "w", False:
                    lab.call("bdev_lvol_delete", name=f"pool/toggled-{what}")
                case "null", True:
                    lab.call("bdev_null_create", name="toggled", num_blocks=8, block_size=512)
                case "null", False:
                    lab.call("bdev_null_delete", name="toggled")
                case "host", _:
                    lab.call(f"nvmf_subsystem_{'remove' if forth else 'add'}_host", nqn=nqn, host=f"{NQN}host")
                case "any", _:
                    lab.call("nvmf_subsystem_allow_any_host", nqn=nqn, allow_any_host=forth)
                case _:
                    lab.call("bdev_set_qos_limit", name="pool/v", w_mbytes_per_sec=5 * forth)
            yield


# --- lives and owners


def test_another_life_is_another_incarnation(target: SimulatedLab | LiveLab) -> None:
    """Guards that a target that was killed is met as a new process, with nothing of what died with it."""
    furnish(target)
    target.make(Bdev(OWNER_MARKER, "null", OWNER, MIB, 512))
    before = target.observe()
    assert before.incarnation.owner == OWNER
    target.restart()
    with pytest.raises(Transient):
        target.observe()
    after = target.observe()
    assert after.incarnation.pid not in (None, before.incarnation.pid)
    assert (after.incarnation.owner, after.objects, after.last_notification) == (None, {}, -1)


def test_what_outlives_a_target_is_found_again(target: SimulatedLab | LiveLab) -> None:
    """Guards that a store and its lvols come back with their device, the same in every field, limits gone."""
    furnish(target)
    kinds = (ObjectKind.LVOL_STORE, ObjectKind.LVOL)
    before = {key: thing for key, thing in target.observe().objects.items() if key.kind in kinds}
    target.backend.close()
    target.restart()
    target.attach()
    seen = target.observe()
    assert {key: thing for key, thing in seen.objects.items() if key.kind in kinds} == before
    assert [thing.limits for thing in seen.objects.values() if isinstance(thing, Lvol)] == [QosLimits()]


# --- who is connected


def test_connections_that_cannot_be_told_are_unknown(lab: SimulatedLab) -> None:
    """Guards that a subsystem that does not answer, or is not there, is not taken for one without hosts."""
    nqn = lab.export("s")
    wanted = Interest(connections=frozenset({nqn, f"{NQN}gone"}))
    assert lab.observe(wanted).connections == {nqn: {}, f"{NQN}gone": None}
    lab.simulator.before("nvmf_subsystem_get_qpairs", lambda *_: Refuse(-32603, "Internal error"))
    assert lab.observe(wanted).connections == {nqn: None, f"{NQN}gone": None}


# --- news


def test_news(target: SimulatedLab | LiveLab) -> None:
    """Guards that a device that came, went or grew since an observation is news, and nothing else is."""
    target.observe()
    assert target.backend.hurry(-1) == (-1, False)
    target.pool()
    seen = target.observe().last_notification
    assert seen >= 0
    assert target.backend.hurry(seen) == (seen, False)
    target.call("nvmf_create_subsystem", nqn=f"{NQN}s")
    assert target.backend.hurry(seen) == (seen, False)
    target.lvol("v")
    newest, is_news = target.backend.hurry(seen)
    assert (newest > seen, is_news) == (True, True)
    assert target.backend.hurry(newest) == (newest, False)


def test_a_process_that_began_again_is_news(target: SimulatedLab | LiveLab) -> None:
    """Guards that ids which begin again are noticed: an id that is not there any more is news."""
    target.pool()
    seen = target.observe().last_notification
    target.backend.close()
    target.restart()
    assert target.backend.hurry(seen) == (-1, True)


def test_a_target_that_tells_no_news_has_none(lab: SimulatedLab) -> None:
    """Guards that a refused question is not taken for a change, tick after tick."""
    lab.simulator.before("notify_get_notifications", lambda *_: Refuse(-32601, "Method not found"))
    assert lab.backend.hurry(5) == (5, False)


def test_a_hold_on_one_list_delays_the_observation_and_no_more(lab: SimulatedLab) -> None:
    """Guards that a late answer is waited for within its deadline."""
    lab.make(lab.disk())
    lab.simulator.before("bdev_get_bdevs", lambda *_: Hold(0.05))
    assert [str(key) for key in lab.observe().objects] == ["bdev disk"]
