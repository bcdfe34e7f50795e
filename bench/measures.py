"""The measures. Each runs the real thing and, in the same run, the least that any program would have to do."""

from __future__ import annotations

import gc
import json
import resource
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from estate import BenchError, Estate, estate, exported
from measured import Result, Row, Size, Spent, cpus, spent, walls
from reading import lint, revisions
from rendering import renders
from wire import Bare, request, writes

from backends.contract import Interest
from backends.objects import ObjectKey, ObjectKind


@contextmanager
def bare(site: Estate) -> Iterator[Bare]:
    wire = Bare(site.socket)
    try:
        yield wire
    finally:
        wire.close()


# --- apply


def apply(size: Size, nvmf_tgt: Path | None) -> Result:
    """From an empty pool to every volume exported, in one tick; then the very same requests on a fresh target."""
    ours, floor = [], []
    for _ in range(size.runs):
        requests, pool, tick = _applied(size.apply, nvmf_tgt)
        ours.append(tick)
        with estate(size.apply, nvmf_tgt) as fresh, bare(fresh) as wire, spent() as least:
            wire.send_all([each.replace(pool, fresh.pool) for each in requests])
        floor.append(least)
    steps = 5 * size.apply
    return Result(
        "apply",
        _name(nvmf_tgt),
        f"{size.apply:,} volumes with exports, {steps:,} steps",
        (
            Row("whole tick", walls(ours), "the same RPCs, bare", walls(floor)),
            Row("our CPU", cpus(ours), "CPU of the bare loop", cpus(floor)),
        ),
        {
            "RPCs": len(requests),
            "writes": len(writes(requests)),
            "µs of CPU a step": round(min(cpus(ours)) / steps * 1e6),
        },
    )


def _applied(volumes: int, nvmf_tgt: Path | None) -> tuple[list[bytes], bytes, Spent]:
    """What was sent, the uuid of the pool in it, and what the tick took."""
    with estate(volumes, nvmf_tgt) as site:
        site.want(exported(volumes))
        site.tap.clear()
        with spent() as took:
            site.tick()
        requests = list(site.tap.requests)
        site.converge()
        at_rest(site)
        return requests, site.pool, took


# --- a tick with nothing to do


def no_op(size: Size, _: Path | None) -> Result:
    """A converged site: a tick over unchanged replies, and one that has to read every reply anew."""
    with _large(size) as site:
        requests, received = at_rest(site)
        idle, first = [], []
        for _run in range(size.runs):
            with spent() as took:
                site.tick()
            idle.append(took)
        for _run in range(size.runs):
            site.keeper.backend.close()  # a new connection remembers no reply
            with spent() as took:
                site.tick()
            first.append(took)
        sent = len(site.tap.writes)
        written = [_spent_over_writes(site, run) for run in range(size.runs)]
        changed = [_spent_meeting(site, run) for run in range(size.runs)]
        resident = _resident()
        with bare(site) as wire:
            read = [_spent_reading(wire, requests, lambda _: None) for _run in range(size.runs)]
            parsed = [_spent_reading(wire, requests, json.loads) for _run in range(size.runs)]
    return Result(
        "no-op",
        "simulator",
        f"nothing to do at {size.large:,} volumes",
        (
            Row("our CPU, replies unchanged", cpus(idle), "only reading them", cpus(read)),
            Row("our CPU, replies new", cpus(first), "reading, parsing", cpus(parsed)),
            Row("our CPU, volumes written to", cpus(written), "reading, parsing", cpus(parsed)),
            Row("our CPU, one bdev more", cpus(changed), "reading, parsing", cpus(parsed)),
            Row("whole tick, replies unchanged", walls(idle), "only reading them", walls(read)),
            Row("whole tick, replies new", walls(first), "reading, parsing", walls(parsed)),
        ),
        {"RPCs": len(requests), "bytes": received, "writes": sent, "MiB resident": resident},
    )


def _spent_over_writes(site: Estate, run: int) -> Spent:
    """A tick after tenants have written to some of the volumes: those have other clusters, all else is as it was."""
    site.tap.written = run + 1
    with spent() as took:
        tick = site.tick()
    site.tap.written = 0
    if not tick.settled:
        raise BenchError("writing unsettled the target")
    return took


def _spent_meeting(site: Estate, run: int) -> Spent:
    """A tick that finds a device which is not ours: all else is as it was, but everything is to be planned."""
    with bare(site) as wire:
        wire.send_all([request("bdev_null_create", name=f"other{run}", num_blocks=256, block_size=4096)])
    with spent() as took:
        tick = site.tick()
    if not tick.settled:
        raise BenchError("a device of somebody else's unsettled the target")
    return took


