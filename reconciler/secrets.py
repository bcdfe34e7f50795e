"""Secrets by reference: where a manifest says they are, read when they are needed, shown as a fingerprint only.

A source is written `file:/etc/…`, `env:NAME` or `credential:NAME` (systemd). No error says more than the source.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from backends.contract import Terminal
from reconciler.config import ConfigError, read_secret
from schemas.keys import NO_KEY, halves

FINGERPRINT = 16  # hex digits


class SecretError(Exception):
    """A secret cannot be had. Says where it was looked for, never what was found."""


@dataclass(frozen=True)
class Vault:
    """Reads the secrets of one site. A fingerprint tells two secrets apart and gives nothing away."""

    site: str
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def fingerprint(self, source: str) -> str:
        """Raises SecretError."""
        digest = hmac.new(self.site.encode(), self._read(source).encode(), hashlib.sha256)
        return digest.hexdigest()[:FINGERPRINT]

    def key_fingerprint(self, source: str) -> str:
        """The same of what must be the key of an encrypting device. Raises SecretError when it is none."""
        if halves(self._read(source)) is None:
            raise SecretError(f"{source}: {NO_KEY}")
        return self.fingerprint(source)

    def material(self, source: str, fingerprint: str) -> str:
        """The secret itself, for the backend, which has it no longer than a call. Raises Terminal."""
        try:
            if self.fingerprint(source) != fingerprint:
                raise Terminal(f"{source} has changed since the plan was made")
            return self._read(source)
        except SecretError as error:
            raise Terminal(str(error)) from error

    def _read(self, source: str) -> str:
        kind, _, name = source.partition(":")
        match kind:
            case "file":
                return _file(name, source)
            case "credential":
                folder = self.environment.get("CREDENTIALS_DIRECTORY", "")
                if not folder:
                    raise SecretError(f"{source}: systemd has passed no credentials to this process")
                return _file(str(Path(folder) / name), source)
            case "env":
                found = self.environment.get(name, "").strip()
                if not found:
                    raise SecretError(f"{source}: the environment variable is not set")
                return found
        raise SecretError(f"{source}: a secret is named by file, env or credential")


def _file(path: str, source: str) -> str:
    try:
        return read_secret(path)
    except ConfigError as error:
        raise SecretError(f"{source}: {str(error).removeprefix(f'{path}: ')}") from None
