"""Manifests of devices and what is stacked on them, and looks at what became of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from world import World, manifest

from reconciler.demo.patience import until
from reconciler.reconcile import Tick, Verdict

KEY = "00112233445566778899aabbccddeeff" + "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
OTHER_KEY = "ffeeddccbbaa99887766554433221100" + "0f1e2d3c4b5a69788796a5b4c3d2e1f0"


def device(name: str, target: str = "n1", **spec: Any) -> dict[str, Any]:
    return manifest("BlockDevice", name, {"targetRef": target} | spec)


def file(site: World, name: str, driver: str = "aio", **spec: Any) -> dict[str, Any]:
    """A device over a blank file of its own, which outlives the target."""
    path = site.folder / f"{name}.img"
    if not path.exists():
        with path.open("wb") as made:
            made.truncate(64 << 20)
    return device(name, **{driver: {"path": str(path), "blockSize": 4096}}, **spec)


def pool(on: str, device_uuid: str, size: int, name: str = "stacked", **spec: Any) -> dict[str, Any]:
    initialize = {"deviceUUID": device_uuid, "sizeBytes": size, "expires": "2031-12-31"}
    body = {"deviceRef": on, "initialize": initialize, "overcommitRatio": 100, "reserve": "0%"}
    return manifest("StoragePool", name, body | spec)


def key_file(site: World, key: str = KEY) -> str:
    path = site.folder / "key"
    path.write_text(f"{key}\n")
    path.chmod(0o600)
    return str(path)


def bdevs(site: World) -> dict[str, dict[str, Any]]:
    """Live bdevs by the name of their BlockDevice."""
    return {b["name"].split("-", 2)[-1]: b for b in site.call("bdev_get_bdevs") if b["name"].startswith("hf-")}


def settled(site: World) -> Tick:
    """Converge, and once more without a single write."""
    tick = site.converge()
    assert tick.verdict is Verdict.CONVERGED, (tick.plan.held, tick.plan.remarks, tick.execution.results)
    again = site.tick()
    assert not again.plan.steps, again.plan
    assert not again.plan.records, again.plan
    return again


def come_true(site: World, what: Callable[[], object]) -> None:
    """Tick until something is so; a live target does some things in its own time."""

    def look() -> bool:
        site.clock.advance(70.0)
        site.tick()
        return bool(what())

    until(look, "the target to come round")


def stacked(site: World, height: int, reclaim: str) -> list[dict[str, Any]]:
    """An array of two files, the same encrypted, and that delayed: as much of it as `height` says."""
    over = [
        device("array", raid={"level": "raid1", "members": ["one", "two"]}, reclaimPolicy=reclaim),
        device("vault", crypto={"deviceRef": "array", "keyFrom": {"file": key_file(site)}}, reclaimPolicy=reclaim),
        device("slow", delay={"deviceRef": "vault", "readMicroseconds": 5}, reclaimPolicy=reclaim),
    ]
    files = [file(site, name, reclaimPolicy=reclaim) for name in ("one", "two")]
    return [*files, *over[:height]] if height else []


def superblock(path: Path) -> int:
    """How often the superblock on a simulated member was written; 0 when there is none."""
    if not path.exists():
        return 0
    with path.open("rb") as disk:
        block = disk.read(4096)
    mark = b"SPDKRAID"
    return int(json.loads(block.removeprefix(mark).rstrip(b"\0"))["sequence"]) if block.startswith(mark) else 0
