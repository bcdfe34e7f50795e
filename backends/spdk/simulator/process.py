"""A simulated target as a process: it starts, may be killed at any moment, and starts again over what it left."""

from __future__ import annotations

import fcntl
import os
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from backends.spdk.simulator import framework_methods, nvme_methods
from backends.spdk.simulator.engine import READING, REVIVING, WAITING, Engine
from backends.spdk.simulator.errors import TargetDied, TargetRestarted
from backends.spdk.simulator.faults import Fault, Hook, Order, Params, params_of
from backends.spdk.simulator.listeners import Sockets, Table
from backends.spdk.simulator.methods import METHODS
from backends.spdk.simulator.server import BACKLOG, Server
from backends.spdk.simulator.target import Pace, Target
from backends.spdk.simulator.wire import Call


def mint() -> str:
    """An identity that nothing else has."""
    return str(uuid.UUID(bytes=os.urandom(16), version=4))


class SocketInUseError(Exception):
    """Another target answers on this socket."""


class Simulator:
    """A simulated SPDK v26.05 target.

    In a test: `with Simulator(path) as sim:` runs it in a thread of its own; `sim.kill()` is kill -9, `sim.start()`
    brings it up again. `sim.calls` counts calls by method and `sim.mutations` lists those that may change something,
    over all its lives. `sim.before(method, hook)` and `sim.order(plan)` bring mishaps about (see faults.py).

    `breath` is how many seconds a client that is still sending is given before what it asked for is finished; a live
    target looks at its sockets only every 4 ms, which is what `poll_interval` imitates.

    `pace` is how long things take that take long on a live target.

    `rpcs_allowed`: the only methods that there are, as SPDK's option of that name has it; None permits all.

    lvol stores and arrays on files outlive it, inside their files. Nothing else does, so `state_dir` is only made if
    absent.
    """

    def __init__(  # noqa: PLR0913  # how a process is started
        self,
        socket_path: str | Path,
        *,
        tcp: tuple[str, int] | None = None,
        state_dir: str | Path | None = None,
        bind_listeners: bool = False,
        wait_for_rpc: bool = False,
        poll_interval: float | None = None,
        breath: float = 0.0002,
        pace: Pace | None = None,
        mint: Callable[[], str] = mint,
        rpcs_allowed: Collection[str] | None = None,
    ) -> None:
        self.socket_path = Path(socket_path)
        self.tcp = tcp
        self.calls: Counter[str] = Counter()
        self.mutations: list[tuple[str, Params]] = []
        self.died: TargetDied | None = None
        self._wait_for_rpc, self._bind_listeners = wait_for_rpc, bind_listeners
        self._poll_interval, self._breath, self._mint = poll_interval, breath, mint
        self._pace = pace or Pace()
        self._allowed = None if rpcs_allowed is None else frozenset(rpcs_allowed)
        self._hooks: dict[str, list[Hook]] = {}
        self._lives = 0
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        if state_dir is not None:
            Path(state_dir).mkdir(parents=True, exist_ok=True)

    # Life

    def start(self) -> Self:
        """Come up, over a stale socket if one was left behind. Answers when it can be connected to."""
        self._ending.clear()
        self._open()
        self._thread = threading.Thread(target=self._run, name=f"simulator {self.socket_path}", daemon=True)
        self._thread.start()
        return self

    def serve(self) -> None:
        """Run here until `stop` is called, which a signal handler may do. `died` tells whether it was cut short."""
        self._ending.clear()
        self._open()
        self._run()
        self._tidy()

    def stop(self) -> None:
        """As SIGTERM does it: connections end, the socket goes."""
        self.kill()
        self._tidy()

    def kill(self) -> None:
        """As kill -9 does it: connections end, the socket stays behind, nothing is written."""
        self.end()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def end(self) -> None:
        """Ask the loop to end, without waiting."""
        self._ending.set()
        self._server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # Hooks

    def before(self, method: str, hook: Hook) -> None:
        """Ask `hook` about every call of `method` ("*": of any) before it is executed."""
        self._hooks.setdefault(method, []).append(hook)

    def order(self, plan: Iterable[Order]) -> None:
        """Mishaps by plan; see faults.py for how one is written."""
        for order in plan:
            self.before(order.method, order)

    def forget_hooks(self) -> None:
        self._hooks.clear()

    def notice(self, call: Call) -> Fault | None:
        """Count a call, and ask the hooks: the first that answers decides."""
        self.calls[call.method] += 1
        method = METHODS.get(call.method)
        hooks = (*self._hooks.get(call.method, ()), *self._hooks.get("*", ()))
        if not hooks and (method is None or method.reads):
            return None
        params = params_of(call)
        if method is not None and not method.reads:
            self.mutations.append((call.method, params))
        return next((fault for hook in hooks if (fault := hook(call.method, params)) is not None), None)

    def content(self, name: str) -> str:
        """The token for the bytes of an lvol. Snapshots and clones share it; a new or shrunk volume has its own."""
        return self._target.content(name)

    # Hosts

    def connect(self, nqn: str, host_nqn: str, address: tuple[str, int], io_qpairs: int = 1) -> int:
        """A host connects to a subsystem, and stays until it is put out. The id of its controller.

        ConnectionRefusedError where nothing listens, PermissionError for a host that is not allowed.
        """
        subsystem = self._target.nvmf.find(nqn)
        wanted = (address[0], str(address[1]))
        listeners = subsystem.listeners if subsystem is not None else []
        found = next((each for each in listeners if (each.address.traddr, each.address.trsvcid) == wanted), None)
        if subsystem is None or found is None:
            raise ConnectionRefusedError(f"{nqn} does not listen on {address[0]}:{address[1]}")
        return subsystem.connect(host_nqn, found, self._mint(), io_qpairs).cntlid

    # Inside

    def _open(self) -> None:
        self.died = None
        with ExitStack() as opened:
            opened.callback(os.close, _lock(self.socket_path))
            self._target = self._new_target()
            self._server = Server(Engine(self._target), self, self._poll_interval, self._breath)
            opened.callback(self._server.close)
            opened.callback(self._target.close)
            nvme_methods.introduce(self._target)
            opened.callback(nvme_methods.forget, self._target)
            if not self._wait_for_rpc:
                framework_methods.initialize(self._target)
            if self._bind_listeners:
                self._target.listening = Sockets(self._server.watch, self._server.unwatch)
            self._server.add_listener(_listen_unix(self.socket_path))
            if self.tcp is not None:
                self._server.add_listener(socket.create_server(self.tcp, backlog=BACKLOG))
            self._opened = opened.pop_all()
        self._lives += 1

    def _new_target(self) -> Target:
        pid = os.getpid() + self._lives
        return Target(
            self._mint,
            time.monotonic,
            pid,
            Table(),
            REVIVING,
            WAITING,
            READING,
            self._pace,
            initialized=False,
            rpcs_allowed=self._allowed,
        )

    def _run(self) -> None:
        while (away := self._live()) is not None and not self._ending.wait(away):
            self._open()
            if self._ending.is_set():
                self._server.stop()

    def _live(self) -> float | None:
        """One life. Seconds until the next, or None when there is none."""
        with self._opened:
            try:
                self._server.run()
            except TargetRestarted as restart:
                return restart.seconds
            except TargetDied as death:
                self.died = death
        return None

    def _tidy(self) -> None:
        self.socket_path.unlink(missing_ok=True)
        _lock_path(self.socket_path).unlink(missing_ok=True)


def _lock_path(socket_path: Path) -> Path:
    return socket_path.with_name(socket_path.name + ".lock")


def _lock(socket_path: Path) -> int:
    """Holding it is the right to a socket path; a stale socket may then be removed."""
    descriptor = os.open(_lock_path(socket_path), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise SocketInUseError(f"RPC Unix domain socket path {socket_path} in use. Specify another.") from None
    return descriptor


def _listen_unix(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    with ExitStack() as opened:
        listener = opened.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        listener.bind(str(path))
        listener.listen(BACKLOG)
        opened.pop_all()
    return listener
