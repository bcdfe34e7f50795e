"""After the ledger was lost: what on a target is ours, as names and manifests tell and a person has confirmed. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping

from backends.contract import Observed
from backends.fields import fields_of
from backends.objects import Bdev, Lvol, LvolStore, ObjectKey, ObjectKind, Subsystem
from reconciler import identity
from reconciler.desired import (
    DesiredState,
    DeviceWish,
    PoolWish,
    SnapshotWish,
    TargetWish,
    VolumeWish,
    Wish,
    source_snapshot,
)
from reconciler.moments import Moment, moment_of, stamped
from reconciler.plan import Phase, Record
from schemas.resources import ResourceKey


def recovered(  # noqa: PLR0913  # all that is known
    site: str,
    wish: TargetWish,
    observed: Observed,
    known: Iterable[Record],
    desired: DesiredState,
    *,
    elsewhere: Collection[ResourceKey] = (),
) -> list[Record]:
    """Records for what is there and ours, and for declared volumes and snapshots that are not: none is made anew.

    What carries this site's names is declared again under its resource, also where that is wanted of another target
    by now, unless its bytes are known to be there (`elsewhere`); the rest of it is retained.
    """
    known, revision = [*known], desired.revision
    found = [*_bytes(site, _with_others(wish, desired), observed, desired, elsewhere)]
    found += [*_devices(wish, observed, revision), *_subsystems(wish, observed, revision)]
    owned = {record.resource for record in (*found, *known)} | {*elsewhere}
    found += _lost(site, wish, observed, owned, revision)
    taken = {record.key for record in known}
    return [record for record in found if record.key not in taken]


def adoptable(observed: Observed, volume: VolumeWish | SnapshotWish, store: str) -> Lvol | None:
    """The lvol that a manifest says to take over: by its uuid, or the one of the resource's own name."""
    adopt = volume.wish.adopt
    if adopt == "true":
        named = observed.objects.get(ObjectKey(ObjectKind.LVOL, f"{store}/{volume.wish.key.name}"))
        return named if isinstance(named, Lvol) else None
    lvols = (thing for thing in observed.objects.values() if isinstance(thing, Lvol))
    return next((lvol for lvol in lvols if adopt and lvol.uuid == adopt and lvol.store == store), None)


# --- what bears data


def _with_others(wish: TargetWish, desired: DesiredState) -> TargetWish:
    """With what is wanted of other targets: a class chooses anew for a volume of which no ledger says where it is."""
    others = [other for name, other in sorted(desired.targets.items()) if name != wish.name]
    return dataclasses.replace(
        wish,
        volumes=(*wish.volumes, *(volume for other in others for volume in other.volumes)),
        snapshots=(*wish.snapshots, *(snapshot for other in others for snapshot in other.snapshots)),
        schedules=(*wish.schedules, *(schedule for other in others for schedule in other.schedules)),
    )


def placeholders(site: str, records: Iterable[Record]) -> list[Record]:
    """Those that stand for bytes that a lost ledger may have known, and that have not been seen."""
    return [record for record in records if record.uid == unknown_uid(site, record.resource)]


def _bytes(
    site: str, wish: TargetWish, observed: Observed, desired: DesiredState, elsewhere: Collection[ResourceKey]
) -> Iterator[Record]:
    ours, owners, adopters = identity.site_mark(site), _owners(site, wish), _adopters(wish, observed)
    waiting = _without_target(site, desired)
    for thing in observed.objects.values():
        if not isinstance(thing, (Lvol, LvolStore)):
            continue
        owner = owners.get(thing.uuid or "") or owners.get(thing.name) or adopters.get(thing.key)
        key = owner.key if owner else waiting.get(thing.name) or _scheduled(site, wish, thing)
        key, owner = (None, None) if key in elsewhere else (key, owner)
        if key or identity.site_of(thing.name) == ours:
            phase, reclaim = (Phase.CREATED if key else Phase.RETAINED), owner.reclaim if owner else ""
            applied = fields_of(_with_origin(site, wish, observed, thing, key))
            yield Record(thing.key, key or _unknown(thing), phase, thing.uuid or "", applied, reclaim, desired.revision)


