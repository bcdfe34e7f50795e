"""Subsystems and what they hold. Listeners come last, so that no host ever meets a half-built subsystem."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from backends.objects import ObjectKind, Subsystem
from reconciler import identity
from reconciler.desired import SubsystemWish
from reconciler.plan import Cause, Difference, Drift, DriftClass, Hazard, Record, created, deleted, updated
from reconciler.planner.children import plan_children
from reconciler.planner.draft import Draft, Proposal, Standing, absent, differences, drifted, missing_drift
from reconciler.planner.inside import Inside, inside_of
from reconciler.planner.keys import plan_keys
from reconciler.planner.limits import plan_limits
from reconciler.planner.lineage import ELSEWHERE
from reconciler.planner.view import View
from reconciler.planner.visibility import unfit, unmasked, unseen
from schemas.resources import ResourceKey

_PATHS = {
    "serial_number": "spec.serialNumber",
    "model_number": "spec.modelNumber",
    "max_namespaces": "spec.maxNamespaces",
    "min_cntlid": "spec.exports.cntlidRange[0]",
    "max_cntlid": "spec.exports.cntlidRange[1]",
    "allow_any_host": "spec.hosts.any",
    "ana_reporting": "spec.anaReporting",
}


def plan_exports(
    view: View, draft: Draft, devices: Mapping[ResourceKey, Standing], volumes: Mapping[ResourceKey, Standing]
) -> None:
    """Bring every subsystem of the target, and the limits of what it exports, to its wish."""
    guests = plan_keys(view, draft)
    for wish in view.target.subsystems:
        inside = dataclasses.replace(inside_of(view, draft, wish, devices, volumes), guests=guests)
        for entry, why in inside.reused:
            draft.remark(wish.wish.key, "IdentityReused", f"nsid {entry.nsid}: {why}", stalled=True)
        if why := view.unread(ObjectKind.SUBSYSTEM, wish.subsystem.nqn):
            draft.remark(wish.wish.key, "Unknown", f"the subsystems could not be read: {why}")
            continue
        if why := unseen(view, wish):
            draft.remark(wish.wish.key, "Unknown", why)
        _plan_subsystem(view, draft, inside)
        for entry in wish.namespaces:
            if entry.volume:
                plan_limits(view, draft, wish, entry, volumes.get(entry.volume.wish.key, ELSEWHERE))


def _plan_subsystem(view: View, draft: Draft, inside: Inside) -> None:
    wish, wanted = inside.wish, inside.wish.subsystem
    live, record = view.subsystem(wanted.nqn), view.records.get(wanted.key)
    if live is None and wish.wish.adopt and record is None:
        message = f"there is no subsystem {wanted.nqn} to adopt; what is to be adopted is never created"
        draft.remark(wish.wish.key, "NothingToAdopt", message, stalled=True)
        return
    if live is None:
        _make(view, draft, inside, record)
        return
    if not _is_ours(view, wish, live, record):
        message = f'subsystem {wanted.nqn} exists but is not ours; to take it over, annotate holdfast.dev/adopt: "true"'
        draft.hold(Proposal(created(wanted), wish.wish.key, Cause.CHANGE, message), "Foreign", message)
        draft.remark(wish.wish.key, "Foreign", message, stalled=True)
        return
    found = differences(wanted, live, _PATHS, wish.wish, record)
    draft.overlook(wanted, live, _PATHS, wish.wish, record)
    fixed = [difference for difference in found if difference.path != "spec.hosts.any"]
    if fixed and wanted.nqn not in view.kept:
        _replace(view, draft, inside, live, found)
        return
    if any(difference not in fixed for difference in found):
        after = dataclasses.replace(live, allow_any_host=wanted.allow_any_host)
        proposal = _in_place(view, inside, live, after, found)
        if after.allow_any_host and (unread := unmasked(view, wish)):
            draft.hold(proposal, "Unknown", unread, waiting=True)
        else:
            draft.propose(proposal)
    elif not found:
        draft.own(wanted, wish.wish)
    plan_children(view, draft, inside, {thing.key: thing for thing in view.inside.get(wanted.nqn, ())})


def _is_ours(view: View, wish: SubsystemWish, live: Subsystem, record: Record | None) -> bool:
    """Recorded; or to be adopted; or, where the ledger was lost, carrying the serial number that only we derive."""
    derived = identity.derived_serial(view.owned.site, wish.wish.key)
    return record is not None or bool(wish.wish.adopt) or (view.recovering and live.serial_number == derived)


def _make(view: View, draft: Draft, inside: Inside, record: Record | None) -> None:
    wish, wanted = inside.wish, inside.wish.subsystem
    cause = view.cause(record)
    drift = missing_drift(wanted.key, wish.wish.key, cause, "spec")
    draft.propose(Proposal(created(wanted), wish.wish.key, cause, absent("the subsystem", cause), drift=drift))
    plan_children(view, draft, dataclasses.replace(inside, parent=cause), {})


def _replace(view: View, draft: Draft, inside: Inside, live: Subsystem, found: tuple[Difference, ...]) -> None:
    """What is fixed at creation changes only by deleting and creating: every host loses the subsystem meanwhile."""
    wish, record = inside.wish, view.records.get(live.key)
    behind_our_back = drifted(dict(record.applied) if record else {}, wish.subsystem, found, _PATHS)
    cause = Cause.DRIFT if behind_our_back else Cause.CHANGE
    drift = Drift(live.key, wish.wish.key, DriftClass.MODIFIED, found, "Corrected") if behind_our_back else None
    fields = ", ".join(sorted({difference.path for difference in found}))
    reason = f"{fields} is fixed at creation: the subsystem is deleted and created again"
    draft.propose(
        Proposal(deleted(live), wish.wish.key, cause, reason, Hazard.DISRUPTIVE, subject=live.nqn, drift=drift)
    )
    draft.propose(Proposal(created(wish.subsystem), wish.wish.key, cause, reason, gone=(live.key,)))
    plan_children(view, draft, dataclasses.replace(inside, parent=cause), {})


def _in_place(view: View, inside: Inside, live: Subsystem, after: Subsystem, found: tuple[Difference, ...]) -> Proposal:
    wish, record = inside.wish, view.records.get(live.key)
    behind_our_back = drifted(dict(record.applied) if record else {}, wish.subsystem, found, _PATHS)
    drift = Drift(live.key, wish.wish.key, DriftClass.MODIFIED, found, "Corrected") if behind_our_back else None
    cause = Cause.DRIFT if behind_our_back else Cause.CHANGE
    reason = "any host may connect" if after.allow_any_host else "only listed hosts may connect"
    first = unfit(view, wish, inside.namespaces) if after.allow_any_host else ()
    return Proposal(updated(live, after), wish.wish.key, cause, reason, gone=first, subject=live.nqn, drift=drift)
