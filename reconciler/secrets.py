"""Secrets by reference: where a manifest says they are, read when they are needed, shown as a fingerprint only.

A source is written `file:/etc/…`, `env:NAME` or `credential:NAME` (systemd). What a manifest may name is bounded by
[secrets] of holdfast.toml: who may commit is not thereby one who may read the daemon's files. No error says more than
the source.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from backends.contract import Terminal
from backends.objects import KeyringKey
from reconciler.config import ConfigError, SecretsConfig, read_secret
from reconciler.keyfiles import KeyFiles
from schemas.keys import NO_KEY, halves

FINGERPRINT = 16  # hex digits
# What a key must look like: how it begins, and how many bytes it has by the hash that it names (NVM Express TCP
# Transport Specification 1.0, and Base Specification 2.0, 8.13.5.8). SPDK looks at the one when a host connects.
FORMS: Mapping[str, tuple[str, str, Mapping[str, tuple[int, ...]]]] = MappingProxyType(
    {
        "dhchap": (
            "DHHC-1",
            "`nvme gen-dhchap-key`",
            MappingProxyType({"00": (32, 48, 64), "01": (32,), "02": (48,), "03": (64,)}),
        ),
        "psk": (
            "NVMeTLSkey-1",
            "`nvme gen-tls-key`",
            MappingProxyType({"00": (32, 48), "01": (32,), "02": (48,)}),
        ),
    }
)


class SecretError(Exception):
    """A secret cannot be had, or is none. Says where it was looked for, never what was found."""


@dataclass(frozen=True)
class Vault:
    """Reads the secrets of one site. A fingerprint tells two secrets apart and gives nothing away."""

    site: str
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    allowed: SecretsConfig = field(default_factory=SecretsConfig)
    files: KeyFiles = field(default_factory=lambda: KeyFiles(Path("/var/lib/holdfast/keys")))

    def fingerprint(self, source: str, form: str = "") -> str:
        """Raises SecretError, also for what is no key of the form: cipher, dhchap or psk."""
        secret = self._read(source)
        if why := _misfit(form, secret):
            raise SecretError(f"{source}: {why}")
        return self._digest(secret)

    def material(self, source: str, fingerprint: str) -> str:
        """The secret itself, for the backend, which has it no longer than a call. Raises Terminal."""
        try:
            secret = self._read(source)
        except SecretError as error:
            raise Terminal(str(error)) from error
        if self._digest(secret) != fingerprint:
            raise Terminal(f"{source} has changed since the plan was made")
        return secret

    def deposit(self, key: KeyringKey) -> None:
        """Write a key where the target reads it, unless it is there already. Raises Terminal."""
        if key.path is None:
            return
        secret = self.material(key.key_from, key.name.rpartition("-")[2])
        try:
            self.files.write(Path(key.path), secret, key.owner)  # SPDK takes no pre-shared key with a newline
        except OSError as error:
            raise Terminal(f"{key.path}: the key cannot be written: {error.strerror}") from error

    def password(self, file: str) -> str:
        """The password that a Target's connection names by file. Raises SecretError."""
        return self._read(f"file:{file}")

    def _digest(self, secret: str) -> str:
        return hmac.new(self.site.encode(), secret.encode(), hashlib.sha256).hexdigest()[:FINGERPRINT]

    def _read(self, source: str) -> str:
        kind, _, name = source.partition(":")
        match kind:
            case "file":
                return _file(self._allowed_file(name, source), source)
            case "credential":
                folder = self.environment.get("CREDENTIALS_DIRECTORY", "")
                if not folder:
                    raise SecretError(f"{source}: systemd has passed no credentials to this process")
                return _file(str(Path(folder) / name), source)
            case "env":
                return self._variable(name, source)
        raise SecretError(f"{source}: a secret is named by file, env or credential")

    def _allowed_file(self, path: str, source: str) -> str:
        """The file without symbolic links, once it is known to lie where manifests may point."""
        real = Path(path).resolve()
        if not any(real.is_relative_to(folder.resolve()) for folder in self.allowed.dirs):
            places = ", ".join(map(str, self.allowed.dirs)) or "nowhere"
            leads = f" (it leads to {real})" if str(real) != path else ""
            raise SecretError(
                f"{source}{leads}: manifests may name files in {places} only; "
                "move it there, or add its directory to [secrets] dirs of holdfast.toml"
            )
        return str(real)

    def _variable(self, name: str, source: str) -> str:
        if not any(_fits(name, pattern) for pattern in self.allowed.env):
            names = ", ".join(self.allowed.env) or "none"
            raise SecretError(
                f"{source}: of the daemon's variables, manifests may name {names} only; "
                "rename it, or add it to [secrets] env of holdfast.toml"
            )
        found = self.environment.get(name, "").strip()
        if not found:
            raise SecretError(f"{source}: the environment variable is not set")
        return found


def _fits(name: str, pattern: str) -> bool:
    """A pattern is a name, or the beginning of names with a `*` after it."""
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _file(path: str, source: str) -> str:
    try:
        return read_secret(path)
    except ConfigError as error:
        raise SecretError(f"{source}: {str(error).removeprefix(f'{path}: ')}") from None


def _misfit(form: str, secret: str) -> str:
    """Why a secret is none of its form; empty when it is, or nobody asks."""
    if form == "cipher":
        return "" if halves(secret) else NO_KEY
    if not form or _is_of(form, secret):
        return ""
    begins, maker, _ = FORMS[form]
    return f"not a whole key as {maker} makes it ({begins}:…:…:)"


def _is_of(form: str, secret: str) -> bool:
    """Whether a key is whole: right length, right checksum. Says nothing about whether it is the right one."""
    begins, _, lengths = FORMS[form]
    match secret.split(":"):
        case [prefix, hash_, encoded, ""] if prefix == begins and hash_ in lengths:
            try:
                decoded = base64.b64decode(encoded, validate=True)
            except (binascii.Error, ValueError):
                return False
            key, checksum = decoded[:-4], decoded[-4:]
            return len(key) in lengths[hash_] and zlib.crc32(key).to_bytes(4, "little") == checksum
    return False
