"""Devices stacked on devices: encrypted, mirrored, striped, delayed.

On v26.05 a device on an absent base is accepted and can then be neither seen nor deleted, any key is accepted and shows
noise, and a raid's superblock overwrites what its members hold. So bases are there and unclaimed, right before; a key
is known by its fingerprint; and a raid with a superblock is made once, of blank members, and then only assembled.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from backends.contract import Guard
from backends.objects import Bdev, Lvol
from reconciler.desired import DeviceWish
from reconciler.devices import crypto_uuid
from reconciler.plan import (
    Cause,
    Difference,
    Drift,
    DriftClass,
    Hazard,
    Phase,
    Record,
    Task,
    TaskState,
    created,
    deleted,
    updated,
)
from reconciler.planner.draft import TOLERATED, Draft, Proposal, Standing, absent, missing_drift
from reconciler.planner.showing import shown_memory
from reconciler.planner.view import View
from schemas.resources import Json, ResourceKey

TRANSPARENT = frozenset({"passthru", "delay"})  # drivers that show the very bytes of their base
KEY_NAME = 40  # characters of the device's name in that of its key


def unproven_members(view: View) -> frozenset[str]:
    """Names of devices whose blankness decides whether a raid may be created on them."""
    return frozenset(
        base.bdev.name
        for wish in view.target.devices
        if _writes_superblock(wish) and wish.bdev.key not in view.live
        for base in wish.bases
    )


# --- keys


def keyed(view: View, wish: DeviceWish) -> Bdev | tuple[str, str]:
    """The crypto device that is wanted, with the name of its key; or why it may not be made."""
    uuid = wish.bdev.uuid or _uuid_above(view, wish)
    fingerprint = view.owned.keys.get(wish.key_from)
    if fingerprint is None:
        return "KeyUnavailable", view.owned.lost_keys.get(wish.key_from, f"{wish.key_from}: not read yet")
    known = view.owned.sealed.get(uuid or "")
    if known not in (None, fingerprint):
        written = f"the bytes were written with key {known}"
        return "WrongKey", f"{written}, but {wish.key_from} holds key {fingerprint}; nothing is decrypted with it"
    if wish.bdev.key_name and known is None and wish.bdev.key in view.live:
        match view.observed.keyed.get(wish.bdev.name):
            case None:
                return "KeyUnavailable", f"key {wish.bdev.key_name} of the target could not be compared with that"
            case False:
                return "WrongKey", f"key {wish.bdev.key_name} of the target is not the one in {wish.key_from}"
    named = wish.bdev.key_name is not None
    name = wish.bdev.key_name or f"{wish.bdev.name[:KEY_NAME]}-{fingerprint}"
    sealed = fingerprint if named else None
    return dataclasses.replace(wish.bdev, uuid=uuid, key_name=name, key_from=wish.key_from, sealed=sealed)


def unproven_keys(view: View) -> frozenset[Bdev]:
    """Devices that are to be taken over, if the target's key is the one that their manifest leads to."""
    return frozenset(
        dataclasses.replace(wish.bdev, key_from=wish.key_from, sealed=view.owned.keys[wish.key_from])
        for wish in view.target.devices
        if wish.bdev.key_name and wish.key_from in view.owned.keys and wish.bdev.key in view.live
        if (wish.bdev.uuid or _uuid_above(view, wish)) not in view.owned.sealed
    )


def _uuid_above(view: View, wish: DeviceWish) -> str | None:
    base = view.live.get(wish.bases[0].bdev.key)
    return crypto_uuid(base.uuid) if isinstance(base, Bdev) and base.uuid else None


# --- making


def make_stacked(
    view: View, draft: Draft, wish: DeviceWish, wanted: Bdev, standings: Mapping[ResourceKey, Standing]
) -> Standing:
    """A device that is not there, on bases that are or are being made."""
    resource = wish.wish.key
    if _writes_superblock(wish) and _assembles(view, wish):
        return _assemble(view, draft, wish, standings)
    if wanted.driver in TRANSPARENT and _was_there(view, wish) and not standings[wish.bases[0].wish.key].live:
        return _make_first(view, draft, wish, wanted)
    if why := _unready(wish, standings):
        return _wait(draft, resource, "DeviceNotReady", why)
    if _writes_superblock(wish) and (late := [b for b in wish.bases if not standings[b.wish.key].live]):
        return _wait(draft, resource, "DeviceNotReady", f"waits for {_named(late)}, to see that they are blank")
    cause = view.cause(view.records.get(wanted.key))
    proposal = Proposal(
        created(wanted),
        resource,
        cause,
        absent("the device", cause),
        guards=tuple(_unused(base.bdev) for base in wish.bases),
        requires=tuple(base.bdev.key for base in wish.bases),
        subject=str(resource),
        drift=missing_drift(wanted.key, resource, cause, "spec"),
    )
    return _propose_blank(view, draft, wish, proposal) if _writes_superblock(wish) else _propose(draft, proposal)


