"""What only a live target can tell: what observing costs it, and what its own client takes for the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from estate import ADDRESS, BenchError, Estate, estate, exported
from measured import Result, Row, Size, Spent, spent
from measures import at_rest, bare
from wire import request

from reconciler.demo.patience import until
from reconciler.demo.processes import Child, target_command

RESYNC = 30.0  # seconds between two observations, unless configured otherwise
SHARE = 0.01  # of its time that a reactor may spend on being observed
STALL = 0.005  # seconds that no single answer may take it
READING = 6  # seconds


class Skipped(Exception):
    """It cannot be measured here, and why."""


# --- what observing costs


def observing(size: Size, nvmf_tgt: Path) -> Result:
    """The reactor's own time for a tick that finds everything as it was, and what a reading host notices of ticks."""
    with estate(size.large, nvmf_tgt) as site:
        site.want(exported(size.large))
        site.converge()
        requests, received = at_rest(site)
        reactor = _Reactor(site)
        ticks = tuple(reactor.spends(site.tick) for _ in range(size.runs))
        longest = max(min(_answering(site, reactor, each) for _ in range(size.runs)) for each in requests)
        alone, beside = _longest_read(site, nvmf_tgt, ticking=False), _longest_read(site, nvmf_tgt, ticking=True)
    return Result(
        "observing",
        "nvmf_tgt",
        f"a tick with nothing to do at {size.large:,} volumes",
        (
            Row("time of its reactor", ticks, f"{SHARE:.0%} of {RESYNC:g} s", (SHARE * RESYNC,)),
            Row("longest single answer", (longest,), f"{STALL * 1e3:g} ms", (STALL,)),
            Row("longest read of a host", (beside,), "without ticks", (alone,)),
        ),
        {"RPCs": len(requests), "bytes": received},
    )


class _Reactor:
    """A target that sleeps when it has nothing to do: what it spends is what it was asked for."""

    def __init__(self, site: Estate) -> None:
        with bare(site) as wire:
            (answer,) = wire.read([request("framework_get_reactors")])
        self._tasks = Path(f"/proc/{json.loads(answer)['result']['pid']}/task")

    def spent(self) -> float:
        """Seconds of processor time so far."""
        return sum(int((task / "schedstat").read_text().split()[0]) for task in self._tasks.iterdir()) / 1e9

    def spends(self, act: Callable[[], object]) -> float:
        before = self.spent()
        act()
        return self.spent() - before


def _answering(site: Estate, reactor: _Reactor, asked: bytes) -> float:
    with bare(site) as wire:
        return reactor.spends(lambda: wire.read([asked]))


def _longest_read(site: Estate, nvmf_tgt: Path, *, ticking: bool) -> float:
    """Seconds that a host which reads one block after another waits for the slowest. Raises BenchError."""
    where = f"trtype:TCP adrfam:IPv4 traddr:{ADDRESS} trsvcid:{site.port} subnqn:nqn.2026-01.com.example:s0000"
    options = f"--no-huge -s 256 -c 0x2 -q 1 -o 4096 -w randread -t {READING}".split()
    command = [str(nvmf_tgt.parent / "spdk_nvme_perf"), *options, "-r", f"{where} hostnqn:nqn.2026-01.com.example:host"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as host:
        while ticking and host.poll() is None:
            site.tick()
            time.sleep(1.0)
        said, _ = host.communicate()
    totals = [line for line in said.splitlines() if line.startswith("Total")]
    if not totals:
        raise BenchError(f"{command[0]}: {said[-300:]}")
    return float(totals[-1].split()[-1]) / 1e6


# --- its own client


def load_config(size: Size, nvmf_tgt: Path) -> Result:
    """The same volumes put back after a restart: by us, and by `rpc.py load_config` of what `save_config` saved."""
    client = nvmf_tgt.parents[2] / "scripts" / "rpc.py"
    if not client.exists():
        raise Skipped(f"no SPDK checkout around {nvmf_tgt}: there is no {client}")
    with estate(size.restart, nvmf_tgt) as site:
        site.want(exported(size.restart))
        site.converge()
        saved = site.folder / "saved.json"
        saved.write_text(_asked(client, site, ["save_config"]))
        size_ = saved.stat().st_size
        ours = [_converging(site) for _ in range(size.runs)]
        site.process.kill()
        site.process = Child("target", [*target_command(nvmf_tgt)(site.socket), "--wait-for-rpc"], site.folder / "log")
        site.process.start()
        until(lambda: _listens(site), "the target")
        with spent() as theirs:
            _asked(client, site, ["-t", "600", "load_config", "-j", str(saved)])
        site.converge()
    return Result(
        "load-config",
        "nvmf_tgt",
        f"a new process at {size.restart:,} volumes",
        (Row("rpc.py load_config", (theirs.wall,), "until we have converged", tuple(run.wall for run in ours)),),
        {"bytes": size_},
    )


def _listens(site: Estate) -> bool:
    """Whether a target is there, though it has not begun to work."""
    try:
        with bare(site) as wire:
            return bool(wire.read([request("spdk_get_version")]))
    except OSError:
        return False


def _converging(site: Estate) -> Spent:
    site.restart()
    with spent() as took:
        site.converge()
    return took


def _asked(client: Path, site: Estate, words: Sequence[str]) -> str:
    """What the official client says. Raises BenchError when it fails."""
    command = [sys.executable, str(client), "-s", str(site.socket), *words]
    environment = os.environ | {"PYTHONPATH": str(client.parents[1] / "python")}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if ended.returncode:
        raise BenchError(f"{words[0]}: {ended.stderr[-300:]}")
    return ended.stdout
