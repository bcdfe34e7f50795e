"""`holdfast.toml`: the daemon on its machine. Nothing in it is policy."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from schemas.kinds import config_validator
from schemas.quantity import parse_seconds


class ConfigError(Exception):
    """The configuration cannot be used: what is wrong, where, and what is expected."""


@dataclass(frozen=True, slots=True)
class SourceConfig:
    url: str
    branch: str = "main"
    tag: str = ""
    path: str = ""
    interval: float = 60.0  # seconds
    timeout: float = 30.0  # seconds
    username: str = ""
    password_file: str = ""
    ssh_key: str = ""
    allow_rewind: bool = False


@dataclass(frozen=True, slots=True)
class Config:
    source: SourceConfig
    state: Path
    listen: str  # unix:PATH or host:port
    webhook_secret_file: str = ""
    resync: float = 30.0  # seconds
    watch: float = 0.5  # seconds
    log_format: str = "json"


def load(path: Path) -> Config:
    """Read and check a configuration file. Raises ConfigError."""
    try:
        text = path.read_bytes().decode()
        values = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from error
    problems = config_validator("daemon").problems(values)
    if problems:
        lines = (
            f"{path}{_place(text, p.path)}: {'.'.join(map(str, p.path)) or 'top level'}: {p.message}" for p in problems
        )
        raise ConfigError("\n".join(lines))
    if _has_password(values["source"]["url"]):
        raise ConfigError(
            f"{path}: source.url: a password in the URL would show in logs; use username and passwordFrom"
        )
    return _config(values, path.parent)


def socket_of(config: Config) -> str:
    """The path of the daemon's UNIX socket; empty when it listens on TCP."""
    return config.listen.removeprefix("unix:") if config.listen.startswith("unix:") else ""


def read_secret(path: str) -> str:
    """The first line of a secret file. Raises ConfigError without saying more than the path."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116  # a str is what the configuration gives
        if mode & 0o077:
            raise ConfigError(f"{path}: others may read this secret; chmod 600 it")
        return Path(path).read_text().splitlines()[0].strip()
    except (OSError, IndexError) as error:
        raise ConfigError(f"{path}: the secret cannot be read") from error


def _config(values: Mapping[str, Any], folder: Path) -> Config:
    source, serve, resync = values["source"], values.get("serve", {}), values.get("resync", {})
    state = (folder / values.get("state", {}).get("dir", "/var/lib/holdfast")).absolute()
    return Config(
        source=SourceConfig(
            url=_url(source["url"], folder),
            branch=source.get("branch", "main"),
            tag=source.get("tag", ""),
            path=source.get("path", ""),
            interval=parse_seconds(source.get("interval", "60s")),
            timeout=parse_seconds(source.get("timeout", "30s")),
            username=source.get("username", ""),
            password_file=source.get("passwordFrom", {}).get("file", ""),
            ssh_key=source.get("sshKey", ""),
            allow_rewind=source.get("allowRewind", False),
        ),
        state=state,
        listen=_listen(serve.get("listen", f"unix:{state / 'http.sock'}"), folder),
        webhook_secret_file=serve.get("webhookSecretFrom", {}).get("file", ""),
        resync=parse_seconds(resync.get("interval", "30s")),
        watch=parse_seconds(resync.get("watch", "500ms")),
        log_format=values.get("log", {}).get("format", "json"),
    )


def _has_password(url: str) -> bool:
    """Whether a URL carries `user:password@`."""
    return urlsplit(url).password is not None if "://" in url else False


def _url(url: str, folder: Path) -> str:
    """A path is meant from the configuration file's folder."""
    return url if "://" in url or ("@" in url and ":" in url) else str((folder / url).absolute())


def _listen(listen: str, folder: Path) -> str:
    return f"unix:{(folder / listen.removeprefix('unix:')).absolute()}" if listen.startswith("unix:") else listen


def _place(text: str, path: tuple[str | int, ...]) -> str:
    """`:line:column` of a key, found by its text (tomllib keeps no positions); nothing when it is not there."""
    inside = not path[:-1]
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("["):
            inside = stripped.strip("[]").strip() == ".".join(map(str, path[:-1]))
            if path and stripped.strip("[]").strip() == ".".join(map(str, path)):
                return f":{number}:{line.index('[') + 2}"
        elif path and inside and stripped.split("=")[0].strip() == str(path[-1]):
            return f":{number}:{len(line) - len(line.lstrip()) + 1}"
    return ""
