"""The wire between us and a target: what went over it, and the same again without us."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backends.spdk.transport import RECEIVE, Transport

IN_FLIGHT = 256  # as many as the reconciler has
WRITTEN = 10  # volumes of each piece of an answer that arrives
GIVEN = 10_000  # clusters that their store has given out for it, which are more than they show
_UNTOUCHED, _TAKEN = b'"num_allocated_clusters":0', b'"num_allocated_clusters":%d'
_FREE = re.compile(rb'(?<="free_clusters":)\d+')


@dataclass
class Tap:
    """Sees everything that the connections made through it send and receive."""

    requests: list[bytes] = field(default_factory=list)
    received: int = 0  # bytes
    written: int = 0  # when tenants are to have written since: clusters that some volumes show as taken

    def on(self, transport: Transport) -> Transport:
        return _Tapped(transport, self, transport.peer_pid, transport.peer_user)

    def clear(self) -> None:
        self.requests, self.received = [], 0

    @property
    def sent(self) -> int:
        """Bytes."""
        return sum(map(len, self.requests))

    @property
    def writes(self) -> list[str]:
        return writes(self.requests)


@dataclass
class _Tapped:
    inner: Transport
    tap: Tap
    peer_pid: int | None
    peer_user: int | None

    def send(self, requests_: Sequence[bytes]) -> None:
        self.tap.requests += requests_
        self.inner.send(requests_)

    def receive(self, timeout: float) -> bytes:
        data = self.inner.receive(timeout)
        self.tap.received += len(data)
        if not self.tap.written:
            return data
        data = _FREE.sub(lambda free: b"%d" % (int(free[0]) - GIVEN), data)
        return data.replace(_UNTOUCHED, _TAKEN % self.tap.written, WRITTEN)

    def close(self) -> None:
        self.inner.close()


class Bare:
    """The least that could speak to a target: no ids are matched, nothing is checked but that it did not refuse."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))

    def close(self) -> None:
        self._socket.close()

    def send_all(self, requests: Sequence[bytes]) -> None:
        """All of them, 256 in flight, one method after another: what is made stands before anything that needs it."""
        for phase in by_method(requests):
            self._pipeline(phase)

    def _pipeline(self, requests: Sequence[bytes]) -> None:
        self._socket.sendall(b"".join(requests[:IN_FLIGHT]))
        going, answered = min(IN_FLIGHT, len(requests)), 0
        while answered < len(requests):
            data = self._socket.recv(RECEIVE)
            if (place := data.find(b'"error":')) >= 0:
                raise RuntimeError(f"refused: {data[place : place + 200]!r}")
            ended = data.count(b"\n")
            answered += ended
            if going < len(requests):
                self._socket.sendall(b"".join(requests[going : going + ended]))
                going += ended

    def read(self, requests: Iterable[bytes]) -> list[bytes]:
        """One after another; the answers."""
        return [self._ask(request) for request in requests]

    def _ask(self, request: bytes) -> bytes:
        self._socket.sendall(request)
        pieces: list[bytes] = []
        while not (pieces and pieces[-1].endswith(b"\n")):
            pieces.append(self._socket.recv(RECEIVE))
        return b"".join(pieces)


def by_method(requests: Sequence[bytes]) -> list[list[bytes]]:
    """Phases, in the order in which their methods first appear."""
    phases: dict[str, list[bytes]] = {}
    for request in requests:
        phases.setdefault(_method(request), []).append(request)
    return list(phases.values())


def writes(requests: Iterable[bytes]) -> list[str]:
    """Methods of the requests that may have changed something."""
    return [method for method in map(_method, requests) if not _reads(method)]


def request(method: str, **params: Any) -> bytes:  # noqa: ANN401  # JSON
    asked: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": method}
    return json.dumps(asked | ({"params": params} if params else {})).encode()


def _method(request_: bytes) -> str:
    return str(json.loads(request_)["method"])


def _reads(method: str) -> bool:
    return "_get_" in method or method == "bdev_wait_for_examine"
