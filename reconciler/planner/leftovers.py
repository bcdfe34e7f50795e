"""What we own and nobody declares any more. Absence of a manifest is not consent to destroy bytes."""

from __future__ import annotations

import dataclasses

from backends.contract import Guard
from backends.objects import Bdev, LiveObject, Lvol, LvolStore, NvmePath, ObjectKey, ObjectKind, Subsystem
from reconciler.dates import day_of
from reconciler.desired import Consent
from reconciler.moments import moment_of
from reconciler.plan import Cause, Hazard, Phase, Record, deleted
from reconciler.planner.controllers import is_namespace_of
from reconciler.planner.draft import BEARS_DATA, Draft, Proposal
from reconciler.planner.images import kept_for_clones
from reconciler.planner.snapshots import kin
from reconciler.planner.stacks import height, stacked_on
from reconciler.planner.view import View
from schemas.resources import Json

_INSIDE_SUBSYSTEMS = frozenset(
    {ObjectKind.HOST, ObjectKind.NAMESPACE, ObjectKind.VISIBILITY, ObjectKind.LISTENER, ObjectKind.QOS}
)
_STATELESS = frozenset({"null", "passthru", "delay"})  # nothing is lost with them


def plan_leftovers(view: View, draft: Draft) -> None:
    """Withdraw what can be made again; retain what bears data, unless a Removal names it."""
    touched = (
        {proposal.change.key for proposal in draft} | set(draft.records) | {held.change.key for held in draft.held}
    )
    touched |= {wish.bdev.key for wish in kept_for_clones(view)}
    undeclared: list[Record] = []
    for record in view.owned.records:
        if record.phase is Phase.DESTROYED:
            _tell_undead(view, draft, record)
        if record.key in touched or view.unread(record.key.kind):
            continue
        if record.key in draft.former or not _declared(view, record):
            undeclared.append(record)
        elif record.key.kind in _INSIDE_SUBSYSTEMS and record.key not in view.live:
            _forget_child(view, draft, record)
    for record in sorted(undeclared, key=lambda record: (-_height(view, record), record.key.rank)):
        _plan_leftover(view, draft, record)


def _tell_undead(view: View, draft: Draft, record: Record) -> None:
    """A busy lvol that is deleted is gone from every list, and back after a restart (observed on v26.05)."""
    lvol = view.lvols.get(record.uid)
    if lvol:
        how = f"take them away by hand (bdev_lvol_delete {record.uid})"
        message = f"the bytes with uid {record.uid} were destroyed, the target said, and it shows them again: {how}"
        draft.remark(record.resource, "NotDestroyed", message, stalled=True)


def _height(view: View, record: Record) -> int:
    """Stacks are taken down from the top."""
    live = view.live.get(record.key)
    return height(view, live) if isinstance(live, Bdev) else 0


def _declared(view: View, record: Record) -> bool:
    """Whether the resource stands in the manifests, under this or a new name (then the new one's record took over)."""
    if record.key.kind is ObjectKind.SUBSYSTEM:  # a changed NQN leaves the old subsystem behind
        return record.key.name in view.subsystem_wishes
    if record.key.kind is ObjectKind.BDEV:  # one that is declared on another target now is to be let go here
        return record.resource in view.with_devices
    moment = moment_of(record.resource)
    if moment and (moment.schedule, moment.volume) in view.scheduled:
        return True
    if record.key.kind in BEARS_DATA:  # bytes do not follow a manifest that moves to another target
        return record.resource in view.declared_here
    if record.key.kind is ObjectKind.NVME_PATH and record.resource.kind == "Subsystem":
        fronts = (wish.front for wish in view.target.subsystems)
        return any(path.key == record.key for front in fronts if front for path in front.paths)
    return record.resource in view.desired.declared


