# ruff: noqa: T201  # a command prints
"""Replay recorded SPDK JSON-RPC scenarios against any target and say how faithful its answers are.

    replay.py --start 'holdfast sim --socket {sock} --state {data}/state' transcripts/*.jsonl
    replay.py --start 'nvmf_tgt -m 0x1 -s 1024 -r {sock}' transcripts/05-lvol-errors.jsonl

Each scenario begins with a fresh data directory and no target. Where it (re)starts its target, the command of --start
is run with {sock} (RPC socket) and {data} (data directory, kept over restarts within the scenario) filled in; the
recorded extra flag --wait-for-rpc is appended where the scenario used it. Figures, per scenario and in all:

    outcome   a result where a result was recorded; else the same error code and message
    full      outcome, and the same content: keys, values, order of lists. Volatile fields (times, ticks, pids, memory,
              free-running counters, build ids, and what a scenario's first line names) are not compared; generated
              uuids must be used consistently.
    wire      raw bytes on a fresh connection: the same answers, and closed or kept open as recorded

A call that gets no answer, and every call that comes after it in its scenario, is a miss. A scenario ends without
blame at its first step that needs what this program has not got (an NVMe/TCP initiator); calls behind it are not
counted. Only the standard library is needed. Exit status: 0 when something was judged and at least --min-outcome,
--min-full and --min-wire percent agree, else 1.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from replay_compare import VOLATILE, Json, Names
from replay_score import Score
from replay_target import NoAnswer, Target, whole_path

NEEDS_AN_INITIATOR = frozenset({"initiator_call", "connect"})


def replayable(step: dict[str, Json]) -> bool:
    """A raw exchange whose bytes were recorded whole, and whose answer is not a list of what this build can do."""
    return (
        step.get("sent_bytes") == len(step["send"].encode())
        and step.get("recv_bytes") == len(step["recv"].encode())
        and not step.get("error")
        and "rpc_get_methods" not in step["send"]
    )


def requests_of(step: dict[str, Json]) -> list[tuple[dict[str, Json], dict[str, Json]]]:
    """The judged calls of a step: (request, recorded answer)."""
    if "event" not in step:
        return [(step, step["response"])]
    if step["event"] == "pipelined" and step.get("requests") and step.get("responses"):
        return list(zip(step["requests"], step["responses"], strict=True))
    return []


def prepare(step: dict[str, Json], names: Names) -> None:
    """The files of a step."""
    match step["event"]:
        case "make_sparse_file":
            with whole_path(names.to_target(step["path"])).open("wb") as handle:
                handle.truncate(step["size"])
        case "truncate":
            os.truncate(names.to_target(step["path"]), step["size"])
        case "key_files":
            for name, (mode, content) in step["files"].items():
                file = whole_path(names.to_target(name))
                file.write_text(content)
                file.chmod(int(mode, 8))


def perform(step: dict[str, Json], target: Target, names: Names, score: Score) -> None:
    where = f"{step['scenario']}:{step.get('seq', 0)}"
    match step.get("event"):
        case "begin":
            names.volatile = VOLATILE | frozenset(step.get("volatile", ()))
        case "make_sparse_file" | "truncate" | "key_files":
            prepare(step, names)
        case "start_target":
            target.start(wait_for_rpc="--wait-for-rpc" in step["argv"])
        case "sigterm_target":
            target.stop(signal.SIGTERM)
        case "kill9_target":
            target.stop(signal.SIGKILL)
        case "raw" if replayable(step):
            got, closed = target.exchange(step["send"].encode(), lines=step["recv"].count("\n"))
            score.judge_wire(where, step, got, closed=closed, names=names)
        case None | "pipelined":
            pairs = requests_of(step)
            replies = target.call_all(
                [names.to_target({"method": r["method"], "params": r.get("params")}) for r, _ in pairs]
            )
            for (request, recorded), got_answer in zip(pairs, replies, strict=True):
                score.judge(where, request, recorded, got_answer, names)


def replay(path: Path, options: argparse.Namespace) -> Score:
    data = Path(tempfile.mkdtemp(prefix="replay-"))
    target, names, score = Target(options.start, data, options.timeout), Names(data), Score(options.methods)
    steps = [json.loads(line) for line in path.read_text().splitlines()]
    reachable = next((i for i, step in enumerate(steps) if step.get("event") in NEEDS_AN_INITIATOR), len(steps))
    try:
        for position, step in enumerate(steps[:reachable]):
            try:
                perform(step, target, names, score)
            except NoAnswer as error:
                score.stopped = f"no answer at {step['scenario']}:{step.get('seq', 0)}: {error}"
                for later in steps[position:reachable]:
                    for request, recorded in requests_of(later):
                        score.judge(f"{later['scenario']}:{later.get('seq', 0)}", request, recorded, None, names)
                break
        else:
            score.stopped = "the rest needs an initiator" if reachable < len(steps) else ""
    finally:
        target.stop(signal.SIGTERM)
        shutil.rmtree(target.sockdir, ignore_errors=True)
        if options.keep:
            print(f"  kept {data}")
        else:
            shutil.rmtree(data, ignore_errors=True)
    return score


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start", required=True, help="command that runs the target; {sock} and {data} are filled in")
    parser.add_argument(
        "--methods",
        type=lambda s: frozenset(s.split(",")),
        default=frozenset(),
        help="judge only these (comma-separated); the others are still sent",
    )
    parser.add_argument("--show", type=int, default=20, help="misses to print per scenario")
    parser.add_argument("--timeout", type=float, default=20, help="seconds to wait for one answer")
    for figure in ("outcome", "full", "wire"):
        parser.add_argument(f"--min-{figure}", type=float, default=0, help="percent")
    parser.add_argument("--keep", action="store_true", help="keep the data directories")
    parser.add_argument("--json", action="store_true", help="one JSON object at the end")
    parser.add_argument("scenarios", nargs="+", type=Path)
    return parser.parse_args()


def main() -> int:
    options = arguments()
    scores = []
    for path in options.scenarios:
        score = replay(path, options)
        scores.append(score)
        figures = f"outcome {score.outcome}, full {score.full}, wire {score.wire}/{score.wires}"
        stopped = f"  [{score.stopped}]" if score.stopped else ""
        print(f"{path.stem}: {score.calls} calls, {figures}{stopped}", flush=True)
        for miss in score.misses[: options.show]:
            print("  " + miss.replace("\n", "\n  "))
        if len(score.misses) > options.show:
            print(f"  … {len(score.misses) - options.show} more misses")
    calls, wires = sum(s.calls for s in scores), sum(s.wires for s in scores)
    outcome, full = (100 * sum(getattr(s, n) for s in scores) / max(calls, 1) for n in ("outcome", "full"))
    wire = 100 * sum(s.wire for s in scores) / wires if wires else 100.0
    print(f"all: {calls} calls, outcome {outcome:.1f} %, full {full:.1f} %; {wires} wire exchanges, {wire:.1f} %")
    if options.json:
        print(
            json.dumps(
                {
                    "calls": calls,
                    "outcome_percent": round(outcome, 2),
                    "full_percent": round(full, 2),
                    "wires": wires,
                    "wire_percent": round(wire, 2),
                }
            )
        )
    if not calls and not wires:
        print("nothing was judged: check --methods and the scenario files", file=sys.stderr)
        return 1
    return 0 if outcome >= options.min_outcome and full >= options.min_full and wire >= options.min_wire else 1


if __name__ == "__main__":
    sys.exit(main())
