"""What is proposed but not done now, and why. Every hold is said aloud; safe steps go on beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from backends.contract import Action, Change
from backends.fields import feature_of
from backends.objects import (
    AllowedHost,
    Bdev,
    Listener,
    LiveObject,
    LvolStore,
    Namespace,
    ObjectKey,
    ObjectKind,
    Subsystem,
    VisibleHost,
)
from reconciler.backoff import LONGEST
from reconciler.dates import iso
from reconciler.plan import Cause, Drift, DriftClass, Hazard
from reconciler.planner.children import nqns
from reconciler.planner.circuit import through_circuit
from reconciler.planner.doubts import in_doubt
from reconciler.planner.draft import TOLERATED, Draft, Proposal
from reconciler.planner.hold import Hold
from reconciler.planner.inuse import certain, interlocked
from reconciler.planner.sole import not_alone
from reconciler.planner.view import View, Writer
from reconciler.policy import Budget, Policy
from schemas.resources import ResourceKey

CONTESTED = "Contested"


def withhold(view: View, draft: Draft) -> tuple[list[Proposal], frozenset[str]]:
    """The proposals that go ahead, and the subsystems whose connected hosts must be asked for first."""
    candidates = sorted(_unheld(view, draft, draft), key=_order)
    candidates, doubtful = _split(candidates)
    questions = nqns(_things(p for p in candidates if p.hazard is Hazard.DISRUPTIVE)) - view.observed.connections.keys()
    risky = [*doubtful, *interlocked(view, candidates)]
    at_risk = {id(proposal) for proposal, _ in risky}
    risky += _over_budget(view, [p for p in candidates if id(p) not in at_risk])
    held = [(p, hold) for p, hold in risky if not (hold.approvable and (p.change.action, p.change.key) in view.allowed)]
    for proposal, hold in held:
        _hold(draft, proposal, hold)
    stopped = {id(proposal) for proposal, _ in held}
    going = [_certain(view, p) for p in [*candidates, *(p for p, _ in doubtful)] if id(p) not in stopped]
    return through_circuit(view, draft, _satisfiable(view, draft, going), _hold), questions


def _order(proposal: Proposal) -> tuple[bool, tuple[int, str], str]:
    return proposal.change.action is not Action.DELETE, proposal.change.key.rank, proposal.change.action


def _things(proposals: Iterable[Proposal]) -> Iterable[LiveObject]:
    return (thing for p in proposals for thing in (p.change.before, p.change.after) if thing is not None)


def _hold(draft: Draft, proposal: Proposal, hold: Hold) -> None:
    draft.hold(proposal, hold.reason, hold.message, approvable=hold.approvable, waiting=hold.waiting, hosts=hold.hosts)
    if proposal.drift and hold.reason == CONTESTED:
        draft.drifts.append(dataclasses.replace(proposal.drift, kind=DriftClass.CONTESTED, action="Held"))
    else:
        _record_drift(draft, proposal, "Held")


def _record_drift(draft: Draft, proposal: Proposal, action: str) -> None:
    if proposal.drift:
        draft.drifts.append(dataclasses.replace(proposal.drift, action=action))


# --- reasons that nobody can approve away


def _unheld(view: View, draft: Draft, proposals: Iterable[Proposal]) -> list[Proposal]:
    going: list[Proposal] = []
    owners: dict[str, ResourceKey] = {}
    users: dict[str, Proposal] = {}
    for proposal in proposals:
        first = owners.setdefault(proposal.id, proposal.resource)
        if first != proposal.resource:
            _hold(draft, proposal, Hold("NameTaken", f"{proposal.change.key} is what {first} is called, too"))
            continue
        if (policy := _drift_policy(view, proposal)) is not None:
            _record_drift(draft, proposal, policy)
            continue
        hold = _checked(view, proposal) or _used(users, proposal)
        if hold:
            _hold(draft, proposal, hold)
        else:
            going.append(proposal)
            users.update((name, proposal) for name in _taken_by(proposal))
    return going


def _checked(view: View, proposal: Proposal) -> Hold | None:
    for check in _CHECKS:
        if hold := check(view, proposal):
            return hold
    return None


def _used(users: Mapping[str, Proposal], proposal: Proposal) -> Hold | None:
    """Two that are made at the same time would both find the device free, and write over each other."""
    first = next((users[name] for name in _taken_by(proposal) if name in users), None)
    return Hold("DeviceInUse", f"{first.change.key} is being made on the same device") if first else None


def _taken_by(proposal: Proposal) -> Sequence[str]:
    """Names of the devices that something new wants for itself."""
    match proposal.change:
        case Change(action=Action.CREATE, after=LvolStore(bdev=name)):
            return (name,)
        case Change(action=Action.CREATE, after=Bdev(bases=tuple(names))):
            return names
    return ()


def _not_the_writer(view: View, _: Proposal) -> Hold | None:
    if view.owned.writer is not Writer.FOREIGN:
        return None
    marker = view.observed.incarnation.owner
    return Hold(
        "NotTheWriter", f"another Holdfast (owner marker {marker}) writes to this target; this one only observes"
    )


def _suspended(view: View, _: Proposal) -> Hold | None:
    pause = view.target.suspension
    if pause is None or not view.is_suspended:
        return None
    return Hold("Suspended", f"nothing is changed until {iso(pause.until)}: {pause.reason}", waiting=True)


def _recovering(view: View, proposal: Proposal) -> Hold | None:
    if not (view.recovering and proposal.bears_data):
        return None
    return Hold(
        "Recovering",
        "the ledger is older than what the target shows; nothing that bears data is created or destroyed until "
        "`holdfast import --confirm`",
    )


def _unread(view: View, proposal: Proposal) -> Hold | None:
    why = view.unread(proposal.change.key.kind)
    return Hold("Unknown", f"could not be read, which does not mean absent: {why}", waiting=True) if why else None


def _unsupported(view: View, proposal: Proposal) -> Hold | None:
    """Said before it fails: this target has no method for it."""
    action, thing = proposal.change.action, proposal.change.after or proposal.change.before
    if not view.observed.unsupported:
        return None
    feature = feature_of(thing) if thing is not None else ""
    lack = view.observed.unsupported.get(feature if action is Action.CREATE else f"{action} {feature}")
    return Hold("NotSupported", lack) if lack else None


def _backing_off(view: View, proposal: Proposal) -> Hold | None:
    left = view.owned.not_before.get(proposal.resource, 0.0) - view.now
    if not 0 < left <= LONGEST:  # longer: the clock was put back
        return None
    how = view.owned.setbacks.get(proposal.resource, "")
    return Hold("BackingOff", f"failed before{how and f' ({how})'}; next attempt in {left:.0f} s", waiting=True)


def _contested(view: View, proposal: Proposal) -> Hold | None:
    """A field that somebody keeps changing back: stop, and name it."""
    policy = view.desired.policy
    if proposal.cause is not Cause.DRIFT or proposal.drift is None:
        return None
    for difference in proposal.drift.differences:
        times = view.owned.corrections.get((proposal.change.key, difference.path), ())
        recent = [at for at in times if at > view.now - policy.contested_within]
        if len(recent) >= policy.contested_after:
            within = f"{len(recent)} times in {policy.contested_within:.0f} s"
            free = recent[-policy.contested_after] + policy.contested_within - view.now
            way_out = f"find out who, or set driftPolicy: warn; left as it is for {free:.0f} s from now"
            return Hold(
                CONTESTED, f"{difference.path} was corrected {within}; somebody else keeps changing it: {way_out}"
            )
    return None


_CHECKS: Sequence[Callable[[View, Proposal], Hold | None]] = (
    _not_the_writer,
    _suspended,
    _recovering,
    _unread,
    _unsupported,
    not_alone,
    in_doubt,
    _backing_off,
    _contested,
)


def _drift_policy(view: View, proposal: Proposal) -> str | None:
    """Warned or Ignored where drift is not to be corrected. A restarted target is always rebuilt."""
    if proposal.cause is not Cause.DRIFT:
        return None
    wish = view.wishes.get(proposal.resource, view.target.wish)
    if proposal.drift and all(wish.ignores(difference.path) for difference in proposal.drift.differences):
        return TOLERATED["ignore"]
    return TOLERATED.get(wish.drift_policy)


# --- reasons that an approval lifts


def _split(proposals: list[Proposal]) -> tuple[list[Proposal], list[tuple[Proposal, Hold]]]:
    """Apart from the rest: what goes ahead only when a person vouches for it."""
    sure = [p for p in proposals if p.doubt is None]
    return sure, [(p, Hold(*p.doubt, approvable=True)) for p in proposals if p.doubt]


def _over_budget(view: View, proposals: Iterable[Proposal]) -> list[tuple[Proposal, Hold]]:
    """Count subsystems disturbed and resources destroyed within the window, those of this plan included."""
    found: list[tuple[Proposal, Hold]] = []
    used: dict[tuple[str, str], set[str]] = {}
    for proposal in proposals:
        if proposal.hazard is Hazard.SAFE or proposal.cause is Cause.RESTART:
            continue
        policy = view.owned.held_under.get(proposal.id, view.owned.policy)
        budget, limit, name = _limit(policy, proposal)
        purse = used.setdefault((name, proposal.hazard), _spent(view, budget, proposal))
        if proposal.subject not in purse and len(purse) >= limit:
            unit = "subsystem(s) disturbed" if proposal.hazard is Hazard.DISRUPTIVE else "resource(s) destroyed"
            used_up = f"{len(purse)} of {limit} {unit} within {budget.window / 3600:g} h"
            message = f"{name}: {used_up}; {proposal.subject} would be one more"
            found.append((proposal, Hold("BudgetExceeded", message, approvable=True)))
        else:
            purse.add(proposal.subject)
    return found


def _limit(policy: Policy, proposal: Proposal) -> tuple[Budget, int, str]:
    drift = proposal.cause is Cause.DRIFT
    budget = policy.drift_budget if drift else policy.budget
    limit = budget.disruptive if proposal.hazard is Hazard.DISRUPTIVE else budget.data_losing
    return budget, limit, "driftBudget" if drift else "budget"


def _spent(view: View, budget: Budget, proposal: Proposal) -> set[str]:
    drift = proposal.cause is Cause.DRIFT
    return {
        spending.subject
        for spending in view.owned.spent
        if spending.at > view.now - budget.window
        and spending.hazard == proposal.hazard
        and (spending.cause == Cause.DRIFT) is drift
    }


def _certain(view: View, proposal: Proposal) -> Proposal:
    """With who is connected; and what a person let through says so."""
    proposal = certain(view, proposal)
    if (proposal.change.action, proposal.change.key) in view.allowed:
        return dataclasses.replace(proposal, released_by=view.approval)
    return proposal


# --- what cannot be done without what is held


def _satisfiable(view: View, draft: Draft, going: list[Proposal]) -> list[Proposal]:
    """Drop, again and again, what needs something that will not be there or will not be gone."""
    held = {(item.change.action, item.change.key) for item in draft.held}
    while True:
        outlook = _Outlook(
            made={p.change.key for p in going if p.change.action is Action.CREATE},
            removed={p.change.key for p in going if p.change.action is Action.DELETE},
            changed={p.change.key for p in going if p.change.action is Action.UPDATE},
            held=held,
        )
        blocked = [(p, why) for p in going if (why := _blocked(view, p, outlook))]
        if not blocked:
            return going
        for proposal, why in blocked:
            _hold(draft, proposal, Hold("Blocked", why, waiting=True))
            held.add((proposal.change.action, proposal.change.key))
        stuck = {id(proposal) for proposal, _ in blocked}
        going = [p for p in going if id(p) not in stuck]


@dataclass(frozen=True, slots=True)
class _Outlook:
    """What would become of the target's objects if all went ahead that may."""

    made: set[ObjectKey]
    removed: set[ObjectKey]
    changed: set[ObjectKey]
    held: set[tuple[Action, ObjectKey]]


