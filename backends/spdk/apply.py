"""One change → the calls that make it so. Handlers are generators: they yield calls and are sent results.

A handler never looks at error texts to learn what is there: after a refusal it reads the object, and that decides.
"""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import TypeAlias

from backends.contract import Action, BackendError, Change, Guard, GuardMismatch, Secrets, Terminal, Transient, Unknown
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
    ObjectKind,
    Provisioning,
    Qos,
    Referral,
    Subsystem,
    Transport,
    VisibleHost,
)
from backends.spdk import ana, keyring, methods, model, provisioning, stacks
from backends.spdk.client import Call
from backends.spdk.errors import RpcError
from backends.spdk.looking import Pause, listed, read, reread, shows
from schemas.resources import Json

PENDING = frozenset({"crypto", "passthru", "delay"})  # drivers that wait for an absent base without being seen
INVALID_PARAMS = -32602
CONFIRM_ATTEMPTS = 100
CONFIRM_PAUSE = 0.1  # seconds


Conversation: TypeAlias = "Generator[Call | Pause, Json, str | None]"
FactReader: TypeAlias = "Callable[[Guard], Generator[Call | Pause, Json, Mapping[str, Json]]]"


def apply(change: Change, guards: Sequence[Guard], facts: FactReader, secrets: Secrets) -> Conversation:
    """The whole conversation for a change; returns the uid of a created object that has one of its own."""
    if change.action is Action.CREATE and _overwrites(change.after):
        yield methods.WAIT_FOR_EXAMINE  # a store or raid that is still loading must claim its device first
    for guard in guards:
        yield from _check(guard, facts)
    if change.action is Action.CREATE and isinstance(change.after, Bdev) and change.after.driver == "crypto":
        yield from _ensure_key(change.after, secrets)
    if change.action is Action.CREATE and isinstance(change.after, KeyringKey):
        secrets.deposit(change.after)
    uid = yield from HANDLERS[change.key.kind, change.action](change)
    if guards and change.action is Action.CREATE and isinstance(change.after, Bdev) and change.after.driver in PENDING:
        yield from _came_up(change.after)
    return uid


def _check(guard: Guard, facts: FactReader) -> Generator[Call | Pause, Json, None]:
    try:
        found = yield from facts(guard)
    except RpcError as error:
        raise GuardMismatch(f"{guard.key} cannot be read again: {error}") from error
    for name, wanted in guard.facts.items():
        if found.get(name) != wanted:
            raise GuardMismatch(f"{guard.key}: {name} was {wanted!r}, is {found.get(name)!r}")


def _overwrites(wanted: LiveObject | None) -> bool:
    """Whether making it writes to the device underneath."""
    return isinstance(wanted, LvolStore) or (isinstance(wanted, Bdev) and bool(wanted.superblock))


# --- creating


def _ensure_key(wanted: Bdev, secrets: Secrets) -> Generator[Call | Pause, Json, None]:
    """The key of a crypto device is in the target, and is the one that is meant."""
    try:
        yield stacks.key_create(wanted, secrets)
    except RpcError as error:  # perhaps because it is there from before
        try:
            same = stacks.is_key((yield stacks.key_read(wanted.key_name or "")), wanted, secrets)
        except RpcError:
            raise error.verdict() from error
        if not same:
            raise Terminal(f"WrongKey: the target has another key under the name {wanted.key_name}") from None


def _create(change: Change) -> Conversation:
    """What bears data is ours only when this very call made it; one that was there before may hold other bytes."""
    wanted = change.after
    bears_data = isinstance(wanted, (Lvol, LvolStore))
    try:
        answer = yield _create_call(wanted)
    except RpcError as error:
        meaning = _meaning(wanted, error)
        if bears_data or not shows((yield from reread(change.key, wanted, meaning)), wanted):
            raise meaning from error
        return None
    if bears_data and not isinstance(answer, str):
        raise Unknown(f"{change.key}: created, but the target did not say its uuid")
    return str(answer) if bears_data else None


def _create_listener(change: Change) -> Conversation:
    """Where groups differ, it is inaccessible until each has its state."""
    yield from _create(change)
    wanted = change.after
    if isinstance(wanted, Listener) and wanted.ana is not None and "," in wanted.ana:
        yield from ana.setting(dataclasses.replace(wanted, ana="inaccessible"), wanted)
    return None


