"""A JSON-RPC client for SPDK: many calls in flight on one connection, ids matched, deadlines by the wall clock.

Answers end with a newline and never contain one, so the reader looks at every byte once, however the stream is chopped.
An id is used once: an answer that comes too late finds nobody, and is never taken for the answer to another call.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from backends.contract import BackendError, Transient, Unknown
from backends.spdk.errors import Disconnected, RpcError
from backends.spdk.transport import ANSWER_LIMIT, Transport
from schemas.resources import Json
from schemas.values import value

READ_TIMEOUT = 30.0  # seconds


@value(frozen=True, slots=True)
class Call:
    """One request. `mutates` decides what a missing answer means."""

    method: str
    params: Mapping[str, Json] | None = None
    mutates: bool = False
    timeout: float = READ_TIMEOUT


class _List(msgspec.Struct):
    """An answer with a list, whose elements stay bytes."""

    result: list[msgspec.Raw]
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_SPLITTER = msgspec.json.Decoder(_List)


@value(frozen=True, slots=True)
class Reply:
    """The end of one call: an answer line, parsed only when asked, or an error."""

    id: int
    call: Call
    line: bytes = b""
    error: BackendError | None = None

    @property
    def body(self) -> memoryview:
        """The line behind its id: equal bodies are equal answers."""
        head = _head(self.id)
        return memoryview(self.line)[len(head) if self.line.startswith(head) else 0 :]

    def repeats(self, body: bytes) -> bool:
        """Whether the line says behind its id what another one said."""
        return len(self.body) == len(body) and self.line.endswith(body)  # a copy of what may be megabytes is saved

    def result(self) -> Json:
        """The result. Raises RpcError, Transient (nothing happened) or Unknown (sent, no readable answer)."""
        self._check()
        try:
            return _result(self.call.method, _message(self.line))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise self._unreadable(repr(self.line[:60])) from error

    def elements(self) -> list[bytes] | None:
        """The elements of a result that is a list, each as the bytes it came in; None when it is anything else.

        Raises as `result` does. Where an element ends is said by a JSON parser, but what is in it is not looked at.
        """
        self._check()
        try:
            answer = _SPLITTER.decode(self.line)
        except msgspec.MsgspecError:
            return None
        return [bytes(element) for element in answer.result] if answer.error is msgspec.UNSET else None

    def _check(self) -> None:
        if self.error:
            raise self.error
        if len(self.line) >= ANSWER_LIMIT:
            raise self._unreadable(f"it reached {ANSWER_LIMIT >> 20} MiB, where the target cuts it off")

    def _unreadable(self, why: str) -> BackendError:
        message = f"{self.call.method}: the answer cannot be read: {why}"
        return Unknown(message) if self.call.mutates else Transient(message)


def _message(line: bytes) -> dict[str, Json]:
    """Raises ValueError or RecursionError; also for half a character, which nothing could write down again."""
    message: dict[str, Json] = msgspec.json.decode(line)
    return message


def _result(method: str, message: dict[str, Json]) -> Json:
    match message.get("error"):
        case None:
            return message["result"]
        case {"code": int(code), "message": str(text)}:
            raise RpcError(method, code, text)
    raise TypeError("an error of another shape")


@dataclass
class Lines:
    """Splits a byte stream into lines in linear time.

    A line of ANSWER_LIMIT bytes has no end: SPDK cut it off there, and what follows is the next answer.
    """

    _buffer: bytearray = field(default_factory=bytearray)
    _searched: int = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._buffer += data
        end = self._buffer.rfind(b"\n", self._searched) + 1
        whole = self._take(max(end - 1, 0))
        self._take(min(end, 1))  # the newline; a single line in front of it is not copied once more
        cut_off = self._take(len(self._buffer) // ANSWER_LIMIT * ANSWER_LIMIT)
        self._searched = len(self._buffer)
        for line in (*whole.split(b"\n"), cut_off):
            for start in range(0, len(line), ANSWER_LIMIT):
                piece = line[start : start + ANSWER_LIMIT]
                if piece.strip():
                    yield piece

    def _take(self, length: int) -> bytes:
        taken = bytes(memoryview(self._buffer)[:length])  # copied once: answers may be many megabytes
        del self._buffer[:length]
        return taken


class Client:
    """One connection and the calls in flight on it. Not for several threads at once."""

    def __init__(self, transport: Transport, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._transport, self._monotonic = transport, monotonic
        self._lines = Lines()
        self._next_id = 0
        self._unsent: dict[int, bytes] = {}
        self._pending: dict[int, tuple[Call, float]] = {}
        self._kept: list[Reply] = []  # ended while somebody waited for another
        self.closed: Disconnected | None = None

    @property
    def peer_pid(self) -> int | None:
        return self._transport.peer_pid

    @property
    def peer_user(self) -> int | None:
        return self._transport.peer_user

    def start(self, call: Call) -> int:
        """A call that goes out with the next `replies`. Raises Transient or Terminal when there is no connection."""
        if self.closed:
            raise self.closed.verdict()
        self._next_id += 1
        request: dict[str, Json] = {"jsonrpc": "2.0", "id": self._next_id, "method": call.method}
        if call.params is not None:
            request["params"] = dict(call.params)
        self._unsent[self._next_id] = _ENCODER.encode(request)
        self._pending[self._next_id] = (call, self._monotonic() + call.timeout)
        return self._next_id

    def replies(self, timeout: float) -> list[Reply]:
        """Calls that ended, waiting at most `timeout` seconds for the first. A lost connection ends all of them."""
        if self._kept:
            kept, self._kept = self._kept, []
            return kept
        return self._replies(timeout)

    def call(self, call: Call) -> Reply:
        """One call to its end. Other calls that end meanwhile are kept for `replies`."""
        return self.call_many([call])[0]

    def call_many(self, calls: Iterable[Call]) -> list[Reply]:
        """All of them in flight together; the replies in the order of the calls."""
        keys = dict.fromkeys([self.start(call) for call in calls])
        done: dict[int, Reply] = {}
        while len(done) < len(keys):
            for reply in self._replies(READ_TIMEOUT):
                if reply.id in keys:
                    done[reply.id] = reply
                else:
                    self._kept.append(reply)
        return [done[key] for key in keys]

    def close(self) -> None:
        """End the connection, and with it every call."""
        if not self.closed:
            self._kept += self._lost(Disconnected("the connection was closed"))

    def _replies(self, timeout: float) -> list[Reply]:
        ended: list[Reply] = []
        lost: Disconnected | None = None
        try:
            self._flush()
        except Disconnected as error:
            lost, timeout = error, 0.0  # what was answered before can still be read
        try:
            self._read(timeout, ended)
        except Disconnected as error:
            lost = lost or error
        return [*ended, *(self._lost(lost) if lost else self._overdue())]

    def _flush(self) -> None:
        try:
            if self._unsent:
                self._transport.send(list(self._unsent.values()))
        except Disconnected as error:
            for key in list(self._unsent)[: error.sent]:
                del self._unsent[key]
            raise
        self._unsent = {}

    def _read(self, timeout: float, ended: list[Reply]) -> None:
        if not self._pending:
            return
        first = min(deadline for _, deadline in self._pending.values())
        data = self._transport.receive(max(0.0, min(timeout, first - self._monotonic())))
        for line in self._lines.feed(data):
            key = _id_of(line)
            if key in self._pending:  # else its call was given up, or never made
                ended.append(Reply(key, self._pending.pop(key)[0], line))

    def _overdue(self) -> list[Reply]:
        now = self._monotonic()
        late = [(key, call) for key, (call, deadline) in self._pending.items() if deadline <= now]
        for key, _ in late:
            del self._pending[key]
        return [Reply(key, call, error=_unanswered(call, f"no answer within {call.timeout:g} s")) for key, call in late]

    def _may_run(self, key: int, call: Call) -> bool:
        """Whether a call that will not be answered may still change something."""
        return call.mutates and key not in self._unsent

    def _lost(self, error: Disconnected) -> list[Reply]:
        self.closed = error
        self._transport.close()
        ended = [
            Reply(key, call, error=_unanswered(call, str(error)) if self._may_run(key, call) else error.verdict())
            for key, (call, _) in self._pending.items()
        ]
        self._pending, self._unsent = {}, {}
        return ended


def _unanswered(call: Call, why: str) -> BackendError:
    message = f"{call.method}: {why}"
    return Unknown(f"{message}; it may still be running in the target") if call.mutates else Transient(message)


def _head(key: int) -> bytes:
    """How SPDK begins an answer."""
    return b'{"jsonrpc":"2.0","id":%d,' % key


_ENCODER = msgspec.json.Encoder()
_HEAD = re.compile(rb'\{"jsonrpc":"2\.0","id":([0-9]{1,18}),')


def _id_of(line: bytes) -> int:
    """The id of an answer, without parsing what follows; -1, which no call has, when it is none of ours."""
    if head := _HEAD.match(line):
        return int(head[1])
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Disconnected(f"the target sent something that is not JSON: {line[:60]!r}") from error
    key = message.get("id") if isinstance(message, dict) else None
    return key if type(key) is int else -1
