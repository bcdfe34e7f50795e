"""How the key of an encrypting device is written, as `spec.crypto.keyFrom` and `spec.encryption.keyFrom` say."""

from __future__ import annotations

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
