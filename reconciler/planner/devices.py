"""Transports and base devices: what a target must offer before anything can be built."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from backends.contract import Guard
from backends.objects import Bdev, LiveObject, ObjectKey, ObjectKind
from reconciler.desired import DeviceWish
from reconciler.plan import Cause, Difference, Drift, DriftClass, Record, created, updated
from reconciler.planner.controllers import plan_namespace, plan_paths
from reconciler.planner.draft import (
    Draft,
    Proposal,
    Standing,
    absent,
    changing,
    differences,
    drifted,
    missing_drift,
    withdrawn,
)
from reconciler.planner.showing import identity_reused
from reconciler.planner.sole import opened_elsewhere
from reconciler.planner.stacks import keep_raid, keyed, make_stacked
from reconciler.planner.view import View
from schemas.resources import ResourceKey

_PATHS = {
    "driver": "spec",
    "uuid": "spec.uuid",
    "size": "spec.size",
    "block_size": "spec.blockSize",
    "path": "spec.aio.path",
    "fallocate": "spec.aio.fallocate",
    "bases": "spec.deviceRef",
    "key_name": "spec.crypto.keyFrom",
}
IN_PLACE = {
    "avg_read": "spec.delay.readMicroseconds",
    "p99_read": "spec.delay.readP99Microseconds",
    "avg_write": "spec.delay.writeMicroseconds",
    "p99_write": "spec.delay.writeP99Microseconds",
    "policy": "spec.nvme.multipath.policy",
}
_IDENTITY = frozenset({"spec.uuid", "spec.aio.path", "spec", "spec.deviceRef", "spec.crypto.keyFrom"})
_TWO_WRITERS = "which is not ours; two writers would destroy it"
_TRANSPORT_PATHS = {
    "max_queue_depth": "spec.transports.maxQueueDepth",
    "max_io_qpairs_per_ctrlr": "spec.transports.maxIOQpairsPerController",
    "in_capsule_data_size": "spec.transports.inCapsuleDataSize",
    "max_io_size": "spec.transports.maxIOSize",
    "max_aq_depth": "spec.transports.maxAQDepth",
    "abort_timeout_sec": "spec.transports.abortTimeout",
    "c2h_success": "spec.transports.c2hSuccess",
    "zcopy": "spec.transports.zeroCopy",
}


def plan_transports(view: View, draft: Draft) -> None:
    """Create what is missing; a different option can only wait for a restart of the target."""
    if view.unread(ObjectKind.TRANSPORT):
        return
    for wanted in view.target.transports:
        live = view.live.get(wanted.key)
        record = view.records.get(wanted.key)
        if live is None:
            cause = view.cause(record)
            drift = missing_drift(wanted.key, view.target.key, cause, f"spec.transports[type={wanted.type}]")
            draft.propose(
                Proposal(created(wanted), view.target.key, cause, absent("the transport", cause), drift=drift)
            )
        elif found := differences(wanted, live, _TRANSPORT_PATHS, view.target.wish, record):
            _needs_restart(draft, view.target.key, found)
            if drifted(dict(record.applied) if record else {}, wanted, found, _TRANSPORT_PATHS):
                draft.drifts.append(Drift(wanted.key, view.target.key, DriftClass.MODIFIED, found, "Held"))
        elif left := withdrawn(wanted, live, _TRANSPORT_PATHS, record):
            _needs_restart(draft, view.target.key, left)
        else:
            draft.own(wanted, view.target.wish)


def plan_devices(view: View, draft: Draft) -> Mapping[ResourceKey, Standing]:
    """How each device of the target stands; what is stacked on others after those."""
    standings: dict[ResourceKey, Standing] = {}
    for wish in view.target.devices:
        _plan_stack(view, draft, wish, standings)
    return standings


def _plan_stack(view: View, draft: Draft, wish: DeviceWish, standings: dict[ResourceKey, Standing]) -> None:
    for base in wish.bases:
        _plan_stack(view, draft, base, standings)
    if wish.wish.key not in standings:
        standings[wish.wish.key] = _plan_device(view, draft, wish, standings)


def _plan_device(view: View, draft: Draft, wish: DeviceWish, standings: Mapping[ResourceKey, Standing]) -> Standing:
    if why := view.unread(ObjectKind.BDEV, wish.bdev.driver):
        return Standing(why=f"the target's devices could not be read: {why}")
    live = view.live.get(wish.bdev.key)
    if refusal := not_ours(view, wish, live):
        draft.remark(wish.wish.key, *refusal, stalled=True)
        return Standing(why=refusal[1])
    present = live if isinstance(live, Bdev) else None
    if wish.paths:
        attached = plan_paths(view, draft, wish) or plan_namespace(view, draft, wish, present)
        return attached or _present_device(view, draft, wish, present or wish.bdev)
    if wish.key_from:
        return _plan_crypto(view, draft, wish, present, standings)
    if present and wish.bdev.driver == "raid":
        return keep_raid(view, draft, wish, present, standings)
    return _present_device(view, draft, wish, present) if present else _missing_device(view, draft, wish, standings)


def _plan_crypto(
    view: View, draft: Draft, wish: DeviceWish, live: Bdev | None, standings: Mapping[ResourceKey, Standing]
) -> Standing:
    """With its own key or not at all: SPDK takes any, and shows noise."""
    match keyed(view, wish):
        case Bdev() as wanted:
            wish = dataclasses.replace(wish, bdev=wanted)
            return _present_device(view, draft, wish, live) if live else _missing_device(view, draft, wish, standings)
        case reason, message:
            draft.remark(wish.wish.key, reason, message, stalled=reason == "WrongKey")
            return Standing(live=live) if live else Standing(why=message)


def not_ours(view: View, wish: DeviceWish, live: LiveObject | None) -> tuple[str, str] | None:
    """Why a device that the ledger does not know, or knows as another's, is neither taken over nor made."""
    record = view.records.get(wish.bdev.key)
    if record and record.resource in view.desired.declared - {wish.wish.key, *wish.wish.aliases}:
        return "NotAdoptable", f"bdev {wish.bdev.name} belongs to {record.resource}; bytes have one owner"
    if record or any(path.key in view.records for path in wish.paths):  # what comes with our controller is ours
        return None
    if live is None:
        nothing = f"there is no bdev {wish.bdev.name} to adopt; what is to be adopted is never created"
        return ("NothingToAdopt", nothing) if wish.wish.adopt else None
    take_over = 'to take it over, annotate holdfast.dev/adopt: "true"'
    foreign = wish.named and not wish.wish.adopt
    return ("Foreign", f"bdev {wish.bdev.name} exists but is not ours; {take_over}") if foreign else None


