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
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Json = Any
UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
NGUID = re.compile(r"^[0-9A-F]{32}$")
VOLATILE = frozenset(
    {
        "tick_rate",
        "ticks",
        "pid",
        "tid",
        "lcore",
        "tsc_rate",
        "busy",
        "idle",
        "elapsed",
        "current_thread",
        "thread",
        "version",
        "fields",
        "commit",
        "numa_id",
        "memory_domains",
        "in_interrupt",
        "probed",
        "hostid",
        "peer_address",
        "cntlid",
        "qid",
        "supported_io_types",
        "operation_id",
        "num_read_ops",
        "num_write_ops",
        "num_unmap_ops",
        "num_copy_ops",
        "bytes_read",
        "bytes_written",
        "bytes_unmapped",
        "bytes_copied",
        *(f"{m}{op}_latency_ticks" for m in ("", "max_", "min_") for op in ("read", "write", "unmap", "copy")),
    }
)
# Answers that describe the build or free-running counters rather than state: only the outcome is compared.
OUTCOME_ONLY = frozenset(
    {
        "rpc_get_methods",
        "framework_get_subsystems",
        "spdk_get_version",
        "nvmf_get_stats",
        "iobuf_get_stats",
        "thread_get_stats",
        "framework_get_reactors",
        "bdev_get_iostat",
        "env_dpdk_get_mem_stats",
        "trace_get_info",
        "log_get_flags",
        "sock_impl_get_options",
        "accel_get_module_info",
        "accel_get_opc_assignments",
        "accel_get_stats",
    }
)
STATEFUL_CONFIGS = frozenset({"nvmf", "keyring"})
NEEDS_AN_INITIATOR = frozenset({"initiator_call", "connect"})


class NoAnswer(Exception):
    """The target ended, hung, closed the connection or answered with something that is not JSON."""


class Target:
    """The process under test and one connection to it."""

    def __init__(self, command: str, data: Path, timeout: float) -> None:
        self.command, self.data, self.timeout = command, data, timeout
        self.sockdir = Path(tempfile.mkdtemp(prefix="rp"))  # UNIX socket paths are short: not inside the data directory
        self.sock = self.sockdir / "s"
        self.process: subprocess.Popen[bytes] | None = None
        self.connection: socket.socket | None = None
        self.buffer, self.next_id = bytearray(), 0

    def start(self, *, wait_for_rpc: bool) -> None:
        argv = shlex.split(self.command.format(sock=self.sock, data=self.data)) + (
            ["--wait-for-rpc"] if wait_for_rpc else []
        )
        with (self.data / "target.log").open("ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while (connection := self.connect()) is None:
            if self.process.poll() is not None:
                raise NoAnswer(f"target ended with status {self.process.returncode}")
            if time.monotonic() > deadline:
                raise NoAnswer("target did not open its RPC socket within 30 s")
            time.sleep(0.05)
        self.connection, self.buffer = connection, bytearray()
        if not wait_for_rpc:  # initialised, and every device examined
            self.call("framework_wait_init", None)
            self.call("bdev_wait_for_examine", None)

    def connect(self) -> socket.socket | None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(self.sock))
        except OSError:
            connection.close()
            return None
        return connection

    def stop(self, sig: int) -> None:
        if self.connection:
            self.connection.close()
        if self.process and self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = self.connection = None

    def send(self, method: str, params: Json) -> int:
        self.next_id += 1
        request = {"jsonrpc": "2.0", "method": method, "id": self.next_id} | (
            {} if params is None else {"params": params}
        )
        if self.connection is None:
            raise NoAnswer("no target is running")
        try:
            self.connection.sendall(json.dumps(request).encode())
        except OSError as error:
            raise NoAnswer(repr(error)) from error
        return self.next_id

    def receive(self) -> dict[str, Json]:
        """One answer. Answers are lines; one without its newline is taken when it parses."""
        assert self.connection is not None
        deadline = time.monotonic() + self.timeout
        while True:
            line, newline, rest = self.buffer.partition(b"\n")
            if newline and not line.strip():
                self.buffer = rest
                continue
            if newline or line.rstrip().endswith((b"}", b"]")):
                try:
                    value = json.loads(line)
                except ValueError as error:
                    if newline:
                        raise NoAnswer(f"not JSON: {bytes(line[:80])!r}") from error
                else:
                    self.buffer = rest
                    if not isinstance(value, dict):
                        raise NoAnswer(f"not an answer object: {short(value)}")
                    return value
            self.connection.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                chunk = self.connection.recv(1 << 20)
            except OSError as error:
                raise NoAnswer(repr(error)) from error
            if not chunk:
                raise NoAnswer("connection closed by the target")
            self.buffer += chunk

    def call(self, method: str, params: Json) -> dict[str, Json]:
        return self.call_all([{"method": method, "params": params}])[0]

    def call_all(self, requests: list[dict[str, Json]]) -> list[dict[str, Json]]:
        ids = [self.send(request["method"], request.get("params")) for request in requests]
        replies: dict[int, dict[str, Json]] = {}
        while len(replies) < len(ids):
            reply = self.receive()
            if reply.get("id") not in ids:
                raise NoAnswer(f"answer with a foreign id: {short(reply)}")
            replies[reply["id"]] = reply
        return [replies[i] for i in ids]

    def exchange(self, data: bytes, *, lines: int) -> tuple[bytes, bool]:
        """Raw bytes on a connection of their own: what came back, and whether the target closed it.

        Waits up to 3 s for the wanted number of answer lines, then 0.2 s for anything more.
        """
        connection = self.connect()
        if connection is None:
            raise NoAnswer("no connection")
        with connection:
            got, deadline = bytearray(), time.monotonic() + 3
            try:
                connection.sendall(data)
                while True:
                    enough = lines and got.count(b"\n") >= lines
                    connection.settimeout(0.2 if enough or not lines else max(0.01, deadline - time.monotonic()))
                    chunk = connection.recv(1 << 20)
                    if not chunk:
                        return bytes(got), True
                    got += chunk
            except TimeoutError:
                return bytes(got), False
            except OSError:
                return bytes(got), True


