"""Block devices, stacks of them, NVMe controllers and images of a target → manifests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backends.objects import OWNER_MARKER, Bdev, NvmePath, QosLimits
from reconciler.importing.site import Manifest, Site, given, manifest
from schemas.quantity import format_bytes

BLOCK_SIZES = (512, 4096)  # that a manifest can say
LEVELS = ("raid0", "raid1", "raid5f", "concat")
KEYS = "/etc/holdfast/keys"  # where the keys of encrypting devices are looked for until somebody says otherwise


def devices(site: Site) -> Iterator[Manifest]:
    """Everything that is no lvol; what is stacked on others after those."""
    done: dict[str, Manifest | None] = {}
    for bdev in site.all(Bdev):
        if bdev.name != OWNER_MARKER:
            _stack(site, bdev, done)
    yield from (found for found in done.values() if found)


def _stack(site: Site, bdev: Bdev, done: dict[str, Manifest | None]) -> None:
    for base in bdev.bases or ():
        below = site.observed.objects.get(Bdev(base, "").key)
        if isinstance(below, Bdev) and below.name not in done:
            _stack(site, below, done)
    if bdev.name not in done:
        done[bdev.name] = _device(site, bdev)


def _device(site: Site, bdev: Bdev) -> Manifest | None:
    if why := _unspeakable(site, bdev):
        site.leave_out(f"bdev {bdev.name}", why)
        return None
    if bdev.limits not in (None, QosLimits()):
        site.leave_out(f"limits of bdev {bdev.name}", "those of a device cannot be declared; they end with the process")
    if bdev.read_only:
        return _image(site, bdev)
    name = site.name("BlockDevice", bdev.name, f"{site.target}-{bdev.name}")
    identity = {"uuid": bdev.uuid} if bdev.uuid and bdev.driver != "crypto" else {}  # its base gives it
    spec = {"targetRef": site.target, "bdevName": bdev.name, bdev.driver: given(_about(site, bdev, name))}
    found = manifest("BlockDevice", name, spec | identity, adopt="true")
    if not site.fits(f"bdev {bdev.name}", found):
        return None
    site.devices[bdev.name] = name
    if bdev.driver == "malloc" or any(site.devices.get(base) in site.volatile for base in bdev.bases or ()):
        site.volatile.add(name)
    if bdev.uuid:
        site.exportable[bdev.uuid] = ("deviceRef", name)
    return found


def _unspeakable(site: Site, bdev: Bdev) -> str:  # noqa: PLR0911  # one return for each reason
    """Why a device cannot be declared as it is."""
    if odd := site.unsaid(bdev):
        return f"no manifest can say {odd}"
    if bdev.driver not in ("aio", "uring", "nvme", "malloc", "null", "raid", "crypto", "passthru", "delay"):
        return f"devices of type {bdev.driver} cannot be declared"
    if bdev.block_size not in (None, *BLOCK_SIZES) and bdev.driver in ("aio", "uring", "malloc", "null"):
        return f"blocks of {bdev.block_size} bytes cannot be declared"
    if bdev.state != "online" or "" in (bdev.bases or ()):
        return f"the array is {bdev.state}, and not whole; import it when it is"
    if bdev.driver == "raid" and bdev.level not in LEVELS:
        return f"arrays of level {bdev.level} cannot be declared"
    missing = next((base for base in bdev.bases or () if base not in site.devices), None)
    if missing is not None:
        lvol = next((lvol.alias for lvol in site.lvols.values() if lvol.uuid == missing), "")
        return f"it stands on lvol {lvol}" if lvol else f"it stands on bdev {missing}, which is left out"
    return _unreachable(site, bdev) if bdev.driver == "nvme" else ""


def _unreachable(site: Site, bdev: Bdev) -> str:
    ways = _ways(site, bdev)
    odd = ", ".join(filter(None, map(site.unsaid, ways)))
    if odd:
        return f"no manifest can say how its controller is attached: {odd}"
    if not ways or any(way.transport not in ("TCP", "RDMA", "PCIe") for way in ways):
        return "no way to its controller could be read that a manifest can say"
    return "" if len({(way.transport, way.subsystem) for way in ways}) == 1 else "its ways lead to several subsystems"


def _about(site: Site, bdev: Bdev, name: str) -> dict[str, Any]:
    base = site.devices.get((bdev.bases or ("",))[0])
    match bdev.driver:
        case "raid":
            members = [site.devices[base] for base in bdev.bases or ()]
            strip = bdev.strip_size if bdev.level != "raid1" else None
            return {
                "level": bdev.level,
                "members": members,
                "superblock": bool(bdev.superblock),
                "stripSizeKiB": strip or None,
            }
        case "crypto":
            place = f"{KEYS}/{name}"
            site.notes["BlockDevice", name] = (
                f"Put the key that the target has as {bdev.key_name} into {place}, or say where it is: it is compared\n"
                "with the target's own, and nothing is done with another one."
            )
            return {"deviceRef": base, "keyFrom": {"file": place}, "keyName": bdev.key_name}
        case "passthru":
            return {"deviceRef": base}
        case "delay" if bdev.latency:
            times = bdev.latency
            return {
                "deviceRef": base,
                "readMicroseconds": times.avg_read,
                "readP99Microseconds": times.p99_read,
                "writeMicroseconds": times.avg_write,
                "writeP99Microseconds": times.p99_write,
            }
        case "nvme":
            return _nvme(site, bdev)
    values = {"path": bdev.path, "blockSize": bdev.block_size, "fallocate": bdev.fallocate}
    size = format_bytes(bdev.size) if bdev.size and bdev.driver in ("malloc", "null") else None
    return values | {"size": size}


def _ways(site: Site, bdev: Bdev) -> list[NvmePath]:
    controller = bdev.name.rpartition("n")[0]
    return [way for way in site.all(NvmePath) if way.controller == controller]


def _nvme(site: Site, bdev: Bdev) -> dict[str, Any]:
    ways = _ways(site, bdev)
    first, *further = ways
    several = {"addresses": [given({"address": way.address, "port": way.port}) for way in further]}
    return {
        "address": given({"transport": first.transport, "address": first.address, "port": first.port}),
        "subsystemNQN": first.subsystem if first.transport != "PCIe" else None,
        "hostNQN": first.host if first.transport != "PCIe" else None,
        "nsid": int(bdev.name.rpartition("n")[2]),
        "multipath": given(several | {"policy": bdev.policy}) if further or bdev.policy == "active_active" else None,
        "ctrlrLossTimeout": first.loss_timeout,
        "reconnectDelay": first.reconnect_delay,
        "fastIOFailTimeout": first.fast_io_fail,
    }


def _image(site: Site, bdev: Bdev) -> Manifest | None:
    """A file that is only read is a golden image."""
    name = site.name("Image", bdev.name, f"{site.target}-{bdev.name}")
    spec = {
        "targetRef": site.target,
        "path": bdev.path,
        "blockSize": bdev.block_size,
        "bdevName": bdev.name,
        "uuid": bdev.uuid,
        "allowedNamespaces": [site.namespace],
    }
    found = manifest("Image", name, given(spec), adopt="true")
    if not site.fits(f"bdev {bdev.name}", found):
        return None
    site.images[bdev.uuid or bdev.name] = name
    return found
