"""bdev_passthru_*, bdev_delay_*: devices that hand everything down to another one, and wait for it if it is absent."""

from __future__ import annotations

import errno
import hashlib
import uuid as uuids
from collections.abc import Mapping
from functools import partial
from typing import Final

from backends.spdk.simulator.bdevs import Bdev
from backends.spdk.simulator.errors import INVALID_PARAMS, RpcError, TargetCrashed, failed
from backends.spdk.simulator.layers import Layer
from backends.spdk.simulator.steps import Handler, Pause, Steps
from backends.spdk.simulator.target import Target
from schemas.resources import Json

NAMESPACES: Final = {
    "passthru": uuids.UUID("7e25812e-c8c0-4d3f-8599-16d790555b85"),
    "delay": uuids.UUID("4009b574-6430-4f1b-bc40-ace811091027"),
    "crypto": uuids.UUID("078e3cf7-f4b4-4545-b2c3-d40045a64ae2"),
}
LATENCIES: Final = ("avg_read_latency", "p99_read_latency", "avg_write_latency", "p99_write_latency")


def derived_uuid(driver: str, base: Bdev) -> str:
    """What a device without a UUID of its own gets: over the same base always the same."""
    digest = hashlib.sha1(NAMESPACES[driver].bytes + uuids.UUID(base.uuid).bytes, usedforsecurity=False).digest()
    return str(uuids.UUID(bytes=digest[:16], version=5))


def passthru_create(target: Target, *, name: str, base_bdev_name: str, uuid: str | None = None) -> Json:
    return _create(target, Layer("passthru", name, base_bdev_name, uuid))


def delay_create(target: Target, *, name: str, base_bdev_name: str, uuid: str | None = None, **given: int) -> Json:
    if any(given[f"p99_{kind}_latency"] < given[f"avg_{kind}_latency"] for kind in ("read", "write")):
        raise failed(errno.EINVAL)
    return _create(target, Layer("delay", name, base_bdev_name, uuid, {kind: given[kind] for kind in LATENCIES}))


def _create(target: Target, layer: Layer) -> Json:
    """On an absent base it answers well and waits. Observed: the name stays taken also when it answers badly."""
    layers = target.layers[layer.driver]
    if layer.name in layers:
        raise failed(errno.EEXIST)
    layers[layer.name] = layer
    base = target.bdevs.find(layer.base_name)
    if base is not None:
        _come_up(target, layer.driver, layer.base_name, base)
    return layer.name


def _come_up(target: Target, driver: str, base_name: str, base: Bdev) -> None:
    """All that wait for this base try, in the order of their creation; the first that cannot ends it."""
    for layer in list(target.layers[driver].values()):
        if layer.base_name == base_name:
            _put_on(target, layer, base)


def wait_for(target: Target, base: Bdev) -> None:
    """Devices that were created before their base come up with it."""
    for driver in target.layers:
        try:
            _come_up(target, driver, base.name, base)
        except RpcError:
            continue


def _put_on(target: Target, layer: Layer, base: Bdev) -> None:
    bdev = Bdev(
        layer.name,
        layer.driver,
        layer.driver,
        base.block_size,
        base.num_blocks,
        layer.uuid or derived_uuid(layer.driver, base),
        base.io_types,
        numa_id=base.numa_id,
        metadata=base.metadata,
        media=base.media,
        is_void=base.is_void,
        domains=base.domains,
        shown_domains=base.shown_domains,
    )
    shown = {"name": layer.name, "base_bdev_name": base.name}
    shown |= {"uuid": bdev.uuid} if layer.driver == "delay" else {}
    values = dict(layer.values)  # what is changed later is not kept for the next time the base appears
    bdev.details = lambda: {layer.driver: {**shown, **values}}
    bdev.values = values
    base.take(bdev, partial(_fall, target, bdev))
    try:
        target.register(bdev)
    except RpcError:
        if layer.driver == "passthru":
            raise TargetCrashed from None  # observed: a name or UUID that another device has got
        base.close(bdev)
        raise
    if layer.driver == "delay":
        target.delays.append(bdev)


def _fall(target: Target, bdev: Bdev) -> None:
    target.bdevs.remove(bdev)
    if bdev in target.delays:
        target.delays.remove(bdev)


def _deleter(driver: str) -> Handler:
    def delete(target: Target, *, name: str) -> Steps:
        """One that waits for its base cannot be deleted."""
        target.bdevs.get(name, driver)
        yield Pause.MESSAGE
        bdev = target.bdevs.get(name, driver)
        target.layers[driver].pop(name, None)  # under another of its names it comes back with its base
        _release(target, bdev)
        _fall(target, bdev)
        return True

    return delete


def _release(target: Target, bdev: Bdev) -> None:
    for base in target.bdevs:
        if bdev in base.users:
            base.close(bdev)


def update_latency(target: Target, *, delay_bdev_name: str, latency_type: str, latency_us: int) -> Json:
    """By name only, and until the device goes."""
    bdev = target.bdevs.find(delay_bdev_name)
    if bdev is None or bdev.name != delay_bdev_name or bdev.driver != "delay":
        raise RpcError(INVALID_PARAMS, "The requested bdev does not exist.")
    bdev.values[f"{latency_type}_latency"] = latency_us
    return True


HANDLERS: Final[Mapping[str, Handler]] = {
    "bdev_passthru_create": passthru_create,
    "bdev_passthru_delete": _deleter("passthru"),
    "bdev_delay_create": delay_create,
    "bdev_delay_delete": _deleter("delay"),
    "bdev_delay_update_latency": update_latency,
}
