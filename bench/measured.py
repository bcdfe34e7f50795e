"""How a measure says what it measured."""

from __future__ import annotations

import gc
import resource
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

from estate import BenchError


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured, and how often."""

    apply: int
    large: int
    restart: int
    lint: int
    revisions: int
    rendered: int
    runs: int


FULL = Size(apply=1000, large=10_000, restart=1000, lint=10_000, revisions=100_000, rendered=4000, runs=3)
QUICK = Size(apply=20, large=60, restart=20, lint=60, revisions=1000, rendered=1000, runs=1)


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


def spent_by(command: Sequence[str]) -> Spent:
    """What a command took, and its own processor time. Raises BenchError when it fails."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if ended.returncode:
        raise BenchError(f"{command[-2]}: {(ended.stderr or ended.stdout)[-300:]}")
    return Spent(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def walls(runs: Sequence[Spent]) -> tuple[float, ...]:
    return tuple(run.wall for run in runs)


def cpus(runs: Sequence[Spent]) -> tuple[float, ...]:
    return tuple(run.cpu for run in runs)
