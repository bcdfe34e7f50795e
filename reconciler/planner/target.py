"""What is kept of a target as a whole: whether it is left alone, and what its discovery service tells."""

from __future__ import annotations

from collections.abc import Sequence

from backends.fields import fields_of
from backends.objects import DISCOVERY, Listener, LiveObject, ObjectKind, Referral, Transport
from reconciler.dates import iso
from reconciler.plan import Difference, Drift, DriftClass, created, deleted
from reconciler.planner.draft import Draft, Proposal, absent, missing_drift, surplus
from reconciler.planner.view import View


def plan_target(view: View, draft: Draft) -> None:
    """Say that the target is suspended, and keep its discovery service as declared."""
    pause = view.target.suspension
    if pause and view.is_suspended:
        message = f"nothing is changed until {iso(pause.until)}: {pause.reason}"
        draft.remark(view.target.key, "Suspended", message, ready=True)
    if not view.unread(ObjectKind.LISTENER, DISCOVERY):
        present = [thing for thing in view.inside.get(DISCOVERY, ()) if isinstance(thing, Listener)]
        _plan(view, draft, "spec.portals", view.target.discovery, present, complete=False)
    if not view.unread(ObjectKind.REFERRAL):
        referrals, given = view.target.referrals or (), view.target.referrals is not None
        _plan(view, draft, "spec.referrals", referrals, view.referrals, complete=given)


def _plan(  # noqa: PLR0913  # a list that is declared, against a list that is seen
    view: View,
    draft: Draft,
    path: str,
    wanted: Sequence[Listener | Referral],
    present: Sequence[Listener | Referral],
    *,
    complete: bool,
) -> None:
    """Add what is missing, replace what is otherwise, take away what we put there; and the rest of a complete list."""
    there = {thing.key: thing for thing in present}
    for thing in wanted:
        live = there.pop(thing.key, None)
        if live is not None and _agrees(thing, live):
            draft.own(thing, view.target.wish)
        else:
            _put(view, draft, path, thing, live)
    for key, thing in there.items():
        if key in view.records or complete:
            _take(view, draft, path, thing)
    gone = {thing.key for thing in (*wanted, *present)}
    kind = ObjectKind.REFERRAL if path == "spec.referrals" else ObjectKind.LISTENER
    draft.forget |= {key for key in view.records if key.kind is kind and _ours(key.name, kind) and key not in gone}


def _agrees(wanted: LiveObject, live: LiveObject) -> bool:
    return fields_of(wanted).items() <= fields_of(live).items()


def _ours(name: str, kind: ObjectKind) -> bool:
    return kind is ObjectKind.REFERRAL or name.startswith(f"{DISCOVERY}#")


def _put(view: View, draft: Draft, path: str, thing: Listener | Referral, live: LiveObject | None) -> None:
    record, resource, where = view.records.get(thing.key), view.target.key, f"{path}[{thing.address}]"
    cause = view.cause(record)
    drift = missing_drift(thing.key, resource, cause, where)
    if live is not None:  # there, but sending hosts otherwise than declared
        found = Difference(where, "as declared", "otherwise")
        drift = Drift(thing.key, resource, DriftClass.MODIFIED, (found,), "Corrected") if record else None
        draft.propose(Proposal(deleted(live), resource, cause, f"{where} is otherwise", drift=drift))
    requires = (Transport(thing.transport).key,) if isinstance(thing, Listener) else ()
    draft.propose(Proposal(created(thing), resource, cause, absent(where, cause), requires=requires, drift=drift))


def _take(view: View, draft: Draft, path: str, thing: Listener | Referral) -> None:
    where = f"{path}[{thing.address}]"
    cause, drift = surplus(thing.key, view.target.key, where, recorded=thing.key in view.records)
    draft.propose(Proposal(deleted(thing), view.target.key, cause, f"{where} is not declared", drift=drift))
