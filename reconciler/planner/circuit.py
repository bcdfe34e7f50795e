"""Nothing is written to a target on which every write fails; now and then one is tried.

What takes access away is not held for that: whose writes failed may be anybody's, and a host that may not be there any
more does not stay because of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from backends.contract import Action
from backends.objects import Namespace, ObjectKind, Subsystem
from reconciler.plan import Hazard
from reconciler.planner.draft import Draft, Proposal
from reconciler.planner.hold import Hold
from reconciler.planner.view import View

_ACCESS = frozenset({ObjectKind.HOST, ObjectKind.VISIBILITY, ObjectKind.NAMESPACE})


def through_circuit(
    view: View, draft: Draft, going: list[Proposal], hold: Callable[[Draft, Proposal, Hold], None]
) -> list[Proposal]:
    """What goes ahead: everything while the circuit is closed; else what takes access away, and one that is tried."""
    breaker = view.owned.breaker
    if not breaker.is_open:
        return going
    left = max(0.0, breaker.probe_at - view.now)
    count = len(breaker.failed)
    message = f"{count} writes in a row failed, the last one: {breaker.last_error}; one is tried in {left:.0f} s"
    draft.remark(view.target.key, "CircuitOpen", message)
    outlook = _Outlook(going)
    probe = _probe(view, going, outlook) if breaker.may_probe(view.now) else None
    through = [p for p in going if p is probe or (outlook.withdraws(p) and outlook.stands_alone(p))]
    passing = {id(proposal) for proposal in through}
    for proposal in going:
        if id(proposal) not in passing:
            hold(draft, proposal, Hold("CircuitOpen", message, waiting=True))
    return through


def _probe(view: View, going: Sequence[Proposal], outlook: _Outlook) -> Proposal | None:
    """A write that depends on no other of this plan: rather one of a resource that has not failed, and harmless."""

    def rank(proposal: Proposal) -> tuple[bool, bool]:
        failed = proposal.resource.text in view.owned.breaker.suspects or proposal.resource in view.owned.not_before
        return failed, proposal.hazard is not Hazard.SAFE

    return min(filter(outlook.stands_alone, going), key=rank, default=None)


class _Outlook:
    """All that goes ahead together, looked at once."""

    def __init__(self, going: Sequence[Proposal]) -> None:
        self._times = Counter(proposal.change.key for proposal in going)
        offers = (proposal for proposal in going if isinstance(proposal.change.after, Namespace))
        self._make_room = {key for proposal in offers for key in proposal.gone}

    def stands_alone(self, proposal: Proposal) -> bool:
        """Whether nothing else must have been done before."""
        before = {*proposal.requires, *proposal.gone, *proposal.settled, *proposal.waits_for}
        return not self._times.keys() & (before - {proposal.change.key})

    def withdraws(self, proposal: Proposal) -> bool:
        """Whether it takes access away and gives none, nor makes room for a namespace, which would be held."""
        key, after = proposal.change.key, proposal.change.after
        if isinstance(after, Subsystem):
            return proposal.change.action is Action.UPDATE and not after.allow_any_host
        taken = proposal.change.action is Action.DELETE and key.kind in _ACCESS
        return taken and self._times[key] == 1 and not (key.kind is ObjectKind.NAMESPACE and key in self._make_room)
