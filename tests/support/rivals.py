"""Two targets that are asked the same: what each says, freed of what may differ between two runs of one of them."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from backends.spdk.simulator import Simulator
from backends.spdk.simulator.target import Pace

PATIENCE = 20.0  # seconds; only ever used up by a failing run
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
NGUID = re.compile(r"[0-9A-F]{32}")
LATENCIES = {f"{which}_{kind}_latency" for which in ("avg", "p99") for kind in ("read", "write")}  # counted in ticks
VOLATILE = LATENCIES | frozenset(
    {"tick_rate", "ticks", "pid", "tid", "busy", "idle", "elapsed", "lcore", "irq", "sys", "usr"}
)

Call = tuple[str, Any]


class DiedError(Exception):
    """The target ended, or says nothing any more. Holds how it is, then the calls that it left unanswered."""


class Process(Protocol):
    """A target that can be started over what it left."""

    def start(self, directory: Path) -> Path:
        """The socket that it answers on."""

    def kill(self, *, gently: bool) -> None: ...

    def how_it_is(self) -> str:
        """For a person who wants to know why it says nothing."""


class Live:
    """A real nvmf_tgt. It ends with the test, whatever happens."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)
        self._process: subprocess.Popen[bytes] | None = None
        self._log = Path(os.devnull)

    def start(self, directory: Path) -> Path:
        path = directory / "live.sock"
        self._log = directory / "live.log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([*self._command, "-r", str(path)], stdout=log, stderr=log)
        return path

    def how_it_is(self) -> str:
        code = None if self._process is None else self._process.poll()
        words = "\n    ".join(self._log.read_text(errors="replace").splitlines()[-5:])
        return f"the live target {'runs' if code is None else f'ended with {code}'}; its last words:\n    {words}"

    def kill(self, *, gently: bool) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM if gently else signal.SIGKILL)
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(PATIENCE)
            self._process = None


class Simulated:
    """A simulator in this process."""

    def __init__(self) -> None:
        self._simulator: Simulator | None = None

    def start(self, directory: Path) -> Path:
        path = directory / "simulated.sock"
        self._simulator = Simulator(path, pace=Pace(rebuild=2.0**50)).start()
        return path

    def how_it_is(self) -> str:
        return "it is the simulator that says nothing"

    def kill(self, *, gently: bool) -> None:
        if self._simulator is not None:
            self._simulator.kill()
            self._simulator = None


@dataclass
class Rival:
    """A target, its files, and a connection that calls are made on many at a time."""

    process: Process
    directory: Path
    _ids: int = 0
    _socket: socket.socket | None = None
    _rest: bytes = b""

    def start(self) -> None:
        path = self.process.start(self.directory)
        deadline = time.monotonic() + PATIENCE
        while self._socket is None:
            try:
                self._socket = _connect(path)
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)  # nothing tells when a process listens
        self.ask([("framework_wait_init", None)])

    def stop(self, *, gently: bool = True) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self._rest = None, b""
        self.process.kill(gently=gently)

    def ask(self, calls: Sequence[Call]) -> list[dict[str, Any]]:
        """Made in one go; answers in the order of the calls. `{dir}` in a parameter is where the files are."""
        assert self._socket is not None
        wanted = {}
        sent = []
        for method, params in calls:
            self._ids += 1
            wanted[self._ids] = len(sent)
            sent.append(self._request(method, params))
        answers: dict[int, dict[str, Any]] = {}
        try:
            self._socket.sendall(b"".join(sent))
            while len(answers) < len(sent):
                for answer in self._receive():
                    answers[wanted[answer.pop("id")]] = {
                        key: value for key, value in answer.items() if key in ("result", "error")
                    }
        except OSError as error:
            left = [calls[place] for number, place in wanted.items() if number not in answers]
            raise DiedError(self.process.how_it_is(), *left) from error
        return [answers[number] for number in range(len(sent))]

    def _request(self, method: str, params: Any) -> bytes:
        request = {"jsonrpc": "2.0", "id": self._ids, "method": method}
        text = json.dumps(request if params is None else request | {"params": params})
        return text.replace("{dir}", str(self.directory)).encode()

    def _receive(self) -> Iterator[dict[str, Any]]:
        assert self._socket is not None
        data = self._socket.recv(1 << 20)
        if not data:
            raise ConnectionResetError
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            yield json.loads(line.decode().replace(str(self.directory), "{dir}"))


def _connect(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(PATIENCE)
    try:
        connection.connect(str(path))
    except OSError:
        connection.close()
        raise
    return connection


@dataclass
class Plain:
    """Makes what two targets say comparable: identities are numbered in the order in which they are met."""

    _names: dict[str, str] = field(default_factory=dict)

    def __call__(self, value: Any) -> Any:
        match value:
            case Mapping():
                return {name: None if name in VOLATILE else self(member) for name, member in value.items()}
            case list():
                return [self(member) for member in value]
            case str() if NGUID.fullmatch(value):
                return self._name(value)
            case str():
                return UUID.sub(lambda match: self._name(match[0].replace("-", "").upper()), value)
            case _:
                return value

    def knows(self, identity: str) -> bool:
        """Whether this UUID was met before."""
        return identity.replace("-", "").upper() in self._names

    def _name(self, identity: str) -> str:
        return self._names.setdefault(identity, f"identity {len(self._names)}")