def _missing_device(view: View, draft: Draft, wish: DeviceWish, standings: Mapping[ResourceKey, Standing]) -> Standing:
    wanted, resource = wish.bdev, wish.wish.key
    cause = view.cause(view.records.get(wanted.key))
    drift = missing_drift(wanted.key, resource, cause, "spec")
    proposal = Proposal(created(wanted), resource, cause, absent("the device", cause), drift=drift)
    if message := identity_reused(view, wanted):
        draft.hold(proposal, "IdentityReused", message)
        draft.remark(resource, "IdentityReused", message, stalled=True)
        return Standing(why=message)
    if taken := _taken(view, wanted) or _other_blocks(view, wanted):
        draft.hold(proposal, *taken)
        draft.remark(resource, *taken, stalled=True)
        return Standing(why=taken[1])
    rival = next((d for d in view.devices.values() if _same_bytes(d, wanted)), None)
    if rival:
        message = f"{wanted.path or wanted.uuid} is already open as bdev {rival.name}, {_TWO_WRITERS}"
        draft.hold(proposal, "DeviceOpenedTwice", message)
        draft.remark(resource, "DeviceOpenedTwice", message, stalled=True)
        return Standing(why=message)
    if wish.bases:
        return make_stacked(view, draft, wish, wanted, standings)
    if doubt := opened_elsewhere(view, wish):
        draft.propose(dataclasses.replace(proposal, doubt=doubt))
        draft.remark(resource, *doubt)
        return Standing(why=doubt[1])
    draft.propose(proposal)
    return Standing(making=wanted)


