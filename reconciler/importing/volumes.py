"""Pools, volumes and snapshots of a target → manifests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backends.objects import Lvol, LvolStore, Namespace, QosLimits
from reconciler.importing.site import Manifest, Site, given, manifest
from schemas.kinds import our_kinds
from schemas.quantity import format_bytes


def pools(site: Site) -> Iterator[Manifest]:
    for store in site.all(LvolStore):
        if store.bdev not in site.devices or store.uuid is None:
            site.leave_out(f"lvol store {store.name}", f"it is on bdev {store.bdev}, which is left out")
            continue
        name = site.name("StoragePool", store.name, f"{site.target}-{store.name}")
        cluster = store.cluster_size or 0
        spec = {
            "deviceRef": site.devices[store.bdev],
            "lvstoreUUID": store.uuid,
            "clusterSize": format_bytes(cluster) if cluster else None,
            "overcommitRatio": _overcommit(site, store, cluster),
            "allowedNamespaces": [site.namespace],
        }
        found = manifest("StoragePool", name, given(spec))
        if site.fits(f"lvol store {store.name}", found):
            site.pools[store.name] = name
            yield found


def _overcommit(site: Site, store: LvolStore, cluster: int) -> float | None:
    """The ratio that what is there needs, where the default would not do."""
    declared = sum(lvol.size or 0 for lvol in site.all(Lvol) if lvol.store == store.name)
    needed = declared / max(cluster * store.total_clusters, 1)
    default = our_kinds()["StoragePool"].with_defaults({})["overcommitRatio"]
    return -(-needed * 10 // 1) / 10 if isinstance(default, (int, float)) and needed > default else None


def volumes(site: Site) -> Iterator[Manifest]:
    """Volumes, and the snapshots that they lie on."""
    names = {
        lvol.alias: site.name("Volume", lvol.alias, lvol.name) for lvol in site.all(Lvol) if _is_volume(site, lvol)
    }
    owners = {lvol.alias: owner for lvol in site.all(Lvol) if (owner := _owner(site, lvol, names))}
    snapshots = {alias: site.name("VolumeSnapshot", alias, site.lvols[alias].name) for alias in owners}
    for lvol in site.all(Lvol):
        if lvol.alias in names:
            yield _volume(site, lvol, names[lvol.alias], owners, snapshots)
        elif lvol.alias in owners:
            yield _snapshot(site, lvol, snapshots[lvol.alias], names[owners[lvol.alias]])
        else:
            site.leave_out(f"lvol {lvol.alias}", _why_not(site, lvol))


def _is_volume(site: Site, lvol: Lvol) -> bool:
    whole = lvol.store in site.pools and lvol.uuid is not None and bool(lvol.size) and not lvol.read_only
    return whole and lvol.uuid not in site.above


def _why_not(site: Site, lvol: Lvol) -> str:
    if lvol.store not in site.pools:
        return "its pool is left out"
    if above := site.above.get(lvol.uuid or ""):
        return f"{above} stands on it"
    if lvol.size is None:
        return "the device that it is a clone of is not there; import it when it is"
    if not lvol.size:
        return "it has no bytes"
    return "it is read-only, and no volume that is imported lies on it"


def _owner(site: Site, lvol: Lvol, names: dict[str, str]) -> str:
    """The volume that a snapshot counts as taken of: the first that lies on it, also through later snapshots."""
    if not lvol.read_only or lvol.store not in site.pools or lvol.uuid in site.above:
        return ""
    aliases = sorted(f"{lvol.store}/{name}" for name in lvol.clones)
    own = next((alias for alias in aliases if alias in names), "")
    later = (_owner(site, site.lvols[alias], names) for alias in aliases if alias in site.lvols)
    return own or next(filter(None, later), "")


def _volume(site: Site, lvol: Lvol, name: str, owners: dict[str, str], snapshots: dict[str, str]) -> Manifest:
    site.exportable[lvol.uuid or ""] = ("volumeRef", name)
    spec: dict[str, Any] = {
        "poolRef": site.pools[lvol.store],
        "size": format_bytes(lvol.size or 0),
        "thin": bool(lvol.thin),
        "source": _source(site, lvol, name, owners, snapshots),
        "uid": _shown(site, lvol.uuid or ""),
        "qos": _limits(lvol.limits),
    }
    return manifest("Volume", name, given(spec), site.namespace, adopt=lvol.uuid or "")


def _source(
    site: Site, lvol: Lvol, name: str, owners: dict[str, str], snapshots: dict[str, str]
) -> dict[str, str] | None:
    """What a clone lies on. The volume that a snapshot counts as taken of is no clone of it."""
    below = f"{lvol.store}/{lvol.parent}" if lvol.parent else ""
    if below in snapshots and owners[below] != lvol.alias:
        return {"snapshotRef": snapshots[below]}
    if lvol.image in site.images:
        return {"imageRef": site.images[lvol.image or ""]}
    if lvol.image:
        site.notes["Volume", name] = f"It is a clone of bdev {lvol.image}, which must stay as it is: that is no Image."
    return None


def _snapshot(site: Site, lvol: Lvol, name: str, owner: str) -> Manifest:
    if len(lvol.clones) > 1:
        others = ", ".join(sorted(lvol.clones))
        site.notes["VolumeSnapshot", name] = (
            f"On it lie {others}. Which of them it was taken of, the target does not tell: the first counts."
        )
    return manifest("VolumeSnapshot", name, {"volumeRef": owner}, site.namespace, adopt=lvol.uuid or "")


def _shown(site: Site, uuid: str) -> str | None:
    """The identity under which hosts know the bytes, where it is not their own."""
    return next((n.uuid for n in site.all(Namespace) if n.bdev == uuid and n.uuid not in (None, uuid)), None)


def _limits(limits: QosLimits | None) -> dict[str, int]:
    if limits is None:
        return {}
    named = {
        "iops": limits.iops,
        "readMBps": limits.read_mbps,
        "writeMBps": limits.write_mbps,
        "totalMBps": limits.total_mbps,
    }
    return {name: value for name, value in named.items() if value}
