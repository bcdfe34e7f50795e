"""Cyclic garbage is looked for between ticks: a search in the middle of one would go through all that is remembered of
every target, and takes longer than the tick itself where there are many volumes.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

OVERLAPPING = 100  # ticks without a moment between them, after which the search goes on beside them


@dataclass
class _Pause:
    """What is under way at this moment, in any thread."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    inside: int = 0
    begun: int = 0  # since nothing was under way
    was_enabled: bool = False


_pause = _Pause()


@contextmanager
def uncollected() -> Iterator[None]:
    """No search for cyclic garbage meanwhile. What nothing refers to is freed at once all the same."""
    with _pause.lock:
        if not _pause.inside:
            _pause.begun, _pause.was_enabled = 0, gc.isenabled()
            gc.disable()
        _pause.inside, _pause.begun = _pause.inside + 1, _pause.begun + 1
        if _pause.begun == OVERLAPPING and _pause.was_enabled:
            gc.enable()
    try:
        yield
    finally:
        with _pause.lock:
            _pause.inside -= 1
            if not _pause.inside and _pause.was_enabled:
                gc.enable()
