"""Something between the daemon and a target that springs at a chosen request: the target dies or hangs right there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Self

from reconciler.demo.recorder import Recorder, _is_read


class Watched(list[str]):
    """The recorder's list of calls, which says of each write that it comes, before it is passed on."""

    def __init__(self, spring: Callable[[], None]) -> None:
        super().__init__()
        self._spring = spring

    def __iadd__(self, methods: Iterable[str], /) -> Self:
        found = list(methods)
        self.extend(found)
        for method in found:
            if not _is_read(method):
                self._spring()
        return self


@dataclass
class Tripwire(Recorder):
    """Does `act` right before the n-th write from now on reaches the target; `None`: never again."""

    act: Callable[[], None] = field(kw_only=True)
    left: int | None = None

    def __post_init__(self) -> None:
        self.calls = Watched(self._count)

    def set(self, nth: int) -> None:
        self.left = nth

    @property
    def sprung(self) -> bool:
        return self.left == 0

    def _count(self) -> None:
        if self.left:
            self.left -= 1
            if self.left == 0:
                self.act()
