"""What is on the target and not ours: named, never changed."""

from __future__ import annotations

from backends.objects import OWNER_MARKER, Bdev, LiveObject, Lvol, LvolStore, ObjectKey, Subsystem
from reconciler.plan import Difference, Drift, DriftClass
from reconciler.planner.controllers import is_namespace_of
from reconciler.planner.draft import Draft
from reconciler.planner.view import View

TOLD = 3  # objects that are named; the others are counted
RECORDED = 100  # objects that are shown as drift; there may be thousands beside ours


def plan_foreign(view: View, draft: Draft) -> None:
    """Say what nobody declares and no record knows."""
    ours = view.records.keys() | draft.records.keys() | _declared(view)
    foreign = [thing for key, thing in view.live.items() if key not in ours and _stands_alone(view, thing)]
    if foreign:
        foreign.sort(key=lambda thing: thing.key)
        draft.drifts += (_drift(view, thing) for thing in foreign[:RECORDED])
        names = [str(thing.key) for thing in foreign]
        more = [f"and {len(names) - TOLD} more"] if len(names) > TOLD else []
        message = f"not ours, and left alone: {', '.join([*names[:TOLD], *more])}"
        draft.remark(view.target.key, "ForeignObjects", message, ready=True)


def _drift(view: View, thing: LiveObject) -> Drift:
    found = Difference("object", "not declared", "present")
    return Drift(thing.key, view.target.key, DriftClass.FOREIGN, (found,), "LeftAlone")


def _declared(view: View) -> set[ObjectKey]:
    devices = {wish.bdev.key for wish in (*view.target.devices, *view.target.images)}
    return devices | {wish.subsystem.key for wish in view.target.subsystems}


def _stands_alone(view: View, thing: LiveObject) -> bool:
    """Whether it is something by itself, known to nobody under another name."""
    match thing:
        case Bdev(driver="nvme"):  # it comes with its controller, whose other namespaces we may want
            return not any(is_namespace_of(controller, thing) for controller in _our_controllers(view))
        case Bdev():
            return thing.name != OWNER_MARKER
        case Lvol() | LvolStore():
            return not view.recorded(thing)
        case Subsystem():
            return True
    return False


def _our_controllers(view: View) -> set[str]:
    declared = {path.controller for wish in view.target.devices for path in wish.paths}
    return declared | {path.controller for path in view.all_paths if path.key in view.records}
