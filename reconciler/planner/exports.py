"""Subsystems and what they hold. Listeners come last, so that no host ever meets a half-built subsystem."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backends.contract import (
    AllowedHost,
    Bdev,
    Guard,
    Listener,
    LiveObject,
    Lvol,
    Namespace,
    ObjectKey,
    ObjectKind,
    Qos,
    QosLimits,
    Subsystem,
    Transport,
    VisibleHost,
    fields_of,
)
from reconciler import identity
from reconciler.desired import NamespaceWish, SubsystemWish
from reconciler.plan import Cause, Difference, Drift, DriftClass, Hazard, Phase, Record, created, deleted, updated
from reconciler.planner.ana import drain, in_place, propose_change
from reconciler.planner.draft import Draft, Proposal, Standing, absent, differences, drifted, missing_drift
from reconciler.planner.encryption import device_of, is_of
from reconciler.planner.fronts import attach_owner, device_key, front_first, offered
from reconciler.planner.keys import Guests, hold_barred, plan_keys, set_keys
from reconciler.planner.lineage import ELSEWHERE
from reconciler.planner.portals import closed_first, shared
from reconciler.planner.showing import shown_memory
from reconciler.planner.tombstones import reused
from reconciler.planner.view import View
from reconciler.planner.visibility import exposed, intruders, late_guests, masks, renewed, shown_by, unmasked, unseen
from schemas.resources import ResourceKey

_PATHS = {
    "serial_number": "spec.serialNumber",
    "model_number": "spec.modelNumber",
    "max_namespaces": "spec.maxNamespaces",
    "min_cntlid": "spec.exports.cntlidRange[0]",
    "max_cntlid": "spec.exports.cntlidRange[1]",
    "allow_any_host": "spec.hosts.any",
    "ana_reporting": "spec.anaReporting",
}
_HIDDEN = frozenset({"masked", "anagrpid", "ana", "psk", "secure_channel"})  # what a target does not always tell
_NAMESPACE_PATHS = {"masked": "visibleTo", "anagrpid": "anaGroup"}
_QOS_PATHS = {
    "iops": "spec.qos.iops",
    "read_mbps": "spec.qos.readMBps",
    "write_mbps": "spec.qos.writeMBps",
    "total_mbps": "spec.qos.totalMBps",
}


@dataclass(frozen=True)
class Inside:
    """What one subsystem shall hold: namespaces that can be offered, and those that cannot yet."""

    wish: SubsystemWish
    namespaces: tuple[Namespace, ...]
    absent: tuple[NamespaceWish, ...]
    reused: tuple[tuple[NamespaceWish, str], ...] = ()  # of the absent, those whose identity showed other bytes
    parent: Cause | None = None  # why the subsystem itself is made anew; None: it stands
    uninvited: tuple[ObjectKey, ...] = ()  # hosts that are to go before they see another namespace
    going: frozenset[ObjectKey] = frozenset()  # live namespaces that are removed, perhaps to be added anew
    guests: Guests = field(default_factory=Guests)
    closing: tuple[ObjectKey, ...] = ()  # the subsystem, when it is to be closed to other hosts first

    @property
    def wanted(self) -> tuple[LiveObject, ...]:
        nqn = self.wish.subsystem.nqn
        hosts = (self.guests.allowed(nqn, host) for host in self.wish.hosts if host not in self.guests.barred)
        offered = {namespace.nsid for namespace in self.namespaces}
        visible = (entry for n in self.wish.namespaces if n.nsid in offered for entry in n.visible(nqn))
        return (*hosts, *self.namespaces, *visible, *self.wish.listeners)

    @property
    def barred(self) -> tuple[ObjectKey, ...]:
        """Hosts that are neither let in nor taken off the list for now."""
        return self.guests.barred_from(self.wish)


def plan_exports(
    view: View, draft: Draft, devices: Mapping[ResourceKey, Standing], volumes: Mapping[ResourceKey, Standing]
) -> None:
    """Bring every subsystem of the target, and the limits of what it exports, to its wish."""
    guests = plan_keys(view, draft)
    for wish in view.target.subsystems:
        inside = dataclasses.replace(_inside(view, draft, wish, devices, volumes), guests=guests)
        for entry, why in inside.reused:
            draft.remark(wish.wish.key, "IdentityReused", f"nsid {entry.nsid}: {why}", stalled=True)
        if why := view.unread(ObjectKind.SUBSYSTEM, wish.subsystem.nqn):
            draft.remark(wish.wish.key, "Unknown", f"the subsystems could not be read: {why}")
            continue
        if why := unseen(view, wish):
            draft.remark(wish.wish.key, "Unknown", why)
        _plan_subsystem(view, draft, inside)
        for entry in wish.namespaces:
            if entry.volume:
                _plan_limits(view, draft, wish, entry, volumes.get(entry.volume.wish.key, ELSEWHERE))


# --- the subsystem itself


def _plan_subsystem(view: View, draft: Draft, inside: Inside) -> None:
    wish, wanted = inside.wish, inside.wish.subsystem
    live, record = view.subsystem(wanted.nqn), view.records.get(wanted.key)
    if live is None and wish.wish.adopt and record is None:
        message = f"there is no subsystem {wanted.nqn} to adopt; what is to be adopted is never created"
        draft.remark(wish.wish.key, "NothingToAdopt", message, stalled=True)
        return
    if live is None:
        _make(view, draft, inside, record)
        return
    if not _is_ours(view, wish, live, record):
        message = f'subsystem {wanted.nqn} exists but is not ours; to take it over, annotate holdfast.dev/adopt: "true"'
        draft.hold(Proposal(created(wanted), wish.wish.key, Cause.CHANGE, message), "Foreign", message)
        draft.remark(wish.wish.key, "Foreign", message, stalled=True)
        return
    found = differences(wanted, live, _PATHS, wish.wish, record)
    draft.overlook(wanted, live, _PATHS, wish.wish, record)
    fixed = [difference for difference in found if difference.path != "spec.hosts.any"]
    if fixed and wanted.nqn not in view.kept:
        _replace(view, draft, inside, live, found)
        return
    if any(difference not in fixed for difference in found):
        after = dataclasses.replace(live, allow_any_host=wanted.allow_any_host)
        draft.propose(_in_place(view, inside, live, after, found))
    elif not found:
        draft.own(wanted, wish.wish)
    _plan_children(view, draft, inside, {thing.key: thing for thing in view.inside.get(wanted.nqn, ())})


def _is_ours(view: View, wish: SubsystemWish, live: Subsystem, record: Record | None) -> bool:
    """Recorded; or to be adopted; or, where the ledger was lost, carrying the serial number that only we derive."""
    derived = identity.derived_serial(view.owned.site, wish.wish.key)
    return record is not None or bool(wish.wish.adopt) or (view.recovering and live.serial_number == derived)


def _make(view: View, draft: Draft, inside: Inside, record: Record | None) -> None:
    wish, wanted = inside.wish, inside.wish.subsystem
    cause = view.cause(record)
    drift = missing_drift(wanted.key, wish.wish.key, cause, "spec")
    draft.propose(Proposal(created(wanted), wish.wish.key, cause, absent("the subsystem", cause), drift=drift))
    _plan_children(view, draft, dataclasses.replace(inside, parent=cause), {})


def _replace(view: View, draft: Draft, inside: Inside, live: Subsystem, found: tuple[Difference, ...]) -> None:
    """What is fixed at creation changes only by deleting and creating: every host loses the subsystem meanwhile."""
    wish, record = inside.wish, view.records.get(live.key)
    behind_our_back = drifted(dict(record.applied) if record else {}, wish.subsystem, found, _PATHS)
    cause = Cause.DRIFT if behind_our_back else Cause.CHANGE
    drift = Drift(live.key, wish.wish.key, DriftClass.MODIFIED, found, "Corrected") if behind_our_back else None
    fields = ", ".join(sorted({difference.path for difference in found}))
    reason = f"{fields} is fixed at creation: the subsystem is deleted and created again"
    draft.propose(
        Proposal(deleted(live), wish.wish.key, cause, reason, Hazard.DISRUPTIVE, subject=live.nqn, drift=drift)
    )
    draft.propose(Proposal(created(wish.subsystem), wish.wish.key, cause, reason, gone=(live.key,)))
    _plan_children(view, draft, dataclasses.replace(inside, parent=cause), {})


def _in_place(view: View, inside: Inside, live: Subsystem, after: Subsystem, found: tuple[Difference, ...]) -> Proposal:
    wish, record = inside.wish, view.records.get(live.key)
    behind_our_back = drifted(dict(record.applied) if record else {}, wish.subsystem, found, _PATHS)
    drift = Drift(live.key, wish.wish.key, DriftClass.MODIFIED, found, "Corrected") if behind_our_back else None
    cause = Cause.DRIFT if behind_our_back else Cause.CHANGE
    reason = "any host may connect" if after.allow_any_host else "only listed hosts may connect"
    first = exposed(view, inside.namespaces) if after.allow_any_host else ()
    return Proposal(updated(live, after), wish.wish.key, cause, reason, gone=first, subject=live.nqn, drift=drift)


# --- what it holds


def _inside(
    view: View,
    draft: Draft,
    wish: SubsystemWish,
    devices: Mapping[ResourceKey, Standing],
    volumes: Mapping[ResourceKey, Standing],
) -> Inside:
    if wish.front:
        attach_owner(view, draft, wish)
        shown, missing = offered(view, draft, wish)
        return Inside(wish, tuple(shown), tuple(missing))
    offered_here: list[Namespace] = []
    absent: list[NamespaceWish] = []
    reused: list[tuple[NamespaceWish, str]] = []
    for entry in wish.namespaces:
        standing = volumes.get(entry.volume.wish.key, ELSEWHERE) if entry.volume else _device_of(entry, devices)
        namespace = _namespace(view, wish.subsystem.nqn, entry, standing)
        why = _reuses(view, draft, namespace) if namespace else ""
        if namespace and not why:
            offered_here.append(namespace)
        else:
            absent.append(entry)
        if why:
            reused.append((entry, why))
    return Inside(wish, tuple(offered_here), tuple(absent), tuple(reused))


def _reuses(view: View, draft: Draft, namespace: Namespace) -> str:
    """Why a namespace may not be offered: hosts would take its bytes for others that they know."""
    shown, bytes_ = namespace.uuid, namespace.bdev
    if shown is None:
        return ""
    another = "give the volume another spec.uid, or none"
    known = view.owned.shown.get(shown, bytes_)
    if known != bytes_:
        return f"namespace uuid {shown} was used for other bytes ({known}); {another}"
    if shown in view.lvols and not is_of(bytes_, shown):
        return f"namespace uuid {shown} is that of other bytes on this target; {another}"
    if shown != bytes_ and (other := view.owned.exported_elsewhere.get(shown)):
        return f"namespace uuid {shown} is exported on target {other}, and may show other bytes there; {another}"
    present = next((n for n in view.showing.get(shown, ()) if n.bdev != bytes_), None)
    first = draft.shown.setdefault(shown, present.bdev if present and present.key != namespace.key else bytes_)
    return "" if first == bytes_ else f"namespace uuid {shown} shows other bytes ({first}) at the moment; {another}"


def _device_of(entry: NamespaceWish, devices: Mapping[ResourceKey, Standing]) -> Standing:
    return devices[entry.device.wish.key] if entry.device else Standing()


def _namespace(view: View, nqn: str, entry: NamespaceWish, standing: Standing) -> Namespace | None:
    """The namespace's identity follows the bytes: the lvol's own uuid unless the volume pins one."""
    pinned = entry.volume.uid if entry.volume else ""
    match standing:
        case Standing(live=Lvol(uuid=str(uuid))):
            return _identified(nqn, entry, uuid, pinned or uuid)
        case Standing(making=Lvol() as lvol) if not pinned:  # a chosen identity waits until the bytes have theirs
            return Namespace(nqn, entry.nsid, lvol.alias, **_exposure(entry))
        case (
            Standing(live=Bdev(uuid=str(uuid)), shows=str(of)) | Standing(making=Bdev(uuid=str(uuid)), shows=str(of))
        ) if of:
            return _identified(nqn, entry, uuid, pinned or of)
        case Standing(live=Bdev(uuid=str(uuid))) | Standing(making=Bdev(uuid=str(uuid))):
            device = entry.device
            if device is None or not device.volatile:
                return _identified(nqn, entry, uuid, uuid)
            if standing.live:  # memory that is being made has no identity yet
                return _identified(nqn, entry, uuid, shown_memory(view, device))
    return None


def _identified(nqn: str, entry: NamespaceWish, bdev: str, shown: str) -> Namespace:
    return Namespace(nqn, entry.nsid, bdev, shown, identity.nguid_of(shown), **_exposure(entry))


def _exposure(entry: NamespaceWish) -> Any:  # noqa: ANN401  # fields of a Namespace
    """Who sees it, and the ANA group that it is in."""
    return {"masked": entry.visible_to is not None, "anagrpid": entry.ana_group}


def _plan_children(view: View, draft: Draft, inside: Inside, present: Mapping[ObjectKey, LiveObject]) -> None:
    """Hosts, namespaces and listeners: add what is missing, replace what is wrong, remove what does not belong."""
    nqn = inside.wish.subsystem.nqn
    expected = {ObjectKey(ObjectKind.NAMESPACE, f"{nqn}#{n.nsid}"): n for n in inside.absent}
    staying = [n for key, n in expected.items() if key in present and _may_be_it(view, n, present[key])]
    wanted = {thing.key: thing for thing in (*inside.wanted, *masks(staying, nqn, present))}
    going = renewed(present, wanted, expected)
    inside = dataclasses.replace(_guarded(view, inside, present), going=going)
    waiting = _waits(view, draft, inside, present)
    hold_barred(draft, inside.guests, inside.wish, present)
    for key, thing in sorted(wanted.items(), key=lambda item: item[0].rank):
        live = present.get(key)
        if live is None or shown_by(thing) in going:
            _add(view, draft, inside, thing, waiting)
        elif _same(thing, live):
            draft.own(thing, inside.wish.wish)
        elif in_place(thing, live):
            propose_change(view, draft, inside.wish, thing, live)
        elif isinstance(thing, AllowedHost) and isinstance(live, AllowedHost) and live.psk in (None, thing.psk):
            set_keys(view, draft, inside.guests, inside.wish, live, thing)
        else:
            _swap(view, draft, inside, thing, live)
    for key, thing in sorted(present.items(), key=lambda item: item[0].rank):
        if shown_by(thing) in going or key in inside.barred:
            continue  # it goes with its namespace, or stays as it is for now
        stays = key in wanted or (key in expected and _may_be_it(view, expected[key], thing))
        if not stays and not drain(view, draft, inside.wish, thing, present):
            _remove(view, draft, inside.wish, thing)


def _guarded(view: View, inside: Inside, present: Mapping[ObjectKey, LiveObject]) -> Inside:
    """Who could see a new namespace and must not: it is added only once they cannot."""
    wanted, tolerant = (
        {*inside.barred, *(thing.key for thing in inside.wanted)},
        inside.wish.wish.drift_policy == "ignore",
    )
    hosts = [key for key in present if key.kind is ObjectKind.HOST and key not in wanted]
    uninvited = tuple(key for key in hosts if key in view.records or not tolerant)
    subsystem = inside.wish.subsystem
    live, record = view.subsystem(subsystem.nqn), view.records.get(subsystem.key)
    opened = live is not None and live.allow_any_host and not subsystem.allow_any_host and inside.parent is None
    ours = record is not None and record.applied.get("allow_any_host") is True
    closing = (subsystem.key,) if opened and (ours or not tolerant) else ()
    return dataclasses.replace(inside, uninvited=uninvited, closing=closing)


def _may_be_it(view: View, entry: NamespaceWish, thing: LiveObject) -> bool:
    """Whether a live namespace may show the bytes of a volume that cannot be told for sure at the moment."""
    record = view.record_of(entry.volume.wish, ObjectKind.LVOL) if entry.volume else None
    return not (record and isinstance(thing, Namespace) and not is_of(thing.bdev, record.uid))


def _same(wanted: LiveObject, live: LiveObject) -> bool:
    if wanted == live:
        return True
    have = fields_of(live)
    return all(
        have.get(name) == value for name, value in fields_of(wanted).items() if name in have or name not in _HIDDEN
    )


def _add(view: View, draft: Draft, inside: Inside, thing: LiveObject, waiting: str) -> None:
    wish, record = inside.wish, view.records.get(thing.key)
    anew = inside.parent or (Cause.CHANGE if thing.key in view.live else None)  # it goes with its namespace
    cause = anew or view.cause(record)
    drift = missing_drift(thing.key, wish.wish.key, cause, _path(thing)) if anew is None else None
    proposal = Proposal(
        created(thing),
        wish.wish.key,
        cause,
        absent(_path(thing), cause),
        requires=_requires(view, inside, thing),
        waits_for=_listens_after(view, inside) if isinstance(thing, Listener) else (),
        gone=(*_goes_first(view, inside, thing), wish.subsystem.key),  # a subsystem that is replaced goes first
        settled=inside.closing if isinstance(thing, Namespace) else (),
        drift=drift,
        doubt=reused(view, wish, thing),
    )
    if unread := unmasked(view, inside.namespaces, thing):
        draft.hold(proposal, "Unknown", unread, waiting=True)
    elif isinstance(thing, Namespace) and (first := front_first(view, thing)):
        draft.hold(proposal, "FrontFirst", first, waiting=True)
    elif isinstance(thing, Listener) and waiting:
        draft.hold(proposal, "WaitingForNamespaces", waiting, waiting=True)
        draft.remark(wish.wish.key, "WaitingForNamespaces", waiting)
    else:
        draft.propose(proposal)


def _swap(view: View, draft: Draft, inside: Inside, thing: LiveObject, live: LiveObject) -> None:
    """What is fixed when it is added: a namespace's disk, identity and mask, a host's pre-shared key, TLS."""
    wish, record = inside.wish, view.records.get(thing.key)
    path = _path(thing)
    have, want = fields_of(live), fields_of(thing)
    fields = [n for n, v in want.items() if have.get(n) != v and (n in have or n not in _HIDDEN)]
    found = tuple(Difference(f"{path}.{_NAMESPACE_PATHS.get(n, n)}", want[n], have.get(n)) for n in fields)
    behind_our_back = record is not None and all(record.applied.get(n) == v for n, v in want.items())
    cause = Cause.DRIFT if behind_our_back else Cause.CHANGE
    drift = Drift(thing.key, wish.wish.key, DriftClass.MODIFIED, found, "Corrected") if behind_our_back else None
    reason = f"{path}: {_why_anew(thing, fields)}"
    removal = Proposal(
        deleted(live),
        wish.wish.key,
        cause,
        reason,
        Hazard.DISRUPTIVE,
        _unchanged(live),
        requires=inside.guests.needs(thing.host) if isinstance(thing, AllowedHost) else (),
        subject=_nqn(live),
        drift=drift,
        doubt=shared(view, thing) if isinstance(thing, Listener) else reused(view, wish, thing),
    )
    draft.propose(removal)
    creation = Proposal(
        created(thing),
        wish.wish.key,
        cause,
        reason,
        requires=_requires(view, inside, thing),
        gone=(*_goes_first(view, inside, thing), live.key),
        settled=inside.closing if isinstance(thing, Namespace) else (),
        doubt=reused(view, wish, thing),
    )
    if isinstance(thing, Namespace) and (first := front_first(view, thing)):
        draft.hold(creation, "FrontFirst", first, waiting=True)
    else:
        draft.propose(creation)


def _why_anew(thing: LiveObject, fields: Sequence[str]) -> str:
    """Why something is removed and added again."""
    match thing:
        case Listener():
            return "takes TLS connections only" if thing.secure_channel else "takes plain connections"
        case AllowedHost():
            return "SPDK takes a pre-shared key when it lets the host in"
    return "who sees it is fixed when it is added" if fields == ["masked"] else "is another disk"


def _remove(view: View, draft: Draft, wish: SubsystemWish, thing: LiveObject) -> None:
    """Withdrawn from the manifest, or put there by somebody else: ours to remove, as a disruptive step."""
    path, record = _path(thing), view.records.get(thing.key)
    cause = Cause.CHANGE if record else Cause.DRIFT
    extra = Drift(thing.key, wish.wish.key, DriftClass.EXTRA, (Difference(path, "absent", "present"),), "Corrected")
    draft.propose(
        Proposal(
            deleted(thing),
            wish.wish.key,
            cause,
            f"{path} is no longer declared" if record else f"{path} was never declared",
            Hazard.DISRUPTIVE,
            _unchanged(thing),
            subject=_nqn(thing),
            drift=None if record else extra,
        )
    )


def _unchanged(thing: LiveObject) -> tuple[Guard, ...]:
    """A namespace is removed only while it still is the disk that was seen."""
    return (Guard(thing.key, {"uuid": thing.uuid}),) if isinstance(thing, Namespace) else ()


def _requires(view: View, inside: Inside, thing: LiveObject) -> tuple[ObjectKey, ...]:
    """What must be there before: the subsystem; the disk of a namespace; the transport of a listener."""
    needed = [inside.wish.subsystem.key]
    if isinstance(thing, Namespace):
        needed.append(_disk(view, inside.wish, thing.nsid))
    if isinstance(thing, VisibleHost):
        needed.append(thing.namespace)
    if isinstance(thing, AllowedHost):
        needed += inside.guests.needs(thing.host)
        needed += [Transport("TCP").key] if thing.psk else []  # which takes it in; else it would be lost unsaid
    if isinstance(thing, Listener):
        needed.append(Transport(thing.transport).key)
        if _time_to_wait(view) > 0:
            needed += [key for key in (n.key for n in inside.namespaces) if _last_exported(view, key)]
    return tuple(needed)


def _disk(view: View, wish: SubsystemWish, nsid: int) -> ObjectKey:
    entry = next(entry for entry in wish.namespaces if entry.nsid == nsid)
    if wish.front:
        return device_key(wish, nsid)
    if entry.device:
        return entry.device.bdev.key
    volume = entry.volume
    record = view.record_of(volume.wish, ObjectKind.LVOL) if volume else None
    if volume and (device := device_of(view, volume, record)):
        return device
    if record and (live := view.lvols.get(record.uid)):
        return live.key
    store = view.record_of(volume.pool.wish, ObjectKind.LVOL_STORE) if volume else None
    pool = store.applied.get("name") if store else None
    return ObjectKey(ObjectKind.LVOL, f"{pool or volume.pool.name}/{volume.name}" if volume else "")


def _listens_after(view: View, inside: Inside) -> tuple[ObjectKey, ...]:
    limits = [ObjectKey(ObjectKind.QOS, _disk(view, inside.wish, n.nsid).name) for n in inside.namespaces]
    return (*(thing.key for thing in inside.wanted if not isinstance(thing, Listener)), *limits)


def _goes_first(view: View, inside: Inside, thing: LiveObject) -> tuple[ObjectKey, ...]:
    match thing:
        case Namespace():
            return (*_claims_on(view, thing), *inside.uninvited, *late_guests(view, thing))
        case VisibleHost():
            return (thing.namespace,)  # where it is made anew
        case AllowedHost():
            return (*exposed(view, inside.namespaces), *intruders(view, inside.wish, thing, inside.going))
        case Listener():
            return (*exposed(view, inside.namespaces), *closed_first(view, thing))
    return ()


def _claims_on(view: View, thing: LiveObject) -> tuple[ObjectKey, ...]:
    """The live namespace that holds the bdev now: SPDK lets one namespace claim it (observed on v26.05)."""
    holder = view.exported.get(thing.bdev) if isinstance(thing, Namespace) else None
    return (holder.key, ObjectKey(ObjectKind.SUBSYSTEM, holder.nqn)) if holder else ()


def _last_exported(view: View, key: ObjectKey) -> bool:
    record = view.records.get(key)
    return record is not None and record.phase is Phase.CREATED


def _waits(view: View, draft: Draft, inside: Inside, present: Mapping[ObjectKey, LiveObject]) -> str:
    """Why listeners stay closed: a namespace that hosts knew is not back yet, and there is time to wait for it."""
    nqn = inside.wish.subsystem.nqn
    missing = [n for n in inside.absent if _last_exported(view, ObjectKey(ObjectKind.NAMESPACE, f"{nqn}#{n.nsid}"))]
    closed = not any(isinstance(thing, Listener) for thing in present.values())
    left = _time_to_wait(view)
    if missing and closed and left > 0 and (inside.parent is Cause.RESTART or _any_replay(view, inside)):
        return f"{_nsids(missing)} not back yet; listeners open in {left:.0f} s at the latest"
    lost = [entry for entry in inside.absent if ObjectKey(ObjectKind.NAMESPACE, f"{nqn}#{entry.nsid}") not in present]
    if lost:
        draft.remark(inside.wish.wish.key, "ExportedIncomplete", f"exported without {_nsids(lost)}")
    return ""


def _nsids(entries: Iterable[NamespaceWish]) -> str:
    return ", ".join(f"nsid {entry.nsid}" for entry in entries)


def _time_to_wait(view: View) -> float:
    """Seconds left in which a restarted target's listeners wait for their namespaces."""
    return view.owned.alive_since + view.target.export_wait - view.now


