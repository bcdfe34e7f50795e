"""Transports and base devices: what a target must offer before anything can be built."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from backends.contract import Bdev, ObjectKind
from reconciler.desired import DeviceWish
from reconciler.plan import Difference, Drift, DriftClass, Hazard, Phase, created
from reconciler.planner.draft import Draft, Proposal, Standing, absent, differences, drifted, missing_drift
from reconciler.planner.view import View, device_identity
from schemas.resources import ResourceKey

_PATHS = {
    "driver": "spec",
    "uuid": "spec.uuid",
    "size": "spec.size",
    "block_size": "spec.blockSize",
    "path": "spec.aio.path",
    "fallocate": "spec.aio.fallocate",
}
_TRANSPORT_PATHS = {
    "max_queue_depth": "spec.transports.maxQueueDepth",
    "max_io_qpairs_per_ctrlr": "spec.transports.maxIOQpairsPerController",
    "in_capsule_data_size": "spec.transports.inCapsuleDataSize",
    "max_io_size": "spec.transports.maxIOSize",
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
        elif found := differences(wanted, live, _TRANSPORT_PATHS, view.target.wish.drift_ignore):
            _needs_restart(draft, view.target.key, found)
        else:
            draft.own(wanted, view.target.wish)


def plan_devices(view: View, draft: Draft) -> Mapping[ResourceKey, Standing]:
    """How each device of the target stands."""
    return {wish.wish.key: _plan_device(view, draft, wish) for wish in view.target.devices}


def _plan_device(view: View, draft: Draft, wish: DeviceWish) -> Standing:
    if why := view.unread(ObjectKind.BDEV):
        return Standing(why=f"the target's devices could not be read: {why}")
    live = view.live.get(wish.bdev.key)
    return _present_device(view, draft, wish, live) if isinstance(live, Bdev) else _missing_device(view, draft, wish)


def _missing_device(view: View, draft: Draft, wish: DeviceWish) -> Standing:
    wanted, resource = wish.bdev, wish.wish.key
    cause = view.cause(view.records.get(wanted.key))
    drift = missing_drift(wanted.key, resource, cause, "spec")
    proposal = Proposal(created(wanted), resource, cause, absent("the device", cause), drift=drift)
    former = view.owned.shown.get(device_identity(wanted), wanted.path)
    if former != wanted.path:
        message = (
            f"uuid {wanted.uuid} was that of {former}; hosts would take one for the other: declare another spec.uuid"
        )
        draft.hold(proposal, "IdentityReused", message)
        draft.remark(resource, "IdentityReused", message, stalled=True)
        return Standing(why=message)
    rival = next((d for d in view.devices.values() if _same_bytes(d, wanted)), None)
    if rival:
        twice = "which is not ours; two writers would destroy it"
        message = f"{wanted.path or wanted.uuid} is already open as bdev {rival.name}, {twice}"
        draft.hold(proposal, "DeviceOpenedTwice", message)
        draft.remark(resource, "DeviceOpenedTwice", message, stalled=True)
        return Standing(why=message)
    if other := _opened_elsewhere(view, wish):
        message = (
            f"the ledger has {wanted.path or wanted.uuid} open on target {other}, and two processes would destroy it; "
            "have it detached there, or approve if that process is gone"
        )
        draft.propose(dataclasses.replace(proposal, doubt=("DeviceOpenedTwice", message)))
        draft.remark(resource, "DeviceOpenedTwice", message)
        return Standing(why=message)
    draft.propose(proposal)
    return Standing(making=wanted)


def _opened_elsewhere(view: View, wish: DeviceWish) -> str:
    """The other target that has the device, unless a person once let it be opened here all the same."""
    wanted, record = wish.bdev, view.records.get(wish.bdev.key)
    if wish.volatile or (record is not None and record.phase is Phase.CREATED):
        return ""
    names = (name for name in (wanted.uuid, wanted.path) if name)
    return next((where for name in names if (where := view.owned.opened.get(name))), "")


def _same_bytes(live: Bdev, wanted: Bdev) -> bool:
    return live.uuid == wanted.uuid or (wanted.path is not None and live.path == wanted.path)


def _present_device(view: View, draft: Draft, wish: DeviceWish, live: Bdev) -> Standing:
    wanted, resource, record = wish.bdev, wish.wish.key, view.records.get(wish.bdev.key)
    found = differences(wanted, live, _PATHS, wish.wish.drift_ignore)
    identity = [d for d in found if d.path in ("spec.uuid", "spec.aio.path", "spec")]
    if identity:
        message = f"bdev {live.name} is not the declared device: " + ", ".join(
            f"{d.path} is {d.have}" for d in identity
        )
        draft.remark(resource, "TargetIdentityMismatch", message, stalled=True)
        _report(draft, resource, live, tuple(identity))
        return Standing(why=message)
    if not found:
        draft.own(wanted, wish.wish)
        return Standing(live=live)
    _needs_restart(draft, resource, found)
    if drifted(dict(record.applied) if record else {}, wanted, found, _PATHS):
        _report(draft, resource, live, found)
    return Standing(live=live)


def _needs_restart(draft: Draft, resource: ResourceKey, found: tuple[Difference, ...]) -> None:
    wanted = ", ".join(f"{d.path}: {d.have} → {d.want}" for d in found)
    draft.remark(resource, "RestartRequired", f"SPDK cannot change this while it runs: {wanted}", ready=True)


def _report(draft: Draft, resource: ResourceKey, live: Bdev, found: tuple[Difference, ...]) -> None:
    draft.drifts.append(Drift(live.key, resource, DriftClass.MODIFIED, found, "Held"))


def device_leftover_hazard(driver: str) -> Hazard:
    """What detaching a device costs: memory loses its bytes, a file or disk keeps them."""
    return Hazard.DATA_LOSS if driver == "malloc" else Hazard.SAFE
