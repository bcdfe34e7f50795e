"""One change → the calls that make it so. Handlers are generators: they yield calls and are sent results.

A handler never looks at error texts to learn what is there: after a refusal it reads the object, and that decides.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from backends.contract import (
    Action,
    AllowedHost,
    BackendError,
    Bdev,
    Change,
    Guard,
    GuardMismatch,
    Listener,
    LiveObject,
    Lvol,
    LvolStore,
    Namespace,
    ObjectKey,
    ObjectKind,
    Qos,
    Subsystem,
    Terminal,
    Transport,
    Unknown,
    fields_of,
    index,
)
from backends.spdk import methods, model
from backends.spdk.client import Call
from backends.spdk.errors import RpcError
from schemas.resources import Json

CONFIRM_ATTEMPTS = 100
CONFIRM_PAUSE = 0.1  # seconds


@dataclass(frozen=True, slots=True)
class Pause:
    """Resume the conversation after so many seconds."""

    seconds: float


Conversation: TypeAlias = "Generator[Call | Pause, Json, str | None]"
Reading: TypeAlias = "Generator[Call | Pause, Json, LiveObject | None]"
FactReader: TypeAlias = "Callable[[Guard], Generator[Call | Pause, Json, Mapping[str, Json]]]"


def apply(change: Change, guards: Sequence[Guard], facts: FactReader) -> Conversation:
    """The whole conversation for a change; returns the uid of a created object that has one of its own."""
    if (change.key.kind, change.action) == (ObjectKind.LVOL_STORE, Action.CREATE):
        yield methods.WAIT_FOR_EXAMINE  # a store that is still loading must claim its device first
    for guard in guards:
        yield from _check(guard, facts)
    return (yield from HANDLERS[change.key.kind, change.action](change))


def _check(guard: Guard, facts: FactReader) -> Generator[Call | Pause, Json, None]:
    try:
        found = yield from facts(guard)
    except RpcError as error:
        raise GuardMismatch(f"{guard.key} cannot be read again: {error}") from error
    for name, wanted in guard.facts.items():
        if found.get(name) != wanted:
            raise GuardMismatch(f"{guard.key}: {name} was {wanted!r}, is {found.get(name)!r}")


# --- creating


def _create(change: Change) -> Conversation:
    """What bears data is ours only when this very call made it; one that was there before may hold other bytes."""
    wanted = change.after
    bears_data = isinstance(wanted, (Lvol, LvolStore))
    try:
        answer = yield _create_call(wanted)
    except RpcError as error:
        if bears_data or not _is((yield from _reread(change.key, wanted, error)), wanted):
            raise error.verdict() from error
        return None
    if bears_data and not isinstance(answer, str):
        raise Unknown(f"{change.key}: created, but the target did not say its uuid")
    return str(answer) if bears_data else None


def _create_call(wanted: LiveObject | None) -> Call:  # noqa: PLR0911  # one arm per kind
    match wanted:
        case Bdev():
            return _create_bdev(wanted)
        case Transport():
            return methods.transport_create(wanted)
        case LvolStore():
            return methods.lvol_store_create(wanted)
        case Lvol(size=int(size)):
            thin, clear = bool(wanted.thin), wanted.clear_method
            return methods.lvol_create(wanted.store, wanted.name, size, thin=thin, clear_method=clear)
        case Subsystem():
            return methods.subsystem_create(wanted)
        case AllowedHost():
            return methods.host_add(wanted.nqn, wanted.host)
        case Namespace():
            return methods.namespace_add(wanted)
        case Listener():
            return methods.listener_add(wanted)
        case Qos():
            return methods.set_qos(wanted.bdev, wanted.limits)
    raise Terminal(f"{wanted!r} cannot be created")


def _create_bdev(wanted: Bdev) -> Call:
    block_size = wanted.block_size or 512
    match wanted:
        case Bdev(driver="aio", path=str(path)):
            return methods.aio_create(wanted.name, path, wanted.block_size, wanted.uuid, fallocate=wanted.fallocate)
        case Bdev(driver="malloc", size=int(size)):
            return methods.malloc_create(wanted.name, size, block_size, wanted.uuid)
        case Bdev(driver="null", size=int(size)):
            return methods.null_create(wanted.name, size, block_size, wanted.uuid)
    raise Terminal(f"{wanted!r} cannot be created")


# --- changing in place


def _update(change: Change) -> Conversation:
    before, after = change.before, change.after
    try:
        match before, after:
            case Lvol(uuid=str(uuid), size=int(have)), Lvol(size=int(want)) if want > have and _only(change, "size"):
                yield from _grow(uuid, want)
            case Subsystem(), Subsystem() if _only(change, "allow_any_host"):
                yield methods.allow_any_host(after.nqn, allow=after.allow_any_host)
            case Qos(), Qos():
                yield methods.set_qos(after.bdev, after.limits)
            case _:
                raise Terminal(f"{change.key} cannot be changed in place")
    except RpcError as error:
        if not _is((yield from _reread(change.key, after, error)), after):
            raise error.verdict() from error
    return None


def _grow(uuid: str, size: int) -> Generator[Call | Pause, Json, None]:
    """SPDK shrinks without asking, so it is asked for its size right before."""
    live = model.bdevs((yield methods.bdev(uuid))).lvols.get(uuid)
    if live is None:
        raise GuardMismatch(f"{uuid} is no lvol")
    if live.size < size:
        yield methods.lvol_resize(uuid, size)


def _only(change: Change, name: str) -> bool:
    """Whether this is the only field to change, of those that are declared and can be read."""
    have, want = fields_of(change.before), fields_of(change.after)
    return all(other == name or have[other] == value for other, value in want.items() if other in have)


# --- deleting


def _delete(change: Change) -> Conversation:
    try:
        yield _delete_call(change.before)
    except RpcError as error:
        if (yield from _listed(change.before)):
            raise error.verdict() from error
    return None


def _delete_call(gone: LiveObject | None) -> Call:  # noqa: PLR0911  # one arm per kind
    match gone:
        case Bdev():
            return methods.bdev_delete(gone.driver, gone.name)
        case LvolStore(uuid=str(uuid)):
            return methods.lvol_store_delete(uuid)
        case Lvol(uuid=str(uuid)):
            return methods.lvol_delete(uuid)
        case Subsystem():
            return methods.subsystem_delete(gone.nqn)
        case AllowedHost():
            return methods.host_remove(gone.nqn, gone.host)
        case Namespace():
            return methods.namespace_remove(gone.nqn, gone.nsid)
        case Listener():
            return methods.listener_remove(gone)
    raise Terminal(f"{gone!r} cannot be deleted")


def _delete_namespace(change: Change) -> Conversation:
    """Ends only when the namespace has been seen gone, so that its bdev may be touched afterwards."""
    yield from _delete(change)
    try:
        for _ in range(CONFIRM_ATTEMPTS):
            if not (yield from _listed(change.before)):
                return None
            yield Pause(CONFIRM_PAUSE)
    except (RpcError, BackendError) as error:
        raise Unknown(f"{change.key} was removed, but has not been seen gone: {error}") from error
    raise Unknown(f"{change.key} was removed but is still listed")


# --- looking


def _reread(key: ObjectKey, wanted: LiveObject | None, error: RpcError) -> Reading:
    """The object as it is after a refusal, which stands when nothing can be read."""
    try:
        live = yield from read(key)
        if isinstance(live, Namespace) and isinstance(wanted, Namespace):  # its bdev may go by name, alias or uuid
            named = model.bdevs((yield methods.bdev(wanted.bdev)))
            return dataclasses.replace(live, bdev=wanted.bdev) if live.bdev in named.uuids else live
    except RpcError:
        raise error.verdict() from error
    return live


def read(key: ObjectKey) -> Reading:
    """One object, read by its name. Raises RpcError when the target refuses, which does not mean that it is absent."""
    match key.kind:
        case ObjectKind.BDEV:
            found = model.bdevs((yield methods.bdev(key.name)))
            return index(found.devices).get(key)
        case ObjectKind.LVOL | ObjectKind.QOS:
            return _one_lvol(key, model.bdevs((yield methods.bdev(key.name))))
        case ObjectKind.LVOL_STORE:
            return index(model.lvol_stores((yield methods.LVOL_STORES))).get(key)
        case ObjectKind.TRANSPORT:
            return index(model.transports((yield methods.TRANSPORTS))).get(key)
    nqn, _, _ = key.name.partition("#")
    return index(model.subsystems((yield methods.subsystem(nqn)))).get(key)


def _one_lvol(key: ObjectKey, found: model.Bdevs) -> LiveObject | None:
    """An lvol, or the limits of any bdev, from a reading of that one bdev."""
    limits = [known.limits for known in found.lvols.values()] + [device.limits for device in found.devices]
    if key.kind is ObjectKind.QOS:
        return Qos(key.name, limits[0]) if limits and limits[0] else None
    store, _, name = key.name.partition("/")
    for uuid, known in found.lvols.items():
        return Lvol(store, name, uuid, known.size, claimed=known.claimed, clones=known.clones, limits=known.limits)
    return None


def _listed(thing: LiveObject | None) -> Generator[Call | Pause, Json, bool]:
    """Whether the object is still there. Absence is only ever proven by a list that was read whole."""
    match thing:
        case Bdev() | Lvol():
            answer = model.bdevs((yield methods.BDEVS))
            return thing.uuid in answer.uuids.values() if isinstance(thing, Lvol) else thing.name in answer.uuids
        case LvolStore():
            return any(store.uuid == thing.uuid for store in model.lvol_stores((yield methods.LVOL_STORES)))
        case AllowedHost() | Namespace() | Listener():
            try:
                return (yield from read(thing.key)) is not None
            except RpcError:  # perhaps because the whole subsystem is gone
                return (yield from _listed(Subsystem(thing.nqn)))
        case Subsystem():
            return thing.key in index(model.subsystems((yield methods.SUBSYSTEMS)))
    return True


def _is(live: LiveObject | None, wanted: LiveObject | None) -> bool:
    """Whether what is there has every declared value that can be read back."""
    have, want = fields_of(live), fields_of(wanted)
    return live is not None and all(have[name] == value for name, value in want.items() if name in have)


HANDLERS: Mapping[tuple[ObjectKind, Action], Callable[[Change], Conversation]] = MappingProxyType(
    {(kind, Action.CREATE): _create for kind in ObjectKind}
    | {(kind, Action.UPDATE): _update for kind in ObjectKind}
    | {(kind, Action.DELETE): _delete for kind in ObjectKind}
    | {(ObjectKind.NAMESPACE, Action.DELETE): _delete_namespace}
)
