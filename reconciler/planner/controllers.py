"""NVMe controllers that the target attaches: the ways to them, and the namespace that is the device."""

from __future__ import annotations

from backends.objects import Bdev, NvmePath, ObjectKind
from reconciler.desired import DeviceWish
from reconciler.plan import Cause, Difference, Drift, DriftClass, created, deleted
from reconciler.planner.draft import (
    Draft,
    Proposal,
    Standing,
    absent,
    changing,
    differences,
    drifted,
    missing_drift,
    surplus,
    withdrawn,
)
from reconciler.planner.sole import opened_elsewhere
from reconciler.planner.view import View

FIXED = {  # when it is attached
    "host": "spec.nvme.hostNQN",
    "loss_timeout": "spec.nvme.ctrlrLossTimeout",
    "reconnect_delay": "spec.nvme.reconnectDelay",
    "fast_io_fail": "spec.nvme.fastIOFailTimeout",
}
ADDRESSES = "spec.nvme.multipath.addresses"


def plan_paths(view: View, draft: Draft, wish: DeviceWish) -> Standing | None:
    """Every declared way to the controller, and no other. A Standing where the device is not to be relied on."""
    resource = wish.wish.key
    if why := view.unread(ObjectKind.NVME_PATH):
        return Standing(why=f"the target's NVMe controllers could not be read: {why}")
    sharing = view.sharing(wish)
    wanted = {path.key: path for other in sharing for path in other.paths}
    present = {path.key: path for path in view.paths_of(wish.paths[0].controller)}
    other = [path for key, path in present.items() if key in wanted and path.subsystem != wanted[key].subsystem]
    if other:
        message = f"controller {other[0].controller} leads to {other[0].subsystem}, not to {wish.paths[0].subsystem}"
        draft.remark(resource, "TargetIdentityMismatch", message, stalled=True)
        found = Difference("spec.nvme.subsystemNQN", wish.paths[0].subsystem, other[0].subsystem)
        draft.drifts.append(Drift(other[0].key, resource, DriftClass.MODIFIED, (found,), "Held"))
        return Standing(why=message)
    if sharing[0].wish.key != wish.wish.key:
        return None  # what the controller has in common with another device is that one's business
    for path in wanted.values():
        if path.key in present:
            _keep(view, draft, wish, path, present[path.key])
        else:
            _attach(view, draft, wish, path)
    going_on = [key for key, path in present.items() if key in wanted and path.enabled]
    for key, path in sorted(present.items(), key=lambda item: item[0]):
        if key not in wanted and going_on:
            _detach(view, draft, wish, path)
    return None


def _keep(view: View, draft: Draft, wish: DeviceWish, wanted: NvmePath, live: NvmePath) -> None:
    record = view.records.get(wanted.key)
    found = tuple(d for d in differences(wanted, live, FIXED, wish.wish, record) if d.path in FIXED.values())
    left = withdrawn(wanted, live, FIXED, record)
    if record is None or not (found or left):  # else what was applied last stands
        draft.own(wanted, wish.wish)
    if found or left:
        if drifted(dict(record.applied) if record else {}, wanted, found, FIXED):
            draft.drifts.append(Drift(live.key, wish.wish.key, DriftClass.MODIFIED, found, "Held"))
        told = ", ".join(map(changing, (*found, *left)))
        message = f"SPDK cannot change this while it is attached: {told}"
        draft.remark(wish.wish.key, "RestartRequired", message, ready=True)
    if not live.enabled:
        draft.remark(wish.wish.key, "PathDown", f"{live.address} does not answer; SPDK goes on trying", ready=True)


def _attach(view: View, draft: Draft, wish: DeviceWish, path: NvmePath) -> None:
    cause = view.cause(view.records.get(path.key))
    drift = missing_drift(path.key, wish.wish.key, cause, f"{ADDRESSES}[{path.address}]")
    reason = absent(f"the way over {path.address}", cause)
    doubt = opened_elsewhere(view, wish)
    draft.propose(Proposal(created(path), wish.wish.key, cause, reason, drift=drift, doubt=doubt))
    if doubt:
        draft.remark(wish.wish.key, *doubt)


def _detach(view: View, draft: Draft, wish: DeviceWish, path: NvmePath) -> None:
    """One way of several: I/O goes on over the others."""
    recorded = path.key in view.records
    cause, drift = surplus(path.key, wish.wish.key, f"{ADDRESSES}[{path.address}]", recorded=recorded)
    why = f"{path.address} is no way that is declared"
    draft.propose(Proposal(deleted(path), wish.wish.key, cause, why, drift=drift))


def plan_namespace(view: View, draft: Draft, wish: DeviceWish, live: Bdev | None) -> Standing | None:
    """The device itself: it comes with its controller. None when it is there and is the one that is known."""
    if live is None:
        attached = any(view.paths_of(wish.paths[0].controller))
        message = (
            f"the controller is attached, but has no namespace {wish.bdev.name.rpartition('n')[2]}"
            if attached
            else "its controller is being attached"
        )
        draft.remark(wish.wish.key, "NamespaceMissing" if attached else "DeviceNotReady", message)
        if attached and view.cause(view.records.get(wish.bdev.key)) is Cause.DRIFT:
            gone = Difference("spec.nvme.nsid", "present", "absent")
            draft.drifts.append(Drift(wish.bdev.key, wish.wish.key, DriftClass.MISSING, (gone,), "Held"))
        return Standing(why=message)
    record = view.records.get(live.key)
    if record and record.uid and record.uid != live.uuid:
        message = f"namespace {live.name} was device {record.uid}, and is {live.uuid} now"
        draft.remark(wish.wish.key, "TargetIdentityMismatch", message, stalled=True)
        return Standing(why=message)
    return None


def is_namespace_of(controller: str, device: Bdev) -> bool:
    """Whether a device comes and goes with a controller."""
    return device.driver == "nvme" and device.name.rpartition("n")[0] == controller
