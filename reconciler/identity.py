"""Identities are derived from the site and the resource key, never drawn: the same manifest gives the same NQN twice,
and the same template in two sites gives two.
"""

from __future__ import annotations

import functools
import hashlib
import re
import uuid

from schemas.resources import ResourceKey

_NAMESPACE = uuid.UUID("6f1c2a4e-6f5e-5d2b-9b7e-2f1f6d0c9a11")
_OURS = re.compile(r"hf-([0-9a-f]{6})[0-9a-f]{12}-")
NAME_LIMIT = 63  # characters of an lvol or lvol store name (bdev_lvol_create)


def object_name(site: str, key: ResourceKey) -> str:
    """`hf-SSSSSSKKKKKKKKKKKK-name`: whose it is (site), which resource (key), and a name to read, cut to fit."""
    return f"hf-{site_mark(site)}{_digest(site, key)[:12]}-{key.name}"[:NAME_LIMIT]


def site_of(name: str) -> str | None:
    """The site part of a name of our form; None for any other name."""
    match = _OURS.match(name)
    return match[1] if match else None


def site_mark(site: str) -> str:
    """What `site_of` finds in the names of this site."""
    return _digest(site, None)[:6]


@functools.lru_cache(maxsize=1 << 16)
def derived_uuid(site: str, key: ResourceKey) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{site}/{key.kind}/{key.path}"))


def derived_nqn(site: str, key: ResourceKey) -> str:
    return f"nqn.2026-01.dev.holdfast:{site}:{key.path.replace('/', ':')}"


def derived_serial(site: str, key: ResourceKey) -> str:
    """Twenty characters, as many as NVMe allows."""
    return f"HF{_digest(site, key)[:18].upper()}"


def nguid_of(identity: str) -> str:
    """The NGUID that says the same as a uuid: 32 upper-case hex digits."""
    return identity.replace("-", "").upper()


def volatile_identity(device_uuid: str, incarnation: str) -> str:
    """The identity of a memory device's bytes, which live as long as one target process."""
    return str(uuid.uuid5(_NAMESPACE, f"{device_uuid}/{incarnation}"))


def owner_uuid(site: str, chance: bytes) -> str:
    """A new owner marker: the first six bytes name the site, the rest this incarnation (UUID version 8)."""
    mark = hashlib.sha256(site.encode()).digest()[:6]
    return str(
        uuid.UUID(bytes=mark + bytes([0x80 | chance[0] & 0x0F, chance[1], 0x80 | chance[2] & 0x3F]) + chance[3:10])
    )


def is_owner_of(site: str, marker: str) -> bool:
    """Whether an owner marker names this site."""
    return marker.replace("-", "")[:12] == hashlib.sha256(site.encode()).hexdigest()[:12]


def _digest(site: str, key: ResourceKey | None) -> str:
    return hashlib.sha256(f"{site}/{key.kind}/{key.path}".encode() if key else site.encode()).hexdigest()