def _was_there(view: View, wish: DeviceWish) -> bool:
    record = view.records.get(wish.bdev.key)
    return record is not None and record.phase is Phase.CREATED


def _make_first(view: View, draft: Draft, wish: DeviceWish, wanted: Bdev) -> Standing:
    """Before its base, or what it carries comes up on the base itself, which then can carry nothing else.

    In one life of the target that is asked once: the device comes up by itself whenever its base does.
    """
    record, why = view.records[wanted.key], f"comes up with {wish.bases[0].wish.key}"
    if record.replay:
        cause = view.cause(record)
        drift = missing_drift(wanted.key, wish.wish.key, cause, "spec")
        reason = f"{absent('the device', cause)}, and must be there before its base"
        draft.propose(Proposal(created(wanted), wish.wish.key, cause, reason, drift=drift))
        for base in _below(wish):
            draft.await_first(base.bdev.key, wanted.key)
    return _wait(draft, wish.wish.key, "DeviceNotReady", why)


def _below(wish: DeviceWish) -> Iterable[DeviceWish]:
    for base in wish.bases:
        yield base
        yield from _below(base)


def _propose(draft: Draft, proposal: Proposal) -> Standing:
    draft.propose(proposal)
    return Standing(making=proposal.change.after)


def _unready(wish: DeviceWish, standings: Mapping[ResourceKey, Standing]) -> str:
    """Why the device cannot be made now: a base is not there, or something else has it."""
    for base in wish.bases:
        standing = standings[base.wish.key]
        if not standing.usable:
            return f"waits for {base.wish.key}: {standing.why}"
        if isinstance(standing.live, Bdev) and standing.live.claimed:
            return f"{base.wish.key} is in use by something else"
    return ""


def _unused(base: Bdev, **more: Json) -> Guard:
    facts: dict[str, Json] = {"claimed": False} | more
    return Guard(base.key, facts | ({"uuid": base.uuid} if base.uuid else {}))


# --- raids


def _writes_superblock(wish: DeviceWish) -> bool:
    return wish.bdev.driver == "raid" and bool(wish.bdev.superblock)


def _assembles(view: View, wish: DeviceWish) -> bool:
    """Whether the raid was made before: then its superblocks put it together, and nobody makes it again."""
    record = view.records.get(wish.bdev.key)
    return record is not None and record.phase is not Phase.CREATING and not wish.volatile


def _assemble(view: View, draft: Draft, wish: DeviceWish, standings: Mapping[ResourceKey, Standing]) -> Standing:
    cause = view.cause(view.records.get(wish.bdev.key))
    if cause is Cause.DRIFT:
        _look_again(view, draft, wish, standings)
    gone = [base for base in wish.bases if not standings[base.wish.key].live]
    message = (
        f"waits for {_named(gone)}; its superblocks put it together"
        if gone
        else "its members are there, but do not carry its superblocks; it was made once and is never made again"
    )
    return _wait(draft, wish.wish.key, "RaidNotAssembled", message)


def _look_again(view: View, draft: Draft, wish: DeviceWish, standings: Mapping[ResourceKey, Standing]) -> None:
    """Somebody deleted the array; what its members carry is only looked at when they are attached anew."""
    drift = missing_drift(wish.bdev.key, wish.wish.key, Cause.DRIFT, "spec")
    free = [live for base in wish.bases if isinstance(live := standings[base.wish.key].live, Bdev) and not live.claimed]
    carries = all(live.path and view.observed.blank.get(live.name) is not True for live in free)
    tolerated = TOLERATED.get(view.drift_policies.get(wish.wish.key, view.target.wish.drift_policy))
    if drift is None or tolerated or len(free) < len(wish.bases) or not carries:
        draft.drifts += [dataclasses.replace(drift, action=tolerated or "Held")] if drift else []
        return
    for base, live in zip(wish.bases, free, strict=True):
        reason = f"attached anew, so that {wish.wish.key} is put together from its superblocks"
        draft.propose(
            Proposal(deleted(live), base.wish.key, Cause.DRIFT, reason, guards=(_unused(base.bdev),), drift=drift)
        )
        draft.propose(Proposal(created(base.bdev), base.wish.key, Cause.DRIFT, reason))
        drift = None


