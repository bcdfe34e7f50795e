"""How verbs ask the daemon: HTTP over its UNIX socket or loopback."""

from __future__ import annotations

import http.client
import json
import os
import socket
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from reconciler.cli.exits import CommandError, Exit, UsageError
from reconciler.config import Config, ConfigError, load

TIMEOUT = 120.0  # seconds: a tick may take a while
HEADERS = {"X-Holdfast": "1", "Accept": "application/json"}
PLACES = ("holdfast.toml", "/etc/holdfast/holdfast.toml")


def configure(parser: ArgumentParser) -> None:
    """The option by which every verb that talks to the daemon finds it."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        help="holdfast.toml (default: $HOLDFAST_CONFIG, ./holdfast.toml, /etc/holdfast/holdfast.toml)",
    )


def configuration(arguments: Namespace) -> Config:
    """The configuration that a verb was given or finds. Raises UsageError."""
    named = arguments.config or os.environ.get("HOLDFAST_CONFIG")
    found = [Path(named)] if named else [path for path in map(Path, PLACES) if _is_there(path)]
    if not found:
        raise UsageError(f"there is no {' and no '.join(PLACES)}; name one with --config")
    try:
        return load(found[0])
    except ConfigError as error:
        raise UsageError(str(error)) from error


def _is_there(path: Path) -> bool:
    """Also when we may not look at it: then that is what has to be said."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def require_target(config: Config, name: str) -> None:
    """Raises CommandError when this is no target: nothing to show would read as if all were well."""
    known = [target["name"] for target in ask(config, "/status")["targets"]] if name else []
    if name and name not in known:
        raise CommandError(f"there is no target {name}; there are: {', '.join(known) or 'none'}")


def ask(config: Config, path: str, *, method: str = "GET", **query: str) -> Any:  # noqa: ANN401  # JSON
    """The daemon's answer. Raises CommandError when it does not run or says no."""
    return ask_at(config.listen, path, method=method, **query)


def ask_at(listen: str, path: str, *, method: str = "GET", **query: str) -> Any:  # noqa: ANN401  # JSON
    """The answer of the daemon that listens there (`unix:PATH` or `HOST:PORT`). Raises CommandError."""
    words = urlencode({name: value for name, value in query.items() if value})
    connection = _connection(listen)
    try:
        connection.request(method, f"{path}?{words}" if words else path, headers=HEADERS)
        answer = connection.getresponse()
        body: dict[str, Any] = dict(json.loads(answer.read()))
    except OSError as error:
        advice = _advice(error)
        raise CommandError(f"the daemon does not answer on {listen}: {error.strerror or error}{advice}") from error
    except (http.client.HTTPException, TypeError, ValueError) as error:
        raise CommandError(f"what answers on {listen} is not a holdfast daemon") from error
    finally:
        connection.close()
    if answer.status >= http.client.BAD_REQUEST:
        code = Exit.FINDINGS if body.get("rejected") else Exit.UNAVAILABLE
        raise CommandError(body.get("error") or f"the daemon answered HTTP {answer.status}", code)
    return body


def _advice(error: OSError) -> str:
    match error:
        case FileNotFoundError() | ConnectionRefusedError():
            return "; start it with `holdfast run`, or use --standalone where a verb offers it"
        case TimeoutError():
            return "; what was asked may go on, and `holdfast status` will show it"
    return ""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _connection(listen: str) -> http.client.HTTPConnection:
    if listen.startswith("unix:"):
        return _UnixConnection(listen.removeprefix("unix:"))
    host, _, port = listen.rpartition(":")
    return http.client.HTTPConnection(host.strip("[]"), int(port), timeout=TIMEOUT)
