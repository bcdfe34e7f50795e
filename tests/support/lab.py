"""One target, its disks, and a backend that talks to it; simulated, or a live one that is started for the test."""

from __future__ import annotations

import base64
import shutil
import socket
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backends.contract import Action, Applied, Change, Guard, Interest, Observed, Terminal
from backends.objects import Bdev, KeyringKey, LiveObject, Lvol, LvolStore, ObjectKey, ObjectKind
from backends.spdk.backend import SpdkBackend
from backends.spdk.client import Call, Client
from backends.spdk.errors import Disconnected
from backends.spdk.simulator import Simulator
from backends.spdk.transport import Transport, connect_unix
from reconciler.demo.patience import until
from reconciler.demo.processes import Child, target_command

MIB = 1 << 20
NQN = "nqn.2026-01.com.example:"
DISK_UUID = "22222222-2222-4222-8222-222222222222"
DHCHAP = f"DHHC-1:00:{base64.b64encode(bytes(32) + zlib.crc32(bytes(32)).to_bytes(4, 'little')).decode()}:\n"
PATIENCE = 20.0  # seconds; only ever used up by a failing test


def created(thing: LiveObject) -> Change:
    return Change(Action.CREATE, thing.key, None, thing)


def updated(before: LiveObject, after: LiveObject) -> Change:
    return Change(Action.UPDATE, after.key, before, after)


def deleted(thing: LiveObject) -> Change:
    return Change(Action.DELETE, thing.key, thing, None)


def guard(thing: LiveObject, **facts: Any) -> Guard:
    return Guard(thing.key, facts)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class LaidDown:
    """Secrets for a backend under test: keys in files, all the same; nothing else."""

    def material(self, source: str, fingerprint: str) -> str:
        raise Terminal(f"{source}: not in this test")

    def deposit(self, key: KeyringKey) -> None:
        path = Path(key.path or "")
        path.touch(0o600)
        path.write_text(DHCHAP)


@dataclass
class Lab:
    """What a test has at hand. Questions of its own go over connections of their own."""

    folder: Path
    monotonic: Callable[[], float] = time.monotonic
    connect: Callable[[], Transport] | None = None
    backend: SpdkBackend = field(init=False)

    def __post_init__(self) -> None:
        connect = self.connect or (lambda: connect_unix(str(self.socket)))
        self.backend = SpdkBackend(connect, self.monotonic, secrets=LaidDown())

    @property
    def socket(self) -> Path:
        return self.folder / "s"

    # --- through the backend

    def observe(self, interest: Interest | None = None) -> Observed:
        return self.backend.observe(interest or Interest())

    def apply(self, change: Change, *guards: Guard) -> Applied:
        """One change from its beginning to its end."""
        ticket = self.backend.begin(change, guards)
        (applied,) = self.ended(1)
        assert applied.ticket == ticket
        return applied

    def ended(self, count: int) -> list[Applied]:
        """So many changes that ended."""
        found: list[Applied] = []
        deadline = time.monotonic() + PATIENCE
        while len(found) < count and time.monotonic() < deadline:
            found += self.backend.wait(1.0)
        return found

    def make(self, *things: LiveObject) -> None:
        """All of these, one after another."""
        for thing in things:
            assert self.apply(created(thing)).error is None

    def live(self, key: ObjectKey) -> LiveObject | None:
        return self.observe().objects.get(key)

    def poll(self) -> None:
        """From now on the target polls, without which SPDK attaches no controller over TCP."""

    # --- past the backend

    def call(self, method: str, **params: Any) -> Any:
        """One call by somebody else. Raises RpcError."""
        client = Client(connect_unix(str(self.socket)))
        try:
            return client.call(Call(method, params or None)).result()
        finally:
            client.close()

    def disk(self, name: str = "disk", size: int = 64 * MIB, uuid: str | None = DISK_UUID, **more: Any) -> Bdev:
        """An AIO device as one declares it, over a file that is there."""
        path = self.folder / f"{name}.img"
        with path.open("wb") as file:
            file.truncate(size)
        return Bdev(name, "aio", uuid=uuid, size=size, block_size=4096, path=str(path), **more)

    def key(self, name: str) -> KeyringKey:
        """A key as one declares it; its file is written when it is made."""
        return KeyringKey(name, str(self.folder / f"{name}.key"))

    def pool(self, name: str = "pool", disk: str = "disk", size: int = 64 * MIB) -> LvolStore:
        """A store of 1 MiB clusters, made past the backend together with its device; as it is then observed."""
        self.disk(disk, size)
        self.attach(disk)
        self.call("bdev_lvol_create_lvstore", bdev_name=disk, lvs_name=name, cluster_sz=MIB)
        found = self.live(ObjectKey(ObjectKind.LVOL_STORE, name))
        assert isinstance(found, LvolStore)
        return found

    def attach(self, name: str = "disk") -> None:
        """The device of a disk that is there already, made past the backend."""
        self.call("bdev_aio_create", name=name, filename=str(self.folder / f"{name}.img"), block_size=4096)

    def lvol(self, name: str, mib: int = 4, store: str = "pool", *, thin: bool = True) -> Lvol:
        """An lvol made past the backend; as it is then observed."""
        self.call("bdev_lvol_create", lvs_name=store, lvol_name=name, size_in_mib=mib, thin_provision=thin)
        found = self.live(ObjectKey(ObjectKind.LVOL, f"{store}/{name}"))
        assert isinstance(found, Lvol)
        return found

    def export(self, name: str, **bdevs: str) -> str:
        """A subsystem made past the backend, with a namespace `n1=…` for each bdev; its NQN."""
        nqn = f"{NQN}{name}"
        self.call("nvmf_create_subsystem", nqn=nqn)
        for number, bdev in bdevs.items():
            space = {"nsid": int(number.removeprefix("n")), "bdev_name": bdev}
            self.call("nvmf_subsystem_add_ns", nqn=nqn, namespace=space)
        return nqn