def _scheduled(site: str, wish: TargetWish, thing: Lvol | LvolStore) -> ResourceKey | None:
    """The moment whose snapshot has this name, of a schedule and a volume that are declared."""
    at = stamped(thing.name) if isinstance(thing, Lvol) and thing.snapshot else None
    if at is None:
        return None
    moments = (
        Moment(name, schedule.wish.key, at)
        for schedule in wish.schedules
        for volume in schedule.volumes
        for name in (*volume.wish.aliases, volume.wish.key)
    )
    return next((moment.key for moment in moments if moment.lvol_name(site) == thing.name), None)


def _without_target(site: str, desired: DesiredState) -> Mapping[str, ResourceKey]:
    """Declared snapshots by name: they are on no target when their volume is gone and no ledger knows their pool."""
    return {identity.object_name(site, key): key for key in desired.declared if key.kind == "VolumeSnapshot"}


def _owners(site: str, wish: TargetWish) -> Mapping[str, Wish]:
    """Who owns a store or lvol of a name or uuid, also under the name that its resource had before."""
    parts: list[PoolWish | VolumeWish | SnapshotWish] = [*wish.pools, *wish.volumes, *wish.snapshots]
    named = {name: p.wish for p in parts for name in _names(site, p.wish)}
    return named | {pool.lvstore_uuid: pool.wish for pool in wish.pools if pool.lvstore_uuid}


def _names(site: str, wish: Wish) -> list[str]:
    """The names that what stands for a resource may have, the present one last."""
    return [identity.object_name(site, key) for key in (*wish.aliases, wish.key)]


def _adopters(wish: TargetWish, observed: Observed) -> Mapping[ObjectKey, Wish]:
    """The volumes and snapshots whose manifests say that they adopted an lvol."""
    found: dict[ObjectKey, Wish] = {}
    parts: list[VolumeWish | SnapshotWish] = [*wish.volumes, *wish.snapshots]
    for volume in parts:
        store = _store_of(volume.pool, observed) if volume.wish.adopt else None
        lvol = adoptable(observed, volume, store) if store else None
        if lvol:
            found.setdefault(lvol.key, volume.wish)
    return found


def _unknown(thing: Lvol | LvolStore) -> ResourceKey:
    """The resource of bytes that nobody declares."""
    if isinstance(thing, LvolStore):
        return ResourceKey("StoragePool", "", thing.name)
    return ResourceKey("VolumeSnapshot" if thing.snapshot else "Volume", "unknown", thing.name)


def _with_origin(
    site: str, wish: TargetWish, observed: Observed, thing: Lvol | LvolStore, key: ResourceKey | None
) -> Lvol | LvolStore:
    """With what it was made of, which cannot be read back.

    Nobody knows that of what nobody declares: it then counts as a clone of what it lies on, which is kept under it.
    """
    if not isinstance(thing, Lvol):
        return thing
    moment = moment_of(key) if key else None
    if moment:
        taken_of = next((v for v in wish.volumes if moment.volume in (v.wish.key, *v.wish.aliases)), None)
        live_of = _live_of(site, taken_of, thing.store, observed) if taken_of else None
        thing = _with_key(observed, thing, taken_of)
        return dataclasses.replace(thing, snapshot_of=live_of.alias if live_of else None)
    snapshot = next((s for s in wish.snapshots if s.wish.key == key), None)
    volume = next((v for v in wish.volumes if v.wish.key == key), None)
    thing = _with_key(observed, thing, snapshot or volume)
    if snapshot:
        of = _live_of(site, snapshot.volume, thing.store, observed) if snapshot.volume else None
        return dataclasses.replace(thing, snapshot_of=of.alias if of else None)
    if volume and isinstance(volume.source, SnapshotWish):
        source = _live_of(site, volume.source, thing.store, observed)
        thing = dataclasses.replace(thing, clone_of=source.alias if source else f"{thing.store}/{volume.source.name}")
    if volume:
        return _as_copied(observed, volume, thing)
    orphan = volume is None and thing.parent is not None and not thing.snapshot
    return dataclasses.replace(thing, clone_of=f"{thing.store}/{thing.parent}") if orphan else thing


def _as_copied(observed: Observed, volume: VolumeWish, thing: Lvol) -> Lvol:
    """One that lies on its source no more has been copied; what its own snapshots did to it is no reason to copy it."""
    below = [*lies_on(observed, thing)]
    shares = any(lvol.image or lvol.alias == thing.clone_of for lvol in (thing, *below)) and volume.source is not None
    if volume.detach and not shares:
        thing = dataclasses.replace(thing, clone_of=None)
    return dataclasses.replace(thing, thin=thing.thin if volume.thin or shares else False)


