"""Golden images: files that volumes are cloned from. Opened read-only under a pinned uuid, by which their clones find
them after a restart; never deleted under a clone, which would kill the target (observed on v26.05).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from backends.contract import Bdev, ObjectKind
from reconciler.desired import DeviceWish
from reconciler.plan import Difference, Drift, DriftClass, Record, created
from reconciler.planner.devices import not_ours
from reconciler.planner.draft import Draft, Proposal, Standing, absent, differences, missing_drift
from reconciler.planner.sole import identity_reused, opened_elsewhere
from reconciler.planner.view import View
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
    """How each image of the target stands."""
    return {wish.wish.key: _plan_image(view, draft, wish) for wish in view.target.images}


def _plan_image(view: View, draft: Draft, wish: DeviceWish) -> Standing:
    if why := view.unread(ObjectKind.BDEV):
        return Standing(why=f"the target's devices could not be read: {why}")
    wish = _as_known(view, wish)
    live = view.live.get(wish.bdev.key)
    if refusal := not_ours(view, wish, live):
        draft.remark(wish.wish.key, *refusal, stalled=True)
        return Standing(why=refusal[1])
    return _present(view, draft, wish, live) if isinstance(live, Bdev) else _missing(view, draft, wish)


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
    wanted = dataclasses.replace(wish.bdev, size=_seen(record))
    cause = view.cause(record)
    drift = missing_drift(wanted.key, key, cause, "spec")
    proposal = Proposal(created(wanted), key, cause, absent("the image", cause), drift=drift)
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
    seen = _seen(_record(view, wish))
    wanted = dataclasses.replace(wish.bdev, size=seen or live.size)
    found = differences(wanted, live, _PATHS, wish.wish)
    if not found:
        draft.own(wanted, wish.wish)
        return Standing(live=live)
    message = f"bdev {live.name} is not the image that was declared: " + _words(found)
    draft.remark(wish.wish.key, "ImageChanged", message, stalled=True)
    draft.drifts.append(Drift(live.key, wish.wish.key, DriftClass.MODIFIED, found, "Held"))
    return Standing(why=message)


def _seen(record: Record | None) -> int | None:
    """How long the file was when it was first seen."""
    size = record.applied.get("size") if record else None
    return size if isinstance(size, int) else None


def _words(found: tuple[Difference, ...]) -> str:
    return ", ".join(f"{difference.path}: {difference.want} → {difference.have}" for difference in found)