def _forget_child(view: View, draft: Draft, record: Record) -> None:
    """A host, listener or namespace that left the manifest and the target."""
    nqn, _, _ = record.key.name.partition("#")
    wish = view.subsystem_wishes.get(nqn)
    wanted = {listener.key for listener in wish.listeners} if wish else set()
    wanted |= {ObjectKey(ObjectKind.HOST, f"{nqn}#{host}") for host in wish.hosts} if wish else set()
    wanted |= {ObjectKey(ObjectKind.NAMESPACE, f"{nqn}#{n.nsid}") for n in wish.namespaces} if wish else set()
    wanted |= {entry.key for n in wish.namespaces for entry in n.visible(nqn)} if wish else set()
    if record.key not in wanted and record.key.kind is not ObjectKind.QOS:
        draft.forget.add(record.key)


def _plan_leftover(view: View, draft: Draft, record: Record) -> None:
    match record.key.kind:
        case ObjectKind.LVOL | ObjectKind.LVOL_STORE:
            _retain_or_destroy(view, draft, record)
        case ObjectKind.BDEV:
            _detach(view, draft, record)
        case ObjectKind.NVME_PATH:
            _let_go(view, draft, record)
        case ObjectKind.SUBSYSTEM:
            _withdraw(view, draft, record)
        case ObjectKind.TRANSPORT:
            draft.forget.add(record.key)  # SPDK cannot remove one
        case _:
            if record.key not in view.live:
                draft.forget.add(record.key)


def _withdraw(view: View, draft: Draft, record: Record) -> None:
    live = view.subsystem(record.key.name)
    if live is None:
        draft.forget.add(record.key)
        return
    reason = "the subsystem is no longer declared"
    draft.propose(Proposal(deleted(live), record.resource, Cause.CHANGE, reason, Hazard.DISRUPTIVE, subject=live.nqn))


def _detach(view: View, draft: Draft, record: Record) -> None:
    """Files and disks are let go; memory keeps its bytes unless a Removal says otherwise."""
    live = view.live.get(record.key)
    if not isinstance(live, Bdev):
        draft.forget.add(record.key)
        return
    if live.driver == "malloc":
        _retain_or_destroy(view, draft, record)
        return
    kept = record.reclaim == "Retain" and live.driver not in _STATELESS
    if record.resource.kind == "Volume" and live.claimed and not _leaving(draft) & set(_built_on(view, live)):
        return  # what encrypts a volume has no bytes of its own, and goes when nobody sees them any more
    clones = any(lvol.image == live.uuid for lvol in view.lvols.values())  # deleting their image kills the target
    if kept or clones or (live.claimed and not _leaving(draft) & set(_built_on(view, live))):
        _retain(view, draft, record, live.uuid or "")
        return
    if live.driver == "nvme":
        return  # it goes with its controller
    proposal = Proposal(
        deleted(live),
        record.resource,
        Cause.CHANGE,
        "the device is no longer declared; its bytes stay where they are",
        guards=(Guard(live.key, {"uuid": live.uuid, "claimed": False}),),
        gone=_built_on(view, live),
    )
    draft.propose(proposal)


def _let_go(view: View, draft: Draft, record: Record) -> None:
    """A controller goes, way by way, when nothing is on its namespaces any more."""
    live = view.live.get(record.key)
    if not isinstance(live, NvmePath):
        draft.forget.add(record.key)
        return
    devices = [device for device in view.devices.values() if is_namespace_of(live.controller, device)]
    built = {key for device in devices for key in _built_on(view, device)}
    busy = any(device.claimed for device in devices) and not _leaving(draft) & built
    if record.reclaim == "Retain" or busy:
        return
    guards = tuple(Guard(device.key, {"uuid": device.uuid, "claimed": False}) for device in devices)
    reason = "the device is no longer declared; its bytes stay where they are"
    draft.propose(
        Proposal(deleted(live), record.resource, Cause.CHANGE, reason, guards=guards, gone=tuple(sorted(built)))
    )


