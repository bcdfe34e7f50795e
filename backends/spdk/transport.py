"""Requests out, bytes in: UNIX socket, TCP, and HTTP through SPDK's rpc_http_proxy.

The one door to sockets and to the requests library.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import requests

from backends.contract import Terminal
from backends.spdk.errors import Disconnected

RECEIVE = 1 << 18  # bytes; a larger read saves no time
CONNECT_TIMEOUT = 5.0  # seconds


class Transport(Protocol):
    """A connection to one JSON-RPC server. Any call raises Disconnected when it is gone."""

    peer_pid: int | None  # process at the other end when it is on this machine, else None

    def send(self, requests_: Sequence[bytes]) -> None: ...

    def receive(self, timeout: float) -> bytes:
        """Whatever has arrived, waiting at most `timeout` seconds; b"" when nothing did."""

    def close(self) -> None: ...


class SocketTransport:
    """A stream socket on which requests and answers follow one another."""

    def __init__(self, connection: socket.socket, name: str) -> None:
        self._socket, self._name = connection, name
        self.peer_pid = _peer_pid(connection)

    def send(self, requests_: Sequence[bytes]) -> None:
        self._socket.settimeout(CONNECT_TIMEOUT)
        with self._mapped():
            self._socket.sendall(b"".join(requests_))

    def receive(self, timeout: float) -> bytes:
        self._socket.settimeout(max(timeout, 1e-4))
        with self._mapped():
            try:
                data = self._socket.recv(RECEIVE)
            except TimeoutError:
                return b""
        if not data:
            raise Disconnected(f"{self._name}: the target closed the connection")
        return data

    def close(self) -> None:
        self._socket.close()

    @contextlib.contextmanager
    def _mapped(self):  # type: ignore[no-untyped-def]  # noqa: ANN202  # a context manager's type says less than its name
        try:
            yield
        except OSError as error:
            raise Disconnected(f"{self._name}: {error.strerror or error}") from error


class HttpTransport:
    """SPDK's rpc_http_proxy: one POST a request, errors inside HTTP 200 bodies, no batches, no notifications."""

    peer_pid: int | None = None

    def __init__(self, endpoint: HttpEndpoint) -> None:
        self._endpoint, self._answers = endpoint, bytearray()
        self._session = requests.Session()
        self._session.trust_env = False  # no proxies, no .netrc
        self._session.verify = endpoint.ca_file or True
        if endpoint.username:
            self._session.auth = (endpoint.username, endpoint.password())

    def send(self, requests_: Sequence[bytes]) -> None:
        for request in requests_:
            self._answers += self._post(request) + b"\n"

    def receive(self, timeout: float) -> bytes:
        if not self._answers:
            time.sleep(timeout)
        data, self._answers = bytes(self._answers), bytearray()
        return data

    def close(self) -> None:
        self._session.close()

    def _post(self, request: bytes) -> bytes:
        url = self._endpoint.url
        try:
            answer = self._session.post(
                url, data=request, timeout=(CONNECT_TIMEOUT, self._endpoint.timeout), allow_redirects=False
            )
        except requests.RequestException as error:
            raise Disconnected(f"{url}: {type(error).__name__}") from error
        if answer.status_code == requests.codes.unauthorized:
            raise Terminal(f"{url}: wrong user name or password")
        if answer.status_code != requests.codes.ok:
            raise Disconnected(f"{url}: HTTP {answer.status_code}")
        return answer.content.replace(b"\n", b" ")


@dataclass(frozen=True, slots=True)
class HttpEndpoint:
    """Where the proxy is and how to log in. `password` reads it anew at each connection and may raise Terminal."""

    url: str
    username: str = ""
    password: Callable[[], str] = str
    ca_file: str | None = None
    timeout: float = 60.0  # seconds for one answer


def connect_unix(path: str) -> Transport:
    """Raises Disconnected, also when nothing listens on the socket."""
    return _connect(socket.AF_UNIX, path, path)


def connect_tcp(address: str) -> Transport:
    """`host:port` of a forwarded socket. Raises Disconnected."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    return _connect(socket.AF_INET6 if ":" in host else socket.AF_INET, (host, int(port)), address)


def _connect(family: socket.AddressFamily, where: str | tuple[str, int], name: str) -> Transport:
    connection = socket.socket(family, socket.SOCK_STREAM)
    connection.settimeout(CONNECT_TIMEOUT)
    try:
        connection.connect(where)
    except OSError as error:
        connection.close()
        raise Disconnected(f"{name}: {error.strerror or error}") from error
    return SocketTransport(connection, name)


def _peer_pid(connection: socket.socket) -> int | None:
    """The kernel's word for who listens at the other end of a UNIX socket (a forwarder, if it is forwarded)."""
    if connection.family != socket.AF_UNIX:
        return None
    pid: int = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))[
        0
    ]
    return pid or None
