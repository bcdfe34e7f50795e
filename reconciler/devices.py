"""A BlockDevice's spec → the bdev that is wanted, and the ways to it. Pure."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from backends.objects import Bdev, Latency, NvmePath
from schemas.quantity import parse_bytes

DRIVERS = ("aio", "uring", "nvme", "malloc", "null", "raid", "crypto", "passthru", "delay")
NEVER, RECONNECT = -1, 2  # seconds
REDUNDANT = frozenset({"raid1", "raid5f"})
_CRYPTO = uuid.UUID("078e3cf7-f4b4-4545-b2c3-d40045a64ae2")  # under which SPDK derives the uuid of a crypto device


def driver_of(spec: Mapping[str, Any]) -> str:
    return next(name for name in DRIVERS if name in spec)


def base_refs(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the BlockDevices that a device is stacked on, in their order."""
    about = spec[driver_of(spec)]
    return tuple(about.get("members", ())) or ((about["deviceRef"],) if "deviceRef" in about else ())


def wanted_bdev(name: str, identity: str, spec: Mapping[str, Any], bases: Sequence[Bdev]) -> Bdev:
    """`identity` is the uuid that is declared, or derived for what has none of its own."""
    driver = driver_of(spec)
    about = spec[driver]
    if driver == "nvme":
        name = f"{name}n{about['nsid']}"
    return Bdev(
        name=name,
        driver=driver,
        uuid=_uuid(driver, identity, spec.get("uuid"), bases),
        size=parse_bytes(about["size"]) if "size" in about else None,
        block_size=about.get("blockSize"),
        path=about.get("path"),
        fallocate=about.get("fallocate"),
        bases=tuple(base.name for base in bases) or None,
        level=about.get("level"),
        superblock=about.get("superblock"),
        strip_size=_strip(about),
        key_name=about.get("keyName"),
        latency=_latency(about) if driver == "delay" else None,
        policy=_policy(about),
    )


def wanted_paths(name: str, spec: Mapping[str, Any]) -> tuple[NvmePath, ...]:
    """The ways to the controller of an nvme device; none for any other."""
    about = spec.get("nvme")
    if not about:
        return ()
    first = about["address"]
    further = about.get("multipath", {}).get("addresses", ())
    pcie = first["transport"] == "PCIe"
    return tuple(
        NvmePath(
            controller=name,
            transport=first["transport"],
            address=way["address"],
            port=None if pcie else way["port"],
            subsystem=None if pcie else about.get("subsystemNQN"),
            host=None if pcie else about.get("hostNQN"),
            loss_timeout=about["ctrlrLossTimeout"],
            reconnect_delay=about["reconnectDelay"],
            fast_io_fail=about["fastIOFailTimeout"],
        )
        for way in (first, *further)
    )


def front_path(controller: str, portal: Mapping[str, Any], nqn: str, host: str) -> NvmePath:
    """A way from a front target to its owner. It is never given up: I/O waits while the owner restarts."""
    return NvmePath(
        controller,
        portal["transport"],
        portal["address"],
        portal["port"],
        nqn,
        host,
        loss_timeout=NEVER,
        reconnect_delay=RECONNECT,
    )


def source_of(key_from: Mapping[str, str]) -> str:
    """Where a secret is, in one line: `{file: /etc/…}` → `file:/etc/…`."""
    ((kind, name),) = key_from.items()
    return f"{kind}:{name}"


def _uuid(driver: str, identity: str, declared: str | None, bases: Sequence[Bdev]) -> str | None:
    match driver:
        case "nvme":
            return declared  # the namespace has its own
        case "crypto":
            return crypto_uuid(bases[0].uuid) if bases[0].uuid else None
    return declared or identity


def crypto_uuid(base: str) -> str:
    """SPDK lets nobody choose the uuid of a crypto device: version 5 over that of its base (v26.05)."""
    digest = hashlib.sha1(_CRYPTO.bytes + uuid.UUID(base).bytes, usedforsecurity=False).digest()
    return str(uuid.UUID(bytes=digest[:16], version=5))


def _strip(about: Mapping[str, Any]) -> int | None:
    if "level" not in about:
        return None
    return 0 if about["level"] == "raid1" else int(about["stripSizeKiB"])


def _policy(about: Mapping[str, Any]) -> str | None:
    found = about.get("multipath", {}).get("policy")
    return str(found) if found else None


def _latency(about: Mapping[str, Any]) -> Latency:
    """One in a hundred is never held back for less than the average (SPDK refuses that)."""
    read, write = about["readMicroseconds"], about["writeMicroseconds"]
    return Latency(read, max(read, about["readP99Microseconds"]), write, max(write, about["writeP99Microseconds"]))
