"""Whether a change passes the budget of its base, has to wait for a person, or is not carried out at all. Pure.

No commit lifts its own limit: what counts is the base's `.holdfast.yaml`. The daemon counts the same units on each
target; it also knows what was spent before and who is connected, which a repository does not tell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from analyzer.graph import ResourceGraph
from analyzer.hazards import FieldChange
from analyzer.impact.budget import OTHERS, Budget, Cost, Outcome, Reason, Verdict
from analyzer.impact.difference import Impact
from analyzer.impact.radius import ResourceChange, concerned_by
from analyzer.impact.usage import Rehearsal
from analyzer.volumes import target_of
from schemas.quantity import counted
from schemas.resources import OUR_GROUP, ResourceKey

_ANY = "spec.hosts.any"  # whoever is connected stays until he goes by himself: the daemon waits, and disturbs nobody
_NAMESPACES = "spec.namespaces["
_SHOWS = ("", ".volumeRef", ".deviceRef")  # of a namespace: all of it, or what it shows
_EXPORTS = "spec.exports[targetRef="


def judge(found: Impact, base: ResourceGraph, budget: Budget, rehearsal: Rehearsal | None = None) -> Verdict:
    """What becomes of a change under the budget of its base; where the daemon has planned the head, as it says."""
    if found.rejected:
        count = f"{len(found.rejected)} finding{'s' if len(found.rejected) > 1 else ''}"
        message = f"the head does not pass lint ({count}), so nothing of this is carried out"
        return Verdict("blocked", budget, reasons=(Reason("RevisionRejected", message),))
    if found.unreadable:
        sides = " and ".join(sorted({place.side for place in found.unreadable}))
        return Verdict("unknown", budget, reasons=(Reason("Unreadable", f"the {sides} cannot be made out"),))
    costs = tuple(costs_of(found, base))
    provisos, others = tuple(_provisos(found, costs, budget)), tuple(_by_others(found, budget))
    if rehearsal and rehearsal.revision == found.head:
        known = _as_rehearsed(rehearsal, budget, costs, provisos)
        outcome: Outcome = "needs-approval" if others else known.outcome
        return replace(known, outcome=outcome, reasons=(*known.reasons, *others))
    over = (reason for cost in costs for reason in _excess(cost, budget))
    reasons = (*over, *_tightened(found), *_connected(found), *others)
    return Verdict(
        "needs-approval" if reasons else "pass",
        budget,
        costs,
        reasons,
        provisos,
    )


def _as_rehearsed(
    rehearsal: Rehearsal, budget: Budget, costs: tuple[Cost, ...], otherwise: tuple[Reason, ...]
) -> Verdict:
    """What the daemon would hold; where it could not plan, what can be told without it counts as well."""
    reasons = [Reason(code, message, target) for target, code, message in rehearsal.held]
    unplanned = [Reason("NotPlanned", f"the daemon: {why}", target) for target, why in rehearsal.unplanned.items()]
    if unplanned:
        blind = (cost for cost in costs if "" in rehearsal.unplanned or cost.target in rehearsal.unplanned)
        reasons += [reason for cost in blind for reason in _excess(cost, budget)]
    return Verdict(
        "needs-approval" if reasons else "pass",
        budget,
        costs,
        tuple(reasons),
        (*unplanned, *otherwise) if unplanned else (),
        None if unplanned else rehearsal.approvals,
    )


def costs_of(found: Impact, base: ResourceGraph) -> Iterator[Cost]:
    """What the changes disturb and destroy, target by target."""
    disturbed: dict[str, set[ResourceKey]] = defaultdict(set)
    destroyed: dict[str, set[ResourceKey]] = defaultdict(set)
    for change in found.changes:
        for target, subject in _disturbed(change, base):
            disturbed[target].add(subject)
        if change.destroys and change.destroys.group == OUR_GROUP:
            home = target_of(base, change.destroys)
            destroyed[home.name if home else ""].add(change.destroys)
    for target in sorted(disturbed.keys() | destroyed.keys()):
        yield Cost(target, tuple(sorted(disturbed[target])), tuple(sorted(destroyed[target])))


# --- what is disturbed, and where


def _disturbed(change: ResourceChange, base: ResourceGraph) -> Iterator[tuple[str, ResourceKey]]:
    """Subsystems that were there before and lose something, with the target on which they do."""
    fields = [field for field in change.fields if field.hazard == "disruptive" and field.name != _ANY]
    before = change.former or change.key
    if not fields or change.action == "create":
        return
    if change.key.kind_name == "Subsystem":
        for field in fields:
            yield from ((target, before) for target in _exported(base, before, field))
        return
    for dependent in base.dependents(before, concerned_by(fields)):
        if dependent.key.kind_name == "Subsystem":
            where = [before.name] if before.kind_name == "Target" else _exported(base, dependent.key)
            yield from ((target, dependent.key) for target in where)


def _exported(base: ResourceGraph, subsystem: ResourceKey, field: FieldChange | None = None) -> Sequence[str]:
    """The targets on which a change of a subsystem is felt: of one export there, of anything else wherever it is."""
    if field and field.name.startswith(_EXPORTS):
        return [field.name.removeprefix(_EXPORTS).partition("]")[0]]
    manifest = base.get(subsystem)
    return [export["targetRef"] for export in manifest.spec["exports"]] if manifest and manifest.sound else []


# --- what does not simply go ahead


def _excess(cost: Cost, budget: Budget) -> Iterator[Reason]:
    for (keys, limit, noun, fate), before in zip(cost.counted(budget), cost.spent or (0, 0), strict=True):
        count = len(keys) + before
        if keys and count > limit:
            earlier = f" ({before} of them by earlier changes)" if before else ""
            message = f"{counted(count, noun)} {fate}{earlier}, {limit} allowed within {budget.window}"
            yield Reason("BudgetExceeded", message, cost.target)


def _by_others(found: Impact, budget: Budget) -> Iterator[Reason]:
    """Bytes of what another tool applies: nobody holds their destruction back, so a person has to look before."""
    lost = [c.destroys for c in found.changes if c.destroys and c.destroys.group != OUR_GROUP]
    if len(lost) > budget.data_losing:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        allowed = f"{budget.data_losing} allowed within {budget.window}"
        yield Reason(OTHERS, f"{lost[0]}{more} may lose bytes, {allowed}, and whoever applies that holds nothing back")


def _tightened(found: Impact) -> Iterator[Reason]:
    """Snapshots that a stricter retention takes go only when a person says so, whatever the budget."""
    for change in found.changes:
        if change.key.kind_name == "SnapshotSchedule" and change.hazard == "data-loss":
            yield Reason("RetentionTightened", f"{change.key} keeps less: snapshots that it retained until now go")


def _connected(found: Impact) -> Iterator[Reason]:
    """Who is connected and would lose the last path or a namespace, where somebody was asked."""
    if found.live is None:
        return
    for loss in found.live.losses:
        if not loss.keeps or loss.namespaces:
            yield Reason("HostsConnected", f"{loss.host} is connected to {loss.subsystem} and loses what it has")
    for subsystem in found.live.unread:
        message = f"who is connected to {subsystem} could not be read, so hosts count as connected"
        yield Reason("HostsConnected", message)


def _provisos(found: Impact, costs: Sequence[Cost], budget: Budget) -> Iterator[Reason]:
    """What could still hold it, and stands in the ledger or shows at a target only."""
    if found.live is None and any(cost.disturbed for cost in costs):
        message = "a host that is connected and would lose its last path or a namespace is not disturbed unasked"
        yield Reason("HostsConnected", message)
    if any(cost.spent is None for cost in costs):
        message = f"what other changes cost within {budget.window} counts as well"
        yield Reason("BudgetExceeded", message)
    if any(map(_initialises, found.changes)):
        yield Reason("BlankUnproven", "a device that is not proven to be blank is not overwritten unasked")
    if any(map(_shows_anew, found.changes)):
        message = "a namespace id under which hosts knew other bytes is not used again unasked"
        yield Reason("IdentityReused", message)


def _initialises(change: ResourceChange) -> bool:
    """Whether a pool is to be made on a device, or one that was there is called one to be made."""
    if any(field.name == "spec.initialize" and field.direction == "add" for field in change.fields):
        return True
    spec = change.fields[0].after if change.action == "create" else None
    return change.key.kind_name == "StoragePool" and isinstance(spec, dict) and "initialize" in spec


def _shows_anew(change: ResourceChange) -> bool:
    """Whether a subsystem that is there shows something under an id under which it did not."""
    fields = (field for field in change.fields if field.name.startswith(_NAMESPACES) and field.direction != "remove")
    ids = (field.name.removeprefix(_NAMESPACES).partition("]") for field in fields)
    return change.action == "update" and any(rest in _SHOWS for _, _, rest in ids)
