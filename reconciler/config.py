"""`holdfast.toml`: the daemon on its machine. Nothing in it is policy."""

from __future__ import annotations

import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from schemas.kinds import config_validator
from schemas.quantity import parse_seconds

_AT = re.compile(r" \(at line (\d+), column (\d+)\)$")  # how tomllib says where
_TABLE = re.compile(r"\s*\[+\s*([^\[\]]+?)\s*\]+\s*(#.*)?")


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
    trusted: str = ""  # a commit that no signature is asked of


@dataclass(frozen=True, slots=True)
class SecretsConfig:
    """Where manifests may say that secrets are."""

    dirs: tuple[Path, ...] = (Path("/etc/holdfast"),)
    env: tuple[str, ...] = ("HOLDFAST_*",)  # names, or beginnings of names with a `*` after them


@dataclass(frozen=True, slots=True)
class Config:
    source: SourceConfig
    state: Path
    listen: str  # unix:PATH or host:port
    webhook_secret_file: str = ""
    resync: float = 30.0  # seconds
    watch: float = 0.5  # seconds
    log_format: str = "json"
    secrets: SecretsConfig = field(default_factory=SecretsConfig)


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
        raise ConfigError(f"{path}{_broken(error)}") from error
    problems = config_validator("daemon").problems(values)
    if problems:
        lines = (
            f"{path}{_place(text, p.path)}: {'.'.join(map(str, p.path)) or 'top level'}: {p.message}" for p in problems
        )
        raise ConfigError("\n".join(lines))
    if why := _refused(values["source"]["url"]):
        raise ConfigError(f"{path}{_place(text, ('source', 'url'))}: source.url: {why}")
    return _config(values, path.parent)


def socket_of(config: Config) -> str:
    """The path of the daemon's UNIX socket; empty when it listens on TCP."""
    return config.listen.removeprefix("unix:") if config.listen.startswith("unix:") else ""


def read_secret(path: str) -> str:
    """The first line of a secret file. Raises ConfigError without saying more than the path."""
    guard_secret(path)
    try:
        secret = Path(path).read_text().partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the secret cannot be read") from error
    if not secret:
        raise ConfigError(f"{path}: the first line is empty; the secret belongs there")
    return secret


def guard_secret(path: str) -> None:
    """Raises ConfigError when a secret file is missing, or others may read it."""
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        raise ConfigError(f"{path}: the secret cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        raise ConfigError(f"{path}: the secret cannot be read: not a file")
    if mode & 0o077:
        raise ConfigError(f"{path}: others may read this secret; chmod 600 it")


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
            trusted=source.get("trustedRevision", ""),
        ),
        state=state,
        listen=_listen(serve.get("listen", f"unix:{state / 'http.sock'}"), folder),
        webhook_secret_file=serve.get("webhookSecretFrom", {}).get("file", ""),
        resync=parse_seconds(resync.get("interval", "30s")),
        watch=parse_seconds(resync.get("watch", "500ms")),
        log_format=values.get("log", {}).get("format", "json"),
        secrets=_secrets(values.get("secrets", {}), folder),
    )


def _secrets(values: Mapping[str, Any], folder: Path) -> SecretsConfig:
    given = SecretsConfig()
    dirs = tuple((folder / path).absolute() for path in values.get("dirs", given.dirs))
    return SecretsConfig(dirs, tuple(values.get("env", given.env)))


def _refused(url: str) -> str:
    """Why an address is not taken; empty when it is."""
    try:
        password = urlsplit(url).password if "://" in url else None
    except ValueError as error:
        return str(error)
    return "a password in the URL would show in logs; use username and passwordFrom" if password is not None else ""


def _url(url: str, folder: Path) -> str:
    """A path is meant from the configuration file's folder."""
    return url if "://" in url or ("@" in url and ":" in url) else str((folder / url).absolute())


def _listen(listen: str, folder: Path) -> str:
    return f"unix:{(folder / listen.removeprefix('unix:')).absolute()}" if listen.startswith("unix:") else listen


def _broken(error: tomllib.TOMLDecodeError) -> str:
    """`:line:column: what`, out of tomllib's words."""
    at = _AT.search(str(error))
    return f":{at[1]}:{at[2]}: {str(error)[: at.start()]}" if at else f": {error}"


def _place(text: str, path: tuple[str | int, ...]) -> str:
    """`:line:column` of a key, or of what it is in, found by its text (tomllib keeps no positions); else nothing."""
    names = list(map(str, path))
    table: list[str] = []
    found, depth = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        heading = _TABLE.fullmatch(line)
        table = _dotted(heading[1]) if heading else table
        key = table if heading else [*table, *_dotted(line.partition("=")[0])]
        if depth < len(key) and key == names[: len(key)]:
            indent = len(line) - len(line.lstrip(" \t["))
            found, depth = f":{number}:{indent + 1}", len(key)
    return found


def _dotted(text: str) -> list[str]:
    return [part.strip(" \t\"'") for part in text.split(".")]
