"""The planner: what would bring a target to its wish, and what is held back. Pure: same inputs, same plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from backends.contract import Action
from backends.objects import OWNER_MARKER, ObjectKey, ObjectKind
from reconciler.plan import Difference, Drift, DriftClass, Held, Plan
from reconciler.planner.capacity import tell_capacity
from reconciler.planner.devices import plan_devices, plan_transports
from reconciler.planner.doubts import remark_doubts
from reconciler.planner.draft import Draft
from reconciler.planner.encryption import plan_encryption
from reconciler.planner.exports import plan_exports
from reconciler.planner.foreign import plan_foreign
from reconciler.planner.images import plan_images
from reconciler.planner.leftovers import plan_leftovers
from reconciler.planner.lineage import plan_lineage
from reconciler.planner.order import order
from reconciler.planner.pools import plan_pools, unproven_pools
from reconciler.planner.provisioning import settle_tasks
from reconciler.planner.schedules import plan_schedules
from reconciler.planner.sessions import plan_sessions
from reconciler.planner.sole import remark_company
from reconciler.planner.stacks import unproven_members
from reconciler.planner.target import plan_target
from reconciler.planner.view import View
from reconciler.planner.withhold import used_drift, withhold


def unproven(view: View) -> frozenset[str]:
    """Names of devices that somebody must look at, because something that overwrites them is to be made on them."""
    return unproven_pools(view) | unproven_members(view)


def plan(view: View) -> Plan:
    """Compare wish, observation and ledger of one target.

    Everything that could be done is proposed first; what must not be done now is then withheld, each with its reason;
    the rest is put in order. Nothing is left to decide when the plan is carried out.
    """
    found = _plan(view)
    if found.approval_id not in view.owned.approvals:
        return found
    allowed = frozenset((held.change.action, held.change.key) for held in found.held if held.approvable)
    return _plan(dataclasses.replace(view, allowed=allowed, approval=found.approval_id))


def _plan(view: View) -> Plan:
    """A subsystem whose replacement is held back is not left alone: what it holds is kept in order meanwhile."""
    found = _attempt(view)
    replacements = [held for held in found.held if _is_replacement(view, held)]
    if not replacements:
        return found
    kept = frozenset(held.change.key.name for held in replacements)
    again = _attempt(dataclasses.replace(view, kept=kept))
    held = [h for h in found.held if h.change.key.kind is ObjectKind.SUBSYSTEM and h.change.key.name in kept]
    return dataclasses.replace(again, held=_sorted([*again.held, *held]), questions=again.questions | found.questions)


def _is_replacement(view: View, held: Held) -> bool:
    """Whether a subsystem was to be deleted only to be created anew."""
    wanted = {wish.subsystem.nqn for wish in view.target.subsystems}
    key = held.change.key
    return held.change.action is Action.DELETE and key.kind is ObjectKind.SUBSYSTEM and key.name in wanted


def _attempt(view: View) -> Plan:
    draft = Draft(view.desired.revision, view.records)
    plan_target(view, draft)
    plan_transports(view, draft)
    devices = plan_devices(view, draft)
    pools = plan_pools(view, draft, devices)
    volumes = plan_lineage(view, draft, pools, plan_images(view, draft))
    plan_exports(view, draft, devices, plan_encryption(view, draft, volumes))
    plan_schedules(view, draft, pools, volumes)
    plan_leftovers(view, draft)
    plan_foreign(view, draft)
    tell_capacity(view, draft)
    sessions = plan_sessions(view, draft)
    going, questions = withhold(view, draft)
    remark_doubts(view, draft)
    remark_company(view, draft)
    return Plan(
        target=view.target.name,
        revision=view.desired.revision,
        steps=order(view, going),
        held=_sorted(draft.held),
        drifts=_drifts(view, [*draft.drifts, *used_drift(going)]),
        remarks=tuple(sorted(draft.remarks, key=lambda r: (r.resource, r.reason))),
        records=tuple(draft.records[key] for key in sorted(draft.records)),
        forget=tuple(sorted(draft.forget)),
        tasks=settle_tasks(draft),
        schedules=tuple(draft.schedules),
        memories=draft.memories,
        until=min((state.next for state in draft.schedules if state.next), default=None),
        questions=questions | sessions,
        closed=frozenset(draft.closed),
    )


def _sorted(held: Sequence[Held]) -> tuple[Held, ...]:
    return tuple(sorted(held, key=lambda h: (h.change.key, h.change.action, h.reason)))


def _tolerated(view: View, drift: Drift) -> Drift:
    """What can only be shown is not even that where the manifest says so."""
    wish = view.wishes.get(drift.resource)
    if drift.action != "Held" or wish is None or not all(wish.ignores(d.path) for d in drift.differences):
        return drift
    return dataclasses.replace(drift, action="Ignored")


def _drifts(view: View, found: Sequence[Drift]) -> tuple[Drift, ...]:
    """In order; all that a restart of the target took with it is one drift, of the target itself."""
    others = [_tolerated(view, drift) for drift in found if drift.kind is not DriftClass.TARGET_RESTART]
    lost = [drift for drift in found if drift.kind is DriftClass.TARGET_RESTART]
    if lost:
        process = Difference("process", "as applied", f"{len(lost)} object(s) gone")
        marker = ObjectKey(ObjectKind.BDEV, OWNER_MARKER)
        others.append(Drift(marker, view.target.key, DriftClass.TARGET_RESTART, (process,), "Corrected"))
    return tuple(sorted(others, key=lambda drift: (drift.key, drift.kind)))
