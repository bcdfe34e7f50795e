"""A front target: it attaches what another target owns, and exports it again as the same namespaces.

SPDK knows a namespace that it attached by the uuid that it had then, also when the owner shows other bytes under that
nsid meanwhile (observed on v26.05). So a front exports only what the ledger says the owner shows at this very nsid,
and the owner shows no other bytes there before every front has let go.
"""

from __future__ import annotations

from backends.objects import Bdev, Namespace, ObjectKey, ObjectKind
from reconciler import identity
from reconciler.desired import DeviceWish, NamespaceWish, SubsystemWish
from reconciler.plan import Phase, Record
from reconciler.planner.controllers import plan_paths
from reconciler.planner.draft import Draft
from reconciler.planner.view import View
from schemas.resources import Json


def attach_owner(view: View, draft: Draft, wish: SubsystemWish) -> None:
    """The ways to the owner, once it exports something."""
    front = wish.front
    if front is None:
        return
    records = [_owners(view, wish, entry) for entry in wish.namespaces]
    if not any(map(_is_shown, records)) and not view.paths_of(front.controller):
        message = f"{front.owner} does not export {wish.subsystem.nqn} yet"
        draft.remark(wish.wish.key, "WaitingForOwner", message)
        return
    device = DeviceWish(wish.wish, Bdev(front.controller, "nvme"), paths=front.paths)
    plan_paths(view, draft, device)


def offered(view: View, draft: Draft, wish: SubsystemWish) -> tuple[list[Namespace], list[NamespaceWish]]:
    """Namespaces that can be exported, and those that cannot yet. What is neither is not to be exported at all."""
    found: list[Namespace] = []
    absent: list[NamespaceWish] = []
    for entry in wish.namespaces:
        record, bdev = _owners(view, wish, entry), _attached(view, wish, entry)
        live = view.live.get(ObjectKey(ObjectKind.NAMESPACE, f"{wish.subsystem.nqn}#{entry.nsid}"))
        uuid = record.applied.get("uuid") if record else None
        if record is None and isinstance(live, Namespace) and not view.recovering:
            draft.remark(
                wish.wish.key, "WaitingForOwner", f"the owner took nsid {entry.nsid} away; so does this target"
            )
        elif bdev is None or record is None or not isinstance(uuid, str):
            if record is None and live is None and not view.unread(ObjectKind.NAMESPACE):
                draft.forget.add(ObjectKey(ObjectKind.NAMESPACE, f"{wish.subsystem.nqn}#{entry.nsid}"))  # it let go
            draft.remark(wish.wish.key, "WaitingForOwner", f"nsid {entry.nsid} is not there yet over {_owner(wish)}")
            absent.append(entry)
        elif bdev.uuid != uuid:
            message = f"nsid {entry.nsid} came as {bdev.uuid} from {_owner(wish)}, which shows {uuid} there"
            draft.remark(wish.wish.key, "TargetIdentityMismatch", message, stalled=True)
        elif record.phase is Phase.CREATED or isinstance(live, Namespace):
            found.append(_namespace(wish.subsystem.nqn, entry, uuid))
        else:
            absent.append(entry)
    return found, absent


def front_first(view: View, namespace: Namespace) -> str:
    """Why the owner shows nothing here yet: another target still shows other bytes under the same id."""
    wish = view.subsystem_wishes.get(namespace.nqn)
    if wish is not None and wish.front:
        return ""
    others = view.owned.siblings.get(namespace.key, {})
    shown = {target: record.applied.get("uuid") for target, record in others.items()}
    other = next((target for target, uuid in sorted(shown.items()) if _differs(uuid, namespace)), "")
    return f"target {other} still shows nsid {namespace.nsid} with other bytes, and lets go first" if other else ""


def _differs(uuid: Json, namespace: Namespace) -> bool:
    """Bytes that are yet to be made have no uuid: they are others than any that were shown."""
    return uuid is not None and uuid != namespace.uuid


def device_key(wish: SubsystemWish, nsid: int) -> ObjectKey:
    """The attached namespace that a front exports."""
    return ObjectKey(ObjectKind.BDEV, f"{wish.front.controller if wish.front else ''}n{nsid}")


def _owner(wish: SubsystemWish) -> str:
    return wish.front.owner if wish.front else ""


def _owners(view: View, wish: SubsystemWish, entry: NamespaceWish) -> Record | None:
    """What the ledger says the owner shows under an id."""
    key = ObjectKey(ObjectKind.NAMESPACE, f"{wish.subsystem.nqn}#{entry.nsid}")
    record = view.owned.siblings.get(key, {}).get(_owner(wish))
    return record if record and record.resource == wish.wish.key else None


def _is_shown(record: Record | None) -> bool:
    return record is not None and record.phase is Phase.CREATED and not record.replay


def _attached(view: View, wish: SubsystemWish, entry: NamespaceWish) -> Bdev | None:
    bdev = view.live.get(device_key(wish, entry.nsid))
    return bdev if isinstance(bdev, Bdev) and bdev.driver == "nvme" else None


def _namespace(nqn: str, entry: NamespaceWish, uuid: str) -> Namespace:
    masked, group = entry.visible_to is not None, entry.ana_group
    return Namespace(nqn, entry.nsid, uuid, uuid, identity.nguid_of(uuid), masked=masked, anagrpid=group)