@dataclass
class Names:
    """Recorded generated identifiers ↔ the ones that this target generated. Bindings count once an answer matched."""

    data: Path
    volatile: frozenset[str] = VOLATILE
    forward: dict[str, str] = field(default_factory=dict)
    back: dict[str, str] = field(default_factory=dict)
    fresh: dict[str, str] = field(default_factory=dict)

    def bind(self, recorded: str, got: str) -> bool:
        recorded, got = recorded.lower(), got.lower()
        known = self.forward.get(recorded) or self.fresh.get(recorded)
        if known or got in self.back or got in self.fresh.values():
            return known == got
        self.fresh[recorded] = got
        return True

    def keep(self, *, matched: bool) -> None:
        if matched:
            self.forward |= self.fresh
            self.back |= {got: recorded for recorded, got in self.fresh.items()}
        self.fresh = {}

    def to_target(self, value: Json) -> Json:
        if isinstance(value, dict):
            return {k: self.to_target(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.to_target(v) for v in value]
        if isinstance(value, str):
            return UUID.sub(
                lambda m: self.forward.get(m.group().lower(), m.group()), value.replace("${DATA}", str(self.data))
            )
        return value

    def same_text(self, recorded: str, got: str) -> bool:
        recorded = recorded.replace("${DATA}", str(self.data))
        if recorded == got:
            return True
        left, right = UUID.findall(recorded), UUID.findall(got)
        if left and len(left) == len(right) and UUID.sub("U", recorded) == UUID.sub("U", got):
            return all(self.bind(a, b) for a, b in zip(left, right, strict=True))
        if NGUID.match(recorded) and NGUID.match(got):
            return self.bind(dashed(recorded), dashed(got))
        return False


def dashed(nguid: str) -> str:
    return "-".join((nguid[:8], nguid[8:12], nguid[12:16], nguid[16:20], nguid[20:]))


def differences(recorded: Json, got: Json, names: Names, where: str = "$") -> list[str]:
    """Where `got` is not what was recorded, as `path: recorded ≠ got`; empty when equal."""
    if isinstance(recorded, dict) and isinstance(got, dict):
        left, right = recorded.keys() - names.volatile, got.keys() - names.volatile
        found = [f"{where}.{k}: missing" for k in sorted(left - right)] + [
            f"{where}.{k}: not in the recording" for k in sorted(right - left)
        ]
        for key in sorted(left & right):
            found += differences(recorded[key], got[key], names, f"{where}.{key}")
        return found
    if isinstance(recorded, list) and isinstance(got, list):
        if len(recorded) != len(got):
            return [f"{where}: {len(recorded)} items recorded, {len(got)} given"]
        return [
            d
            for i, (a, b) in enumerate(zip(recorded, got, strict=True))
            for d in differences(a, b, names, f"{where}[{i}]")
        ]
    if isinstance(recorded, str) and isinstance(got, str):
        return [] if names.same_text(recorded, got) else [f"{where}: {short(recorded)} ≠ {short(got)}"]
    return [] if recorded == got and type(recorded) is type(got) else [f"{where}: {short(recorded)} ≠ {short(got)}"]


def short(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."


def only_outcome(method: str, params: Json) -> bool:
    return method in OUTCOME_ONLY or (
        method == "framework_get_config" and (params or {}).get("name") not in STATEFUL_CONFIGS
    )


@dataclass
class Score:
    methods: frozenset[str]
    calls: int = 0
    outcome: int = 0
    full: int = 0
    wires: int = 0
    wire: int = 0
    stopped: str = ""
    misses: list[str] = field(default_factory=list)

    def judge(
        self, where: str, request: dict[str, Json], recorded: dict[str, Json], got: dict[str, Json] | None, names: Names
    ) -> None:
        method, params = request["method"], request.get("params")
        if self.methods and method not in self.methods:
            if got is not None:
                names.keep(
                    matched="result" in recorded
                    and "result" in got
                    and not differences(recorded["result"], got["result"], names)
                )
            return
        self.calls += 1
        title = f"{where} {method} {short(params)}"
        if got is None:
            self.misses.append(f"OUTCOME {title}\n    no answer")
        elif "error" in recorded:
            given = got.get("error") or {}
            same = given.get("code") == recorded["error"].get("code") and names.same_text(
                str(recorded["error"].get("message")), str(given.get("message"))
            )
            self.outcome, self.full = self.outcome + same, self.full + same
            if not same:
                answer = short(got.get("error", got.get("result")))
                self.misses.append(f"OUTCOME {title}\n    recorded {short(recorded['error'])}\n    given    {answer}")
            names.keep(matched=same)
        elif "result" not in got:
            self.misses.append(f"OUTCOME {title}\n    recorded a result\n    given    {short(got.get('error', got))}")
        else:
            found = [] if only_outcome(method, params) else differences(recorded["result"], got["result"], names)
            names.keep(matched=not found)
            self.outcome, self.full = self.outcome + 1, self.full + (not found)
            if found:
                self.misses.append(
                    f"FULL    {title}\n    "
                    + "\n    ".join(found[:6])
                    + (f"\n    … {len(found) - 6} more" if len(found) > 6 else "")
                )

    def judge_wire(self, where: str, step: dict[str, Json], got: bytes, *, closed: bool, names: Names) -> None:
        self.wires += 1
        found = differences(answers(step["recv"].encode()), answers(got), names)
        if bool(step["closed_by_server"]) != closed:
            found.append(f"connection {'closed' if step['closed_by_server'] else 'kept open'} in the recording")
        names.keep(matched=not found)
        self.wire += not found
        if found:
            self.misses.append(
                f"WIRE    {where} {step.get('desc') or step.get('name')}\n    " + "\n    ".join(found[:4])
            )


def answers(data: bytes) -> list[Json]:
    """The answers in raw bytes; each one's `result` of methods that describe the build is left out."""
    found: list[Json] = []
    for line in data.decode(errors="replace").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            found.append({"not json": line[:80]})
    return found


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


def whole_path(name: str) -> Path:
    """With its directory made."""
    file = Path(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


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
