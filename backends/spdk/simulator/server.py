"""Sockets around an engine: one loop, as the target has one poller. It never waits for one client."""

from __future__ import annotations

import heapq
import itertools
import selectors
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NoReturn, Protocol

from backends.spdk.simulator import wire
from backends.spdk.simulator.engine import Engine, Reply
from backends.spdk.simulator.errors import TargetRestarted
from backends.spdk.simulator.faults import Deny, DropAfter, DropBefore, Fault, Hold, Late, Pretend, Refuse, Restart
from backends.spdk.simulator.framing import Malformed, Scanner
from backends.spdk.simulator.wire import Call, Invalid

MAX_CONNECTIONS: Final = 64
BACKLOG: Final = 512
POLL: Final = 0.004  # seconds between two looks of a live target at its sockets, and at what only time changes


class Observer(Protocol):
    """Is told of every call before it is executed, and may order a mishap."""

    def notice(self, call: Call) -> Fault | None: ...


@dataclass(eq=False, slots=True)
class Connection:
    """One client: what came and is not a request yet, what goes out and has not gone."""

    socket: socket.socket
    scanner: Scanner = field(default_factory=Scanner)
    out: bytearray = field(default_factory=bytearray)
    unanswered: int = 0
    is_reading: bool = True
    is_open: bool = True
    watched: int = selectors.EVENT_READ

    @property
    def is_finished(self) -> bool:
        """Nothing more will come, and nothing is left to say."""
        return not self.is_reading and not self.unanswered and not self.out


class _Batch:
    """Collects the answers of one array, in the order in which they are ready."""

    def __init__(self, size: int, reply: Reply) -> None:
        self._missing, self._reply = size, reply
        self._answers: list[str] = []

    def answer(self, text: str | None) -> None:
        self._missing -= 1
        if text is not None:
            self._answers.append(text)
        if not self._missing:
            self._reply("[" + ",".join(self._answers) + "]" if self._answers else None)


