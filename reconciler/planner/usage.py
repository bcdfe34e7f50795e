"""What tenants do to a target all the time: they write, so clusters are taken. That alone is no reason to plan anew."""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Callable

from backends.objects import LiveObject, ObjectKind
from reconciler.plan import Plan
from reconciler.planner.pools import low
from reconciler.planner.view import View

_COUNTED = frozenset({"allocated_clusters", "free_clusters"})  # fields that follow from what is written


def only_usage_changed(before: View, todo: Plan, now: View) -> bool:
    """Whether a plan without a step, hold or task is still the plan, though more or fewer clusters are in use.

    Asked of two views that differ in what was observed alone. How many clusters are taken is read by the planner for
    volumes that are being copied, which are tasks, and to tell that a pool runs low: neither may be met here.
    """
    old, new = before.observed.objects, now.observed.objects
    if todo.tasks or old.keys() != new.keys():
        return False
    if dataclasses.replace(before.observed, objects={}) != dataclasses.replace(now.observed, objects={}):
        return False
    changed = ((old[key], thing) for key, thing in new.items() if old[key] is not thing)
    return all(_differ_in_usage(was, thing) for was, thing in changed) and _shortages(before) == _shortages(now)


def _differ_in_usage(was: LiveObject, now: LiveObject) -> bool:
    """Whether nothing but usage differs; facts count, which are left out when objects are compared."""
    kind: type = type(was)
    rest = _rest(kind)
    return type(now) is kind and rest(was) == rest(now)


@functools.cache
def _rest(kind: type) -> Callable[[LiveObject], tuple[object, ...]]:
    """What reads the other fields of an object, of which every kind has two at least."""
    return operator.attrgetter(*(f.name for f in dataclasses.fields(kind) if f.name not in _COUNTED))


def _shortages(view: View) -> list[str]:
    """What is said of each pool that runs low."""
    records = ((wish, view.record_of(wish.wish, ObjectKind.LVOL_STORE)) for wish in view.target.pools)
    return [low(wish, view.stores.get(record.uid if record else "")) for wish, record in records]
