"""Listening addresses of the NVMe-oF target: real sockets that accept and hang up, or a table that only keeps order."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import Callable
from typing import Protocol

Endpoint = tuple[str, int]  # numeric address and port


class Listening(Protocol):
    """Where the target listens. Several subsystems share an endpoint; the caller counts them."""

    def open(self, endpoint: Endpoint) -> None:
        """Raises OSError: EADDRNOTAVAIL, EADDRINUSE, or EINVAL for what is no numeric address."""

    def close_one(self, endpoint: Endpoint) -> None: ...

    def close(self) -> None: ...


class Table:
    """Touches no network: this host has its loopback addresses, and a port is taken when it is in the table."""

    def __init__(self) -> None:
        self._open: set[Endpoint] = set()

    def open(self, endpoint: Endpoint) -> None:
        address = _parse(endpoint[0])
        if not (address.is_loopback or address.is_unspecified):
            raise _error(errno.EADDRNOTAVAIL)
        if any(self._collide(endpoint, other) for other in self._open):
            raise _error(errno.EADDRINUSE)
        self._open.add(endpoint)

    def _collide(self, one: Endpoint, other: Endpoint) -> bool:
        first, second = _parse(one[0]), _parse(other[0])
        either_is_wildcard = first.is_unspecified or second.is_unspecified
        return one[1] == other[1] and first.version == second.version and (first == second or either_is_wildcard)

    def close_one(self, endpoint: Endpoint) -> None:
        self._open.discard(endpoint)

    def close(self) -> None:
        self._open.clear()


class Sockets:
    """Really listens, so that a port is as taken for others as with a live target. Nobody speaks NVMe behind it."""

    def __init__(self, watch: Callable[[socket.socket], None], unwatch: Callable[[socket.socket], None]) -> None:
        self._watch, self._unwatch = watch, unwatch
        self._open: dict[Endpoint, socket.socket] = {}

    def open(self, endpoint: Endpoint) -> None:
        family = socket.AF_INET if _parse(endpoint[0]).version == 4 else socket.AF_INET6
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(endpoint)
            listener.listen()
        except (OSError, OverflowError) as error:
            listener.close()
            raise _error(getattr(error, "errno", None) or errno.EINVAL) from error
        listener.settimeout(0)
        self._open[endpoint] = listener
        self._watch(listener)

    def close_one(self, endpoint: Endpoint) -> None:
        listener = self._open.pop(endpoint, None)
        if listener is not None:
            self._unwatch(listener)
            listener.close()

    def close(self) -> None:
        for endpoint in list(self._open):
            self.close_one(endpoint)


def _parse(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        raise _error(errno.EINVAL) from None


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
