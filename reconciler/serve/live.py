"""Live updates: open pages are told that there is something new, by server-sent events. What it is they fetch."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator

import anyio
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

BEAT = 15.0  # seconds after which a page is told to look even so: what it shows grows old
PAUSE = 0.5  # seconds in which everything that happens is one piece of news
GIVE_UP = 30.0  # seconds until a reader that takes nothing is let go
RETRY = 2000  # milliseconds until a page that lost the connection tries again

Reader = tuple[asyncio.AbstractEventLoop, asyncio.Event]


class _Stream(EventSourceResponse):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A reader that is let go is no defect."""
        with contextlib.suppress(SendTimeoutError):
            await super().__call__(scope, receive, send)


class Live:
    """Wakes every reader. A slow one may miss steps, never the last."""

    def __init__(self) -> None:
        self.news = 0  # grows with everything that happens
        self._readers: set[Reader] = set()
        self._lock = threading.Lock()
        self._open = True

    @property
    def readers(self) -> int:
        return len(self._readers)

    def ring(self) -> None:
        """There is something new. From any thread; waits for nobody."""
        with self._lock:
            self.news += 1
            readers = tuple(self._readers)
        for loop, bell in readers:
            with contextlib.suppress(RuntimeError):  # that loop has ended, and its reader with it
                loop.call_soon_threadsafe(bell.set)

    def close(self) -> None:
        """End every stream."""
        self._open = False
        self.ring()

    async def answer(self, _: Request) -> Response:
        return _Stream(self._stream(), ping=0, send_timeout=GIVE_UP)

    async def _stream(self) -> AsyncIterator[ServerSentEvent]:
        bell = asyncio.Event()
        reader = (asyncio.get_running_loop(), bell)
        with self._lock:
            self._readers.add(reader)
        try:
            yield ServerSentEvent("hello", retry=RETRY)
            while self._open:
                with anyio.move_on_after(BEAT):
                    await bell.wait()
                kind = "news" if bell.is_set() else "beat"
                await anyio.sleep(PAUSE if self._open else 0)
                bell.clear()
                yield ServerSentEvent(kind)
        finally:
            with self._lock:
                self._readers.discard(reader)
