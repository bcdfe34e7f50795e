"""The whole state of one target process. All but what lies in AIO files ends with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from backends.spdk.simulator.bdevs import Bdev, Bdevs
from backends.spdk.simulator.crypto import Crypto
from backends.spdk.simulator.keyring import Keyring
from backends.spdk.simulator.listeners import Listening
from backends.spdk.simulator.lvols import Lvol, Store
from backends.spdk.simulator.notifications import Notifications
from backends.spdk.simulator.nvmf import Nvmf
from backends.spdk.simulator.raid import Raids
from backends.spdk.simulator.steps import Pause, Steps

Examiner: TypeAlias = "Callable[[Target, Bdev], None]"
Reviver: TypeAlias = "Callable[[Target, Bdev], Iterable[Bdev]]"
Reader: TypeAlias = "Callable[[Target, Bdev], Steps]"


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
    initialized: bool = True
    auto_examine: bool = True
    examining: int = 0  # devices that are being looked at
    unnamed_mallocs: int = 0
    notifications: Notifications = field(default_factory=Notifications)
    stores: list[Store] = field(default_factory=list)
    volumes: dict[Bdev, tuple[Store, Lvol]] = field(default_factory=dict)  # what lies behind an lvol's device
    degraded: dict[str, list[tuple[Store, Lvol]]] = field(default_factory=dict)  # by the UUID of what they lack
    passthrus: dict[str, str] = field(default_factory=dict)  # name → base that it has or waits for
    passthru_uuids: dict[str, str | None] = field(default_factory=dict)  # as asked for, while they wait
    delays: dict[str, Any] = field(default_factory=dict)  # likewise
    controllers: dict[str, Any] = field(default_factory=dict)  # NVMe controllers that are attached
    fresh: list[Bdev] = field(default_factory=list)  # stacked devices that nobody has read yet
    keyring: Keyring = field(default_factory=Keyring)
    crypto: Crypto = field(default_factory=Crypto)
    raids: Raids = field(default_factory=Raids)
    nvmf: Nvmf = field(default_factory=Nvmf)
    copies: dict[int, dict[str, int | str]] = field(default_factory=dict)  # shallow copies nobody asked about yet
    copies_started: int = 0
    bdevs: Bdevs = field(init=False)

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
        if self.auto_examine:
            yield from self.read(bdev)
        if self.bdevs.find(bdev.name) is bdev:
            self.settle(bdev)
        return bdev.name

    def read(self, bdev: Bdev) -> Steps:
        """Look at what is on a device. Until then it looks blank to everybody, and may be overwritten.

        What waited for it by its name takes it first: nobody looks underneath a device that is stacked on it.
        """
        for claimer in self.waiting:
            claimer(self, bdev)
        self.examining += 1
        yield Pause.IO
        if self.bdevs.find(bdev.name) is bdev:
            for examiner in self.reading:
                yield from examiner(self, bdev)
        self.examining -= 1
        yield from self.read_fresh()
        return True

    def enter_fresh(self, bdev: Bdev) -> None:
        """Enter a device that is stacked on another, and may show what that carries."""
        self.register(bdev)
        self.fresh.append(bdev)

    def read_fresh(self) -> Steps:
        while self.fresh:
            bdev = self.fresh.pop(0)
            if self.auto_examine and self.bdevs.find(bdev.name) is bdev:
                yield from self.read(bdev)
        return True

    def settle(self, bdev: Bdev) -> None:
        """A device that was entered is taken by whoever waits for it, and announced; then what comes back with it."""
        back = [device for reviver in self.reviving for device in reviver(self, bdev)]
        for examiner in self.waiting:
            examiner(self, bdev)
        self.bdevs.announce(bdev)
        for device in back:
            self.settle(device)

    def content(self, name: str) -> str:
        """The token for the bytes of an lvol: equal tokens, equal bytes; a new one is blank."""
        return self.volumes[self.bdevs.get(name, "lvol")][1].content

    def close(self) -> None:
        """Let go of files and sockets, as the end of a process does."""
        self.listening.close()
        for store in self.stores:
            store.close()
