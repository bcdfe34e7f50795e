"""The whole state of one target process. All but what lies in AIO files ends with it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

from backends.spdk.simulator.bdevs import Bdev, Bdevs
from backends.spdk.simulator.crypto import Crypto
from backends.spdk.simulator.keyring import Keyring
from backends.spdk.simulator.layers import Layer, no_layers
from backends.spdk.simulator.listeners import Listening
from backends.spdk.simulator.lvols import Lvol, Store
from backends.spdk.simulator.notifications import Notifications
from backends.spdk.simulator.nvmf import Nvmf
from backends.spdk.simulator.options import BDEV
from backends.spdk.simulator.raid import Raids
from backends.spdk.simulator.steps import Pause, Steps
from schemas.resources import Json

Examiner: TypeAlias = "Callable[[Target, Bdev], None]"
Reviver: TypeAlias = "Callable[[Target, Bdev], Iterable[Bdev]]"
Reader: TypeAlias = "Callable[[Target, Bdev], Steps]"


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take that take long on a live target."""

    examine: float = 0.0  # seconds to look at what is on a new device
    copy: float | None = None  # bytes a second that inflate and decouple copy; None: at once
    rebuild: float = 2.0**30  # bytes a second of an array


@dataclass(eq=False)
class Target:
    """State, and the few things it needs from outside: identities, time, sockets, and who looks at new devices."""

    mint: Callable[[], str]  # a UUID, new each time
    now: Callable[[], float]  # seconds; only differences count
    pid: int
    listening: Listening
    reviving: Sequence[Reviver] = ()  # what lacked a device of this UUID
    waiting: Sequence[Examiner] = ()  # may have waited for a device of this name
    reading: Sequence[Reader] = ()  # look at what is on the device
    pace: Pace = field(default_factory=Pace)
    initialized: bool = True
    rpcs_allowed: frozenset[str] | None = None  # None: all
    auto_examine: bool = True
    bdev_options: dict[str, Json] = field(default_factory=lambda: dict(BDEV))
    examining: int = 0  # devices that are being looked at
    background: deque[Steps] = field(default_factory=deque)  # what was begun and nobody waits for
    unnamed_mallocs: int = 0
    notifications: Notifications = field(default_factory=Notifications)
    stores: list[Store] = field(default_factory=list)
    volumes: dict[Bdev, tuple[Store, Lvol]] = field(default_factory=dict)  # what lies behind an lvol's device
    degraded: dict[str, list[tuple[Store, Lvol]]] = field(default_factory=dict)  # by the UUID of what they lack
    layers: dict[str, dict[str, Layer]] = field(default_factory=no_layers)
    controllers: dict[str, Any] = field(default_factory=dict)  # NVMe controllers that are attached
    delays: list[Bdev] = field(default_factory=list)  # one comes after those that waited for it
    keyring: Keyring = field(default_factory=Keyring)
    crypto: Crypto = field(default_factory=Crypto)
    raids: Raids = field(default_factory=Raids)
    nvmf: Nvmf = field(default_factory=Nvmf)
    more_nvmf: dict[str, Nvmf] = field(default_factory=dict)  # by name
    copies: dict[int, dict[str, int | str]] = field(default_factory=dict)  # shallow copies nobody asked about yet
    copies_started: int = 0
    bdevs: Bdevs = field(init=False)

    def permits(self, method: str) -> bool:
        """Whether there is such a method for those who ask: to the others it does not exist."""
        return self.rpcs_allowed is None or method in self.rpcs_allowed

    @cached_property
    def host_nqn(self) -> str:
        """What the process calls itself towards other targets, where a call does not say; another one in each life."""
        return f"nqn.2014-08.org.nvmexpress:uuid:{self.mint()}"

    def __post_init__(self) -> None:
        self.bdevs = Bdevs(self.notifications, self.mint)

    def register(self, bdev: Bdev, *aliases: str) -> Bdev:
        """Enter a device that has no past."""
        self.bdevs.register(bdev, *aliases)
        self.settle(bdev)
        return bdev

    def register_and_read(self, bdev: Bdev) -> Steps:
        """A device that may carry something. That is there, and announced, before the device itself is."""
        self.bdevs.register(bdev)
        back = self._offer(bdev)
        yield from self._read_and_announce(bdev, back)
        return bdev.name

    def _read_and_announce(self, bdev: Bdev, back: Sequence[Bdev] = ()) -> Steps:
        if self.auto_examine:
            yield from self.read(bdev)
        if self.bdevs.find(bdev.name) is bdev:
            self._announce(bdev, back)
        return True

    def _read_meanwhile(self, bdev: Bdev, back: Sequence[Bdev]) -> Steps:
        yield from self.read(bdev)
        yield Pause.IO
        if self.bdevs.find(bdev.name) is bdev:
            self._announce(bdev, back)
        return True

    def read(self, bdev: Bdev) -> Steps:
        """Look at what is on a device. Until then it looks blank to everybody, and may be overwritten."""
        self.examining += 1
        yield Pause.IO
        yield from self.takes(self.pace.examine)
        if self.bdevs.find(bdev.name) is bdev:
            for examiner in self.reading:
                yield from examiner(self, bdev)
        self.examining -= 1
        return True

    def settle(self, bdev: Bdev) -> None:
        """A device that was entered is taken by whoever waits for it, and announced; then what comes back with it.

        One that carries something is looked at first, while whoever made it is answered already.
        """
        back = self._offer(bdev)
        if self.auto_examine and bdev.claim is None and bdev.is_marked:
            self.background.append(self._read_meanwhile(bdev, back))
        else:
            self._announce(bdev, back)

    def _offer(self, bdev: Bdev) -> Sequence[Bdev]:
        back = [device for reviver in self.reviving for device in reviver(self, bdev)]
        for examiner in self.waiting:
            examiner(self, bdev)
        return back

    def _announce(self, bdev: Bdev, back: Sequence[Bdev]) -> None:
        self.bdevs.announce(bdev)
        for device in back:
            self.settle(device)

    def takes(self, seconds: float) -> Steps:
        """Time that passes."""
        until = self.now() + seconds
        while seconds and self.now() < until:
            yield Pause.POLL
        return True

    def content(self, name: str) -> str:
        """The token for the bytes of an lvol: equal tokens, equal bytes; a new one is blank."""
        return self.volumes[self.bdevs.get(name, "lvol")][1].content

    def close(self) -> None:
        """Let go of files and sockets, as the end of a process does."""
        self.listening.close()
        for bdev in self.bdevs:
            if bdev.medium is not None:
                bdev.medium.close()
