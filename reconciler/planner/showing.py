"""Whose bytes a device shows. A uuid that stood for some bytes never stands for others: no host could tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from backends.fields import fields_of
from backends.objects import Bdev
from reconciler import identity
from reconciler.desired import DeviceWish
from reconciler.planner.view import View
from schemas.resources import JsonObject

_MIRROR = "raid1"


def identities(applied: Iterable[JsonObject]) -> dict[str, str]:
    """What of devices' fields is to be remembered for good: what each uuid stands for."""
    named = ((fields.get("uuid"), bytes_of(fields)) for fields in applied if fields.get("driver"))
    return {_name(uuid): shown for uuid, shown in named if isinstance(uuid, str) and shown}


def identity_reused(view: View, wanted: Bdev) -> str:
    """That a device's uuid was another one's, in words."""
    shows = bytes_of(fields_of(wanted))
    former = view.owned.shown.get(_name(wanted.uuid), shows)
    if not shows or former == shows:
        return ""
    return f"uuid {wanted.uuid} was that of {former}; hosts would take one for the other: declare another spec.uuid"


def shown_memory(view: View, device: DeviceWish) -> str:
    """The identity of bytes that are gone with the process, or when the memory is taken back: another after that."""
    life = f"{view.owned.marker} {view.owned.alive_since}"
    born = [view.owned.births.get(memory.bdev.uuid or "", life) for memory in _memory(device)]
    return identity.volatile_identity(device.bdev.uuid or "", " ".join(born))


def _memory(device: DeviceWish) -> Iterator[DeviceWish]:
    """The devices in memory that a device is, or stands on."""
    if device.bdev.driver == "malloc":
        yield device
    for base in device.bases:
        yield from _memory(base)


def bytes_of(fields: JsonObject) -> str:
    """Where the bytes of a device lie, in words; empty where its uuid follows them, or they go with the process.

    The order of members and the width of strips decide what a striped array shows; a mirror shows what any of its
    members does.
    """
    bases, level = fields.get("bases"), fields.get("level")
    if path := fields.get("path"):
        return str(path)
    if not isinstance(bases, list) or "" in bases or fields.get("driver") == "crypto":
        return ""
    if level == _MIRROR:
        return ""
    named = ", ".join(map(str, bases))
    return f"{level} of {named} in strips of {fields.get('strip_size')} KiB" if level else named


def _name(uuid: object) -> str:
    """Under what the ledger remembers it, apart from the identities of namespaces."""
    return f"bdev {uuid}"