def _retain_or_destroy(view: View, draft: Draft, record: Record) -> None:
    if record.phase is Phase.DESTROYED:
        return
    live = _live(view, record)
    if live is None:
        if record.phase is Phase.CREATING and record.key not in view.owned.quarantined and _is_told(view, record.key):
            _give_up(draft, record)
        return
    uid = live.uuid or ""
    consent = _consent(view, record, uid)
    if consent is None:
        _retain(view, draft, record, uid)
        _say_why_not(view, draft, record, uid)
        return
    proposal = Proposal(
        deleted(live),
        record.resource,
        Cause.REMOVAL,
        f"{consent.key} consents: {consent.reason}",
        Hazard.DATA_LOSS,
        guards=still_unused(view, live),
        gone=_built_on(view, live),
        touches=kin(view, live) if isinstance(live, Lvol) else (),
        subject=f"{record.resource} {uid}",
    )
    if found := obstacle(view, draft, live):
        draft.hold(proposal, *found)
    else:
        draft.propose(proposal)


def _is_told(view: View, key: ObjectKey) -> bool:
    """Whether what is not seen is not there: an lvol may be in a store that is not loaded yet."""
    return key.kind is not ObjectKind.LVOL or view.tells_lvols(key.name.partition("/")[0])


def _give_up(draft: Draft, record: Record) -> None:
    """What was to be made never came to be. Where it was to replace lost bytes, those are still lost."""
    if record.uid:
        draft.keep(record, phase=Phase.CREATED)
    else:
        draft.forget.add(record.key)


def _live(view: View, record: Record) -> Lvol | LvolStore | Bdev | None:
    """The bytes of a record: by their uid; by name only where they have not been seen yet."""
    unseen = record.phase is Phase.CREATING
    match record.key.kind:
        case ObjectKind.LVOL if not unseen:
            found: LiveObject | None = view.lvols.get(record.uid)
        case ObjectKind.LVOL_STORE if not unseen:
            found = view.stores.get(record.uid)
        case _:
            found = view.live.get(record.key)
    return found if isinstance(found, (Lvol, LvolStore, Bdev)) else None


def _consent(view: View, record: Record, uid: str) -> Consent | None:
    """The Removal that names exactly these bytes, is in time, and has not been used."""
    willing = record.phase is Phase.RETAINED or record.reclaim == "Delete"
    if not willing or uid in view.owned.removals_spent:
        return None
    today = day_of(view.now)
    return next(
        (c for c in view.desired.consents if c.ref == record.resource and c.uid == uid and c.expires >= today), None
    )


def _say_why_not(view: View, draft: Draft, record: Record, uid: str) -> None:
    """A Removal that is about this resource, but destroys nothing."""
    for consent in view.desired.consents:
        if consent.ref != record.resource or uid in view.owned.removals_spent:
            continue
        if consent.uid != uid:
            why = f"it names uid {consent.uid}, the bytes have {uid or 'none that is known'}"
        elif consent.expires < day_of(view.now):
            why = f"it expired on {consent.expires}"
        else:
            why = f"{record.resource} was never retained, nor declared with reclaimPolicy: Delete"
        draft.remark(consent.key, "RemovalNotHonoured", f"nothing is destroyed: {why}", stalled=True)


def _retain(view: View, draft: Draft, record: Record, uid: str) -> None:
    if record.phase is not Phase.RETAINED:
        draft.keep(dataclasses.replace(record, phase=Phase.RETAINED, uid=uid, revision=draft.revision))
    elsewhere = "on this target" if record.resource in view.desired.declared else ""
    message = f"no longer declared {elsewhere}".rstrip() + f"; its bytes are kept under uid {uid}"
    draft.remark(record.resource, "Retained", message, ready=True)