def _propose_blank(view: View, draft: Draft, wish: DeviceWish, proposal: Proposal) -> Standing:
    """Making it overwrites the front of its members: all are blank, or a person says that they may go."""
    blank = {base.bdev.name: _is_blank(view, base) for base in wish.bases}
    if all(blank.values()):
        proven = [base for base in wish.bases if view.observed.blank.get(base.bdev.name)]
        guards = tuple(_unused(b.bdev, **({"blank": True} if b in proven else {})) for b in wish.bases)
        return _propose(draft, dataclasses.replace(proposal, guards=guards))
    dirty = [name for name, is_blank in blank.items() if is_blank is False]
    doubtful = [name for name, is_blank in blank.items() if is_blank is None]
    message = (
        f"{', '.join(dirty)}: not blank, and the array would overwrite it"
        if dirty
        else f"{', '.join(doubtful)}: cannot be read by this daemon; approve if you know that nothing on it is needed"
    )
    proposal = dataclasses.replace(proposal, hazard=Hazard.DATA_LOSS, doubt=("BlankUnproven", message))
    if dirty:
        draft.hold(proposal, "BlankUnproven", message)
        draft.remark(wish.wish.key, "BlankUnproven", message, stalled=True)
        return Standing(why=message)
    draft.remark(wish.wish.key, "BlankUnproven", message)
    return _propose(draft, proposal)


def _is_blank(view: View, base: DeviceWish) -> bool | None:
    """Proven by its bytes, or because it is memory that this life of the target has handed out."""
    record = view.records.get(base.bdev.key)
    made = record is not None and record.phase is Phase.CREATED and not record.replay
    fresh = made and shown_memory(view, base) not in view.owned.shown
    return True if base.volatile and fresh else view.observed.blank.get(base.bdev.name)


def keep_raid(
    view: View, draft: Draft, wish: DeviceWish, live: Bdev, standings: Mapping[ResourceKey, Standing]
) -> Standing:
    """A raid that is there, whole or not."""
    if odd := _laid_out_otherwise(wish.bdev, live):
        message = f"raid {live.name} is not the declared one: " + ", ".join(f"{d.path} is {d.have}" for d in odd)
        draft.drifts.append(Drift(live.key, wish.wish.key, DriftClass.MODIFIED, odd, "Held"))
        draft.remark(wish.wish.key, "TargetIdentityMismatch", message, stalled=True)
        return Standing(why=message)
    if live.state == "online":
        _note_members(view, draft, wish, live, standings)
        draft.own(_as_seen(view, wish, live), wish.wish)
        return Standing(live=live)
    if live.state == "offline" and not wish.bdev.superblock and not _unready_again(wish, live, standings):
        return _put_together(draft, wish, live)
    there = sum(map(bool, live.bases or ()))
    lacking = ", ".join(name for name in wish.bdev.bases or () if name not in (live.bases or ()))
    message = f"{live.state}, {there} of {len(wish.bases)} members are there; lacking: {lacking}"
    if live.superblock and view.records.get(live.key) is None:
        draft.own(_as_seen(view, wish, live), wish.wish)
    return _wait(draft, wish.wish.key, "RaidIncomplete", message)


def _laid_out_otherwise(wanted: Bdev, live: Bdev) -> tuple[Difference, ...]:
    """Differences that mean another array, whose bytes are others."""
    names = {"driver": "spec", "level": "spec.raid.level", "superblock": "spec.raid.superblock"}
    names |= {"strip_size": "spec.raid.stripSizeKiB"} | ({"uuid": "spec.uuid"} if live.state == "online" else {})
    pairs = ((path, getattr(wanted, name), getattr(live, name)) for name, path in names.items())
    found = [Difference(path, want, have) for path, want, have in pairs if want != have]
    want, have = wanted.bases or (), live.bases or ()
    fits = set(filter(None, have)) <= set(want) and len(want) == len(have)
    in_place = all(there in ("", name) for name, there in zip(want, have, strict=False))
    if not fits or not (in_place or wanted.level == "raid1"):
        found.append(Difference("spec.raid.members", [*want], [*have]))
    return tuple(found)


