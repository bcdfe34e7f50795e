"""A JSON-RPC client for SPDK: many calls in flight on one connection, ids matched, deadlines by the wall clock.

Answers end with a newline and never contain one, so the reader looks at every byte once, however the stream is chopped.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from backends.contract import BackendError, Transient, Unknown
from backends.spdk.errors import Disconnected, RpcError, TooLarge
from backends.spdk.transport import Transport
from schemas.resources import Json

ANSWER_LIMIT = 32 << 20  # bytes at which SPDK cuts an answer off (observed on v26.05)
READ_TIMEOUT = 30.0  # seconds
WRITE_TIMEOUT = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `mutates` decides what a missing answer means."""

    method: str
    params: Mapping[str, Json] | None = None
    mutates: bool = False
    timeout: float = READ_TIMEOUT


@dataclass(frozen=True, slots=True)
class Reply:
    """The end of one call: an answer line (`body`, parsed only when asked), or an error."""

    id: int | str
    call: Call
    line: bytes = b""
    error: BackendError | RpcError | None = None

    def result(self) -> Json:
        """The result. Raises RpcError, Transient (nothing happened) or Unknown (sent, no answer)."""
        if self.error:
            raise self.error
        message = json.loads(self.line)
        if "error" in message:
            raise RpcError(
                self.call.method, int(message["error"].get("code", 0)), str(message["error"].get("message", ""))
            )
        answer: Json = message.get("result")
        return answer


@dataclass
class Lines:
    """Splits a byte stream into lines in linear time. Raises TooLarge for a line that SPDK would have cut off."""

    _buffer: bytearray = field(default_factory=bytearray)
    _searched: int = 0

    def feed(self, data: bytes) -> list[bytes]:
        self._buffer += data
        end = self._buffer.rfind(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._buffer)
            if self._searched >= ANSWER_LIMIT:
                raise TooLarge("an answer reached 32 MiB, where the target cuts it off: read the objects by name")
            return []
        lines = bytes(self._buffer[:end]).split(b"\n")
        del self._buffer[: end + 1]
        self._searched = len(self._buffer)
        return [line for line in lines if line.strip()]


class Client:
    """One connection and the calls in flight on it. Not for several threads at once."""

    def __init__(self, transport: Transport, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._transport, self._monotonic = transport, monotonic
        self._lines = Lines()
        self._next_id = 0
        self._unsent: dict[int | str, bytes] = {}
        self._pending: dict[int | str, tuple[Call, float]] = {}
        self._kept: list[Reply] = []  # ended while somebody waited for another
        self.closed: Disconnected | None = None

    @property
    def peer_pid(self) -> int | None:
        return self._transport.peer_pid

    @property
    def in_flight(self) -> int:
        return len(self._pending)

    def start(self, call: Call, *, id_: str | None = None) -> int | str:
        """Queue a call; it goes out with the next `replies`. A fixed `id_` makes equal answers equal bytes."""
        if self.closed:
            raise Transient(str(self.closed))
        self._next_id += 1
        key: int | str = id_ or self._next_id
        request: dict[str, Json] = {"jsonrpc": "2.0", "id": key, "method": call.method}
        if call.params is not None:
            request["params"] = dict(call.params)
        self._unsent[key] = json.dumps(request, separators=(",", ":")).encode()
        self._pending[key] = (call, self._monotonic() + call.timeout)
        return key

    def replies(self, timeout: float) -> list[Reply]:
        """Calls that ended, waiting at most `timeout` seconds for the first. A lost connection ends all of them."""
        if self._kept:
            kept, self._kept = self._kept, []
            return kept
        return self._replies(timeout)

    def _replies(self, timeout: float) -> list[Reply]:
        try:
            self._flush()
            return self._read(timeout) or self._overdue()
        except Disconnected as error:
            return self._lost(error)

    def call(self, call: Call, *, id_: str | None = None) -> Reply:
        """One call to its end. Other calls that end meanwhile are kept for `replies`."""
        key = self.start(call, id_=id_)
        while True:
            ended = self._replies(call.timeout)
            self._kept += [reply for reply in ended if reply.id != key]
            for reply in ended:
                if reply.id == key:
                    return reply

    def call_many(self, calls: Iterable[Call]) -> list[Reply]:
        """All of them in flight together; the replies in the order of the calls."""
        keys = dict.fromkeys(self.start(call) for call in calls)
        done: dict[int | str, Reply] = {}
        while len(done) < len(keys):
            ended = self._replies(READ_TIMEOUT)
            self._kept += [reply for reply in ended if reply.id not in keys]
            done |= {reply.id: reply for reply in ended if reply.id in keys}
        return [done[key] for key in keys]

    def close(self) -> None:
        self.closed = self.closed or Disconnected("closed")
        self._transport.close()

    def _flush(self) -> None:
        if self._unsent:
            waiting, self._unsent = list(self._unsent.values()), {}
            self._transport.send(waiting)

    def _read(self, timeout: float) -> list[Reply]:
        if not self._pending:
            return []
        first = min(deadline for _, deadline in self._pending.values())
        data = self._transport.receive(max(0.0, min(timeout, first - self._monotonic())))
        try:
            lines = self._lines.feed(data)
        except TooLarge as error:
            raise Disconnected(str(error)) from error
        return [reply for line in lines if (reply := self._matched(line))]

    def _matched(self, line: bytes) -> Reply | None:
        """The reply a line is; None for one whose call has been given up."""
        key = _id_of(line)
        entry = self._pending.pop(key, None) if key is not None else None
        return Reply(key, entry[0], line) if key is not None and entry else None

    def _overdue(self) -> list[Reply]:
        now = self._monotonic()
        late = [(key, call) for key, (call, deadline) in self._pending.items() if deadline <= now]
        for key, _ in late:
            del self._pending[key]
        return [Reply(key, call, error=_unanswered(call, f"no answer within {call.timeout:g} s")) for key, call in late]

    def _lost(self, error: Disconnected) -> list[Reply]:
        self.closed = error
        self._transport.close()
        ended = [
            Reply(key, call, error=Transient(str(error)) if key in self._unsent else _unanswered(call, str(error)))
            for key, (call, _) in self._pending.items()
        ]
        self._pending, self._unsent = {}, {}
        return ended


def _unanswered(call: Call, why: str) -> BackendError:
    message = f"{call.method}: {why}"
    return Unknown(f"{message}; it may still be running in the target") if call.mutates else Transient(message)


def _id_of(line: bytes) -> int | str | None:
    """The id of an answer. SPDK writes `{"jsonrpc":"2.0","id":N,…`; anything else is parsed whole."""
    head, separator, rest = line[:120].partition(b'"id":')
    if separator and head == b'{"jsonrpc":"2.0",':
        text, comma, _ = rest.partition(b",")
        if comma and (text.isdigit() or (text.startswith(b'"') and text.endswith(b'"') and b"\\" not in text)):
            return int(text) if text.isdigit() else text[1:-1].decode()
    try:
        message = json.loads(line)
    except ValueError as error:
        raise Disconnected(f"the target sent something that is not JSON: {line[:60]!r}") from error
    key = message.get("id") if isinstance(message, dict) else None
    return key if isinstance(key, (int, str)) else None


def results(replies: Sequence[Reply]) -> list[Json]:
    """All results, or the first error."""
    return [reply.result() for reply in replies]