def _meaning(wanted: LiveObject | None, error: RpcError) -> BackendError:
    """What a refusal to make something means; SPDK lists neither transports nor raid levels that it could offer."""
    if isinstance(wanted, Transport) and wanted.type != "TCP" and error.code == INVALID_PARAMS:
        return Terminal(f"NotSupported: this SPDK refuses {wanted.type}, most likely built without it ({error})")
    if isinstance(wanted, KeyringKey):
        who = f"as uid {wanted.owner}, " if wanted.owner is not None else ""
        return Terminal(f"the target does not take {wanted.path}: it has to see this file, {who}as its own ({error})")
    if isinstance(wanted, Bdev) and wanted.level == "raid5f" and error.code == -errno.EINVAL:
        return Terminal(f"NotSupported: this SPDK refuses raid5f, most likely not built --with-raid5f ({error})")
    return error.verdict()


def _came_up(wanted: Bdev) -> Generator[Call | Pause, Json, None]:
    """SPDK says yes to a device whose base has just gone, and keeps its name for when that comes back."""
    try:
        yield methods.bdev(wanted.name)
    except RpcError as error:
        raise Transient(f"{wanted.name}: its base went away meanwhile; it comes up when that is back") from error


def _create_call(wanted: LiveObject | None) -> Call:  # noqa: C901, PLR0911, PLR0912  # one arm per kind
    match wanted:
        case Bdev():
            return _create_bdev(wanted)
        case Transport():
            return methods.transport_create(wanted)
        case LvolStore():
            return methods.lvol_store_create(wanted)
        case Lvol():
            return _create_lvol(wanted)
        case Subsystem():
            return methods.subsystem_create(wanted)
        case AllowedHost():
            return keyring.host_add(wanted)
        case KeyringKey():
            return keyring.key_add(wanted)
        case Namespace():
            return methods.namespace_add(wanted)
        case VisibleHost():
            return methods.visible_host_add(wanted)
        case Listener():
            return methods.listener_add(wanted)
        case Qos():
            return methods.set_qos(wanted.bdev, wanted.limits)
        case NvmePath():
            return stacks.attach(wanted)
        case Referral():
            return stacks.referral_add(wanted)
    raise Terminal(f"{wanted!r} cannot be created")


def _create_lvol(wanted: Lvol) -> Call:
    match wanted:
        case Lvol(snapshot_of=str(source)):
            return methods.lvol_snapshot(source, wanted.name)
        case Lvol(clone_of=str(snapshot)):
            return methods.lvol_clone(snapshot, wanted.name)
        case Lvol(image=str(device)):
            return methods.lvol_clone_bdev(device, wanted.store, wanted.name)
        case Lvol(size=int(size)):
            thin, clear = bool(wanted.thin), wanted.clear_method
            return methods.lvol_create(wanted.store, wanted.name, size, thin=thin, clear_method=clear)
    raise Terminal(f"{wanted!r} cannot be created")


def _create_bdev(wanted: Bdev) -> Call:
    block_size = wanted.block_size or 512
    if stacked := stacks.create(wanted):
        return stacked
    match wanted:
        case Bdev(driver="aio", path=str()):
            return methods.aio_create(wanted)
        case Bdev(driver="malloc", size=int(size)):
            return methods.malloc_create(wanted.name, size, block_size, wanted.uuid)
        case Bdev(driver="null", size=int(size)):
            return methods.null_create(wanted.name, size, block_size, wanted.uuid)
    raise Terminal(f"{wanted!r} cannot be created")


# --- changing in place


def _update(change: Change) -> Conversation:  # noqa: C901, PLR0912  # one arm per kind
    before, after = change.before, change.after
    try:
        match before, after:
            case Lvol(uuid=str(uuid), size=int(have)), Lvol(size=int(want)) if want > have and _only(change, "size"):
                yield from _grow(uuid, want)
            case LvolStore(uuid=str(uuid)), LvolStore() if _only(change, "size"):
                yield methods.lvol_store_grow(uuid)
            case Bdev(driver="aio", size=int(have)), Bdev(size=int(want)) if want > have and _only(change, "size"):
                yield from _rescan(after, want)
            case Subsystem(), Subsystem() if _only(change, "allow_any_host"):
                yield methods.allow_any_host(after.nqn, allow=after.allow_any_host)
            case Provisioning(uuid=str(uuid)), Provisioning():
                yield from provisioning.copy(after, uuid)
            case AllowedHost(), AllowedHost() if _keeps(change, "nqn", "host", "psk"):
                yield keyring.host_set_keys(after)
            case Qos(), Qos():
                yield methods.set_qos(after.bdev, after.limits)
            case Namespace(), Namespace() if _only(change, "anagrpid"):
                yield methods.namespace_ana_group(after)
            case Listener(), Listener() if _only(change, "ana"):
                yield from ana.setting(before, after)
            case Bdev(), Bdev() if calls := stacks.updates(before, after):
                for call in calls:  # noqa: UP028  # a list cannot be sent answers
                    yield call
            case _:
                raise Terminal(f"{change.key} cannot be changed in place")
    except RpcError as error:
        unseen = isinstance(after, LvolStore)  # what it spans cannot be read back
        if unseen or not shows((yield from reread(change.key, after, error.verdict())), after):
            raise error.verdict() from error
    return None