class Server:
    """The loop. `run` returns when `stop` was called, or raises TargetDied."""

    def __init__(self, engine: Engine, observer: Observer, poll_interval: float | None, breath: float) -> None:
        self._engine, self._observer = engine, observer
        self._poll_interval, self._breath = poll_interval, breath
        self._selector = selectors.DefaultSelector()
        self._listeners: list[socket.socket] = []
        self._connections: set[Connection] = set()
        self._talking: set[Connection] = set()
        self._held: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._is_stopping = False
        self._alarm, self._bell = socket.socketpair()
        self._alarm.settimeout(0)
        self._bell.settimeout(0)
        self._selector.register(self._alarm, selectors.EVENT_READ, self._silence)

    # Life

    def add_listener(self, listener: socket.socket) -> None:
        """Clients may come here."""
        listener.settimeout(0)
        self._listeners.append(listener)
        self._selector.register(listener, selectors.EVENT_READ, partial(self._accept, listener))

    def watch(self, listener: socket.socket) -> None:
        """A socket whose callers are hung up on at once."""
        self._selector.register(listener, selectors.EVENT_READ, partial(_hang_up, listener))

    def unwatch(self, listener: socket.socket) -> None:
        self._selector.unregister(listener)

    def run(self) -> None:
        """Turn until told to stop."""
        while not self._is_stopping:
            self._turn()
        self._flush()

    def stop(self) -> None:
        """May be called from anywhere, also from a signal handler."""
        self._is_stopping = True
        with suppress(OSError):  # the loop may have seen it and be gone already
            self._bell.send(b"!")

    def _silence(self) -> None:
        self._alarm.recv(64)

    def close(self) -> None:
        """Every connection ends."""
        for connection in list(self._connections):
            self._drop(connection)
        for listener in self._listeners:
            listener.close()
        self._selector.close()
        self._alarm.close()
        self._bell.close()

    # One turn

    def _turn(self) -> None:
        """Read, start what was read, then finish what was started in an earlier turn, then answer."""
        if self._poll_interval is not None:
            time.sleep(self._poll_interval)
            self._flush()
        ready = self._selector.select(self._patience())
        finishing = self._engine.take_io()
        for key, _ in ready:
            key.data()
        if finishing or self._engine.is_at_work:
            self._gather()
        self._engine.run_messages()
        self._engine.resume(finishing)
        self._engine.resume(self._engine.take_polls())
        self._release()
        if self._poll_interval is None:
            self._flush()

    def _gather(self) -> None:
        """What a client sends in one go may come in pieces; a live target, which looks every 4 ms, sees it at once."""
        until = time.monotonic() + POLL
        while time.monotonic() < until:
            time.sleep(self._breath)
            ready = self._selector.select(0)
            if not ready:
                return
            for key, _ in ready:
                key.data()

    def _patience(self) -> float | None:
        """How long nothing can happen unless somebody calls."""
        if self._engine.is_busy or self._poll_interval is not None:
            return 0
        waits = [POLL] if self._engine.is_polling else []
        if self._held:
            waits.append(max(0.0, self._held[0][0] - time.monotonic()))
        return min(waits, default=None)

    def _release(self) -> None:
        while self._held and self._held[0][0] <= time.monotonic():
            heapq.heappop(self._held)[2]()

    # Clients

    def _accept(self, listener: socket.socket) -> None:
        """The 65th client waits in the backlog until another leaves."""
        try:
            client, _ = listener.accept()
        except OSError:
            return
        client.settimeout(0)
        connection = Connection(client)
        self._connections.add(connection)
        self._selector.register(client, selectors.EVENT_READ, partial(self._serve, connection))
        if len(self._connections) == MAX_CONNECTIONS:
            for each in self._listeners:
                self._selector.unregister(each)

    def _drop(self, connection: Connection) -> None:
        """End a connection. What it asked for goes on; what was not sent is lost."""
        if not connection.is_open:
            return
        connection.is_open = False
        self._connections.discard(connection)
        self._talking.discard(connection)
        if connection.watched:
            self._selector.unregister(connection.socket)
        connection.socket.close()
        if len(self._connections) == MAX_CONNECTIONS - 1:
            for listener in self._listeners:
                self._selector.register(listener, selectors.EVENT_READ, partial(self._accept, listener))

    def _serve(self, connection: Connection) -> None:
        if connection.is_reading:
            self._receive(connection)
        if connection.is_open and connection.out:
            self._talking.add(connection)

    def _receive(self, connection: Connection) -> None:
        try:
            data = connection.socket.recv(connection.scanner.room)
        except BlockingIOError:
            return
        except OSError:
            self._drop(connection)
            return
        try:
            for value in connection.scanner.feed(data):
                self._read(connection, value)
                if not connection.is_open:
                    return
        except Malformed:
            self._drop(connection)
            return
        if not data or not connection.scanner.room:
            self._read_no_more(connection)

    def _read_no_more(self, connection: Connection) -> None:
        """The client will say no more, or nothing that we could take. It still gets its answers."""
        connection.is_reading = False
        self._watch_for(connection)
        self._part(connection)

    def _part(self, connection: Connection) -> None:
        if connection.is_finished:
            self._drop(connection)

    # Calls

    def _read(self, connection: Connection, value: bytes) -> None:
        asked = wire.read(value)
        reply = self._replier(connection)
        if isinstance(asked, list):
            batch = _Batch(len(asked), reply)
            for call in asked:
                self._start(connection, call, batch.answer)
        else:
            self._start(connection, asked, reply)

    def _replier(self, connection: Connection) -> Reply:
        connection.unanswered += 1

        def reply(answer: str | None) -> None:
            connection.unanswered -= 1
            if not connection.is_open:
                return
            if answer is not None:
                connection.out += wire.line_of(answer)
                self._talking.add(connection)
            self._part(connection)

        return reply

    def _start(self, connection: Connection, call: Call | Invalid, reply: Reply) -> None:  # noqa: C901  # one arm per mishap
        match self._observer.notice(call) if isinstance(call, Call) else None:
            case DropBefore():
                self._drop(connection)
            case DropAfter():
                self._engine.submit(call, lambda _: self._drop(connection))
            case Refuse() as refusal:
                reply(wire.refusal_of(call, refusal.error))
            case Deny() as denial:
                self._engine.submit(call, lambda _: reply(wire.refusal_of(call, denial.error)))
            case Pretend(result) if isinstance(call, Call):
                reply(wire.result_of(call, result))
            case Hold(seconds):
                self._engine.submit(call, lambda answer: self._hold(seconds, lambda: reply(answer)))
            case Late(seconds):
                self._hold(seconds, lambda: self._engine.submit(call, reply))
            case Restart(seconds, False):
                raise TargetRestarted(seconds)
            case Restart(seconds):
                self._engine.submit(call, lambda _: _restart(seconds))
            case None:
                self._engine.submit(call, reply)

    def _hold(self, seconds: float | None, act: Callable[[], None]) -> None:
        if seconds is not None:
            heapq.heappush(self._held, (time.monotonic() + seconds, next(self._order), act))

    # Answers

    def _flush(self) -> None:
        for connection in list(self._talking):
            self._send(connection)

    def _send(self, connection: Connection) -> None:
        """As much as the client takes now."""
        try:
            sent = connection.socket.send(connection.out)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._drop(connection)
            return
        del connection.out[:sent]
        if not connection.out:
            self._talking.discard(connection)
        self._watch_for(connection)
        self._part(connection)

    def _watch_for(self, connection: Connection) -> None:
        """Wake up when there is something to read, or room to write what waits."""
        events = connection.is_reading * selectors.EVENT_READ | bool(connection.out) * selectors.EVENT_WRITE
        if events == connection.watched:
            return
        if connection.watched:
            self._selector.unregister(connection.socket)
        if events:
            self._selector.register(connection.socket, events, partial(self._serve, connection))
        connection.watched = events


def _restart(seconds: float) -> NoReturn:
    raise TargetRestarted(seconds)


def _hang_up(listener: socket.socket) -> None:
    try:
        listener.accept()[0].close()
    except OSError:
        return
