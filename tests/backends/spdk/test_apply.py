"""Applying one change: every kind created, changed and deleted, twice; refused, lost, guarded, and never too much."""

from __future__ import annotations

import pytest
from creations import BEARS_DATA, CASES, DELETED, STATELESS, UPDATES, S, Target, limits, live_of, shows, state
from lab import created, deleted, simulated, updated

from backends.contract import Transient
from backends.fields import fields_of
from backends.objects import ObjectKind, Qos, QosLimits


def test_every_kind_has_a_case() -> None:
    """Guards that a new kind of object is tested here."""
    kinds = set()
    for case in CASES.values():
        with simulated() as lab:
            kinds.add(case(lab).key.kind)
    assert kinds == set(ObjectKind) - {ObjectKind.PROVISIONING}  # which is only ever changed


@pytest.mark.parametrize("name", CASES)
def test_created_as_declared(target: Target, name: str) -> None:
    """Guards that every value that was declared is there, and that only what bears data is given a uid."""
    wanted = CASES[name](target)
    applied = target.apply(created(wanted))
    assert applied.error is None
    live = live_of(target, wanted)
    assert shows(live, wanted)
    assert applied.uid == (fields_of(live)["uuid"] if name in BEARS_DATA else None)


@pytest.mark.parametrize("name", STATELESS)
def test_created_twice_is_created_once(target: Target, name: str) -> None:
    """Guards that creating what is there already is done, by looking, and leaves everything as it is."""
    wanted = CASES[name](target)
    target.make(wanted)
    before = state(target.observe())
    assert target.apply(created(wanted)).error is None
    assert state(target.observe()) == before


@pytest.mark.parametrize("name", BEARS_DATA)
def test_bytes_that_were_there_before_are_not_what_was_created(target: Target, name: str) -> None:
    """Guards created-at-most-once: a store or lvol of the same name may hold other bytes, and is left as it is."""
    wanted = CASES[name](target)
    target.make(wanted)
    before = state(target.observe())
    applied = target.apply(created(wanted))
    assert isinstance(applied.error, Transient)
    assert applied.uid is None
    assert state(target.observe()) == before


@pytest.mark.parametrize("name", DELETED)
def test_deleted_and_deleted_again(target: Target, name: str) -> None:
    """Guards that a deleted object is gone and nothing else is, and that deleting it once more is done."""
    wanted = CASES[name](target)
    before = state(target.observe())
    target.make(wanted)
    live = live_of(target, wanted)
    assert live is not None
    assert target.apply(deleted(live)).error is None
    assert state(target.observe()) == before
    assert target.apply(deleted(live)).error is None
    assert state(target.observe()) == before


@pytest.mark.parametrize("name", ["a_host", "a_namespace", "a_visible_host", "a_listener"])
def test_deleted_with_its_subsystem(target: Target, name: str) -> None:
    """Guards that what went with its subsystem is gone, although the target refuses to tell of a subsystem unknown."""
    wanted = CASES[name](target)
    target.make(wanted)
    live = live_of(target, wanted)
    assert live is not None
    target.call("nvmf_delete_subsystem", nqn=S)
    assert target.apply(deleted(live)).error is None


@pytest.mark.parametrize("name", UPDATES)
def test_changed_in_place_twice(target: Target, name: str) -> None:
    """Guards that a change in place is made, keeps everything else, and is the same when made again."""
    before, after = UPDATES[name](target)
    assert target.apply(updated(before, after)).error is None
    assert shows(live_of(target, after), after)
    first = state(target.observe())
    assert target.apply(updated(before, after)).error is None
    assert state(target.observe()) == first


def test_all_four_limits_are_sent(target: Target) -> None:
    """Guards that a limit which somebody else set is lifted, because the target keeps what is not named."""
    wanted = limits(target)
    target.call(
        "bdev_set_qos_limit",
        name="pool/v",
        rw_ios_per_sec=9000,
        rw_mbytes_per_sec=9,
        r_mbytes_per_sec=8,
        w_mbytes_per_sec=7,
    )
    for change in (
        updated(wanted, Qos("pool/v", QosLimits(iops=1000))),
        created(Qos("pool/v", QosLimits(write_mbps=2))),
        updated(wanted, Qos("pool/v", QosLimits())),
    ):
        assert target.apply(change).error is None
        assert live_of(target, wanted) == change.after
