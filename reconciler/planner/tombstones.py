"""Namespace ids that other bytes had: a host that remembers them would take the new ones for the old."""

from __future__ import annotations

from backends.objects import LiveObject, Namespace
from reconciler.desired import NamespaceWish, SubsystemWish
from reconciler.planner.view import View


def reused(view: View, wish: SubsystemWish, thing: LiveObject) -> tuple[str, str] | None:
    """Reason and message why a person must vouch for it; None where the id is new, or its reuse is consented."""
    if wish.front or not isinstance(thing, Namespace):
        return None
    known = view.owned.tombstones.get(thing.key.name)
    entry = next(entry for entry in wish.namespaces if entry.nsid == thing.nsid)
    if known is None or known in (thing.uuid, *_consents(entry)) or _is_same_memory(view, entry, known):
        return None
    message = f"nsid {thing.nsid} of {thing.nqn} showed {known} before, and hosts may remember it"
    return "NsidReused", f"{message}; take an nsid that was never used, or declare reuses: {known}"


def _is_same_memory(view: View, entry: NamespaceWish, known: str) -> bool:
    """Whether hosts knew the same device in memory there, whose bytes are others with each life of the target."""
    device = entry.device
    return device is not None and device.volatile and view.owned.shown.get(known) == device.bdev.uuid


def _consents(entry: NamespaceWish) -> tuple[str, ...]:
    """Uuids that may be replaced here: one that is named, and that of bytes that are lost and to be made anew."""
    return entry.reuses, entry.volume.recreate if entry.volume else ""
