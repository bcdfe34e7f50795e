"""Copying what an lvol shares with others into clusters of its own: inflate and decouple, which take long."""

from __future__ import annotations

from collections.abc import Generator

from backends.contract import GuardMismatch
from backends.objects import ObjectKey, Provisioning
from backends.spdk import methods, model
from backends.spdk.client import Call
from schemas.resources import Json

Copying = Generator[Call, Json, None]


def copy(wanted: Provisioning, uuid: str) -> Copying:
    """Until the lvol is as wanted: thick, or alone."""
    if wanted.thin is False:
        yield methods.lvol_inflate(uuid)
    elif wanted.alone:
        yield from _decouple(wanted.lvol, uuid)


def _decouple(alias: str, uuid: str) -> Copying:
    """From one snapshot after another, until it lies on none. Never from one that it has outgrown."""
    store = alias.partition("/")[0]
    while parent := (yield from _seen(uuid)).parent:
        if (yield from _seen(f"{store}/{parent}")).size < (yield from _seen(uuid)).size:
            raise GuardMismatch(f"{alias} has outgrown snapshot {parent}, which it lies on")
        yield methods.lvol_decouple(uuid)


def told(key: ObjectKey, uuid: str, known: model.LvolBdev) -> Provisioning:
    """Where an lvol has its bytes, from a reading of its bdev alone."""
    return Provisioning(key.name, uuid, known.thin, known.parent is None and known.image is None)


def _seen(name: str) -> Generator[Call, Json, model.LvolBdev]:
    for known in model.bdevs((yield methods.bdev(name))).lvols.values():
        return known
    raise GuardMismatch(f"{name} is no lvol")
