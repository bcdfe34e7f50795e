"""One process for each target, one target for each store and device: what is in doubt about that holds every write."""

from __future__ import annotations

from collections.abc import Iterator

from backends.objects import Bdev
from reconciler.desired import DeviceWish
from reconciler.plan import Phase
from reconciler.planner.draft import Draft, Proposal
from reconciler.planner.hold import Hold
from reconciler.planner.view import View, attaching, reading


def not_alone(view: View, proposal: Proposal) -> Hold | None:
    """A second process, or a second target, that may write to the same bytes."""
    if (proposal.change.action, proposal.change.key) in view.allowed:
        return None
    return _doubt(view)


def remark_company(view: View, draft: Draft) -> None:
    """Said of the target, also where there is nothing to write."""
    hold = _doubt(view)
    if hold and not view.approval:
        draft.remark(view.target.key, hold.reason, hold.message, stalled=True)


def _doubt(view: View) -> Hold | None:
    return _twin(view) or _moved(view) or _split(view)


def _twin(view: View) -> Hold | None:
    if not view.owned.twin:
        return None
    return Hold("TargetDeclaredTwice", f"this is the process that Target {view.owned.twin} keeps; it has one Target")


def _moved(view: View) -> Hold | None:
    """Every write, the owner marker too: it would pass this process off as the one that was kept before."""
    if not view.owned.moved_from:
        return None
    message = (
        f"another process answers at the new connection, and the one at {view.owned.moved_from} may still have the "
        "same devices open; end that one, or approve if it is gone"
    )
    return Hold("ConnectionChanged", message, approvable=True)


def _split(view: View) -> Hold | None:
    for uuid, other in sorted(view.owned.split.items()):
        if uuid in view.stores:
            gone = other not in view.desired.targets
            message = f"lvol store {uuid} is open on target {other}, too: two processes would destroy it"
            way = "approve if that process is gone" if gone else "detach its device from one of them"
            return Hold("SplitStore", f"{message}; {way}", approvable=gone)
    return None


# --- devices


def opened_elsewhere(view: View, wish: DeviceWish) -> tuple[str, str] | None:
    """That another target has the device, unless a person once let it be opened here all the same."""
    wanted, record = wish.bdev, view.records.get(wish.bdev.key)
    if wish.volatile or (record is not None and record.phase is Phase.CREATED):
        return None
    other = next((where for name in _known_as(wanted) if (where := view.owned.opened.get(name))), "")
    message = (
        f"the ledger has {wanted.path or wanted.uuid} open on target {other}, and two processes would destroy it; "
        "have it detached there, or approve if that process is gone"
    )
    return ("DeviceOpenedTwice", message) if other else None


def _known_as(wanted: Bdev) -> Iterator[str]:
    """What the ledger calls a device that must not be open elsewhere. A file may have many readers, or one writer."""
    if wanted.uuid:
        yield attaching(wanted.uuid) if wanted.driver == "nvme" else wanted.uuid
    if wanted.path:
        yield wanted.path
    if wanted.path and not wanted.read_only:
        yield reading(wanted.path)
