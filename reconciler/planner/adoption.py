"""Lvols that somebody else made and a manifest takes over: by their uuid, and never two owners for the same bytes."""

from __future__ import annotations

from backends.objects import Lvol
from reconciler import identity
from reconciler.planner.draft import Draft
from reconciler.planner.view import View
from reconciler.recovery import adoptable
from schemas.resources import ResourceKey


def owner_of(view: View, draft: Draft, lvol: Lvol, resource: ResourceKey) -> str:
    """Who else owns an lvol: another resource, by the ledger or in this plan, or by its name one that is not known."""
    records = (*view.owned.records, *draft.records.values())
    owners = (r.resource for r in records if r.key == lvol.key or (r.uid and r.uid == lvol.uuid))
    other = next((str(owner) for owner in owners if owner != resource), "")
    ours = identity.site_of(lvol.name) == identity.site_mark(view.owned.site)
    return other or ("a resource that the ledger does not know" if ours and not view.recorded(lvol) else "")


def cloned_of(view: View, lvol: Lvol, resource: ResourceKey) -> str | None:
    """The lvol that an adopted one counts as a clone of, by its alias: what it lies on, which is then kept under it.

    Not where a snapshot is declared to be the resource's own.
    """
    if lvol.parent is None:
        return None
    below = f"{lvol.store}/{lvol.parent}"
    own = (s for s in view.target.snapshots if s.wish.adopt and s.volume and s.volume.wish.key == resource)
    found = (adoptable(view.observed, snapshot, lvol.store) for snapshot in own)
    return None if any(live and live.alias == below for live in found) else below