def obstacle(  # noqa: PLR0911  # one return for each obstacle
    view: View, draft: Draft, live: Lvol | LvolStore | Bdev
) -> tuple[str, str] | None:
    """What stands on the bytes and is not going away with this plan."""
    leaving = _leaving(draft)
    if isinstance(live, Lvol) and live.degraded and live.snapshot:
        return "HasClones", f"what lies on lvol {live.alias} cannot be told while its image is not there"
    if isinstance(live, Lvol) and not _merges(view, live):
        return "HasClones", f"lvol {live.alias} has clones: {', '.join(live.clones)}"
    if isinstance(live, Lvol) and (child := _resized_since(view, draft, live)):
        lost = "SPDK would forget that size when it restarts, and cut the volume off"
        return "ResizedSince", f"lvol {child.alias} does not have the size of this snapshot of it any more: {lost}"
    if isinstance(live, LvolStore):
        inside = [lvol for lvol in view.lvols.values() if lvol.store == live.name and lvol.key not in leaving]
        if inside:
            return "PoolNotEmpty", f"store {live.name} still holds {len(inside)} lvol(s), such as {inside[0].name}"
        if any(key.kind is ObjectKind.LVOL and key.name.startswith(f"{live.name}/") for key in view.owned.quarantined):
            return "OutcomeUnknown", f"a request to store {live.name} was never answered and may still be running"
    if isinstance(live, (Bdev, Lvol)) and (above := [d.name for d in stacked_on(view, live) if d.key not in leaving]):
        return "DeviceInUse", f"{', '.join(above)} is stacked on it"
    exported = view.exported.get(live.uuid or "")
    if exported and not {exported.key, ObjectKey(ObjectKind.SUBSYSTEM, exported.nqn)} & leaving:
        return "StillExported", f"it is namespace {exported.nsid} of {exported.nqn}"
    return None


def _merges(view: View, live: Lvol) -> bool:
    """Whether nobody but its own volume, or that volume's next snapshot, lies on an lvol: it is merged into that one.

    SPDK would merge into a clone as well; but then whoever made the clone loses what it was made from.
    """
    if not live.clones:
        return True
    child = view.live.get(ObjectKey(ObjectKind.LVOL, f"{live.store}/{live.clones[0]}"))
    record = view.records_by_uid.get(child.uuid or "") if isinstance(child, Lvol) else None
    return len(live.clones) == 1 and record is not None and record.applied.get("clone_of") != live.alias


def _resized_since(view: View, draft: Draft, live: Lvol) -> Lvol | None:
    """What an lvol would be merged into, if that has another size or is about to (v26.05: 9 MiB were 2 afterwards)."""
    child = _child(view, live)
    return child if child and (child.size != live.size or child.key in draft.proposals) else None


def _child(view: View, live: Lvol) -> Lvol | None:
    """What lies on an lvol, where that is seen."""
    found = view.live.get(ObjectKey(ObjectKind.LVOL, f"{live.store}/{live.clones[0]}")) if live.clones else None
    return found if isinstance(found, Lvol) else None


def _leaving(draft: Draft) -> set[ObjectKey]:
    return {proposal.change.key for proposal in draft if proposal.change.after is None}


def still_unused(view: View, live: Lvol | LvolStore | Bdev) -> tuple[Guard, ...]:
    """That nothing has come to stand on it, and that what an lvol is merged into has not been resized meanwhile."""
    facts: dict[str, Json] = {"uuid": live.uuid}
    if isinstance(live, LvolStore):
        facts["lvols"] = []
    else:
        facts["claimed"] = False
    if isinstance(live, Lvol):
        facts["clones"] = [*live.clones]
    own = Guard(live.key, facts)
    child = _child(view, live) if isinstance(live, Lvol) else None
    return (own, Guard(child.key, {"uuid": child.uuid, "size": child.size})) if child else (own,)


def _built_on(view: View, live: LiveObject) -> tuple[ObjectKey, ...]:
    """What must be gone first where the plan removes it: the namespace, the lvols of a store, the store on a device."""
    found: list[ObjectKey] = []
    uuid = live.uuid if isinstance(live, (Lvol, Bdev)) else None
    if uuid and (namespace := view.exported.get(uuid)):
        found += [namespace.key, Subsystem(namespace.nqn).key]
    if isinstance(live, LvolStore):
        found += [lvol.key for lvol in view.lvols.values() if lvol.store == live.name]
    if isinstance(live, Bdev):
        found += [store.key for store in view.stores.values() if store.bdev == live.name]
    if isinstance(live, (Bdev, Lvol)):
        found += [device.key for device in stacked_on(view, live)]
    return tuple(found)
