"""A forwarder between the daemon and a target that writes down the method of every request that passes."""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PIECE = 1 << 16  # bytes


@dataclass
class Recorder:
    """Listens where the daemon looks for the target (`door`) and passes everything on to where it really is.

    A request is written down before it is passed on, so that nothing reaches the target uncounted.
    """

    door: Path
    target: Path
    calls: list[str] = field(default_factory=list)
    _listener: socket.socket | None = field(default=None, repr=False)
    _connections: set[socket.socket] = field(default_factory=set, repr=False)

    @property
    def writes(self) -> list[str]:
        """Of those, the ones that may change something."""
        return [method for method in self.calls if not _is_read(method)]

    def open(self) -> None:
        """Take the place of whatever is at the door, in one move."""
        fresh = self.door.with_suffix(".new")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(fresh))
        listener.listen()
        os.replace(fresh, self.door)  # noqa: PTH105  # a socket is renamed, not a file
        self._listener = listener
        threading.Thread(target=self._serve, args=(listener,), name=f"recorder {self.door}", daemon=True).start()

    def close(self) -> None:
        """Nobody passes any more."""
        if self._listener is None:
            return
        self.door.unlink(missing_ok=True)
        _shut(self._listener)
        self._listener = None
        for connection in list(self._connections):
            _shut(connection)

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                daemon, _ = listener.accept()
            except OSError:  # closed
                return
            self._connect(daemon)

    def _connect(self, daemon: socket.socket) -> None:
        target = socket.socket(socket.AF_UNIX)
        try:
            target.connect(str(self.target))
        except OSError:
            _shut(target)
            _shut(daemon)
            return
        self._connections |= {daemon, target}
        for source, sink, record in ((daemon, target, True), (target, daemon, False)):
            threading.Thread(target=self._pass_on, args=(source, sink, record), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, record: bool) -> None:  # noqa: FBT001  # a thread's
        reader = Reader()
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE):
                if record:
                    self.calls += reader.methods(piece)
                sink.sendall(piece)
        for end in (source, sink):
            self._connections.discard(end)
            _shut(end)


class Reader:
    """Finds the requests in a stream of JSON values that follow one another."""

    def __init__(self) -> None:
        self._text, self._decode, self._json = "", codecs.getincrementaldecoder("utf-8")(), json.JSONDecoder()

    def methods(self, piece: bytes) -> list[str]:
        """Methods of the requests that are complete with this piece."""
        self._text += self._decode.decode(piece)
        return [method for value in self._values() for method in _methods(value)]

    def _values(self) -> Iterator[Any]:
        while text := self._text.lstrip():
            try:
                value, end = self._json.raw_decode(text)
            except ValueError:  # not all of it yet
                return
            self._text = text[end:]
            yield value


def _methods(value: Any) -> list[str]:  # noqa: ANN401  # JSON
    requests = value if isinstance(value, list) else [value]
    return [str(request.get("method")) for request in requests]


def _is_read(method: str) -> bool:
    """SPDK names what only looks: `bdev_get_bdevs`, `spdk_get_version`, `bdev_wait_for_examine`."""
    return "_get_" in method or "_wait_" in method


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
