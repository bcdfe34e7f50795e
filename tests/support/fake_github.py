"""GitHub's interface for comments and pull requests on loopback: pages, rights, and what goes wrong at times."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

BOT = "github-actions[bot]"
REPOSITORY = "/repos/example/storage/"
LARGEST = 65_536


@dataclass
class State:
    """What GitHub knows. `broken`: answers (status, headers) that it gives before it does anything."""

    token: str = "the-token-of-this-run"  # noqa: S105  # a test's
    may_write: bool = True
    comments: list[dict[str, Any]] = field(default_factory=list)
    pulls: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    broken: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    forgets: int = 0  # POSTs that are carried out and answered with 502

    def say(self, body: str, login: str = BOT) -> dict[str, Any]:
        made = {"id": len(self.comments) + 1, "body": body, "user": {"login": login}}
        self.comments.append(made)
        return made


class _Handler(BaseHTTPRequestHandler):
    server: FakeGitHub

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's word
        """Silent."""

    def do_GET(self) -> None:
        self._answered()

    def do_POST(self) -> None:
        self._answered()

    def do_PATCH(self) -> None:
        self._answered()

    def _answered(self) -> None:
        state = self.server.state
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"null")
        url = urlsplit(self.path)
        state.asked.append(f"{self.command} {url.path.removeprefix(REPOSITORY)}")
        if state.broken:
            status, headers = state.broken.pop(0)
            self._send(status, {"message": "something is wrong"}, headers)
        elif self.headers.get("Authorization") != f"Bearer {state.token}":
            self._send(401, {"message": "Bad credentials"})
        elif not url.path.startswith(REPOSITORY):
            self._send(404, {"message": "Not Found"})
        else:
            self._do(url.path.removeprefix(REPOSITORY), parse_qs(url.query), body)

    def _do(self, path: str, query: dict[str, list[str]], body: Any) -> None:
        state = self.server.state
        if self.command == "GET":
            items = state.pulls if path == "pulls" else state.comments
            size, page = int(query["per_page"][0]), int(query["page"][0])
            if path == "pulls":
                items = [pull for pull in items if pull["label"] == query["head"][0] and query["state"] == ["open"]]
            self._send(200, items[(page - 1) * size : page * size])
        elif not state.may_write:
            self._send(403, {"message": "Resource not accessible by integration"})
        elif len(body["body"]) > LARGEST:
            self._send(422, {"message": "Body is too long (maximum is 65536 characters)"})
        elif self.command == "PATCH":
            found = state.comments[int(path.rpartition("/")[2]) - 1]
            found["body"] = body["body"]
            self._send(200, found)
        else:
            made = state.say(body["body"])
            if state.forgets:
                state.forgets -= 1
                self._send(502, {"message": "Bad Gateway"}, {"Retry-After": "0"})
            else:
                self._send(201, made)

    def _send(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {**(headers or {}), "Content-Length": str(len(data))}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)


class FakeGitHub(ThreadingHTTPServer):
    """One repository, example/storage."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.state = State()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serving() -> Iterator[FakeGitHub]:
    with FakeGitHub() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(10)