def _resident() -> int:
    """MiB of memory that this process holds, with all that the reconciler remembers of the site."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() >> 20


def _spent_reading(wire: Bare, requests: Sequence[bytes], parse: Callable[[bytes], object]) -> Spent:
    with spent() as took:
        for answer in wire.read(requests):
            parse(answer)
    return took


def at_rest(site: Estate) -> tuple[list[bytes], int]:
    """One more tick: what it sent and how many bytes came back. Raises BenchError when it wrote."""
    site.tap.clear()
    if not site.tick().settled or site.tap.writes:
        raise BenchError(f"a tick over a converged site wrote: {site.tap.writes[:3]}")
    return list(site.tap.requests), site.tap.received


# --- drift


def drift(size: Size, _: Path | None) -> Result:
    """A namespace is removed and a subsystem deleted behind our back: from noticing to closed, and verified."""
    with _large(size) as site:
        site.tap.clear()
        took = [_drifted(site, run) for run in range(size.runs)]
        drifts = len(site.house.history.drifts())
        written = len(site.tap.writes)
        at_rest(site)
    return Result(
        "drift",
        "simulator",
        f"a namespace and a subsystem lost, at {size.large:,} volumes",
        (
            Row("the tick that puts it right", tuple(tick.wall for tick, _ in took)),
            Row("closed after it was detected", tuple(closed for _, closed in took)),
        ),
        {"drifts": drifts, "writes": written},
    )


def _drifted(site: Estate, run: int) -> tuple[Spent, float]:
    """What the tick took that put it right, and how long it was open by the history's own account."""
    nqns = sorted(key.name for key in _live(site) if key.kind is ObjectKind.SUBSYSTEM)
    with bare(site) as wire:
        wire.send_all(
            [
                request("nvmf_subsystem_remove_ns", nqn=nqns[2 * run], nsid=1),
                request("nvmf_delete_subsystem", nqn=nqns[2 * run + 1]),
            ]
        )
    with spent() as took:
        tick = site.tick()
    if not tick.plan.drifts:
        raise BenchError("the drift was not met")
    site.converge()
    newest = site.house.history.drifts(limit=len(tick.plan.drifts))
    return took, max((drift.closed or float("inf")) - drift.detected for drift in newest)


# --- restart


def restart(size: Size, nvmf_tgt: Path | None) -> Result:
    """The target is killed; from its new process answering to everything as it was."""
    with estate(size.restart, nvmf_tgt) as site:
        site.want(exported(size.restart))
        site.converge()
        ours = []
        for _ in range(size.runs):
            site.restart()
            site.tap.clear()
            with spent() as took:
                site.converge()
            requests = list(site.tap.requests)
            ours.append(took)
        at_rest(site)
        floor = [_spent_restarting(site, requests) for _ in range(size.runs)]
    return Result(
        "restart",
        _name(nvmf_tgt),
        f"the target killed at {size.restart:,} volumes",
        (
            Row("until converged", walls(ours), "the same RPCs, bare", walls(floor)),
            Row("our CPU", cpus(ours), "CPU of the bare loop", cpus(floor)),
        ),
        {"RPCs": len(requests), "writes": len(writes(requests))},
    )


def _spent_restarting(site: Estate, requests: Sequence[bytes]) -> Spent:
    """Devices first; what is on them is there when their examination has ended."""
    site.restart()
    devices = [each for each in requests if b"bdev_aio_create" in each]
    with bare(site) as wire, spent() as took:
        wire.send_all([*devices, request("bdev_wait_for_examine")])
        wire.send_all([each for each in requests if each not in devices])
    return took


# --- what they share


@contextmanager
def _large(size: Size) -> Iterator[Estate]:
    """A large converged site on a simulated target."""
    with estate(size.large) as site:
        site.want(exported(size.large))
        site.converge()
        yield site


def _live(site: Estate) -> Iterable[ObjectKey]:
    return site.keeper.backend.observe(Interest()).objects


def _name(nvmf_tgt: Path | None) -> str:
    return "nvmf_tgt" if nvmf_tgt else "simulator"


# Each says whether it is repeated on a live target, where one is given.
MEASURES: Mapping[str, tuple[Callable[[Size, Path | None], Result], bool]] = MappingProxyType(
    {"apply": (apply, True), "no-op": (no_op, False), "drift": (drift, False), "restart": (restart, True),
     "lint": (lint, False), "revisions": (revisions, False), "renders": (renders, False)}
)  # fmt: skip
