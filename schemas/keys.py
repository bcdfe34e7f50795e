"""How keys are written: those of encrypting devices (`spec.crypto.keyFrom`, `spec.encryption.keyFrom`), and public SSH
keys (AccessPolicy).
"""

from __future__ import annotations

import base64
import hashlib

_HALVES = {64: 32, 128: 64}  # hex digits of an AES_XTS key → digits of each half
_HEX = frozenset("0123456789abcdef")
NO_KEY = "not a key: 64 or 128 hex digits are needed, the two halves different"


def halves(text: str) -> tuple[str, str] | None:
    """The two halves of a key, white space left out; None for a text that is none."""
    digits = "".join(text.split())
    half = _HALVES.get(len(digits))
    if half is None or set(digits.lower()) - _HEX or digits[:half] == digits[half:]:
        return None
    return digits[:half], digits[half:]


def parse_ssh_key(text: str) -> tuple[str, bytes]:
    """Type and blob of a public key as a .pub file holds it. Raises ValueError: the blob names its type itself."""
    kind, _, rest = text.partition(" ")
    blob = base64.b64decode(rest.partition(" ")[0], validate=True)
    size = int.from_bytes(blob[:4], "big")
    if blob[4 : 4 + size] != kind.encode() or len(blob) <= 4 + size:
        raise ValueError("not a public SSH key")
    return kind, blob


def ssh_fingerprint(text: str) -> str:
    """`SHA256:…` of a public key, as ssh-keygen writes it. Raises ValueError."""
    _, blob = parse_ssh_key(text)
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
