"""What a subsystem holds: hosts, namespaces, listeners; what is added, changed or taken away, and in which order."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from backends.contract import Guard
from backends.fields import fields_of
from backends.objects import (
    AllowedHost,
    Listener,
    LiveObject,
    Namespace,
    ObjectKey,
    ObjectKind,
    Subsystem,
    Transport,
    VisibleHost,
)
from reconciler.desired import NamespaceWish, SubsystemWish
from reconciler.plan import Cause, Difference, Drift, DriftClass, Hazard, Phase, created, deleted
from reconciler.planner.ana import drain, in_place, propose_change
from reconciler.planner.draft import Draft, Proposal, absent, missing_drift, surplus
from reconciler.planner.encryption import device_of, is_of
from reconciler.planner.fronts import device_key, front_first
from reconciler.planner.inside import Inside, nsids_of
from reconciler.planner.keys import hold_barred, set_keys
from reconciler.planner.portals import closed_first, opened_first, shared
from reconciler.planner.tombstones import reused
from reconciler.planner.view import View
from reconciler.planner.visibility import exposed, intruders, late_guests, masks, renewed, shown_by, unfit, unmasked

_HIDDEN = frozenset({"masked", "anagrpid", "ana", "psk", "secure_channel"})  # what a target does not always tell
_NAMESPACE_PATHS = {"masked": "visibleTo", "anagrpid": "anaGroup"}


def plan_children(view: View, draft: Draft, inside: Inside, present: Mapping[ObjectKey, LiveObject]) -> None:
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
    if isinstance(thing, (AllowedHost, Listener)) and (unread := unmasked(view, wish)):
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
    cause, drift = surplus(thing.key, wish.wish.key, path, recorded=record is not None)
    draft.propose(
        Proposal(
            deleted(thing),
            wish.wish.key,
            cause,
            f"{path} is no longer declared" if record else f"{path} was never declared",
            Hazard.DISRUPTIVE,
            _unchanged(thing),
            requires=opened_first(view, wish.listeners, thing) if record else (),
            subject=_nqn(thing),
            drift=drift,
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
            return (thing.namespace,) if thing.namespace in inside.going else ()
        case AllowedHost():
            known = thing.key in view.records  # it was let in before, and is to come back
            first = exposed(view, inside.wish) if known else unfit(view, inside.wish, inside.namespaces)
            return (*first, *intruders(view, inside.wish, thing, inside.going))
        case Listener():
            return (*exposed(view, inside.wish), *closed_first(view, thing))
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
        return f"{nsids_of(missing)} not back yet; listeners open in {left:.0f} s at the latest"
    lost = [entry for entry in inside.absent if ObjectKey(ObjectKind.NAMESPACE, f"{nqn}#{entry.nsid}") not in present]
    if lost:
        draft.remark(inside.wish.wish.key, "ExportedIncomplete", f"exported without {nsids_of(lost)}")
    return ""


def _time_to_wait(view: View) -> float:
    """Seconds left in which a restarted target's listeners wait for their namespaces."""
    return view.owned.alive_since + view.target.export_wait - view.now


def _any_replay(view: View, inside: Inside) -> bool:
    records = (view.records.get(thing.key) for thing in inside.wish.listeners)
    return any(record.replay for record in records if record)


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
