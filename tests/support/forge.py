"""Git repositories for tests: written to without a work tree, and served over HTTP as forges serve them."""

from __future__ import annotations

import base64
import itertools
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pygit2
from pygit2.enums import FileMode, ObjectType

ENDING = 10.0  # seconds
BRANCH = "refs/heads/main"


@dataclass
class Forge:
    """One bare repository. A commit holds exactly the files that it is given."""

    path: Path
    repository: pygit2.Repository = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.repository = pygit2.init_repository(str(self.path), bare=True, initial_head="main")
        self._minutes = itertools.count()

    def commit(
        self,
        files: Mapping[str, str] | str,
        message: str = "A change",
        *,
        ref: str = BRANCH,
        parents: Sequence[str] | None = None,
    ) -> str:
        """Its id. `files` as one text is `site.yaml`. `parents` None: on top of `ref`; else `ref` is moved there."""
        repo = self.repository
        index = pygit2.Index()
        for name, text in {"site.yaml": files}.items() if isinstance(files, str) else files.items():
            index.add(pygit2.IndexEntry(name, repo.create_blob(text.encode()), FileMode.BLOB))
        head = self.head(ref)
        before = ([head] if head else []) if parents is None else list(parents)
        who = pygit2.Signature("Ada", "ada@example.com", 1_700_000_000 + 60 * next(self._minutes), 0)
        made = repo.create_commit(None, who, who, message, index.write_tree(repo), [pygit2.Oid(hex=p) for p in before])
        self.move(str(made), ref)
        return str(made)

    def head(self, ref: str = BRANCH) -> str:
        found = self.repository.references.get(ref)
        return str(found.target) if found else ""

    def move(self, commit: str, ref: str = BRANCH) -> None:
        """A forced push."""
        self.repository.references.create(ref, pygit2.Oid(hex=commit), force=True)

    def delete(self, ref: str) -> None:
        self.repository.references.delete(ref)

    def tag(self, name: str, commit: str, *, annotated: bool = False) -> None:
        if annotated:
            self.repository.create_tag(
                name, pygit2.Oid(hex=commit), ObjectType.COMMIT, pygit2.Signature("Ada", "a@b"), "v"
            )
        else:
            self.move(commit, f"refs/tags/{name}")

    @contextmanager
    def gone(self) -> Iterator[None]:
        """Meanwhile, the remote is not there."""
        away = self.path.with_suffix(".away")
        self.path.rename(away)
        try:
            yield
        finally:
            away.rename(self.path)


class _Handler(BaseHTTPRequestHandler):
    """`git http-backend` by CGI, behind Basic authentication where a user is named."""

    server: GitServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's word
        """Silent."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        self.server.asked.append(self.path)
        if self.server.key and self.headers.get("Authorization") != self.server.key:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="forge"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        ran = subprocess.run(
            [shutil.which("git") or "git", "http-backend"],
            input=self._body(),
            env=environment,
            capture_output=True,
            check=True,
            timeout=ENDING,
        )
        head, _, body = ran.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in {**fields, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        return body


class GitServer(ThreadingHTTPServer):
    """Every repository in a folder, on a port of loopback."""

    daemon_threads = True

    def __init__(self, root: Path, user: str = "", password: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root, self.asked = root, list[str]()
        self.key = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}" if user else ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serving(root: Path, user: str = "", password: str = "") -> Iterator[GitServer]:
    with GitServer(root, user, password) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(ENDING)
