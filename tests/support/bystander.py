"""A host that goes on working while something is done to a target: bdevperf writes, reads back, compares and counts."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconciler.demo.patience import until
from reconciler.demo.witness import Witness, WitnessError

ENDING = 30.0  # seconds
ENDLESS = 3600  # seconds that it would work if nobody told it to stop
BLOCKS = 2000  # I/O that shows that it is at work


@dataclass
class Bystander:
    """One host with one controller of one subsystem; it works on all its namespaces from `work` to `finish`."""

    bdevperf: Path
    folder: Path
    target: Witness
    nqn: str
    blocks: int = BLOCKS  # fewer where several processes that poll share a core
    _results: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._witness = Witness(self.folder / "host.sock")
        words = ("-z", "-m", "0x1", "--no-huge", "-s", "512", "--disable-cpumask-locks", "-r", str(self._witness.path))
        load = ("-q", "2", "-o", "4096", "-w", "verify", "-t", str(ENDLESS))
        with (self.folder / "host.log").open("wb") as log:
            self._process = subprocess.Popen([str(self.bdevperf), *words, *load], stdout=log, stderr=log)
        until(lambda: self._witness.answers, "the host to come up")

    def connect(self) -> None:
        """As the first host that the subsystem allows, at its first portal."""
        shown = self.target.subsystems()[self.nqn]
        where = {name: shown["listen_addresses"][0][name] for name in ("trtype", "adrfam", "traddr", "trsvcid")}
        who = {"hostnqn": shown["hosts"][0]["nqn"], "subnqn": self.nqn}
        self._witness.call("bdev_nvme_attach_controller", name="Remote", **where, **who)

    def attach(self, address: dict[str, str], host: str) -> None:
        """One more way to the subsystem; it is tried again and again when it is lost."""
        how: dict[str, Any] = {"multipath": "multipath", "ctrlr_loss_timeout_sec": -1, "reconnect_delay_sec": 1}
        who = {"hostnqn": host, "subnqn": self.nqn}
        self._witness.call("bdev_nvme_attach_controller", name="Remote", **address, **who, **how)

    def work(self) -> None:
        self._worker = threading.Thread(target=self._perform, daemon=True)
        self._worker.start()
        self.goes_on()

    def _perform(self) -> None:
        with contextlib.suppress(WitnessError):  # killed: nothing came of it
            self._results.append(Witness(self._witness.path, timeout=2.0 * ENDLESS).call("perform_tests"))

    def goes_on(self) -> None:
        """Wait until it has done some more. Raises CommandError when it does not."""
        before = self._done()
        until(lambda: self._done() > before + self.blocks, "the host to go on")

    def _done(self) -> int:
        """I/O of all its disks so far."""
        disks = self._witness.call("bdev_get_iostat")["bdevs"]
        assert [disk["io_error"] for disk in disks] == [{}] * len(disks)
        return sum(int(disk["num_read_ops"] + disk["num_write_ops"]) for disk in disks)

    def size(self) -> int:
        """Bytes of its first disk, as it sees it."""
        return self._witness.size("Remoten1")

    def sessions(self) -> list[tuple[int, int, str]]:
        """Every connection of the subsystem as the target has it: controller, queue, and the port it comes from."""
        pairs = self.target.call("nvmf_subsystem_get_qpairs", nqn=self.nqn)
        return sorted((pair["cntlid"], pair["qid"], pair["peer_address"]["trsvcid"]) for pair in pairs)

    def controllers(self) -> Any:
        return self.target.call("nvmf_subsystem_get_controllers", nqn=self.nqn)

    def finish(self) -> list[Any]:
        """Stop working; what came of it, by disk."""
        self._process.send_signal(signal.SIGINT)
        self._worker.join(ENDING)
        assert self._process.wait(ENDING) == 0
        found: list[Any] = self._results[0]["results"]
        return found

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(ENDING)
        Path(f"/dev/shm/bdevperf_trace.pid{self._process.pid}").unlink(missing_ok=True)  # noqa: S108  # SPDK's name


@contextmanager
def undisturbed(folder: Path, target: Witness, nqn: str) -> Iterator[Bystander]:
    """A host at work, which notices nothing of what is done meanwhile: the same sessions, and every I/O good."""
    bdevperf = Path(os.environ["SPDK_TGT"]).parents[1] / "examples" / "bdevperf"
    host = Bystander(bdevperf, folder, target, nqn)
    try:
        host.connect()
        host.work()
        before = host.sessions(), host.controllers()
        assert len(before[0]) > 1  # its admin queue and one for I/O
        yield host
        assert (host.sessions(), host.controllers()) == before
        host.goes_on()
        assert (host.sessions(), host.controllers()) == before
        results = host.finish()
        assert [(r["status"], r["io_failed"], r["io_timeout"]) for r in results] == [("terminated", 0, 0)] * len(
            results
        )
        log = (folder / "host.log").read_text()
        assert "*ERROR*" not in log, log
    finally:
        host.close()