def _note_members(
    view: View, draft: Draft, wish: DeviceWish, live: Bdev, standings: Mapping[ResourceKey, Standing]
) -> None:
    """Say how whole it is, and give it back a member that it has lost."""
    resource = wish.wish.key
    if live.rebuild:
        message = f"rebuilding {live.rebuild.member}, {live.rebuild.percent} %"
        draft.remark(resource, "RaidRebuilding", message, ready=True)
        draft.tasks.append(Task("rebuild", resource, live.key, TaskState.RUNNING, message, live.rebuild.percent))
    lost = [base for base in wish.bases if base.bdev.name not in (live.bases or ())]
    if not lost:
        return
    message = f"{len(wish.bases) - len(lost)} of {len(wish.bases)} members are there; lost: {_named(lost)}"
    draft.remark(resource, "RaidDegraded", message, ready=True)
    difference = Difference("spec.raid.members", [*(wish.bdev.bases or ())], [*(live.bases or ())])
    drift = Drift(live.key, resource, DriftClass.MODIFIED, (difference,), "Corrected")
    back = [base for base in lost if _returnable(standings[base.wish.key])]
    if live.rebuild or not back:
        draft.drifts.append(dataclasses.replace(drift, action="Held"))
    else:
        draft.propose(_readmission(view, wish, live, back[0], drift))


def _returnable(standing: Standing) -> bool:
    return isinstance(standing.live, Bdev) and not standing.live.claimed


def _readmission(view: View, wish: DeviceWish, live: Bdev, base: DeviceWish, drift: Drift) -> Proposal:
    """The member is written over from the others: without asking only what the array is known to have had."""
    record = view.records.get(live.key)
    known = record is not None and base.bdev.name in _applied_bases(record)
    places = list(live.bases or ())
    places[places.index("")] = base.bdev.name
    proposal = Proposal(
        updated(live, dataclasses.replace(live, bases=tuple(places))),
        wish.wish.key,
        Cause.DRIFT,
        f"{base.wish.key} comes back and is rebuilt",
        guards=(Guard(live.key, {"uuid": live.uuid}), _unused(base.bdev)),
        requires=(base.bdev.key,),
        subject=str(wish.wish.key),
        drift=drift,
    )
    if known:
        return proposal
    message = f"{base.wish.key} was never seen in this array, and rebuilding writes over all that it holds"
    return dataclasses.replace(proposal, hazard=Hazard.DATA_LOSS, doubt=("RaidMemberUnknown", message))


def _as_seen(view: View, wish: DeviceWish, live: Bdev) -> Bdev:
    """What the ledger remembers of an array: of its members only those that have been seen in it."""
    record = view.records.get(live.key)
    seen = {*(live.bases or ()), *(_applied_bases(record) if record else ())}
    return dataclasses.replace(wish.bdev, bases=tuple(base if base in seen else "" for base in wish.bdev.bases or ()))


def _applied_bases(record: Record) -> Sequence[Json]:
    found = record.applied.get("bases")
    return found if isinstance(found, list) else ()


def _unready_again(wish: DeviceWish, live: Bdev, standings: Mapping[ResourceKey, Standing]) -> bool:
    """Whether a member that an array has lost is not free to be its member again."""
    lost = [base for base in wish.bases if base.bdev.name not in (live.bases or ())]
    return not all(_returnable(standings[base.wish.key]) for base in lost)


def _put_together(draft: Draft, wish: DeviceWish, live: Bdev) -> Standing:
    """An array without superblock that has fallen apart is no device any more; its members keep their bytes."""
    lost = Difference("spec.raid.members", [*(wish.bdev.bases or ())], [*(live.bases or ())])
    drift = Drift(live.key, wish.wish.key, DriftClass.MODIFIED, (lost,), "Corrected")
    reason = "the array fell apart, and its members are back"
    draft.propose(Proposal(deleted(live), wish.wish.key, Cause.DRIFT, reason, drift=drift))
    guards = tuple(_unused(base.bdev) for base in wish.bases)
    requires = tuple(base.bdev.key for base in wish.bases)
    return _propose(
        draft, Proposal(created(wish.bdev), wish.wish.key, Cause.DRIFT, reason, guards=guards, requires=requires)
    )


# --- what is stacked on a device


def stacked_on(view: View, device: Bdev | Lvol) -> tuple[Bdev, ...]:
    """Live devices that have this one underneath."""
    name = device.uuid if isinstance(device, Lvol) else device.name
    return view.above.get(name or "", ())


def height(view: View, device: Bdev) -> int:
    """How many devices high the stack is that ends with this one."""
    below = (view.live.get(Bdev(name, "").key) for name in device.bases or () if name)
    return 1 + max((height(view, base) for base in below if isinstance(base, Bdev)), default=0)


# --- words


def _named(wishes: Iterable[DeviceWish]) -> str:
    return ", ".join(str(wish.wish.key) for wish in wishes)


def _wait(draft: Draft, resource: ResourceKey, reason: str, message: str) -> Standing:
    draft.remark(resource, reason, message)
    return Standing(why=message)
