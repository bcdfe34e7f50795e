"""A simulated target for one test, and a client that hides nothing of the wire."""

from __future__ import annotations

import itertools
import json
import shutil
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from backends.spdk.simulator import Simulator

MIB = 1 << 20
PATIENCE = 20.0  # seconds; only ever used up by a failing test


class RefusedError(Exception):
    """The target answered with an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


class Wire:
    """One connection: bytes out, lines in."""

    def __init__(self, address: Path | tuple[str, int]) -> None:
        family = socket.AF_UNIX if isinstance(address, Path) else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.settimeout(PATIENCE)
        try:
            self._socket.connect(str(address) if isinstance(address, Path) else address)
        except OSError:
            self._socket.close()
            raise
        self._lines = self._socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> Any:
        """The next answer; EOFError when the target hung up instead."""
        line = self._lines.readline()
        if not line:
            raise EOFError
        return json.loads(line)

    def finish(self) -> bytes:
        """Say that no more will be sent, and take everything up to the end."""
        self._socket.shutdown(socket.SHUT_WR)
        return self._lines.read()

    def is_hung_up(self) -> bool:
        """Whether the target ends the connection, having said nothing."""
        try:
            return self._lines.read(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def request(method: str, params: Any = None, identity: Any = 1) -> dict[str, Any]:
    wanted = {"jsonrpc": "2.0", "id": identity, "method": method}
    return wanted if params is None else wanted | {"params": params}


@dataclass
class Rig:
    """A simulator, a directory for its files, and a connection that survives its restarts."""

    simulator: Simulator
    directory: Path
    wire: Wire
    ids: Iterator[int]

    def connect(self) -> Wire:
        return Wire(self.simulator.socket_path)

    def reconnect(self) -> None:
        self.wire.close()
        self.wire = self.connect()

    def restart(self) -> None:
        """As kill -9 does it, with a new process over what is left."""
        self.simulator.kill()
        self.simulator.start()
        self.reconnect()

    def ask(self, *calls: tuple[str, Any]) -> list[dict[str, Any]]:
        """Calls sent in one go; answers in the order of the calls."""
        wanted = {next(self.ids): call for call in calls}
        self.wire.send(b"".join(json.dumps(request(*call, number)).encode() for number, call in wanted.items()))
        answers = {answer["id"]: answer for answer in (self.wire.receive() for _ in wanted)}
        return [answers[number] for number in wanted]

    def call(self, method: str, /, **params: Any) -> Any:
        """The result of one call."""
        return self.result(method, params or None)

    def result(self, method: str, params: Any) -> Any:
        answer = self.ask((method, params))[0]
        if "error" in answer:
            raise RefusedError(answer["error"]["code"], answer["error"]["message"])
        return answer["result"]

    def refusal(self, method: str, /, **params: Any) -> tuple[int, str]:
        """How one call is refused."""
        error = self.ask((method, params or None))[0]["error"]
        return error["code"], error["message"]

    def names(self) -> list[str]:
        """Devices, by the names people give them."""
        lvols = {lvol["uuid"]: lvol["alias"] for lvol in self.call("bdev_lvol_get_lvols")}
        return [lvols.get(bdev["name"], bdev["name"]) for bdev in self.call("bdev_get_bdevs")]

    def file(self, name: str, size: int = 64 * MIB) -> Path:
        """A sparse file."""
        path = self.directory / name
        with path.open("wb") as handle:
            handle.truncate(size)
        return path

    def aio(self, name: str = "disk", path: Path | None = None, block_size: int = 4096) -> Path:
        """An AIO device over a file, which is made if none is given."""
        path = path or self.file(f"{name}.img")
        self.call("bdev_aio_create", name=name, filename=str(path), block_size=block_size)
        return path

    def store(self, name: str = "pool", device: str = "disk", cluster: int = MIB) -> Path:
        """An lvol store on an AIO device of its own."""
        path = self.aio(device)
        self.call("bdev_lvol_create_lvstore", bdev_name=device, lvs_name=name, cluster_sz=cluster)
        return path

    def lvol(self, name: str, mib: int = 1, store: str = "pool", *, thin: bool = False) -> str:
        """Its UUID."""
        uuid: str = self.call("bdev_lvol_create", lvs_name=store, lvol_name=name, size_in_mib=mib, thin_provision=thin)
        return uuid

    def pool(self, name: str = "pool") -> dict[str, Any]:
        found: Sequence[dict[str, Any]] = self.call("bdev_lvol_get_lvstores", lvs_name=name)
        return found[0]

    def events(self, since: int = 0) -> list[tuple[str, str]]:
        notifications = self.call("notify_get_notifications", id=since, max=10_000)
        return [(event["type"].removeprefix("bdev_"), event["ctx"]) for event in notifications]


@contextmanager
def simulated(**options: Any) -> Iterator[Rig]:
    """A target that listens on a path short enough for a UNIX socket."""
    directory = Path(tempfile.mkdtemp(prefix="sim-"))
    try:
        with Simulator(directory / "rpc.sock", **options) as simulator, Wire(simulator.socket_path) as wire:
            rig = Rig(simulator, directory, wire, itertools.count(1))
            yield rig
            rig.wire.close()
    finally:
        shutil.rmtree(directory)
