"""Keys in the target's ring: names and files. SPDK reads a file itself, at each authentication, as its own user.

On v26.05 the file must belong to the target's user, with no rights for others. A key that is removed while hosts hold
it stays with them and fails them from their next connection on, also once another key has its name: they must be given
that one anew. A pre-shared key is different: it is copied when the host is let in.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from backends.objects import AllowedHost, KeyringKey, LiveObject
from backends.spdk.client import Call
from backends.spdk.shape import Raw, flag, number, objects, optional, shape, text
from schemas.resources import Json

KEYS = Call("keyring_get_keys")
TIMEOUT = 60.0  # seconds
REMOVED = " (removed)"  # after the name of a key that a host still holds, but that no longer lets it in


@dataclass(frozen=True, slots=True)
class Ring:
    """The keys that can be used, and the names of those that were removed while somebody held them."""

    keys: tuple[KeyringKey, ...] = ()
    removed: frozenset[str] = frozenset()


def ring(answer: Json) -> Ring:
    with shape("keyring_get_keys"):
        raws = [*objects(answer)]
        keys = tuple(_key(raw) for raw in raws if not flag(raw, "removed"))
        return Ring(keys, frozenset(text(raw, "name") for raw in raws if flag(raw, "removed")))


def _key(raw: Raw) -> KeyringKey:
    """The ring itself counts as one who holds it."""
    return KeyringKey(text(raw, "name"), optional(raw, "path", str), number(raw, "refcnt") - 1)


def holding(things: Iterable[LiveObject], removed: frozenset[str]) -> tuple[LiveObject, ...]:
    """The same, with each host that may hold a removed key shown as one that does."""

    def shown(thing: LiveObject) -> LiveObject:
        if not isinstance(thing, AllowedHost) or not removed & {thing.dhchap_key, thing.dhchap_controller_key}:
            return thing
        names = {field: getattr(thing, field) for field in ("dhchap_key", "dhchap_controller_key")}
        marked = {field: f"{name}{REMOVED}" for field, name in names.items() if name in removed}
        return dataclasses.replace(thing, **marked)

    return tuple(map(shown, things)) if removed else tuple(things)


def key_add(wanted: KeyringKey) -> Call:
    return Call("keyring_file_add_key", {"name": wanted.name, "path": wanted.path}, mutates=True, timeout=TIMEOUT)


def key_remove(name: str) -> Call:
    """Not refused for a key that hosts hold: the caller has seen that nobody does."""
    return Call("keyring_file_remove_key", {"name": name}, mutates=True, timeout=TIMEOUT)


def host_add(wanted: AllowedHost) -> Call:
    """With its keys from the first moment: it is never let in without them."""
    named = {"psk": wanted.psk, "dhchap_key": wanted.dhchap_key, "dhchap_ctrlr_key": wanted.dhchap_controller_key}
    keys: dict[str, Json] = {name: key for name, key in named.items() if key}
    return Call(
        "nvmf_subsystem_add_host", {"nqn": wanted.nqn, "host": wanted.host, **keys}, mutates=True, timeout=TIMEOUT
    )


def host_set_keys(wanted: AllowedHost) -> Call:
    """Both at once: one that is not named is cleared. Nobody is disconnected; the next authentication uses them."""
    named = {"dhchap_key": wanted.dhchap_key, "dhchap_ctrlr_key": wanted.dhchap_controller_key}
    keys: dict[str, Json] = {name: key for name, key in named.items() if key}
    return Call(
        "nvmf_subsystem_set_keys", {"nqn": wanted.nqn, "host": wanted.host, **keys}, mutates=True, timeout=TIMEOUT
    )