def _blocked(view: View, proposal: Proposal, outlook: _Outlook) -> str:
    for key in proposal.requires:
        if key not in outlook.made and (key not in view.live or key in outlook.removed):
            return f"needs {key}, which is not there"
    for key in proposal.settled:
        if key not in outlook.changed:
            return f"needs {key} to be changed first, which is held"
    for key in proposal.gone:
        in_the_way = key in view.live and not _goes(key, outlook.removed) and _stays(proposal, key)
        if (Action.DELETE, key) in outlook.held or in_the_way:
            return f"needs {key} to be gone, and its removal is held"
    return ""


def _goes(key: ObjectKey, removed: set[ObjectKey]) -> bool:
    """Whether the plan removes an object, or the subsystem that it is in."""
    return key in removed or ObjectKey(ObjectKind.SUBSYSTEM, key.name.partition("#")[0]) in removed


def _stays(proposal: Proposal, key: ObjectKey) -> bool:
    """What nobody removes stands in the way: of a new namespace one that claims the bdev, or a host that must not see
    it; of a host, or of a way in, a namespace that it must not see.
    """
    opens = isinstance(proposal.change.after, (Namespace, AllowedHost, VisibleHost, Listener, Subsystem))
    return opens and key.kind in (ObjectKind.NAMESPACE, ObjectKind.HOST, ObjectKind.VISIBILITY)


def used_drift(proposals: Iterable[Proposal]) -> list[Drift]:
    """The drifts that going ahead corrects."""
    return [proposal.drift for proposal in proposals if proposal.drift]
