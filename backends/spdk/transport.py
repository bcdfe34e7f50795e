"""Requests out, bytes in: UNIX socket, TCP, and HTTP through SPDK's rpc_http_proxy.

The one door to sockets and to the requests library.
"""

from __future__ import annotations

import itertools
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import requests
import urllib3.exceptions
from requests.auth import HTTPBasicAuth

from backends.spdk.errors import Denied, Deserted, Disconnected

RECEIVE = 1 << 18  # bytes; a larger read saves no time
ANSWER_LIMIT = 32 << 20  # bytes at which SPDK cuts an answer off (observed on v26.05)
CONNECT_TIMEOUT = 5.0  # seconds; also for a peer to take what is sent


class Transport(Protocol):
    """A connection to one JSON-RPC server. Any call raises Disconnected when it is gone."""

    peer_pid: int | None  # process at the other end when it is on this machine, else None
    peer_user: int | None  # its uid

    def send(self, requests_: Sequence[bytes]) -> None:
        """All of them, in order. Where that fails, Disconnected says how many left: only those can be executed."""

    def receive(self, timeout: float) -> bytes:
        """Whatever has arrived, waiting at most `timeout` seconds; b"" when nothing did."""

    def close(self) -> None: ...


class SocketTransport:
    """A stream socket on which requests and answers follow one another."""

    def __init__(self, connection: socket.socket, name: str) -> None:
        self._socket, self._name = connection, name
        self.peer_pid, self.peer_user = _peer(connection)

    def send(self, requests_: Sequence[bytes]) -> None:
        data, gone = memoryview(b"".join(requests_)), 0
        deadline = time.monotonic() + CONNECT_TIMEOUT
        try:
            while gone < len(data):
                self._socket.settimeout(max(deadline - time.monotonic(), 1e-4))
                gone += self._socket.send(data[gone:])
        except OSError as error:
            ends = itertools.accumulate(map(len, requests_))
            raise self._broken(error, sent=sum(end <= gone for end in ends)) from error

    def receive(self, timeout: float) -> bytes:
        try:
            self._socket.settimeout(max(timeout, 1e-4))
            data = self._socket.recv(RECEIVE)
        except TimeoutError:
            return b""
        except OSError as error:
            raise self._broken(error) from error
        if not data:
            raise Disconnected(f"{self._name}: the target closed the connection")
        return data

    def close(self) -> None:
        self._socket.close()

    def _broken(self, error: OSError, sent: int = 0) -> Disconnected:
        return Disconnected(f"{self._name}: {error.strerror or error}", sent)


class HttpTransport:
    """SPDK's rpc_http_proxy: one POST a request, errors inside HTTP 200 bodies, no batches, no notifications."""

    peer_pid: int | None = None
    peer_user: int | None = None

    def __init__(self, endpoint: HttpEndpoint) -> None:
        self._endpoint, self._answers = endpoint, bytearray()
        self._session = requests.Session()
        self._session.trust_env = False  # no proxies, no .netrc
        self._session.verify = endpoint.ca_file or True
        if endpoint.username:
            self._session.auth = HTTPBasicAuth(endpoint.username.encode(), endpoint.password().encode())

    def send(self, requests_: Sequence[bytes]) -> None:
        for place, request in enumerate(requests_):
            try:
                self._answers += self._post(request).replace(b"\n", b" ") + b"\n"
            except Disconnected as error:
                error.sent += place
                raise

    def receive(self, timeout: float) -> bytes:
        if not self._answers:
            time.sleep(timeout)
        data, self._answers = bytes(self._answers), bytearray()
        return data

    def close(self) -> None:
        self._session.close()

    def _post(self, request: bytes) -> bytes:
        url, patience = self._endpoint.url, (CONNECT_TIMEOUT, self._endpoint.timeout)
        deadline = time.monotonic() + self._endpoint.timeout
        try:
            with self._session.post(url, data=request, timeout=patience, allow_redirects=False, stream=True) as answer:
                if answer.status_code == requests.codes.unauthorized:
                    raise Denied(f"{url}: wrong user name or password")
                if answer.status_code != requests.codes.ok:
                    raise Disconnected(f"{url}: HTTP {answer.status_code}", sent=1)
                return self._body(answer, deadline)
        except (OSError, urllib3.exceptions.HTTPError) as error:  # an error of requests is an OSError
            if _never_met(error):
                raise Disconnected(f"{url}: cannot connect") from error
            raise Disconnected(f"{url}: {type(error).__name__}", sent=1) from error

    def _body(self, answer: requests.Response, deadline: float) -> bytes:
        """The answer, piece by piece: the timeout of requests begins anew with each of them."""
        body = bytearray()
        while piece := answer.raw.read1(RECEIVE, decode_content=True):
            body += piece
            if time.monotonic() > deadline:
                raise Disconnected(f"{self._endpoint.url}: no whole answer within {self._endpoint.timeout:g} s", sent=1)
            if len(body) >= ANSWER_LIMIT:
                break  # which the client reports
        return bytes(body[:ANSWER_LIMIT])


def _never_met(error: Exception) -> bool:
    """Whether there was no connection at all, so that nothing can have been sent."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, urllib3.exceptions.ConnectTimeoutError)  # refused and unknown names, too


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
        gone = family == socket.AF_UNIX and isinstance(error, (ConnectionRefusedError, FileNotFoundError))
        raise (Deserted if gone else Disconnected)(f"{name}: {error.strerror or error}") from error
    return SocketTransport(connection, name)


def _peer(connection: socket.socket) -> tuple[int | None, int | None]:
    """The kernel's word for who listens at the other end of a UNIX socket (a forwarder, if it is forwarded)."""
    if connection.family != socket.AF_UNIX:
        return None, None
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, user, _ = struct.unpack("3i", told)
    return (pid, user) if pid else (None, None)
