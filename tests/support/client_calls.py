"""A client of a scripted peer, and what comes of its calls."""

from __future__ import annotations

import pytest
from peers import Script

from backends.spdk.client import Call, Client, Reply

READ = Call("bdev_get_bdevs", timeout=30.0)

WRITE = Call("bdev_lvol_create", {"lvol_name": "v"}, mutates=True, timeout=60.0)


def client_of(script: Script) -> Client:
    return Client(script, script.clock)


def ended(client: Client, count: int) -> dict[int, Reply]:
    """So many replies, by id; fewer when nothing more comes."""
    found: dict[int, Reply] = {}
    while len(found) < count and (replies := client.replies(1.0)):
        found |= {reply.id: reply for reply in replies}
    return found


def failure(reply: Reply) -> type[Exception]:
    with pytest.raises(Exception) as caught:  # noqa: PT011  # which one is what is asked
        reply.result()
    return caught.type
