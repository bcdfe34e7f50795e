"""A second pair of eyes on a target: raw JSON-RPC over its socket, with nothing but the standard library.

Holdfast's own client must not vouch for itself, so nothing of ours is imported here.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DISCOVERY = "nqn.2014-08.org.nvmexpress.discovery"
TIMEOUT = 20.0  # seconds for one call
SHOWN = ("bdev_get_bdevs", "bdev_lvol_get_lvstores", "nvmf_get_subsystems", "nvmf_get_transports")


class WitnessError(Exception):
    """The target cannot be asked, or refuses."""


@dataclass(frozen=True, slots=True)
class Witness:
    """Sees one target as it is."""

    path: Path
    timeout: float = TIMEOUT  # seconds for one call

    def call(self, method: str, **params: object) -> Any:  # noqa: ANN401  # JSON
        """One call on a connection of its own. Raises WitnessError."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, **({"params": params} if params else {})}
        try:
            answer = self._exchange(json.dumps(request).encode())
        except OSError as error:
            raise WitnessError(f"{self.path}: {method}: {error.strerror or error}") from error
        if "error" in answer:
            raise WitnessError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def _exchange(self, request: bytes) -> Any:  # noqa: ANN401  # JSON
        deadline, received = time.monotonic() + self.timeout, b""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(self.timeout)
            connection.connect(str(self.path))
            connection.sendall(request)
            while True:
                connection.settimeout(max(deadline - time.monotonic(), 0.001))
                piece = connection.recv(1 << 16)
                if not piece:
                    raise ConnectionResetError("the target closed the connection")
                received += piece
                try:
                    return json.loads(received)
                except ValueError:  # not all of it yet
                    continue

    @property
    def answers(self) -> bool:
        """Whether it is up and can be asked."""
        try:
            return self.call("framework_wait_init") is True
        except WitnessError:
            return False

    # --- what is there

    def bdevs(self) -> dict[str, Any]:
        """By uuid."""
        return {bdev["uuid"]: bdev for bdev in self.call("bdev_get_bdevs")}

    def stores(self) -> list[Any]:
        return list(self.call("bdev_lvol_get_lvstores"))

    def subsystems(self) -> dict[str, Any]:
        """By NQN, without the one for discovery."""
        return {item["nqn"]: item for item in self.call("nvmf_get_subsystems") if item["nqn"] != DISCOVERY}

    def namespaces(self) -> dict[str, tuple[str, int]]:
        """Where each disk is shown: NQN and nsid, by the uuid that hosts see."""
        return {
            namespace["uuid"]: (nqn, namespace["nsid"])
            for nqn, subsystem in self.subsystems().items()
            for namespace in subsystem["namespaces"]
        }

    def lvols(self) -> frozenset[str]:
        """By uuid."""
        return frozenset(uuid for uuid, bdev in self.bdevs().items() if "lvol" in bdev["driver_specific"])

    def volumes(self) -> frozenset[str]:
        """Lvols that can be written, by uuid: no snapshots."""
        found = self.bdevs()
        return frozenset(uuid for uuid in self.lvols() if found[uuid]["supported_io_types"]["write"])

    def size(self, uuid: str) -> int:
        """Bytes of a bdev. Raises WitnessError when there is none."""
        [bdev] = self.call("bdev_get_bdevs", name=uuid)
        return int(bdev["num_blocks"] * bdev["block_size"])

    def limits(self, uuid: str) -> Mapping[str, int]:
        """The limits of a bdev, as SPDK names them. Raises WitnessError when there is none."""
        [bdev] = self.call("bdev_get_bdevs", name=uuid)
        limits: Mapping[str, int] = bdev["assigned_rate_limits"]
        return limits

    # --- whether it changed

    def exports(self) -> str:
        """Everything that hosts can notice, as one text: subsystems with all that is in them, and limits."""
        limits = {uuid: bdev["assigned_rate_limits"] for uuid, bdev in self.bdevs().items() if bdev["claimed"]}
        return _canonical([self.subsystems(), limits])

    def digest(self) -> str:
        """One value for all that the target shows: bdevs, stores, subsystems, transports."""
        shown = [sorted(map(_canonical, self.call(method))) for method in SHOWN]
        return hashlib.sha256(_canonical(shown).encode()).hexdigest()

    def newest_notification(self) -> int:
        """Id of the last bdev event; -1 when there was none in this life of the target."""
        for first in itertools.count(0, 1024):
            page = self.call("notify_get_notifications", id=first, max=1024)
            if len(page) < 1024:
                return int(page[-1]["id"]) if page else first - 1
        raise AssertionError


def _canonical(value: Any) -> str:  # noqa: ANN401  # JSON
    """The same text for the same content, whatever the order of keys and of lists that are sets."""
    return json.dumps(_sorted(value), sort_keys=True, separators=(",", ":"))


def _sorted(value: Any) -> Any:  # noqa: ANN401  # JSON
    if isinstance(value, dict):
        return {name: _sorted(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return sorted(map(_sorted, value), key=lambda item: json.dumps(item, sort_keys=True))
    return value
