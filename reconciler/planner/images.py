"""Golden images: files that volumes are cloned from. Opened read-only under a pinned uuid, by which their clones find
them after a restart; never deleted under a clone, which would kill the target (observed on v26.05).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from backends.objects import Bdev, ObjectKind
from reconciler.desired import DeviceWish, Wish
from reconciler.plan import Difference, Drift, DriftClass, Phase, Record, created
from reconciler.planner.devices import not_ours
from reconciler.planner.draft import Draft, Proposal, Standing, absent, differences, missing_drift
from reconciler.planner.showing import identity_reused
from reconciler.planner.sole import opened_elsewhere
from reconciler.planner.view import Digest, View
from schemas.resources import ResourceKey

_PATHS = {
    "driver": "spec",
    "uuid": "spec",
    "path": "spec.path",
    "block_size": "spec.blockSize",
    "read_only": "spec",
    "size": "spec.path",
}


def plan_images(view: View, draft: Draft) -> Mapping[ResourceKey, Standing]:
    """How each image of the target stands; those that are kept for clones are opened again, too."""
    for wish in kept_for_clones(view):
        _plan_image(view, draft, wish)
        message = "no longer declared; its device stays, for bytes that are kept lie on it"
        draft.remark(wish.wish.key, "KeptForClones", message, ready=True)
    return {wish.wish.key: _plan_image(view, draft, wish) for wish in view.target.images}


def kept_for_clones(view: View) -> tuple[DeviceWish, ...]:
    """Images that nobody declares any more while bytes that are ours lie on them: without their device, those bytes are
    degraded from the target's next restart on.
    """
    images = [r for r in view.owned.records if r.key.kind is ObjectKind.BDEV and r.resource.kind == "Image"]
    declared = {name for image in view.target.images for name in (image.wish.key, *image.wish.aliases)}
    orphans = [record for record in images if record.resource not in declared]
    if not orphans:
        return ()
    held = {record.applied.get("image") for record in view.owned.records if _may_be_there(view, record)} - {None}
    return tuple(_from_record(view, record) for record in orphans if record.applied.get("uuid") in held)


def _is_built_on(view: View, uuid: str | None) -> bool:
    """Whether bytes lie on an image, or may."""
    kept = any(r.applied.get("image") == uuid and _may_be_there(view, r) for r in view.owned.records)
    return kept or any(lvol.image == uuid for lvol in view.lvols.values())


def _may_be_there(view: View, record: Record) -> bool:
    """Whether bytes are there, or cannot be told to be gone, because their pool is not loaded or was not read."""
    told = view.tells_lvols(record.key.name.partition("/")[0])
    return record.phase is not Phase.DESTROYED and (record.uid in view.lvols or not told)


def _from_record(view: View, record: Record) -> DeviceWish:
    applied: Any = record.applied
    names = ("uuid", "block_size", "path", "read_only")
    bdev = Bdev(record.key.name, "aio", **{name: applied[name] for name in names if name in applied})
    return DeviceWish(Wish(record.resource, view.target.wish.drift_policy, reclaim=record.reclaim), bdev)


def _plan_image(view: View, draft: Draft, wish: DeviceWish) -> Standing:
    if why := view.unread(ObjectKind.BDEV):
        return Standing(why=f"the target's devices could not be read: {why}")
    wish = _as_known(view, wish)
    live = view.live.get(wish.bdev.key)
    if refusal := not_ours(view, wish, live):
        draft.remark(wish.wish.key, *refusal, stalled=True)
        return Standing(why=refusal[1])
    return _present(view, draft, wish, live) if isinstance(live, Bdev) else _missing(view, draft, wish)


def _unproven(view: View, wish: DeviceWish) -> tuple[str, str] | None:
    """Why the file is not known to be the one that was declared; its clones show its bytes."""
    if not wish.sha256:
        return None
    path, known = wish.bdev.path or "", _proven(_record(view, wish))
    if known and known != wish.sha256 and (wish.bdev.key in view.live or _is_built_on(view, wish.bdev.uuid)):
        found = f"{path} is used as the file with sha256 {known}, not {wish.sha256}"
        return "ImageChanged", f"{found}, which volumes cannot come to lie on; declare another Image"
    match view.owned.digests.get(path, Digest()):
        case Digest(sha256=wish.sha256):
            return None
        case Digest(sha256=str(found)) if found:
            return "ImageChanged", f"{path} has sha256 {found}, not {wish.sha256}; nothing is cloned from it"
        case Digest(why=str(why)) if why:
            return (
                "ImageUnverified",
                f"{why}; compare it yourself, and take spec.sha256 out",
            )
        case digest:
            return "ImageUnverified", f"{path} is being read to compare its sha256: {digest.percent} %"


def _why_not(view: View, wish: DeviceWish) -> str:
    """Why its file cannot be compared; empty when it can, or is being."""
    return view.owned.digests.get(wish.bdev.path or "", Digest()).why


def _as_known(view: View, wish: DeviceWish) -> DeviceWish:
    """Under the name and uuid that it had before it was renamed: by these its clones know it."""
    record = view.record_of(wish.wish, ObjectKind.BDEV)
    uuid = record.applied.get("uuid") if record else None
    if record is None or not isinstance(uuid, str):
        return wish
    return dataclasses.replace(wish, bdev=dataclasses.replace(wish.bdev, name=record.key.name, uuid=uuid))


def _record(view: View, wish: DeviceWish) -> Record | None:
    return view.records.get(wish.bdev.key)


def _missing(view: View, draft: Draft, wish: DeviceWish) -> Standing:
    record, key = _record(view, wish), wish.wish.key
    wanted = dataclasses.replace(wish.bdev, size=_seen(record), sha256=wish.sha256 or _proven(record))
    cause = view.cause(record)
    drift = missing_drift(wanted.key, key, cause, "spec")
    proposal = Proposal(created(wanted), key, cause, absent("the image", cause), drift=drift)
    if unproven := _unproven(view, wish):
        draft.hold(proposal, *unproven, waiting=unproven[0] == "ImageUnverified" and not _why_not(view, wish))
        draft.remark(key, *unproven, stalled=unproven[0] == "ImageChanged" or bool(_why_not(view, wish)))
        return Standing(why=unproven[1])
    if message := identity_reused(view, wanted):
        draft.hold(proposal, "IdentityReused", message)
        draft.remark(key, "IdentityReused", message, stalled=True)
        return Standing(why=message)
    rival = next((d for d in view.devices.values() if d.uuid == wanted.uuid or d.path == wanted.path), None)
    if rival:
        message = f"{wanted.path} is already open as bdev {rival.name}, through which it may be written"
        draft.hold(proposal, "DeviceOpenedTwice", message)
        draft.remark(key, "DeviceOpenedTwice", message, stalled=True)
        return Standing(why=message)
    if doubt := opened_elsewhere(view, wish):
        draft.propose(dataclasses.replace(proposal, doubt=doubt))
        draft.remark(key, *doubt)
        return Standing(why=doubt[1])
    draft.propose(proposal)
    known = wanted.size is not None  # then it is looked at first, lest it is another file by now
    return Standing(why="it is being opened again") if known else Standing(making=wanted)


def _present(view: View, draft: Draft, wish: DeviceWish, live: Bdev) -> Standing:
    """The same file, as long as it was when it was first seen: clones show its bytes."""
    record, unproven = _record(view, wish), _unproven(view, wish)
    sha256 = _proven(record) or (wish.sha256 if not unproven else None)
    wanted = dataclasses.replace(wish.bdev, size=_seen(record) or live.size, sha256=sha256 or None)
    found = differences(wanted, live, _PATHS)  # all of it is identity, which nobody may ignore
    if not found:
        draft.own(wanted, wish.wish)
        if unproven:
            draft.remark(wish.wish.key, *unproven, stalled=unproven[0] == "ImageChanged" or bool(_why_not(view, wish)))
        return Standing(why=unproven[1]) if unproven else Standing(live=live)
    message = f"bdev {live.name} is not the image that was declared: " + _words(found)
    draft.remark(wish.wish.key, "ImageChanged", message, stalled=True)
    draft.drifts.append(Drift(live.key, wish.wish.key, DriftClass.MODIFIED, found, "Held"))
    return Standing(why=message)


def _seen(record: Record | None) -> int | None:
    """How long the file was when it was first seen."""
    size = record.applied.get("size") if record else None
    return size if isinstance(size, int) else None


def _proven(record: Record | None) -> str | None:
    """The SHA-256 of the file that volumes were cloned from, where it was compared."""
    found = record.applied.get("sha256") if record else None
    return found if isinstance(found, str) else None


def _words(found: tuple[Difference, ...]) -> str:
    return ", ".join(f"{difference.path}: {difference.want} → {difference.have}" for difference in found)
