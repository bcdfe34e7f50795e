"""Keys of the accel framework, and the crypto devices that use or wait for them."""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.resources import Json


@dataclass(frozen=True, slots=True)
class CryptoKey:
    """Key material, which every reader of the RPC socket can read."""

    name: str
    cipher: str
    key: str
    key2: str
    tweak_mode: str | None

    def dump(self) -> dict[str, Json]:
        shown: dict[str, Json] = {"name": self.name, "cipher": self.cipher, "key": self.key, "key2": self.key2}
        return shown | ({"tweak_mode": self.tweak_mode} if self.tweak_mode else {})


@dataclass(eq=False, slots=True)
class Crypto:
    """Keys by name; devices by name with the base that each has or waits for, and its key."""

    keys: dict[str, CryptoKey] = field(default_factory=dict)
    devices: dict[str, tuple[str, str]] = field(default_factory=dict)
