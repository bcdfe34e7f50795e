"""Requests without a known end: nothing meets them that they could harm, and a target with one is not converged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from backends.contract import Action
from backends.fields import fields_of
from backends.objects import Bdev, Lvol, NvmePath, ObjectKey, ObjectKind
from reconciler.dates import iso
from reconciler.identity import nguid_of
from reconciler.planner.controllers import is_namespace_of
from reconciler.planner.draft import Draft, Proposal
from reconciler.planner.hold import Hold
from reconciler.planner.view import Doubt, View
from schemas.resources import JsonObject

LONG_AGO = 600.0  # seconds after which an unanswered request is a matter for a person
WAY_OUT = "only its effect or a restart of the target can end the doubt"


def in_doubt(view: View, proposal: Proposal) -> Hold | None:
    """An unanswered request may still be at work on the object, or on something it stands on."""
    touched = _touched(view, proposal)
    if not touched:
        return None
    key = min(touched, key=lambda touched: (view.owned.quarantined[touched].sent, touched.rank))
    doubt = view.owned.quarantined[key]
    if key.kind is ObjectKind.PROVISIONING:
        copied = f"lvol {key.name} is being copied; nothing else touches it meanwhile"
        if doubt.again:
            return Hold("OutcomeUnknown", f"a request to copy lvol {key.name} was never answered; {WAY_OUT}")
        return Hold("TaskRunning", copied, waiting=True)
    if doubt.landed:
        return Hold("OutcomeUnknown", f"an earlier request to {doubt.action} {key} may still come a second time")
    age = max(0.0, view.now - doubt.sent)
    message = f"a request about {key} was sent {age:.0f} s ago and never answered; it may still be running"
    if age < LONG_AGO:
        return Hold("OutcomeUnknown", message, waiting=True)
    return Hold("OutcomeUnknown", f"{message}; {WAY_OUT}")


def remark_doubts(view: View, draft: Draft) -> None:
    """Say of every open request that holds nothing back what it is: it may yet change what is seen."""
    told, tasks = {held.change.key for held in draft.held}, {task.key for task in draft.tasks}
    for key, doubt in view.owned.quarantined.items():
        if key in told or key in tasks or doubt.landed or _is_moot(view, key):
            continue
        record = view.records.get(key)
        about = f"the request to {doubt.action} {key}, sent {iso(doubt.sent)},"
        message = f"{about} is still at work" if doubt.flying else f"{about} was never answered: {WAY_OUT}"
        overdue = not doubt.flying and view.now - doubt.sent >= LONG_AGO
        draft.remark(record.resource if record else view.target.key, "OutcomeUnknown", message, stalled=overdue)


def _is_moot(view: View, key: ObjectKey) -> bool:
    """Whether it is about the inside of a subsystem that is neither there nor wanted: it can only be refused."""
    nqn, inside, _ = key.name.partition("#")
    return bool(inside) and view.subsystem(nqn) is None and nqn not in view.subsystem_wishes


def _touched(view: View, proposal: Proposal) -> set[ObjectKey]:
    """The requests in doubt that a proposal would meet."""
    doubts = view.owned.quarantined
    if not doubts:
        return set()
    key = proposal.change.key
    worked_on = {key, *proposal.gone, *proposal.touches}
    worked_on |= {ObjectKey(ObjectKind.PROVISIONING, key.name)} if key.kind is ObjectKind.QOS else set()
    found = {k for k in worked_on & doubts.keys() if k == key or not _is_beside(doubts[k], proposal)}
    found |= {key for key in proposal.requires if key in doubts and not doubts[key].landed}
    found |= {key for key, doubt in doubts.items() if not doubt.landed and worked_on.intersection(doubt.touches)}
    if proposal.change.action is Action.DELETE:
        found |= set(_on_device(view, proposal))
    own = doubts.get(proposal.change.key)
    if own and own.again and _is_repeat(view, own, proposal):
        found.discard(proposal.change.key)
    return found


def _is_beside(doubt: Doubt, proposal: Proposal) -> bool:
    """Whether a late arrival would not matter: what it asks for is there, and stays so when something else is made."""
    return doubt.landed and proposal.change.action is Action.CREATE


def _on_device(view: View, proposal: Proposal) -> Iterable[ObjectKey]:
    """What may yet appear on a device that is to go, or on one that goes with its controller."""
    match proposal.change.before:
        case Bdev(name=name, uuid=uuid):
            going = {name, uuid}
        case NvmePath(controller=controller):
            going = {name for d in view.devices.values() if is_namespace_of(controller, d) for name in (d.name, d.uuid)}
        case _:
            going = set()
    return (other for other, doubt in view.owned.quarantined.items() if going.intersection(_stands_on(doubt.after)))


def _stands_on(after: JsonObject) -> Iterator[str]:
    """Names or uuids of the devices that something is asked to be made on."""
    bases = after.get("bases")
    named = (after.get("bdev"), after.get("image"), *(bases if isinstance(bases, list) else ()))
    return (name for name in named if isinstance(name, str) and name)


def _is_repeat(view: View, doubt: Doubt, proposal: Proposal) -> bool:
    """Whether a proposal asks for the very same as the request that was never answered."""
    after = _resolved(view, fields_of(proposal.change.after))
    return doubt.action is proposal.change.action and _resolved(view, doubt.after) == after


def _resolved(view: View, after: JsonObject) -> JsonObject:
    """A namespace may name its lvol by alias, before the lvol has a uuid: then it shows that uuid."""
    lvol = view.live.get(ObjectKey(ObjectKind.LVOL, str(after.get("bdev"))))
    if not isinstance(lvol, Lvol) or not lvol.uuid:
        return after
    return {"uuid": lvol.uuid, "nguid": nguid_of(lvol.uuid)} | dict(after) | {"bdev": lvol.uuid}
