"""One process for each target, one target for each store: what is in doubt about that holds every write."""

from __future__ import annotations

from reconciler.planner.draft import Draft, Proposal
from reconciler.planner.hold import Hold
from reconciler.planner.view import View


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
