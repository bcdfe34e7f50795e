"""keyring_*: keys in files. The same file may have several names; the ring does not look inside."""

from __future__ import annotations

import base64
import binascii
import errno
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from backends.spdk.simulator.errors import failed
from backends.spdk.simulator.keyring import Key
from backends.spdk.simulator.steps import Handler
from backends.spdk.simulator.target import Target
from schemas.resources import Json

ENOKEY: Final = 126
PSK_SIZES: Final[Mapping[str, tuple[int, ...]]] = {"00": (32, 48), "01": (32,), "02": (48,)}  # by the hash it names


def add_key(target: Target, *, name: str, path: str) -> Json:
    """The path must be absolute, the file ours alone. Its content is not looked at. What precedes a colon is a ring."""
    if name.find(":") > 0:
        raise failed(errno.EINVAL)
    if name in target.keyring.ring:
        raise failed(errno.EEXIST)
    _check_file(path)
    target.keyring.ring[name] = Key(name, path)
    return True


def _check_file(path: str) -> None:
    if not path.startswith("/"):
        raise failed(errno.EPERM)
    try:
        found = Path(path).stat()
    except OSError as error:
        raise failed(error.errno or errno.EIO) from None
    if found.st_mode & 0o077 or found.st_uid != os.getuid():
        raise failed(errno.EPERM)


def remove_key(target: Target, *, name: str) -> Json:
    key = target.keyring.ring.pop(name, None)
    if key is None:
        raise failed(ENOKEY)
    key.is_removed = True
    target.keyring.removed.append(key)
    return True


def get_keys(target: Target) -> Json:
    return [key.dump() for key in target.keyring]


def is_psk(key: Key) -> bool:
    """Whether a key file holds a TLS PSK in interchange format, checksum included and no newline behind it."""
    try:
        prefix, hash_, encoded, end = Path(key.path).read_text(encoding="ascii").split(":")
        secret = base64.b64decode(encoded, validate=True)
    except (OSError, ValueError, binascii.Error):
        return False
    checksum = zlib.crc32(secret[:-4]).to_bytes(4, "little")
    sound = prefix == "NVMeTLSkey-1" and not end and secret[-4:] == checksum
    return sound and len(secret) - 4 in PSK_SIZES.get(hash_, ())


HANDLERS: Final[Mapping[str, Handler]] = {
    "keyring_file_add_key": add_key,
    "keyring_file_remove_key": remove_key,
    "keyring_get_keys": get_keys,
}
