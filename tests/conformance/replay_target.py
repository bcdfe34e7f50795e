"""The target that a recording is replayed to: started, asked, ended."""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from replay_compare import Json, short


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


def answers(data: bytes) -> list[Json]:
    """The answers in raw bytes; each one's `result` of methods that describe the build is left out."""
    found: list[Json] = []
    for line in data.decode(errors="replace").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            found.append({"not json": line[:80]})
    return found


def whole_path(name: str) -> Path:
    """With its directory made."""
    file = Path(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    return file
