"""uvicorn in a thread, on a UNIX socket that only its owner may open, or on loopback."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

WAITING = 1024  # connections that may wait to be accepted
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class ListenError(Exception):
    """The address cannot be listened on."""


def listen(address: str) -> socket.socket:
    """`unix:PATH` or `host:port`; who asks before the server runs is answered once it does. Raises ListenError."""
    try:
        return _on_file(Path(address.removeprefix("unix:"))) if address.startswith("unix:") else _on_port(address)
    except OSError as error:
        raise ListenError(f"{address}: {error.strerror or error}") from error
    except OverflowError as error:
        raise ListenError(f"{address}: there is no such port") from error


def _on_port(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    with _opened(socket.AF_INET6 if ":" in host else socket.AF_INET) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host.strip("[]"), int(port)))
    return opened


def _on_file(path: Path) -> socket.socket:
    """The state lock is held, so a socket that is there already is a leftover. A file that is none stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.is_socket():
        path.unlink()
    before = os.umask(0o177)
    try:
        with _opened(socket.AF_UNIX) as opened:
            opened.bind(str(path))
    finally:
        os.umask(before)
    return opened


@contextmanager
def _opened(family: socket.AddressFamily) -> Iterator[socket.socket]:
    """A socket that listens once it is bound, or is closed when it cannot be."""
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        yield opened
        opened.listen(WAITING)
    except BaseException:
        opened.close()
        raise


def hosts_of(address: str) -> frozenset[str]:
    """The names by which we may be asked for; a tunnel to a UNIX socket is asked for by those of loopback."""
    own = () if address.startswith("unix:") else (address.rpartition(":")[0],)
    return frozenset((*LOOPBACK, *own))


class Server:
    """Serves until it is stopped."""

    def __init__(self, app: Starlette, opened: socket.socket) -> None:
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # the application logs its own defects
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        self._server, self._socket, self._live = uvicorn.Server(config), opened, app.state.live
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._live.close()
        self._thread.join(5)
        self._socket.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])
