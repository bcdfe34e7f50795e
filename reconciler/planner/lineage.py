"""Volumes and snapshots in the order in which they come from each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from backends.objects import ObjectKind
from reconciler.desired import PoolWish, SnapshotWish, VolumeWish, source_snapshot
from reconciler.plan import Phase
from reconciler.planner.draft import Draft, Ground, Standing
from reconciler.planner.snapshots import plan_snapshot
from reconciler.planner.view import View
from reconciler.planner.volumes import plan_volume
from schemas.resources import ResourceKey

Standings = Mapping[ResourceKey, Standing]
ELSEWHERE = Standing(why="it is not on this target")


def plan_lineage(view: View, draft: Draft, pools: Standings, images: Standings) -> Standings:
    """How each volume and snapshot of the target stands."""
    family = _Family(view, draft, pools, images)
    for volume in view.target.volumes:
        family.volume(volume)
    for snapshot in view.target.snapshots:
        family.snapshot(snapshot)
    return family.known


@dataclass
class _Family:
    """Everything after what it is made from, each once."""

    view: View
    draft: Draft
    pools: Standings
    images: Standings
    known: dict[ResourceKey, Standing] = field(default_factory=dict)

    def volume(self, wish: VolumeWish) -> Standing:
        key = wish.wish.key
        if key not in self.known:
            pool = self._pool(wish.pool)
            ground = Ground(pool, self._source(wish)) if pool else None
            self.known[key] = plan_volume(self.view, self.draft, wish, ground) if ground else ELSEWHERE
        return self.known[key]

    def snapshot(self, wish: SnapshotWish, *, needed: bool = True) -> Standing:
        key = wish.wish.key
        if key not in self.known:
            pool = self._pool(wish.pool)
            volume = self.volume(wish.volume) if wish.volume else None
            ground = Ground(pool, volume) if pool else None
            found = plan_snapshot(self.view, self.draft, wish, ground, needed=needed) if ground else ELSEWHERE
            self.known[key] = found
        return self.known[key]

    def _pool(self, wish: PoolWish) -> Standing | None:
        return self.pools.get(wish.wish.key)

    def _source(self, wish: VolumeWish) -> Standing | None:
        """How that stands which a volume is cloned from; None for one that begins blank."""
        match wish.source:
            case None:
                return None
            case SnapshotWish() as snapshot:
                own = snapshot.wish.key == source_snapshot(wish.wish.key)
                return self.snapshot(snapshot, needed=not own or self._to_be_made(wish))
            case image:
                return self.images.get(image.wish.key, ELSEWHERE)

    def _to_be_made(self, wish: VolumeWish) -> bool:
        """Whether a volume has no bytes yet; once it has them, what it was copied through is not missed."""
        record = self.view.record_of(wish.wish, ObjectKind.LVOL)
        return record is None or record.phase is Phase.CREATING or wish.recreate == record.uid
