"""The other end of a connection as a test writes it: what was sent is kept, what arrives is scripted, time is ours."""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from backends.spdk.errors import Disconnected


@dataclass
class Moments:
    """A monotonic clock that goes on by `step` seconds whenever somebody looks, and when a test says so."""

    now: float = 1000.0
    step: float = 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@dataclass
class Script:
    """A transport without a socket: each `receive` is the next entry, and waiting for nothing takes the time it says.

    An entry is bytes that arrive, or an exception that the connection ends with.
    """

    clock: Moments = field(default_factory=Moments)
    entries: deque[bytes | Disconnected] = field(default_factory=deque)
    pace: float = 0.0  # seconds that an entry takes to arrive
    sent: list[dict[str, Any]] = field(default_factory=list)
    sending_fails: Disconnected | None = None
    is_closed: bool = False
    peer_pid: int | None = None
    peer_user: int | None = None

    def send(self, requests_: Sequence[bytes]) -> None:
        if self.sending_fails:
            self.sent += map(json.loads, requests_[: self.sending_fails.sent])
            raise self.sending_fails
        self.sent += map(json.loads, requests_)

    def receive(self, timeout: float) -> bytes:
        if not self.entries:
            self.clock.now += timeout
            return b""
        self.clock.now += self.pace
        entry = self.entries.popleft()
        if isinstance(entry, bytes):
            return entry
        raise entry

    def close(self) -> None:
        self.is_closed = True

    def answer(self, *chunks: bytes | Disconnected) -> None:
        self.entries += chunks


def line(id_: Any, result: Any) -> bytes:
    """An answer as SPDK writes it."""
    return json.dumps({"jsonrpc": "2.0", "id": id_, "result": result}, separators=(",", ":")).encode() + b"\n"


def refusal(id_: Any, code: int, message: str) -> bytes:
    error = {"code": code, "message": message}
    return json.dumps({"jsonrpc": "2.0", "id": id_, "error": error}, separators=(",", ":")).encode() + b"\n"


def chopped(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    """A stream in pieces, cut at the given offsets; none is empty."""
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [stream[start:end] for start, end in itertools.pairwise(edges)]
