"""bdev_uring_* and bdev_delay_*; and what lies on devices that are stacked on files, so that it outlives the process.

A delay or passthru device shows the very bytes of its base. What an encrypted device or an array holds is kept beside
the file underneath, under a name that only the same key or the same array leads to: with another key it looks blank.
"""

from __future__ import annotations

import errno
import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backends.spdk.simulator.bdev_methods import deleter, file_size
from backends.spdk.simulator.bdevs import Bdev
from backends.spdk.simulator.errors import failed
from backends.spdk.simulator.steps import Handler, Pause, Steps
from backends.spdk.simulator.target import Target
from schemas.resources import Json

URING_IO: Final = ("read", "write", "write_zeroes", "get_zone_info", "zone_management")
LATENCIES: Final = ("avg_read", "p99_read", "avg_write", "p99_write")
CRYPTO_UUIDS: Final = uuid.UUID("078e3cf7-f4b4-4545-b2c3-d40045a64ae2")


@dataclass(slots=True)
class Delay:
    """What was asked for: it outlives its base, and comes up again with it."""

    base: str
    uuid: str
    latency: dict[str, int]


def uring_create(target: Target, *, name: str, filename: str, block_size: int = 0, uuid: str | None = None) -> Steps:
    size, detected = file_size(filename, readonly=False)
    used = block_size or detected
    if used < 512 or used & (used - 1) or size % used:
        raise failed(errno.EINVAL)
    bdev = Bdev(
        name,
        "URING bdev",
        "uring",
        used,
        size // used,
        uuid or "",
        URING_IO,
        lambda: {"uring": {"filename": filename}},
        file=filename,
    )
    return target.register_and_read(bdev)


def delay_create(  # noqa: PLR0913  # the method's parameters
    target: Target,
    *,
    name: str,
    base_bdev_name: str,
    avg_read_latency: int,
    p99_read_latency: int,
    avg_write_latency: int,
    p99_write_latency: int,
    uuid: str | None = None,
) -> Steps:
    """On an absent base it answers well and waits."""
    if p99_read_latency < avg_read_latency or p99_write_latency < avg_write_latency:
        raise failed(errno.EINVAL)
    if name in target.delays:
        raise failed(errno.EEXIST)
    base = target.bdevs.find(base_bdev_name)
    if base is not None and base.claim is not None:
        raise failed(errno.EPERM)
    values = (avg_read_latency, p99_read_latency, avg_write_latency, p99_write_latency)
    wanted = Delay(base_bdev_name, uuid or target.mint(), dict(zip(LATENCIES, values, strict=True)))
    target.delays[name] = wanted
    yield Pause.MESSAGE
    if base is not None:
        _put_on(target, name, wanted, base)
        yield from target.read_fresh()
    return name


def wait_for(target: Target, base: Bdev) -> None:
    """Delay devices that were created before their base come up with it."""
    for name, wanted in target.delays.items():
        if wanted.base == base.name and base.claim is None and target.bdevs.find(name) is None:
            _put_on(target, name, wanted, base)


def _put_on(target: Target, name: str, wanted: Delay, base: Bdev) -> None:
    bdev = Bdev(
        name,
        "delay",
        "delay",
        base.block_size,
        base.num_blocks,
        wanted.uuid,
        base.io_types,
        lambda: {"delay": _shown(name, wanted)},
        file=base.file,
        writable=base.writable,
        numa_id=base.numa_id,
    )
    base.take(bdev, lambda: target.bdevs.remove(bdev))
    target.enter_fresh(bdev)


def _shown(name: str, wanted: Delay) -> dict[str, Json]:
    shown: dict[str, Json] = {"name": name, "base_bdev_name": wanted.base, "uuid": wanted.uuid}
    return shown | {f"{which}_latency": value for which, value in wanted.latency.items()}


def delay_update(target: Target, *, delay_bdev_name: str, latency_type: str, latency_us: int) -> Json:
    target.bdevs.get(delay_bdev_name, "delay")
    target.delays[delay_bdev_name].latency[latency_type] = latency_us
    return True


def delay_delete(target: Target, *, name: str) -> Steps:
    """Observed: one that waits for its base cannot be deleted."""
    bdev = target.bdevs.get(name, "delay")
    yield Pause.MESSAGE
    target.bdevs.remove(bdev)
    base = target.bdevs.find(target.delays.pop(bdev.name).base)
    if base is not None:
        base.close(bdev)
    return True


# What lies above


def crypto_uuid(base: str) -> str:
    """As SPDK derives it; nobody may choose."""
    digest = hashlib.sha1(CRYPTO_UUIDS.bytes + uuid.UUID(base).bytes, usedforsecurity=False).digest()
    return str(uuid.UUID(bytes=digest[:16], version=5))


def above(file: str | None, size: int, *what: str) -> str | None:
    """The file that stands for the bytes above another one, as seen through a key or as an array."""
    if file is None:
        return None
    name = hashlib.sha256("/".join(what).encode()).hexdigest()[:16]
    path = Path(f"{file}.{name}")
    if not path.exists():
        path.touch()
        with path.open("r+b") as made:
            made.truncate(size)
    return str(path)


HANDLERS: Final[Mapping[str, Handler]] = {
    "bdev_uring_create": uring_create,
    "bdev_uring_delete": deleter("uring"),
    "bdev_delay_create": delay_create,
    "bdev_delay_update_latency": delay_update,
    "bdev_delay_delete": delay_delete,
}