def _taken(view: View, wanted: Bdev) -> tuple[str, str] | None:
    """A name or uuid by which the target knows something else: asked for a passthru of that name, v26.05 dies."""
    known = view.lvols.keys() | view.devices.keys()
    if wanted.name in known or ObjectKey(ObjectKind.LVOL, wanted.name) in view.live:
        return "NameTaken", f"{wanted.name} is what another device goes by; declare another bdevName"
    if lvol := view.lvols.get(wanted.uuid or ""):
        return "NameTaken", f"uuid {wanted.uuid} is that of lvol {lvol.alias}; declare another uuid"
    return None


def _other_blocks(view: View, wanted: Bdev) -> tuple[str, str] | None:
    """A store made on blocks of 512 bytes is never done loading from 4096 (observed on v26.05)."""
    record = view.records.get(wanted.key)
    had = record.applied.get("block_size") if record and wanted.path else None
    if had in (None, wanted.block_size):
        return None
    return "TargetIdentityMismatch", f"{wanted.path} had blocks of {had} bytes: what is on it does not load from others"


def _same_bytes(live: Bdev, wanted: Bdev) -> bool:
    return live.uuid == wanted.uuid or (wanted.path is not None and live.path == wanted.path)


def _present_device(view: View, draft: Draft, wish: DeviceWish, live: Bdev) -> Standing:
    wanted, resource, record = wish.bdev, wish.wish.key, view.records.get(wish.bdev.key)
    every = differences(wanted, live, _PATHS | IN_PLACE)
    identity = [d for d in every if d.path in _IDENTITY]  # whatever is to be ignored, this is not
    found = differences(wanted, live, _PATHS | IN_PLACE, wish.wish, record)
    if identity:
        message = f"bdev {live.name} is not the declared device: " + ", ".join(
            f"{d.path} is {d.have}" for d in identity
        )
        draft.remark(resource, "TargetIdentityMismatch", message, stalled=True)
        _report(draft, resource, live, tuple(identity))
        return Standing(why=message)
    if not found:
        draft.own(wanted, wish.wish, uid=(live.uuid or "") if wish.paths else "")
        return Standing(live=live)
    changeable = tuple(d for d in found if d.path in IN_PLACE.values())
    if changeable:
        draft.propose(_in_place(record, wish, live, changeable))
    found = tuple(d for d in found if d not in changeable)
    if found:
        _needs_restart(draft, resource, found)
    if drifted(dict(record.applied) if record else {}, wanted, found, _PATHS):
        _report(draft, resource, live, found)
    return Standing(live=live)


def _in_place(record: Record | None, wish: DeviceWish, live: Bdev, found: tuple[Difference, ...]) -> Proposal:
    paths = _PATHS | IN_PLACE
    behind_our_back = drifted(dict(record.applied) if record else {}, wish.bdev, found, paths)
    drift = Drift(live.key, wish.wish.key, DriftClass.MODIFIED, found, "Corrected") if behind_our_back else None
    cause = Cause.DRIFT if behind_our_back else Cause.CHANGE
    after = dataclasses.replace(live, latency=wish.bdev.latency, policy=wish.bdev.policy)
    reason = ", ".join(f"{d.path.rpartition('.')[2]} {d.have} → {d.want}" for d in found)
    guards = (Guard(live.key, {"uuid": live.uuid}),)
    return Proposal(updated(live, after), wish.wish.key, cause, reason, guards=guards, drift=drift)


def _needs_restart(draft: Draft, resource: ResourceKey, found: tuple[Difference, ...]) -> None:
    wanted = ", ".join(map(changing, found))
    draft.remark(resource, "RestartRequired", f"SPDK cannot change this while it runs: {wanted}", ready=True)


def _report(draft: Draft, resource: ResourceKey, live: Bdev, found: tuple[Difference, ...]) -> None:
    draft.drifts.append(Drift(live.key, resource, DriftClass.MODIFIED, found, "Held"))
