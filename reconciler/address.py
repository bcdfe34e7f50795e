"""Where a target is reached: which two ways may lead to one process, and which two targets see the same files. Pure."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from schemas.resources import canonical

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def address_of(connection: Mapping[str, Any]) -> str:
    """A Target's connection as text. It names files with secrets, and holds none."""
    return canonical(dict(connection))


def connection_of(address: str) -> Mapping[str, Any]:
    return dict(json.loads(address))


def place_of(address: str) -> str:
    """Where it leads to, without how to log in."""
    match connection_of(address):
        case {"unixSocket": str(path)}:
            return posixpath.normpath(path)
        case {"tcp": str(place)}:
            return place
        case {"http": {"url": str(url)}}:
            return url.rstrip("/")
    raise ValueError(f"{address}: no connection that this Holdfast knows")


def machine_of(address: str) -> str:
    """Whose files the paths of a target's devices are; a port on loopback may be forwarded from anywhere."""
    match connection_of(address):
        case {"unixSocket": _}:
            return "this machine"
        case {"tcp": str(place)}:
            host = place.rpartition(":")[0].strip("[]")
        case _:
            host = urlsplit(place_of(address)).hostname or ""
    return place_of(address) if host in _LOOPBACK else host
