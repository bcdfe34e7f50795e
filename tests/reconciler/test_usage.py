"""A plan that stays the plan while tenants write."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning import FOLDER, MIB, Case, base, live_subsystem, lvol, store
from world import World, node, subsystem, volume

from backends.objects import LiveObject, Lvol, LvolStore, QosLimits
from reconciler.planner import plan
from reconciler.planner.usage import only_usage_changed
from reconciler.planner.view import View

CHANGES: dict[str, Any] = {
    "size": 16 * MIB,
    "thin": False,
    "read_only": True,
    "degraded": True,
    "snapshot": True,
    "claimed": True,
    "clones": ("other",),
    "parent": "other",
    "limits": QosLimits(iops=1000),
}


def case(*others: LiveObject, free: int = 60, copied: bool = False) -> Case:
    """Two volumes, one of them exported; with `copied`, one that is to be thick and is thin as yet."""
    thick = {"thin": False} if copied else {}
    live = [*base()[:-1], store(free_clusters=free), lvol("a"), lvol("b"), *live_subsystem("s", {1: "a"})]
    wanted = [volume("a"), volume("b", **thick), subsystem("s", {1: "a"})]
    known = {thing.key: thing for thing in live} | {thing.key: thing for thing in others}
    nodes = node("n1", FOLDER)
    nodes[2]["spec"]["reserve"] = "10%"
    return Case(wanted, [*known.values()], nodes=nodes)


def taken(of: str, clusters: int, **more: Any) -> Lvol:
    return replace(lvol(of), allocated_clusters=clusters, **more)


def later(before: View, *others: LiveObject, free: int, **kind: bool) -> View:
    """The same view, but for what is seen."""
    return replace(before, observed=replace(before.observed, objects=case(*others, free=free, **kind).view().live))


@given(st.data())
def test_the_plan_that_stays_is_the_plan_that_would_be_made(data: st.DataObject) -> None:
    """Guards that whenever a plan is kept because only usage changed, planning anew would give the very same."""
    copied = data.draw(st.booleans())
    before = case(free=data.draw(st.integers(0, 63)), copied=copied).view()
    changed = data.draw(st.sampled_from(["", "", *CHANGES]))
    more = {changed: CHANGES[changed]} if changed else {}
    others = taken("a", data.draw(st.integers(0, 9))), taken("b", data.draw(st.integers(0, 9)), **more)
    now = later(before, *others, free=data.draw(st.integers(0, 63)), copied=copied)
    todo = plan(before)
    if todo.is_timeless and only_usage_changed(before, todo, now):
        assert plan(now) == todo
        assert not changed


def test_writing_alone_is_no_reason_to_plan() -> None:
    """Guards that the shortcut is taken where it may be: clusters were taken, and the pool is not low."""
    before = case(free=60).view()
    todo = plan(before)
    assert todo.is_timeless
    assert only_usage_changed(before, todo, later(before, taken("a", 2), free=58))


@pytest.mark.parametrize(
    ("others", "free"),
    [((), 1), ((taken("b", 2, read_only=True),), 60), ((replace(store(), max_size=1),), 60), ((lvol("c"),), 60)],
    ids=["the pool runs low", "read-only", "another fact of the store", "one more"],
)
def test_anything_else_is(others: tuple[LiveObject, ...], free: int) -> None:
    """Guards that a fact which is no usage, a shortage, or another object is never taken for writing."""
    before = case(free=60).view()
    assert not only_usage_changed(before, plan(before), later(before, *others, free=free))


def test_a_volume_that_is_being_copied_is_looked_at() -> None:
    """Guards that how far a copy is can be told: a plan with a task is never kept."""
    before = case(copied=True).view()
    todo = plan(before)
    assert todo.tasks
    assert not only_usage_changed(before, todo, later(before, taken("b", 1), free=60, copied=True))


def test_a_tick_over_written_volumes_plans_nothing_anew_and_shows_what_is_used(
    site: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards the shortcut in the tick: the plan stays, and what was seen is the newest."""
    site.commit(volume("a"), subsystem("s", {1: "a"}))
    site.converge()
    before = site.tick()
    keeper = site.keepers["n1"]
    assert keeper._idle is not None
    observe = keeper.backend.observe

    def written(interest: Any) -> Any:
        seen = observe(interest)
        objects = {
            key: replace(thing, free_clusters=thing.free_clusters - 1) if isinstance(thing, LvolStore) else thing
            for key, thing in seen.objects.items()
        }
        return replace(seen, objects=objects)

    monkeypatch.setattr(keeper.backend, "observe", written)
    after = site.tick()
    assert after.plan is before.plan
    assert keeper._idle[0].observed is after.observed
    assert before.observed is not after.observed
