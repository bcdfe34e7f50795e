"""ANA: over which paths hosts best reach each namespace. What gets better goes first, what gets worse takes a path.

A path that is to go is made inaccessible first, so that hosts leave it before it is closed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from backends.ana_states import ANA_STATES, ana_states
from backends.fields import fields_of
from backends.objects import Listener, LiveObject, Namespace, ObjectKey
from reconciler.desired import SubsystemWish
from reconciler.plan import Cause, Difference, Drift, DriftClass, Hazard, deleted, updated
from reconciler.planner.draft import Draft, Proposal
from reconciler.planner.view import View

CLOSED = "inaccessible"
_FIELDS = {"ana": "spec.exports.anaState", "anagrpid": "spec.namespaces[nsid={nsid}].anaGroup"}


def in_place(wanted: LiveObject, live: LiveObject) -> bool:
    """Whether nothing but the ANA state of a listener, or the ANA group of a namespace, is to change."""
    have = fields_of(live)
    differing = {name for name, value in fields_of(wanted).items() if name in have and have[name] != value}
    return bool(differing) and differing <= _FIELDS.keys() and type(wanted) is type(live)


def propose_change(view: View, draft: Draft, wish: SubsystemWish, wanted: LiveObject, live: LiveObject) -> None:
    """Change it while hosts stay connected."""
    name = "ana" if isinstance(wanted, Listener) else "anagrpid"
    want, have = fields_of(wanted)[name], fields_of(live)[name]
    path = _FIELDS[name].format(nsid=getattr(wanted, "nsid", ""))
    record = view.records.get(wanted.key)
    behind_our_back = record is not None and record.applied.get(name) == want
    found = (Difference(path, want, have),)
    drift = Drift(wanted.key, wish.wish.key, DriftClass.MODIFIED, found, "Corrected") if behind_our_back else None
    worse = _is_worse(wish, wanted, live)
    draft.propose(
        Proposal(
            updated(live, _changed(live, wanted)),
            wish.wish.key,
            Cause.DRIFT if behind_our_back else Cause.CHANGE,
            f"{path}: {have} → {want}",
            Hazard.DISRUPTIVE if worse else Hazard.SAFE,
            settled=_better(view, wish) if worse and isinstance(wanted, Listener) else (),
            subject=wish.subsystem.nqn,
            drift=drift,
        )
    )


def _changed(live: LiveObject, wanted: LiveObject) -> LiveObject:
    if isinstance(live, Listener) and isinstance(wanted, Listener):
        return dataclasses.replace(live, ana=wanted.ana)
    if isinstance(live, Namespace) and isinstance(wanted, Namespace):
        return dataclasses.replace(live, anagrpid=wanted.anagrpid)
    return wanted


def _is_worse(wish: SubsystemWish, wanted: LiveObject, live: LiveObject) -> bool:
    if isinstance(wanted, Listener) and isinstance(live, Listener):
        return _worsens(live.ana or "", wanted.ana or "", _groups(wish))
    if isinstance(wanted, Namespace) and isinstance(live, Namespace) and wanted.anagrpid and live.anagrpid:
        states = [ana_states(at.ana, _groups(wish)) for at in wish.listeners if at.ana]
        return any(_rank(s[wanted.anagrpid - 1]) > _rank(s[live.anagrpid - 1]) for s in states)
    return True


def _worsens(before: str, after: str, groups: int) -> bool:
    """Whether any group is less well reached afterwards."""
    pairs = zip(ana_states(before, groups), ana_states(after, groups), strict=False)
    return any(_rank(new) > _rank(old) for old, new in pairs)


def _groups(wish: SubsystemWish) -> int:
    return wish.subsystem.max_namespaces or 1


def _rank(state: str) -> int:
    return ANA_STATES.index(state) if state in ANA_STATES else len(ANA_STATES)


def _better(view: View, wish: SubsystemWish) -> tuple[ObjectKey, ...]:
    """The other listeners that get better in this plan: hosts are given their new path before they lose the old."""
    pairs = ((listener, view.live.get(listener.key)) for listener in wish.listeners)
    return tuple(
        wanted.key
        for wanted, live in pairs
        if isinstance(live, Listener)
        and wanted.ana is not None
        and live.ana not in (None, wanted.ana)
        and not _worsens(live.ana or "", wanted.ana, _groups(wish))
    )


def drain(
    view: View, draft: Draft, wish: SubsystemWish, live: LiveObject, present: Mapping[ObjectKey, LiveObject]
) -> bool:
    """Have hosts leave a path of ours before it is closed, where they have another. Whether that is yet to be done."""
    if not (isinstance(live, Listener) and live.ana not in (None, CLOSED) and live.key in view.records):
        return False
    if not _others(wish, live, present):
        return False
    reason = f"{live.transport}:{live.address}:{live.port} is to go, and hosts are to leave it first"
    closed = dataclasses.replace(live, ana=CLOSED)
    draft.propose(
        Proposal(updated(live, closed), wish.wish.key, Cause.CHANGE, reason, Hazard.DISRUPTIVE, subject=live.nqn)
    )
    removal = Proposal(deleted(live), wish.wish.key, Cause.CHANGE, reason, Hazard.DISRUPTIVE, subject=live.nqn)
    draft.hold(removal, "Draining", reason, waiting=True)
    return True


def _others(wish: SubsystemWish, live: Listener, present: Mapping[ObjectKey, LiveObject]) -> Sequence[Listener]:
    """Listeners that stay, and over which a host can reach something."""
    staying = (present.get(listener.key) for listener in wish.listeners if listener.key != live.key)
    return [at for at in staying if isinstance(at, Listener) and at.ana not in (None, CLOSED)]
