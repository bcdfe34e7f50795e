"""The measures. Each runs the real thing and, in the same run, the least that any program would have to do."""

from __future__ import annotations

import gc
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import Any

import yaml
from estate import BenchError, Estate, estate, exported, node
from wire import Bare, request, writes

from backends.contract import Interest
from backends.objects import ObjectKey, ObjectKind
from reconciler.demo.processes import HOLDFAST


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured, and how often."""

    apply: int
    large: int
    restart: int
    lint: int
    runs: int


FULL = Size(apply=1000, large=10_000, restart=1000, lint=10_000, runs=3)
QUICK = Size(apply=20, large=60, restart=20, lint=60, runs=1)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what took how long, and against what."""

    what: str
    seconds: tuple[float, ...]  # of every run
    against: str = ""
    floor: tuple[float, ...] = ()

    @property
    def ratio(self) -> float | None:
        """Of the fastest runs: what disturbs a run only makes it slower."""
        return min(self.seconds) / min(self.floor) if self.floor else None

    def to_json(self) -> dict[str, object]:
        return {
            "what": self.what,
            "min": min(self.seconds),
            "median": median(self.seconds),
            "against": self.against,
            "floorMin": min(self.floor) if self.floor else None,
            "ratio": self.ratio,
        }


@dataclass(frozen=True, slots=True)
class Result:
    """One measure on one target."""

    name: str
    target: str  # simulator | nvmf_tgt | none
    title: str
    rows: tuple[Row, ...]
    facts: Mapping[str, int | float] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        rows = [row.to_json() for row in self.rows]
        return {"name": self.name, "target": self.target, "title": self.title, "rows": rows, "facts": dict(self.facts)}


@dataclass
class Spent:
    """What something took: seconds on the clock, and seconds of our own processor time."""

    wall: float = 0.0
    cpu: float = 0.0


@contextmanager
def spent() -> Iterator[Spent]:
    """Garbage of what came before is not counted."""
    gc.collect()
    found = Spent(time.perf_counter(), time.process_time())
    yield found
    found.wall, found.cpu = time.perf_counter() - found.wall, time.process_time() - found.cpu


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
            Row("whole tick", _walls(ours), "the same RPCs, bare", _walls(floor)),
            Row("our CPU", _cpus(ours), "CPU of the bare loop", _cpus(floor)),
        ),
        {
            "RPCs": len(requests),
            "writes": len(writes(requests)),
            "µs of CPU a step": round(min(_cpus(ours)) / steps * 1e6),
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
            Row("our CPU, replies unchanged", _cpus(idle), "only reading them", _cpus(read)),
            Row("our CPU, replies new", _cpus(first), "reading, parsing", _cpus(parsed)),
            Row("our CPU, volumes written to", _cpus(written), "reading, parsing", _cpus(parsed)),
            Row("our CPU, one bdev more", _cpus(changed), "reading, parsing", _cpus(parsed)),
            Row("whole tick, replies unchanged", _walls(idle), "only reading them", _walls(read)),
            Row("whole tick, replies new", _walls(first), "reading, parsing", _walls(parsed)),
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
            Row("until converged", _walls(ours), "the same RPCs, bare", _walls(floor)),
            Row("our CPU", _cpus(ours), "CPU of the bare loop", _cpus(floor)),
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


# --- lint


def lint(size: Size, _: Path | None) -> Result:
    """`holdfast lint` of a folder with one manifest a file; libyaml's bare events of the same files."""
    with tempfile.TemporaryDirectory(prefix="hfb") as folder:
        pairs = (size.lint - 4) // 2  # beside a target, its disk, its pool and a host
        _write(Path(folder), [*node(Path(folder), pairs), *exported(pairs, subsystems=pairs)])
        ours = [_spent_by([*HOLDFAST, "lint", folder]) for _ in range(size.runs)]
        floor = [_spent_by([sys.executable, "-c", EVENTS, folder]) for _ in range(size.runs)]
        bytes_ = sum(path.stat().st_size for path in Path(folder).iterdir())
    return Result(
        "lint",
        "none",
        f"{size.lint:,} manifests, a file each, the whole command",
        (
            Row("wall", _walls(ours), "libyaml's bare events", _walls(floor)),
            Row("CPU", _cpus(ours), "libyaml's bare events", _cpus(floor)),
        ),
        {"manifests": size.lint, "bytes": bytes_},
    )


EVENTS = """
import gc, pathlib, sys
from yaml.cyaml import CParser
gc.disable()
for path in pathlib.Path(sys.argv[1]).iterdir():
    next_event = CParser(path.read_bytes()).get_event
    while next_event() is not None:
        pass
"""


def _write(folder: Path, manifests: Sequence[Mapping[str, Any]]) -> None:
    for number, each in enumerate(manifests):
        (folder / f"{number:05}.yaml").write_text(yaml.safe_dump(each, sort_keys=False))


def _spent_by(command: Sequence[str]) -> Spent:
    """What a command took, and its own processor time. Raises BenchError when it fails."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if ended.returncode:
        raise BenchError(f"{command[-2]}: {(ended.stderr or ended.stdout)[-300:]}")
    return Spent(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


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


def _walls(runs: Sequence[Spent]) -> tuple[float, ...]:
    return tuple(run.wall for run in runs)


def _cpus(runs: Sequence[Spent]) -> tuple[float, ...]:
    return tuple(run.cpu for run in runs)


# Each says whether it is repeated on a live target, where one is given.
MEASURES: Mapping[str, tuple[Callable[[Size, Path | None], Result], bool]] = MappingProxyType(
    {"apply": (apply, True), "no-op": (no_op, False), "drift": (drift, False), "restart": (restart, True),
     "lint": (lint, False)}
)  # fmt: skip
