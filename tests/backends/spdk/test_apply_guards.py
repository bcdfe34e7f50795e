"""Guards: a change is not sent when what it depends on is another by now."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from creations import HOST, OTHER_UUID, S, Target, state
from lab import MIB, NQN, SimulatedLab, deleted, guard

from backends.contract import BackendError, Guard, GuardMismatch, Transient
from backends.objects import AllowedHost, Bdev, Lvol, LvolStore, Namespace, ObjectKey, ObjectKind, Subsystem
from backends.spdk.simulator import DropBefore, Fault, Refuse


def test_guards_that_hold_let_a_change_through(target: Target) -> None:
    """Guards that every fact which guards use is read as it was observed."""
    store = target.pool()
    lvol = target.lvol("v")
    nqn = target.export("s", n1="pool/v")
    namespace = Namespace(nqn, 1, lvol.uuid or "", lvol.uuid)
    guards = [
        guard(lvol, uuid=lvol.uuid, size=4 * MIB, claimed=True, clones=[]),
        guard(store, uuid=store.uuid, lvols=["v"]),
        guard(Bdev("disk", "aio"), claimed=True, size=64 * MIB),
        guard(Subsystem(nqn), connected=[], allow_any_host=False),
        guard(namespace, uuid=lvol.uuid, connected=[], paths={}),
    ]
    assert target.apply(deleted(namespace), *guards).error is None
    assert target.apply(deleted(lvol), guard(lvol, claimed=False), guard(store, lvols=["v"])).error is None
    assert target.apply(deleted(store), guard(store, uuid=store.uuid, lvols=[])).error is None
    assert [str(key) for key in target.observe().objects] == ["bdev disk", f"subsystem {nqn}"]


BROKEN: Mapping[str, Callable[[Lvol, LvolStore], Guard]] = {
    "another lvol": lambda lvol, store: guard(lvol, uuid=OTHER_UUID),
    "another size": lambda lvol, store: guard(lvol, uuid=lvol.uuid, size=8 * MIB),
    "not claimed": lambda lvol, store: guard(lvol, claimed=True),
    "no such clone": lambda lvol, store: guard(lvol, clones=["c"]),
    "not empty": lambda lvol, store: guard(store, lvols=[]),
    "another store": lambda lvol, store: guard(store, uuid=OTHER_UUID),
    "no lvol": lambda lvol, store: guard(Lvol("pool", "gone"), claimed=False),
    "no store": lambda lvol, store: guard(LvolStore("gone", "disk"), lvols=[]),
    "no device": lambda lvol, store: guard(Bdev("gone", "aio"), claimed=False),
    "claimed": lambda lvol, store: guard(Bdev("disk", "aio"), claimed=False),
    "not blank": lambda lvol, store: guard(Bdev("disk", "aio"), blank=True),
    "not connected": lambda lvol, store: guard(Subsystem(S), connected=[HOST]),
    "not through these paths": lambda lvol, store: guard(Subsystem(S), paths={HOST: [f"{S}#TCP:127.0.0.1:4477"]}),
    "no subsystem": lambda lvol, store: guard(Subsystem(f"{NQN}gone"), connected=[]),
    "no namespace": lambda lvol, store: guard(Namespace(S, 1, "x"), uuid=OTHER_UUID),
    "no host": lambda lvol, store: guard(AllowedHost(S, HOST), nqn=S),
    "no such fact": lambda lvol, store: guard(lvol, no_such_fact=1),
}


def test_a_snapshot_with_a_clone_is_guarded(target: Target) -> None:
    """Guards that a clone which came since is noticed: without it the bytes under the clone might go."""
    target.pool()
    target.lvol("v")
    target.call("bdev_lvol_snapshot", lvol_name="pool/v", snapshot_name="snap")
    snapshot = target.live(ObjectKey(ObjectKind.LVOL, "pool/snap"))
    assert isinstance(snapshot, Lvol)
    assert snapshot.clones == ("v",)
    assert isinstance(target.apply(deleted(snapshot), guard(snapshot, clones=[])).error, GuardMismatch)
    assert target.live(snapshot.key) == snapshot
    assert target.apply(deleted(snapshot), guard(snapshot, clones=["v"])).error is None


def test_a_guard_that_does_not_hold_stops_the_change(target: Target) -> None:
    """Guards that a fact which is another now, or of something that is gone, means that nothing is sent."""
    store = target.pool()
    lvol = target.lvol("v")
    target.export("s")
    before = state(target.observe())
    for name, broken in BROKEN.items():
        applied = target.apply(deleted(lvol), guard(lvol, uuid=lvol.uuid), broken(lvol, store))
        assert isinstance(applied.error, GuardMismatch), name
    assert state(target.observe()) == before


@pytest.mark.parametrize(("fault", "error"), [(Refuse(-12, "no memory"), GuardMismatch), (DropBefore(), Transient)])
def test_a_guard_that_cannot_be_read_stops_the_change(
    lab: SimulatedLab, fault: Fault, error: type[BackendError]
) -> None:
    """Guards that what cannot be asked does not hold, and that nothing happened."""
    lab.pool()
    lvol = lab.lvol("v")
    before = lab.mutations
    lab.simulator.before("bdev_get_bdevs", lambda *_: fault)
    assert isinstance(lab.apply(deleted(lvol), guard(lvol, uuid=lvol.uuid)).error, error)
    assert lab.mutations == before