def _any_replay(view: View, inside: Inside) -> bool:
    records = (view.records.get(thing.key) for thing in inside.wish.listeners)
    return any(record.replay for record in records if record)


# --- limits


def _plan_limits(view: View, draft: Draft, wish: SubsystemWish, entry: NamespaceWish, standing: Standing) -> None:
    """Limits are set on exported bdevs only: SPDK refuses to change them on one that nobody has open."""
    volume = entry.volume
    if volume is None or not standing.usable:
        return
    shown = standing.live or standing.making
    if not isinstance(shown, (Lvol, Bdev)):
        return
    name, have = shown.alias if isinstance(shown, Lvol) else shown.name, shown.limits or QosLimits()
    wanted, before = Qos(name, volume.limits), Qos(name, have)
    record = view.records.get(wanted.key)
    found = differences(wanted, before, _QOS_PATHS, volume.wish, record) if have != volume.limits else ()
    draft.overlook(wanted, before, _QOS_PATHS, volume.wish, record)
    if not found:
        if record or wanted.limits != QosLimits():
            draft.own(wanted, volume.wish)
        return
    behind_our_back = drifted(dict(record.applied) if record else {}, wanted, found, _QOS_PATHS)
    replay = record is not None and record.replay
    cause = Cause.CHANGE if not behind_our_back else Cause.RESTART if replay else Cause.DRIFT
    kind = DriftClass.TARGET_RESTART if replay else DriftClass.MODIFIED
    draft.propose(
        Proposal(
            updated(before, wanted) if standing.live else created(wanted),
            volume.wish.key,
            cause,
            "limits: " + ", ".join(f"{d.path.rpartition('.')[2]} {d.have} → {d.want}" for d in found),
            requires=(ObjectKey(ObjectKind.NAMESPACE, f"{wish.subsystem.nqn}#{entry.nsid}"),),
            drift=Drift(wanted.key, volume.wish.key, kind, found, "Corrected") if behind_our_back else None,
        )
    )


# --- words


def _path(thing: LiveObject) -> str:
    match thing:
        case AllowedHost():
            return f"spec.hosts.refs[{thing.host}]"
        case Namespace():
            return f"spec.namespaces[nsid={thing.nsid}]"
        case VisibleHost():
            return f"spec.namespaces[nsid={thing.nsid}].visibleTo[{thing.host}]"
        case Listener():
            return f"spec.exports.portals[{thing.transport}:{thing.address}:{thing.port}]"
    return "spec"


def _nqn(thing: LiveObject) -> str:
    return thing.nqn if isinstance(thing, (AllowedHost, Namespace, VisibleHost, Listener, Subsystem)) else ""


def nqns(things: Iterable[LiveObject]) -> frozenset[str]:
    """The subsystems that objects belong to."""
    return frozenset(filter(None, map(_nqn, things)))
