"""Sessions that outlive the permission they began with.

SPDK lets a host stay that came while any host could, when that ends (observed on v26.05). Until such sessions are gone
the subsystem is not as declared; who is connected is asked for as long as that lasts, and no longer.
"""

from __future__ import annotations

from backends.objects import ObjectKind
from reconciler.planner.draft import Draft
from reconciler.planner.view import View

TOLD = 3  # hosts that a message names; the others are counted


def plan_sessions(view: View, draft: Draft) -> frozenset[str]:
    """Say who is connected and must not be; the subsystems whose hosts must be asked for.

    One that is open and is to be closed counts before it is: whatever becomes of that request, and of this process.
    """
    questions: set[str] = set()
    for nqn, wish in sorted(view.subsystem_wishes.items()):
        live = view.subsystem(nqn)
        if view.unread(ObjectKind.SUBSYSTEM, nqn):
            draft.closed |= view.owned.closed & {nqn}
        if live is None or wish.subsystem.allow_any_host or not (live.allow_any_host or nqn in view.owned.closed):
            continue
        draft.closed.add(nqn)
        if live.allow_any_host:
            continue
        if nqn not in view.observed.connections:
            questions.add(nqn)
            continue
        hosts = view.observed.connections[nqn]
        strangers = sorted(hosts.keys() - set(wish.hosts)) if hosts is not None else []
        if hosts is None:
            draft.remark(wish.wish.key, "SessionsNotAllowed", "whether hosts that are not listed are gone is not known")
        elif strangers:
            more = f" and {len(strangers) - TOLD} more" if len(strangers) > TOLD else ""
            message = f"not listed, and connected since any host could be: {', '.join(strangers[:TOLD])}{more}"
            draft.remark(wish.wish.key, "SessionsNotAllowed", message)
        else:
            draft.closed.discard(nqn)
    return frozenset(questions)
