"""One object, or whether it is there: looked at in the middle of a conversation, which is sent the answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeAlias

from backends.contract import BackendError, Change
from backends.fields import fields_of
from backends.objects import (
    AllowedHost,
    Bdev,
    KeyringKey,
    Listener,
    LiveObject,
    Lvol,
    LvolStore,
    Namespace,
    NvmePath,
    ObjectKey,
    ObjectKind,
    Qos,
    Referral,
    Subsystem,
    VisibleHost,
    index,
)
from backends.spdk import ana, keyring, methods, model, provisioning, stacks
from backends.spdk.client import Call
from backends.spdk.errors import RpcError
from backends.spdk.hidden import hidden, of_subsystem
from schemas.resources import Json


@dataclass(frozen=True, slots=True)
class Pause:
    """Resume the conversation after so many seconds."""

    seconds: float


Reading: TypeAlias = "Generator[Call | Pause, Json, LiveObject | None]"


def reread(key: ObjectKey, wanted: LiveObject | None, refusal: BackendError) -> Reading:
    """The object as it is after a refusal, which stands when nothing can be read."""
    try:
        live = yield from _read_whole(key)
        if isinstance(live, Namespace) and isinstance(wanted, Namespace):  # its bdev may go by name, alias or uuid
            named = model.bdevs((yield methods.bdev(wanted.bdev)))
            return dataclasses.replace(live, bdev=wanted.bdev) if live.bdev in named.uuids else live
    except RpcError:
        raise refusal from None
    return live


def _read_whole(key: ObjectKey) -> Reading:
    """One object with what only the configuration shows of it."""
    live = yield from read(key)
    if isinstance(live, (Subsystem, AllowedHost, Namespace, Listener)):
        found = hidden((yield methods.NVMF_CONFIG))
        live = index(of_subsystem(live.nqn, [live], found)).get(key)
    if isinstance(live, Listener):
        states = ana.ana(live.nqn, (yield methods.listeners(live.nqn)))
        (live,) = ana.with_ana([live], states)
    return live


def read(key: ObjectKey) -> Reading:  # noqa: PLR0911  # one arm per kind
    """One object, read by its name. Raises RpcError when the target refuses, which does not mean that it is absent."""
    match key.kind:
        case ObjectKind.BDEV:
            found = model.bdevs((yield methods.bdev(key.name)))
            return index(found.devices).get(key)
        case ObjectKind.NVME_PATH:
            return index(stacks.paths((yield stacks.CONTROLLERS))).get(key)
        case ObjectKind.REFERRAL:
            return index(stacks.referrals((yield stacks.REFERRALS))).get(key)
        case ObjectKind.LVOL | ObjectKind.PROVISIONING | ObjectKind.QOS:
            return (yield from _lvol(key))
        case ObjectKind.LVOL_STORE:
            return index(model.lvol_stores((yield methods.LVOL_STORES))).get(key)
        case ObjectKind.KEY:
            return index(keyring.ring((yield keyring.KEYS)).keys).get(key)
        case ObjectKind.TRANSPORT:
            return index(model.transports((yield methods.TRANSPORTS))).get(key)
        case ObjectKind.VISIBILITY:
            return index(hidden((yield methods.NVMF_CONFIG)).visible).get(key)
    nqn, _, _ = key.name.partition("#")
    return index(model.subsystems((yield methods.subsystem(nqn)))).get(key)


def look(change: Change) -> Generator[Call | Pause, Json, bool]:
    """Whether one object, read by its name, is as a change was to make it."""
    if change.after is not None:
        return shows((yield from read(change.key)), change.after)
    inside = isinstance(change.before, (AllowedHost, Namespace, Listener))  # else only a list tells that it is gone
    return inside and (yield from read(change.key)) is None


def _lvol(key: ObjectKey) -> Reading:
    """One whose image is not there has no bdev, and is listed all the same."""
    try:
        return _one_lvol(key, model.bdevs((yield methods.bdev(key.name))))
    except RpcError:
        inside = model.listed_lvols((yield methods.lvols_in(key.name.partition("/")[0])))
        degraded = model.lvols((lvol for lvol in inside if lvol.degraded), model.Bdevs((), {}, {}))
        if found := index(degraded).get(key):
            return found
        raise


def _one_lvol(key: ObjectKey, found: model.Bdevs) -> LiveObject | None:
    """An lvol, or the limits of any bdev, from a reading of that one bdev."""
    limits = [known.limits for known in found.lvols.values()] + [device.limits for device in found.devices]
    if key.kind is ObjectKind.QOS:
        return Qos(key.name, limits[0]) if limits and limits[0] else None
    store, _, name = key.name.partition("/")
    for uuid, known in found.lvols.items():
        if key.kind is ObjectKind.PROVISIONING:
            return provisioning.told(key, uuid, known)
        return Lvol(
            store,
            name,
            uuid,
            known.size,
            image=known.image,
            read_only=known.read_only,
            parent=known.parent,
            claimed=known.claimed,
            clones=known.clones,
            limits=known.limits,
        )
    return None


def listed(thing: LiveObject | None) -> Generator[Call | Pause, Json, bool]:  # noqa: PLR0911  # one arm per kind
    """Whether the object is still there. Absence is only ever proven by a list that was read whole."""
    match thing:
        case Bdev(driver="raid", name=name):  # one that is not online is no bdev
            return name in stacks.raid_names((yield stacks.RAIDS))
        case NvmePath() | Referral() | VisibleHost() | KeyringKey():
            return (yield from read(thing.key)) is not None
        case Lvol():  # one whose image is not there has no bdev
            inside = model.listed_lvols((yield methods.lvols_in(thing.store)))
            return any(lvol.uuid == thing.uuid for lvol in inside)
        case Bdev():
            return thing.name in model.bdevs((yield methods.BDEVS)).uuids
        case LvolStore():
            return any(store.uuid == thing.uuid for store in model.lvol_stores((yield methods.LVOL_STORES)))
        case AllowedHost() | Namespace() | Listener():
            try:
                return (yield from read(thing.key)) is not None
            except RpcError:  # perhaps because the whole subsystem is gone
                return (yield from listed(Subsystem(thing.nqn)))
        case Subsystem():
            return thing.key in index(model.subsystems((yield methods.SUBSYSTEMS)))
    return True


def shows(live: LiveObject | None, wanted: LiveObject | None) -> bool:
    """Whether what is there has every declared value that can be read back."""
    have, want = fields_of(live), fields_of(wanted)
    return live is not None and all(have[name] == value for name, value in want.items() if name in have)
