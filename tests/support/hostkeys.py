"""Keys of hosts for tests: whole ones, in the forms of `nvme gen-dhchap-key` and `nvme gen-tls-key`."""

from __future__ import annotations

import base64
import zlib
from typing import Any

from world import NQN, World, manifest


def dhchap(fill: int, hash_: str = "00") -> str:
    """A DH-HMAC-CHAP key of 32 equal bytes."""
    return f"DHHC-1:{hash_}:{_whole(fill)}:"


def psk(fill: int) -> str:
    """A pre-shared key of 32 equal bytes."""
    return f"NVMeTLSkey-1:01:{_whole(fill)}:"


def _whole(fill: int) -> str:
    key = bytes([fill]) * 32
    return base64.b64encode(key + zlib.crc32(key).to_bytes(4, "little")).decode()


def put(site: World, name: str, text: str) -> str:
    """A secret in a file; its path."""
    path = site.folder / name
    path.unlink(missing_ok=True)
    path.touch(0o600)
    path.write_text(f"{text}\n")
    return str(path)


def keyed(name: str = "web", **dhchap: Any) -> dict[str, Any]:
    """A host that proves itself."""
    return manifest("Host", name, {"nqn": f"{NQN}host-{name}", "dhchap": dhchap})
