"""What cannot be read is a gap or no observation, and never nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from furnished import EXPORTS, furnish
from lab import NQN, LiveLab, SimulatedLab, simulated
from peers import Script, line

from backends.contract import Gap, Interest, Terminal, Transient
from backends.objects import ObjectKind
from backends.spdk.backend import SpdkBackend
from backends.spdk.simulator import DropBefore, Refuse
from backends.spdk.transport import Transport as Carrier


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
