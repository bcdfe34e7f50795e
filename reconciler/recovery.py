"""After the ledger was lost: what on a target is ours, as names and manifests tell and a person has confirmed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from backends.contract import Lvol, LvolStore, ObjectKey, ObjectKind, Observed, Subsystem, fields_of
from reconciler import identity
from reconciler.desired import PoolWish, TargetWish, VolumeWish, Wish
from reconciler.plan import Phase, Record
from schemas.resources import ResourceKey


def recovered(site: str, wish: TargetWish, observed: Observed, known: Iterable[Record], revision: str) -> list[Record]:
    """Records for what is there and ours, and for declared volumes that are not: none of them is made blank.

    What carries this site's names is declared again under its resource; the rest of it is retained.
    """
    found = [*_bytes(site, wish, observed, revision), *_subsystems(wish, observed, revision)]
    owned = {record.resource for record in (*found, *known)}
    found += _lost(site, wish, observed, owned, revision)
    taken = {record.key for record in known}
    return [record for record in found if record.key not in taken]


def _bytes(site: str, wish: TargetWish, observed: Observed, revision: str) -> Iterator[Record]:
    ours, owners = identity.site_mark(site), _owners(site, wish)
    for thing in observed.objects.values():
        if not isinstance(thing, (Lvol, LvolStore)):
            continue
        owner = owners.get(thing.uuid or "") or owners.get(thing.name) or _adopter(wish, observed, thing)
        if owner or identity.site_of(thing.name) == ours:
            kind = "Volume" if thing.kind is ObjectKind.LVOL else "StoragePool"
            resource = owner.key if owner else ResourceKey(kind, "unknown" if kind == "Volume" else "", thing.name)
            phase, reclaim = (Phase.CREATED, owner.reclaim) if owner else (Phase.RETAINED, "")
            yield Record(thing.key, resource, phase, thing.uuid or "", fields_of(thing), reclaim, revision)


def _owners(site: str, wish: TargetWish) -> Mapping[str, Wish]:
    """Who owns a store or lvol of a name or uuid, also under the name that its resource had before."""
    parts: list[PoolWish | VolumeWish] = [*wish.pools, *wish.volumes]
    named = {identity.object_name(site, key): p.wish for p in parts for key in (*p.wish.aliases, p.wish.key)}
    return named | {pool.lvstore_uuid: pool.wish for pool in wish.pools if pool.lvstore_uuid}


def _adopter(wish: TargetWish, observed: Observed, thing: Lvol | LvolStore) -> Wish | None:
    """The volume whose manifest says that it adopted this lvol."""
    if not isinstance(thing, Lvol):
        return None
    adopters = (v for v in wish.volumes if v.wish.adopt and v.wish.key.name == thing.name)
    return next((v.wish for v in adopters if _store_of(v, observed) == thing.store), None)


def _store_of(volume: VolumeWish, observed: Observed) -> str | None:
    """Name of the loaded store that a volume belongs into."""
    stores = (thing for thing in observed.objects.values() if isinstance(thing, LvolStore))
    pool = volume.pool
    return next((s.name for s in stores if pool.lvstore_uuid == s.uuid or pool.name == s.name), None)


def _subsystems(wish: TargetWish, observed: Observed, revision: str) -> Iterator[Record]:
    for declared in wish.subsystems:
        live = observed.objects.get(declared.subsystem.key)
        if isinstance(live, Subsystem):
            yield Record(live.key, declared.wish.key, Phase.CREATED, "", fields_of(live), revision=revision)


def _lost(site: str, wish: TargetWish, observed: Observed, owned: set[ResourceKey], revision: str) -> Iterator[Record]:
    """Declared volumes of a loaded pool that nothing is known of: they may have had bytes, so none are made blank."""
    for volume in wish.volumes:
        store = _store_of(volume, observed)
        if store and not owned & {volume.wish.key, *volume.wish.aliases}:
            key = ObjectKey(ObjectKind.LVOL, f"{store}/{volume.name}")
            uid = unknown_uid(site, volume.wish.key)
            yield Record(key, volume.wish.key, Phase.CREATED, uid, {}, volume.wish.reclaim, revision)


def unknown_uid(site: str, volume: ResourceKey) -> str:
    """Stands for the uid of bytes that a lost ledger may have known."""
    return identity.derived_uuid(site, volume)
