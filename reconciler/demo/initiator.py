"""A real host: writes and reads a namespace over NVMe/TCP with SPDK's spdk_dd, and compares checksums."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.cli.exits import CommandError
from reconciler.demo.witness import Witness

MIB = 1 << 20
BLOCKS = 8  # MiB written to each volume
TIMEOUT = 60.0  # seconds for one copy
CONTROLLER = "Remote"  # its namespace n is the bdev Remoten


@dataclass(frozen=True, slots=True)
class Initiator:
    """spdk_dd as a host that the subsystem allows."""

    spdk_dd: Path
    folder: Path

    def write(self, witness: Witness, uuid: str) -> str:
        """Write random bytes to the disk that hosts see under this uuid; their SHA-256."""
        pattern = self.folder / "pattern.bin"
        pattern.write_bytes(os.urandom(BLOCKS * MIB))
        self._copy(witness, uuid, f"--if={pattern}", "--ob={bdev}")
        return _digest(pattern)

    def read(self, witness: Witness, uuid: str) -> str:
        """SHA-256 of as many bytes, read back."""
        back = self.folder / "back.bin"
        back.unlink(missing_ok=True)
        self._copy(witness, uuid, f"--of={back}", "--ib={bdev}", f"--count={BLOCKS}")
        return _digest(back)

    def _copy(self, witness: Witness, uuid: str, *words: str) -> None:
        shown = witness.namespaces().get(uuid)
        if shown is None:
            raise CommandError(f"no host can see {uuid}")
        nqn, nsid = shown
        host = self.folder / "host.json"
        host.write_text(json.dumps(_attach(witness.subsystems()[nqn], witness.call("keyring_get_keys"))))
        own = (
            "-m",
            "0x1",
            "--no-huge",
            "-s",
            "512",
            "--disable-cpumask-locks",
            "--no-rpc-server",
            "--silence-noticelog",
        )
        what = [word.format(bdev=f"{CONTROLLER}n{nsid}") for word in words]
        code, said = _run([str(self.spdk_dd), *own, "-c", str(host), f"--bs={MIB}", *what])
        if code:
            raise CommandError(f"{self.spdk_dd.name} with {nqn} nsid {nsid}: exit {code}: {said}")


def _run(command: Sequence[str]) -> tuple[int, str]:
    """Exit code and last words."""
    try:
        ran = subprocess.run(  # noqa: S603  # no shell; the person who runs the tour named the program
            command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandError(str(error)) from error
    return ran.returncode, " ".join((ran.stderr or ran.stdout).strip().splitlines()[-1:])


def beside(nvmf_tgt: Path, folder: Path) -> Initiator | None:
    """The initiator that was built with a target, where there is one."""
    spdk_dd = nvmf_tgt.with_name("spdk_dd")
    return Initiator(spdk_dd, folder) if os.access(spdk_dd, os.X_OK) else None


def _attach(subsystem: Any, ring: Any) -> Any:  # noqa: ANN401  # JSON
    """The configuration of a host that connects to a subsystem as the first host it allows, with that one's key."""
    listener, first = subsystem["listen_addresses"][0], subsystem["hosts"][0]
    key = next(({"name": k["name"], "path": k["path"]} for k in ring if k["name"] == first.get("dhchap_key")), None)
    params = {
        "name": CONTROLLER,
        "trtype": "TCP",
        "adrfam": "IPv4",
        "traddr": listener["traddr"],
        "trsvcid": listener["trsvcid"],
        "subnqn": subsystem["nqn"],
        "hostnqn": first["nqn"],
    } | ({"dhchap_key": key["name"]} if key else {})
    attach = {"method": "bdev_nvme_attach_controller", "params": params}
    keys = {"subsystem": "keyring", "config": [{"method": "keyring_file_add_key", "params": key}] if key else []}
    return {"subsystems": [keys, {"subsystem": "bdev", "config": [attach]}]}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
