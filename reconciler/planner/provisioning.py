"""Volumes that are to have all their bytes to themselves: inflated (thick), or detached from what they were cloned of.

The target copies for as long as it takes and answers when it is done, so these tasks run beside the ticks: a few at a
time, one on each volume, each begun only when there is room for it, and known again by its journal entry and by what
the target shows. Observed on v26.05: a second request, a resize or a snapshot meanwhile is refused; a target that ends
leaves a volume that can be copied again; decoupling a volume that has outgrown its snapshot reads beyond the end of a
list in the target's memory, and inflating one that has outgrown its image fails half way.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from backends.contract import Guard
from backends.objects import Bdev, Lvol, LvolStore, ObjectKey, ObjectKind, Provisioning, provisioning_of
from reconciler.desired import VolumeWish
from reconciler.plan import Cause, Record, Task, TaskState, updated
from reconciler.planner.draft import Draft, Proposal
from reconciler.planner.view import View
from schemas.quantity import format_bytes


@dataclass(frozen=True, slots=True)
class Copying:
    """A volume that is to be copied: how, and how far that is by what was seen."""

    kind: str  # inflate | decouple
    wanted: Provisioning
    left: int  # clusters that it may still take
    percent: int


def copying(view: View, wish: VolumeWish, record: Record, lvol: Lvol) -> Copying | None:
    """What of a volume's wish takes copying; None when it is as wanted.

    Once it is so, the ledger says so: what a snapshot of the volume does to it afterwards is no reason to copy again.
    """
    thickens = not wish.thin and lvol.thin and record.applied.get("thin") is True
    if not (thickens or wish.detach or view.owned.quarantined):
        return None
    now = provisioning_of(lvol)
    cluster = next((s.cluster_size for s in view.stores.values() if s.name == lvol.store), None) or 1
    whole, have = -(-(lvol.size or 0) // cluster), lvol.allocated_clusters
    begun = view.owned.quarantined.get(now.key)  # what was begun is finished, whatever is wanted by now
    asked = begun.after if begun else {}
    if thickens or (lvol.thin and asked.get("thin") is False):
        wanted = dataclasses.replace(now, thin=False, alone=None)
        return Copying("inflate", wanted, max(0, whole - have), _percent(have, whole))
    cloned = record.applied.get("clone_of") or record.applied.get("image")
    if not now.alone and lvol.size is not None and ((wish.detach and cloned) or asked.get("alone")):
        wanted = dataclasses.replace(now, thin=None, alone=True)
        below = view.live.get(ObjectKey(ObjectKind.LVOL, f"{lvol.store}/{lvol.parent}"))
        shared = below.allocated_clusters if isinstance(below, Lvol) else whole
        return Copying("decouple", wanted, min(shared, max(0, whole - have)), _percent(have, min(shared, whole)))
    return None


def as_copied(wish: VolumeWish, record: Record, applied: Lvol, lvol: Lvol) -> Lvol:
    """What the ledger is to say of a volume: thin until it was seen thick, a clone until it was seen alone."""
    if not wish.thin and lvol.thin and record.applied.get("thin") is True:
        applied = dataclasses.replace(applied, thin=True)
    independent = lvol.thin is False or (wish.detach and lvol.size is not None)
    if independent and lvol.parent is None and lvol.image is None:
        applied = dataclasses.replace(applied, clone_of=None, image=None)
    return applied


def plan_copying(view: View, draft: Draft, wish: VolumeWish, lvol: Lvol, work: Copying) -> None:
    """Begin to copy a volume, or say how far that is."""
    key, resource = work.wanted.key, wish.wish.key
    doubt = view.owned.quarantined.get(key)
    if doubt and not doubt.again:
        message = f"{_doing(work)}, {work.percent} %"
        draft.copies[key] = work.left
        draft.tasks.append(Task(work.kind, resource, key, TaskState.RUNNING, message, work.percent, doubt.sent))
        draft.remark(resource, "TaskRunning", _doing(work), ready=True)
        return
    below = _below(view, lvol)
    proposal = Proposal(
        updated(provisioning_of(lvol), work.wanted),
        resource,
        Cause.CHANGE,
        _doing(work),
        guards=(Guard(lvol.key, {"uuid": lvol.uuid, "size": lvol.size}), *(_seen(b) for b in below)),
        touches=(lvol.key,),
    )
    refusal = _unfit(work, lvol, below) or _no_room(view, draft, wish, lvol, work)
    if refusal:
        draft.hold(proposal, *refusal)
    elif _begun(view, draft) >= view.target.concurrent_tasks:
        others = f"{view.target.concurrent_tasks} volume(s) of the target are copied at a time"
        draft.hold(proposal, "TaskQueued", f"{_doing(work)}: waits its turn; {others}", waiting=True)
    else:
        draft.copies[key] = work.left
        draft.propose(proposal)
    draft.tasks.append(Task(work.kind, resource, key, TaskState.QUEUED, _doing(work), work.percent))


def plan_copying_later(draft: Draft, wish: VolumeWish, work: Copying) -> None:
    """Say that a volume is to be copied once it has grown."""
    later = f"{_doing(work)}, once it has grown"
    draft.tasks.append(Task(work.kind, wish.wish.key, work.wanted.key, TaskState.QUEUED, later, work.percent))


def waits_for_copying(work: Copying | None, lvol: Lvol) -> bool:
    """Whether a volume is copied before it grows: one that has outgrown what it lies on cannot be copied any more."""
    return work is not None and (work.kind == "decouple" or lvol.image is not None)


def settle_tasks(draft: Draft) -> tuple[Task, ...]:
    """The tasks with what became of them in this plan."""
    held = {item.change.key: item for item in draft.held}
    found = []
    for task in draft.tasks:
        hold = held.get(task.key)
        if hold is not None and task.state is TaskState.QUEUED and hold.reason != "TaskQueued":
            state = TaskState.FAILED if hold.reason == "BackingOff" else TaskState.HELD
            found.append(dataclasses.replace(task, state=state, message=hold.message))
        else:
            found.append(task)
    return tuple(sorted(found, key=lambda task: (task.resource, task.kind)))


def _doing(work: Copying) -> str:
    how = {"inflate": "every cluster of it is allocated", "decouple": "what it shares with its source is copied"}
    return f"{work.kind}: {how[work.kind]}"


def _percent(have: int, whole: int) -> int:
    """Never all of it: that it is done is seen otherwise, and hosts allocate clusters, too."""
    return min(99, 100 * have // whole) if whole else 99


def _below(view: View, lvol: Lvol) -> tuple[Lvol | Bdev, ...]:
    """What an lvol lies on, where that is seen."""
    parent = view.live.get(ObjectKey(ObjectKind.LVOL, f"{lvol.store}/{lvol.parent}"))
    found = (parent, view.devices.get(lvol.image or ""))
    return tuple(thing for thing in found if isinstance(thing, (Lvol, Bdev)))


def _seen(thing: Lvol | Bdev) -> Guard:
    return Guard(thing.key, {"uuid": thing.uuid, "size": thing.size})


def _unfit(work: Copying, lvol: Lvol, below: tuple[Lvol | Bdev, ...]) -> tuple[str, str] | None:
    """That SPDK cannot copy it as it is."""
    outgrown = next((b for b in below if (b.size or 0) < (lvol.size or 0)), None)
    if isinstance(outgrown, Bdev):
        return "OutgrownSource", f"it has outgrown image {outgrown.path}, and SPDK copies no further than that goes"
    if work.kind != "decouple":
        return None
    if lvol.parent and not below:
        return "Unknown", f"snapshot {lvol.parent}, which it lies on, could not be read"
    if isinstance(outgrown, Lvol):
        way = "declare thin: false, which copies all of it"
        return "OutgrownSource", f"it has outgrown snapshot {outgrown.name}, and SPDK cannot detach it safely: {way}"
    return None


def _no_room(view: View, draft: Draft, wish: VolumeWish, lvol: Lvol, work: Copying) -> tuple[str, str] | None:
    """That the pool would fall below its reserve, what others may still take included."""
    store = next((s for s in view.stores.values() if s.name == lvol.store), None)
    if store is None:
        return None
    taken = sum(left for key, left in draft.copies.items() if key.name.partition("/")[0] == store.name)
    free = store.free_clusters - taken - work.left
    if free >= wish.pool.reserve * store.total_clusters:
        return None
    return "PoolLow", _short_of(wish, store, work.left + taken)


def _short_of(wish: VolumeWish, store: LvolStore, wanted: int) -> str:
    cluster = store.cluster_size or 0
    free, needed = format_bytes(store.free_clusters * cluster), format_bytes(wanted * cluster)
    return f"{wish.pool.wish.key} has {free} free, its reserve is {wish.pool.reserve:.0%}; copying takes up to {needed}"


def _begun(view: View, draft: Draft) -> int:
    """How many volumes are being copied, or begin to be in this plan."""
    running = {key for key in view.owned.quarantined if key.kind is ObjectKind.PROVISIONING}
    return len(running | draft.copies.keys())