@dataclass
class SimulatedLab(Lab):
    """The same over a simulated target, which counts and can be told to misbehave."""

    simulator: Simulator = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.simulator = Simulator(self.socket)

    @property
    def mutations(self) -> list[tuple[str, dict[str, Any]]]:
        """Calls so far that may have changed something."""
        return list(self.simulator.mutations)

    def calls(self) -> dict[str, int]:
        """Counts of calls since the last time that one asked."""
        counts = dict(self.simulator.calls)
        self.simulator.calls.clear()
        return counts

    def restart(self) -> None:
        """As kill -9 does it, with a new process over what is left."""
        self.simulator.kill()
        self.simulator.start()


@dataclass
class LiveLab(Lab):
    """The same over a live target, which is a process of its own."""

    nvmf_tgt: Path = field(kw_only=True)
    process: Child = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.process = self._child(*target_command(self.nvmf_tgt)(self.socket))

    def _child(self, *command: str) -> Child:
        return Child("nvmf_tgt", command, self.folder / "log")

    def poll(self) -> None:
        self.process.stop()
        command = target_command(self.nvmf_tgt)(self.socket)
        self.process = self._child(*(word for word in command if word != "--interrupt-mode"))
        self.start()

    def start(self) -> None:
        self.process.start()
        until(self._is_up, self.process.last_words)

    def restart(self) -> None:
        """As kill -9 does it, with a new process over what is left."""
        self.process.kill()
        self.start()

    def _is_up(self) -> bool:
        self.process.check()
        try:
            return bool(self.call("framework_wait_init"))
        except Disconnected:
            return False


@contextmanager
def _folder() -> Iterator[Path]:
    """Paths of sockets must be short, so it is not pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="hf"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def simulated(**settings: Any) -> Iterator[SimulatedLab]:
    with _folder() as folder:
        lab = SimulatedLab(folder, **settings)
        with lab.simulator:
            try:
                yield lab
            finally:
                lab.backend.close()


@contextmanager
def live(nvmf_tgt: Path) -> Iterator[LiveLab]:
    with _folder() as folder:
        lab = LiveLab(folder, nvmf_tgt=nvmf_tgt)
        try:
            lab.start()
            yield lab
        finally:
            lab.backend.close()
            lab.process.stop()
