"""What a subsystem shall hold, as far as it can be offered: its namespaces, and which of them are still missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from backends.objects import Bdev, LiveObject, Lvol, Namespace, ObjectKey
from reconciler import identity
from reconciler.desired import NamespaceWish, SubsystemWish
from reconciler.plan import Cause
from reconciler.planner.draft import Draft, Standing
from reconciler.planner.encryption import is_of
from reconciler.planner.fronts import attach_owner, offered
from reconciler.planner.keys import Guests
from reconciler.planner.lineage import ELSEWHERE
from reconciler.planner.showing import shown_memory
from reconciler.planner.view import View
from schemas.resources import ResourceKey


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


def inside_of(
    view: View,
    draft: Draft,
    wish: SubsystemWish,
    devices: Mapping[ResourceKey, Standing],
    volumes: Mapping[ResourceKey, Standing],
) -> Inside:
    """What a subsystem shall hold, given where the devices and volumes stand that it shows."""
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


def nsids_of(entries: Iterable[NamespaceWish]) -> str:
    return ", ".join(f"nsid {entry.nsid}" for entry in entries)
