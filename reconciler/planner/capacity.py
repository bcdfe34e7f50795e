"""How much of a pool is left, how much of it is promised, and what a tenant's quota says to what is kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from backends.objects import LvolStore, ObjectKind
from reconciler.desired import PoolWish, QuotaWish
from reconciler.plan import Phase
from reconciler.planner.draft import Draft
from reconciler.planner.pools import low
from reconciler.planner.view import View
from schemas.quantity import format_bytes


def tell_capacity(view: View, draft: Draft) -> None:
    """Say of each pool when it runs low or promises too much, and of each quota what is kept beside it."""
    promised: defaultdict[str, list[int]] = defaultdict(list)
    for lvol in view.lvols.values():
        if not lvol.read_only:
            promised[lvol.store].append(lvol.size or 0)
    for wish in view.target.pools:
        record = view.record_of(wish.wish, ObjectKind.LVOL_STORE)
        store = view.stores.get(record.uid if record else "")
        if store:
            _tell(draft, wish, store, promised[store.name])
    _tell_quotas(view, draft)


def _tell(draft: Draft, wish: PoolWish, store: LvolStore, promised: Sequence[int]) -> None:
    if message := low(wish, store):
        draft.remark(wish.wish.key, "PoolLow", message, ready=True)
        return
    capacity, total = store.total_clusters * (store.cluster_size or 0), sum(promised)
    if total > capacity * wish.overcommit:
        held = f"{len(promised)} volume(s) of {format_bytes(total)}, those that are Retained included"
        limit = f"{format_bytes(capacity)} at overcommitRatio {wish.overcommit:g}"
        draft.remark(wish.wish.key, "Overcommitted", f"the pool holds {held}; it may promise {limit}", ready=True)


def _tell_quotas(view: View, draft: Draft) -> None:
    kept: defaultdict[str, list[int]] = defaultdict(list)
    for record in view.owned.records if view.desired.quotas else ():
        if record.key.kind is ObjectKind.LVOL and record.phase is Phase.RETAINED:
            size = record.applied.get("size")
            kept[record.resource.namespace].append(size if isinstance(size, int) else 0)
    for quota in view.desired.quotas:
        if sizes := kept[quota.key.namespace]:
            _tell_quota(view, draft, quota, sizes)


def _tell_quota(view: View, draft: Draft, quota: QuotaWish, kept: Sequence[int]) -> None:
    over = quota.capacity is not None and quota.declared + sum(kept) > quota.capacity
    beside = f"{len(kept)} Retained volume(s) and snapshot(s) of {format_bytes(sum(kept))} on {view.target.name}"
    message = f"beside the {format_bytes(quota.declared)} that are declared, {beside} take room"
    draft.remark(quota.key, "QuotaExceeded" if over else "RetainedBeside", message, ready=True)
