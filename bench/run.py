"""Timings as ratios: what we take, against the least that any program would have to do, in one run.

Measured on a simulated target; where SPDK_TGT names an nvmf_tgt, applying and restarting are measured on it, too, and
what observing costs it, and what its own client takes. Where KUBECONFORM names that program, it checks the same
manifests as lint.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

from estate import BenchError
from live import Skipped, load_config, observing
from measured import FULL, QUICK, Result, Row, Size
from measures import MEASURES

from reconciler.cli.exits import CommandError
from schemas.resources import Json

ONLY_LIVE: Mapping[str, Callable[[Size, Path], Result]] = {"observing": observing, "load-config": load_config}
NAMES = (*MEASURES, *ONLY_LIVE)
TARGETS = {"simulator": " on the simulator", "nvmf_tgt": " on a live target", "none": ""}


def main() -> None:
    arguments = _parser().parse_args()
    size = QUICK if arguments.quick else FULL
    results = _results(arguments.only, size, _live_target())
    if arguments.json:
        found = [result.to_json() for result in results]
        print(json.dumps({"machine": machine(), "quick": arguments.quick, "results": found}, indent=2))
        return
    print("Python {Python} on {cores} cores ({system})".format_map(machine()))
    print(f"{f'min and median of {size.runs}, ratio of the fastest':<32}{'min':>9}{'median':>9}")
    for result in results:
        print("\n".join(("", *text(result))), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--only", type=_names, default=NAMES, metavar="NAME[,NAME]", help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="tiny sizes: whether it works, not how fast")
    return parser


def _names(text_: str) -> tuple[str, ...]:
    names = tuple(text_.split(","))
    if unknown := [name for name in names if name not in NAMES]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(NAMES)}")
    return names


def _live_target() -> Path | None:
    path = os.environ.get("SPDK_TGT")
    return Path(path) if path else None


def _results(names: Sequence[str], size: Size, nvmf_tgt: Path | None) -> Iterator[Result]:
    """Always on the simulator, and on a live target where one is given."""
    for name in [name for name in names if name in MEASURES]:
        measure, goes_live = MEASURES[name]
        yield measure(size, None)
        if nvmf_tgt and goes_live:
            yield measure(size, nvmf_tgt)
    for name in names if nvmf_tgt else ():
        if name in ONLY_LIVE:
            try:
                yield ONLY_LIVE[name](size, nvmf_tgt)
            except Skipped as reason:
                print(f"bench: {name} is left out: {reason}", file=sys.stderr)


def machine() -> dict[str, Json]:
    return {"cores": os.cpu_count(), "Python": platform.python_version(), "system": platform.machine()}


def text(result: Result) -> Iterator[str]:
    """A few lines of at most 80 columns."""
    yield f"{result.name}{TARGETS[result.target]}: {result.title}"
    yield from map(_line, result.rows)
    yield "  " + ", ".join(f"{value:,} {name}" for name, value in result.facts.items())


def _line(row: Row) -> str:
    times = f"  {row.what:<30}{_time(min(row.seconds))}{_time(median(row.seconds))}"
    return f"{times} {row.ratio:>6.2f}× {row.against}" if row.ratio is not None else times


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:>6.1f} ms" if seconds < 1 else f"{seconds:>7.2f} s"


if __name__ == "__main__":
    try:
        main()
    except (BenchError, CommandError) as error:
        sys.exit(f"bench: {error}")
