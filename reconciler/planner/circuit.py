"""Nothing is written to a target on which every write fails; now and then one is tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reconciler.plan import Hazard
from reconciler.planner.draft import Draft, Proposal
from reconciler.planner.hold import Hold
from reconciler.planner.view import View


def through_circuit(
    view: View, draft: Draft, going: list[Proposal], hold: Callable[[Draft, Proposal, Hold], None]
) -> list[Proposal]:
    """What goes ahead: all of it while the circuit is closed; else nothing, or the one write that is tried."""
    breaker = view.owned.breaker
    if not breaker.is_open:
        return going
    probe = _probe(view, going) if breaker.may_probe(view.now) else None
    left = max(0.0, breaker.probe_at - view.now)
    count = len(breaker.failed)
    message = f"{count} writes in a row failed, the last one: {breaker.last_error}; one is tried in {left:.0f} s"
    draft.remark(view.target.key, "CircuitOpen", message)
    for proposal in going:
        if proposal is not probe:
            hold(draft, proposal, Hold("CircuitOpen", message, waiting=True))
    return [probe] if probe else []


def _probe(view: View, going: Sequence[Proposal]) -> Proposal | None:
    """A write that depends on no other of this plan: rather a harmless one, of a resource that has not failed yet."""
    coming = {proposal.change.key for proposal in going}

    def stands_alone(proposal: Proposal) -> bool:
        others = coming - {proposal.change.key}
        return not others & {*proposal.requires, *proposal.gone, *proposal.settled, *proposal.waits_for}

    def rank(proposal: Proposal) -> tuple[bool, bool]:
        return proposal.hazard is not Hazard.SAFE, proposal.resource.text in view.owned.breaker.suspects

    return min(filter(stands_alone, going), key=rank, default=None)