def lies_on(observed: Observed, lvol: Lvol) -> Iterator[Lvol]:
    """What an lvol lies on, one after another."""
    seen = {lvol.name}
    while lvol.parent and lvol.parent not in seen:
        found = observed.objects.get(ObjectKey(ObjectKind.LVOL, f"{lvol.store}/{lvol.parent}"))
        if not isinstance(found, Lvol):
            return
        seen.add(found.name)
        lvol = found
        yield found


def _with_key(observed: Observed, lvol: Lvol, owner: VolumeWish | SnapshotWish | None) -> Lvol:
    """With where its key is: as it is declared, or as its source's is; and the key that is in use, where one is.

    A key in use counts also where no manifest says so any more, as when the class of a volume was changed since.
    """
    declared = _declared_key(owner)
    above = (d for d in observed.objects.values() if isinstance(d, Bdev) and d.driver == "crypto")
    used = next((d.key_name or "" for d in above if d.bases == (lvol.uuid,)), "")
    fingerprint = used.rpartition("-")[2] if identity.site_of(used) else None
    return dataclasses.replace(lvol, key_from=declared or None, sealed=fingerprint)


def _declared_key(owner: VolumeWish | SnapshotWish | DeviceWish | None) -> str:
    match owner:
        case SnapshotWish(volume=volume):
            return _declared_key(volume)
        case VolumeWish(key_from=own, source=source):
            return own or _declared_key(source)
    return ""


def _live_of(site: str, wish: VolumeWish | SnapshotWish, store: str, observed: Observed) -> Lvol | None:
    if wish.wish.adopt and (adopted := adoptable(observed, wish, store)):
        return adopted
    keys = (ObjectKey(ObjectKind.LVOL, f"{store}/{name}") for name in reversed(_names(site, wish.wish)))
    return next((lvol for key in keys if isinstance(lvol := observed.objects.get(key), Lvol)), None)


def _store_of(pool: PoolWish, observed: Observed) -> str | None:
    """Name of the loaded store that a pool is."""
    stores = (thing for thing in observed.objects.values() if isinstance(thing, LvolStore))
    return next((s.name for s in stores if pool.lvstore_uuid == s.uuid or pool.name == s.name), None)


# --- what is declared by a name of its own


def _devices(wish: TargetWish, observed: Observed, revision: str) -> Iterator[Record]:
    for device in (*wish.devices, *wish.images):
        live = observed.objects.get(device.bdev.key)
        if isinstance(live, Bdev):
            uid = (live.uuid or "") if device.paths else ""
            yield Record(live.key, device.wish.key, Phase.CREATED, uid, fields_of(live), device.wish.reclaim, revision)


def _subsystems(wish: TargetWish, observed: Observed, revision: str) -> Iterator[Record]:
    for declared in wish.subsystems:
        live = observed.objects.get(declared.subsystem.key)
        if isinstance(live, Subsystem):
            yield Record(live.key, declared.wish.key, Phase.CREATED, "", fields_of(live), revision=revision)


# --- what is not there


def _lost(site: str, wish: TargetWish, observed: Observed, owned: set[ResourceKey], revision: str) -> Iterator[Record]:
    """Declared volumes and snapshots of a loaded pool that nothing is known of: they may have had bytes.

    Not the snapshots that copies are made through: such a one is taken only when its copy is to be made.
    """
    through = {source_snapshot(volume.wish.key) for volume in wish.volumes}
    parts: list[VolumeWish | SnapshotWish] = [*wish.volumes, *wish.snapshots]
    for part in parts:
        store = _store_of(part.pool, observed)
        if store and part.wish.key not in through and not owned & {part.wish.key, *part.wish.aliases}:
            key = ObjectKey(ObjectKind.LVOL, f"{store}/{part.name}")
            uid = unknown_uid(site, part.wish.key)
            applied = {"thin": part.thin} if isinstance(part, VolumeWish) else {}
            yield Record(key, part.wish.key, Phase.CREATED, uid, applied, part.wish.reclaim, revision)


def unknown_uid(site: str, resource: ResourceKey) -> str:
    """Stands for the uid of bytes that a lost ledger may have known."""
    return identity.derived_uuid(site, resource)
