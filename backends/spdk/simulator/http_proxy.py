"""HTTP in front of an RPC socket, as SPDK's rpc_http_proxy has it.

Observed of that program: POST to any path, HTTP Basic, one request at a time and a connection to the socket for each;
RPC errors are HTTP 200 with an error body; what is no JSON is 500; a batch or a notification is sent on and gets no
HTTP answer at all.
"""

from __future__ import annotations

import base64
import json
import secrets
import socket
import threading
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

POLL = 0.05  # seconds between two looks whether to stop


class HttpProxy:
    """Serves in a thread of its own between `start` and `stop`."""

    def __init__(self, address: tuple[str, int], socket_path: Path, user: str, password: str) -> None:
        key = base64.b64encode(f"{user}:{password}".encode()).decode()

        class Handler(_Handler):
            authorization = f"Basic {key}"
            path_to_target = socket_path

        self._server = HTTPServer(address, Handler)
        serve = partial(self._server.serve_forever, POLL)
        self._thread = threading.Thread(target=serve, name="rpc http proxy", daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._server.server_address[:2]
        return str(host), port

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Handler(BaseHTTPRequestHandler):
    authorization: str
    path_to_target: Path

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's word
        """Silent: requests may carry keys."""

    def do_HEAD(self) -> None:
        self._begin(HTTPStatus.OK)

    def do_POST(self) -> None:
        if not secrets.compare_digest(self.headers.get("Authorization", "").encode(), self.authorization.encode()):
            self._begin(HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": "text/html"})
            return
        try:
            answer = _relay(self.path_to_target, self._body())
        except (ValueError, OSError):
            self._begin(HTTPStatus.INTERNAL_SERVER_ERROR)
            return
        if answer is not None:
            self._begin(HTTPStatus.OK)
            self.wfile.write(answer)

    def _begin(self, status: HTTPStatus, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(more or {}), "Content-type": "text/html"}.items():
            self.send_header(name, value)
        self.end_headers()

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            return b"".join(self._chunks())
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _chunks(self) -> list[bytes]:
        chunks = []
        while size := int(self.rfile.readline().strip(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        return chunks


def _relay(path: Path, request: bytes) -> bytes | None:
    """Send a request on, and wait for the first whole JSON value that comes back; None where no answer is awaited."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as target:
        target.connect(str(path))
        target.sendall(request)
        if "id" not in json.loads(request.decode("ascii")):
            return None
        answer = b""
        while chunk := target.recv(1 << 16):
            answer += chunk
            if answer.endswith(b"\n"):
                return answer
    raise ValueError("the connection ended before the answer")
