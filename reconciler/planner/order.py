"""Proposals → steps: who needs whom, and what may not be in flight together."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence

from backends.contract import Action
from backends.objects import (
    OWNER_MARKER,
    AllowedHost,
    Bdev,
    Listener,
    LiveObject,
    Namespace,
    NvmePath,
    ObjectKey,
    ObjectKind,
    Subsystem,
    VisibleHost,
)
from reconciler.plan import Cause, Hazard, Step, created
from reconciler.planner.draft import Proposal
from reconciler.planner.view import View, Writer


def order(view: View, going: Sequence[Proposal]) -> tuple[Step, ...]:
    """The steps in a total order in which every need stands before what needs it."""
    if not going:
        return ()
    claim = _claim(view)
    makers = {p.change.key: p.id for p in going if p.change.action is Action.CREATE}
    removers = {p.change.key: p.id for p in going if p.change.action is Action.DELETE}
    changers = {p.change.key: p.id for p in going if p.change.action is Action.UPDATE}
    steps = [_step(proposal, makers, removers, changers, claim) for proposal in going]
    return tuple(_sorted([claim, *steps] if claim else steps))


def _claim(view: View) -> Step | None:
    """The owner marker, before anything else: whoever sees it knows that this target has a writer."""
    if view.owned.writer is not Writer.UNCLAIMED:
        return None
    marker = Bdev(OWNER_MARKER, "null", view.owned.marker, 1 << 20, 512)
    return Step(created(marker), view.target.key, Cause.CLAIM, Hazard.SAFE, "this site writes to the target")


def _step(
    proposal: Proposal,
    makers: Mapping[ObjectKey, str],
    removers: Mapping[ObjectKey, str],
    changers: Mapping[ObjectKey, str],
    claim: Step | None,
) -> Step:
    needs = {makers[key] for key in proposal.requires if key in makers}
    if removers:
        needs |= {removers[key] for key in proposal.gone if key in removers}
    if changers:
        needs |= {changers[key] for key in proposal.settled if key in changers}
    if proposal.change.action is Action.CREATE and proposal.change.key in removers:
        needs.add(removers[proposal.change.key])
    if claim:
        needs.add(claim.id)
    after = {makers[key] for key in proposal.waits_for if key in makers}
    return Step(
        change=proposal.change,
        resource=proposal.resource,
        cause=proposal.cause,
        hazard=proposal.hazard,
        reason=proposal.reason,
        needs=tuple(sorted(needs - {proposal.id})),
        after=tuple(sorted(after - needs - {proposal.id})) if after else (),
        guards=proposal.guards,
        serial=_serial(proposal.change.before or proposal.change.after),
        touches=proposal.touches,
        subject=proposal.subject,
        bears_data=proposal.bears_data,
        released_by=proposal.released_by,
        hosts=proposal.hosts,
        path_seen=proposal.path_seen,
    )


def _serial(thing: LiveObject | None) -> str:
    """Operations on one subsystem, one controller, or one lvol and its limits go out one at a time."""
    if isinstance(thing, (Subsystem, AllowedHost, Namespace, VisibleHost, Listener)):
        return thing.nqn
    if isinstance(thing, NvmePath):
        return thing.controller
    return serial_of(thing.key) if thing is not None else ""


def serial_of(key: ObjectKey) -> str:
    """What operations on one object have in common; an lvol, its limits and where it has its bytes are one."""
    return key.name if key.kind in (ObjectKind.LVOL, ObjectKind.PROVISIONING, ObjectKind.QOS) else str(key)


def _sorted(steps: Sequence[Step]) -> list[Step]:
    """Topological, smallest first: removals before creations, then the order in which targets are built."""
    by_id = {step.id: step for step in steps}
    waiting = {name: {need for need in (*step.needs, *step.after) if need in by_id} for name, step in by_id.items()}
    dependents: defaultdict[str, list[str]] = defaultdict(list)
    for name, needs in waiting.items():
        for need in needs:
            dependents[need].append(name)
    names = sorted(by_id, key=lambda name: (_rank(by_id[name]), name))
    places = {name: place for place, name in enumerate(names)}  # compared far more often than there are steps
    ready = [places[name] for name, needs in waiting.items() if not needs]
    heapq.heapify(ready)
    found: list[Step] = []
    while ready:
        name = names[heapq.heappop(ready)]
        found.append(by_id[name])
        for other in dependents.get(name, ()):
            waiting[other].discard(name)
            if not waiting[other]:
                heapq.heappush(ready, places[other])
    if len(found) != len(steps):
        stuck = sorted(name for name, needs in waiting.items() if needs)
        raise AssertionError(f"steps need each other in a circle: {stuck[:4]}")
    return found


def _rank(step: Step) -> tuple[bool, bool, tuple[int, str]]:
    return step.cause is not Cause.CLAIM, step.change.action is not Action.DELETE, step.change.key.rank