def _grow(uuid: str, size: int) -> Generator[Call | Pause, Json, None]:
    """SPDK shrinks without asking, so it is asked for its size right before."""
    live = model.bdevs((yield methods.bdev(uuid))).lvols.get(uuid)
    if live is None:
        raise GuardMismatch(f"{uuid} is no lvol")
    if live.size < size:
        yield methods.lvol_resize(uuid, size)


def _rescan(device: Bdev, want: int) -> Generator[Call | Pause, Json, None]:
    """Take in what the file or disk has grown by; it is not ours to make it grow."""
    yield methods.aio_rescan(device.name)
    live = yield from read(device.key)
    if not (isinstance(live, Bdev) and live.size and live.size >= want):
        have = live.size if isinstance(live, Bdev) else None
        raise Terminal(f"{device.path} has {have} bytes, not {want}: make it larger first")


def _only(change: Change, name: str) -> bool:
    """Whether this is the only field to change, of those that are declared and can be read."""
    have, want = fields_of(change.before), fields_of(change.after)
    return all(other == name or have[other] == value for other, value in want.items() if other in have)


def _keeps(change: Change, *names: str) -> bool:
    """Whether these fields stay as they are, where they can be read."""
    have, want = fields_of(change.before), fields_of(change.after)
    return all(have.get(name, want.get(name)) == want.get(name, have.get(name)) for name in names)


# --- deleting


def _delete(change: Change) -> Conversation:
    try:
        yield _delete_call(change.before)
    except RpcError as error:
        if (yield from listed(change.before)):
            raise error.verdict() from error
    return None


def _delete_call(gone: LiveObject | None) -> Call:  # noqa: C901, PLR0911  # one arm per kind
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
        case KeyringKey():
            return keyring.key_remove(gone.name)
        case Namespace():
            return methods.namespace_remove(gone.nqn, gone.nsid)
        case VisibleHost():
            return methods.visible_host_remove(gone)
        case Listener():
            return methods.listener_remove(gone)
        case NvmePath():
            return stacks.detach(gone)
        case Referral():
            return stacks.referral_remove(gone)
    raise Terminal(f"{gone!r} cannot be deleted")


def _delete_bdev(change: Change) -> Conversation:
    """A key goes after the last device that uses it: to destroy one in use kills the target."""
    gone = change.before
    if not (isinstance(gone, Bdev) and gone.driver == "crypto" and gone.key_name):
        yield from _delete(change)
        return None
    try:
        yield _delete_call(gone)
    except RpcError as error:
        if (yield from listed(gone)):
            raise error.verdict() from error
    else:  # one that is not listed may wait for its base, unseen and with the key
        left = model.bdevs((yield methods.BDEVS)).devices
        if not any(device.key_name == gone.key_name for device in left):
            with suppress(RpcError):  # what is left of it dies with the process
                yield stacks.key_destroy(gone.key_name)
    return None


def _delete_namespace(change: Change) -> Conversation:
    """Ends only when the namespace has been seen gone, so that its bdev may be touched afterwards."""
    yield from _delete(change)
    try:
        for _ in range(CONFIRM_ATTEMPTS):
            if not (yield from listed(change.before)):
                return None
            yield Pause(CONFIRM_PAUSE)
    except (RpcError, BackendError) as error:
        raise Unknown(f"{change.key} was removed, but has not been seen gone: {error}") from error
    raise Unknown(f"{change.key} was removed but is still listed")


HANDLERS: Mapping[tuple[ObjectKind, Action], Callable[[Change], Conversation]] = MappingProxyType(
    {(kind, Action.CREATE): _create for kind in ObjectKind}
    | {(kind, Action.UPDATE): _update for kind in ObjectKind}
    | {(kind, Action.DELETE): _delete for kind in ObjectKind}
    | {
        (ObjectKind.LISTENER, Action.CREATE): _create_listener,
        (ObjectKind.NAMESPACE, Action.DELETE): _delete_namespace,
        (ObjectKind.BDEV, Action.DELETE): _delete_bdev,
    }
)
