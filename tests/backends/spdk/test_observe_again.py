"""Looking again: what did not change is the very same, and what changed, lived or began again is seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from furnished import EXPORTS, furnish
from hypothesis import given, settings
from hypothesis import strategies as st
from lab import MIB, NQN, LiveLab, SimulatedLab, simulated

from backends.contract import Interest, Observed, Transient
from backends.objects import OWNER_MARKER, Bdev, Lvol, ObjectKind, QosLimits
from backends.spdk.simulator import Hold, Refuse

OWNER = "77777777-7777-4777-8777-777777777777"


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


def test_connections_that_cannot_be_told_are_unknown(lab: SimulatedLab) -> None:
    """Guards that a subsystem that does not answer, or is not there, is not taken for one without hosts."""
    nqn = lab.export("s")
    wanted = Interest(connections=frozenset({nqn, f"{NQN}gone"}))
    assert lab.observe(wanted).connections == {nqn: {}, f"{NQN}gone": None}
    lab.simulator.before("nvmf_subsystem_get_qpairs", lambda *_: Refuse(-32603, "Internal error"))
    assert lab.observe(wanted).connections == {nqn: None, f"{NQN}gone": None}


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
