"""Keys of hosts: what is in the target's ring, and which of them each host is to prove itself with.

A key's name carries a fingerprint of what is in it, so that another key has another name, and what the target tells of
hosts shows which one is in force. A key is added before a host is given it, and removed only once it has been seen that
nobody holds it: removing one that is held fails hosts at their next connection (observed on v26.05).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from backends.contract import Guard
from backends.objects import AllowedHost, KeyringKey, LiveObject, ObjectKey, ObjectKind
from reconciler import identity
from reconciler.desired import HostWish, Secret, SubsystemWish
from reconciler.plan import Cause, Difference, Drift, DriftClass, created, deleted, updated
from reconciler.planner.draft import Draft, Proposal, absent, differences, drifted, missing_drift
from reconciler.planner.view import View

NAME = 44  # characters of the host's name in that of its key
PATHS = {
    "dhchap_key": "spec.dhchap.keyFrom",
    "dhchap_controller_key": "spec.dhchap.controllerKeyFrom",
    "psk": "spec.tls.pskFrom",
}
NOBODYS = Secret("", "", "")
ROLES = {"spec.dhchap.keyFrom": "h", "spec.dhchap.controllerKeyFrom": "c", "spec.tls.pskFrom": "p"}


@dataclass(frozen=True)
class Guests:
    """How hosts are to be let in, by NQN: with which keys, or not at all for now, and why."""

    keys: Mapping[str, Mapping[str, KeyringKey]] = field(default_factory=dict)  # each by where it is declared
    barred: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # (reason, message)

    def allowed(self, nqn: str, host: str) -> AllowedHost:
        """The entry of a host on a subsystem's list. Only where it is not barred."""
        named = {path: key.name for path, key in self.keys.get(host, {}).items()}
        return AllowedHost(nqn, host, *(named.get(path, "") for path in ROLES))

    def barred_from(self, wish: SubsystemWish) -> tuple[ObjectKey, ...]:
        """Entries that a subsystem is to have, and that are left as they are for now."""
        return tuple(AllowedHost(wish.subsystem.nqn, host).key for host in wish.hosts if host in self.barred)

    def needs(self, host: str) -> tuple[ObjectKey, ...]:
        """The keys that must be in the ring before the host is given them."""
        return tuple(key.key for key in self.keys.get(host, {}).values())


def wanted_keys(view: View) -> Iterator[KeyringKey]:
    """The keys that hosts of the target are to have, of those hosts whose keys can all be had."""
    for wish in view.target.hosts:
        if not _lost(view, wish):
            yield from _keys(view, wish).values()


def _keys(view: View, wish: HostWish) -> Mapping[str, KeyringKey]:
    return {secret.path: _key(view, wish, secret) for secret in wish.secrets}


def _key(view: View, wish: HostWish, secret: Secret) -> KeyringKey:
    """Without a path where its file is nobody's business but the operator's: the target reads no files of ours."""
    name = f"{wish.name[:NAME]}-{ROLES[secret.path]}-{view.owned.host_keys[secret]}"
    path = None if view.owned.unread_keys else f"{view.owned.key_folder}/{name}"
    return KeyringKey(name, path, key_from=secret.source, owner=view.observed.user)


def plan_keys(view: View, draft: Draft) -> Guests:
    """Bring the ring to what hosts need; hosts that lack a key are left as they are, or out."""
    if why := view.unread(ObjectKind.KEY):
        barred = {wish.nqn: ("Unknown", f"the keys could not be read: {why}") for wish in view.target.hosts}
        return Guests(barred=barred)
    keys: dict[str, Mapping[str, KeyringKey]] = {}
    barred = {}
    for wish in view.target.hosts:
        own = {} if _lost(view, wish) else _keys(view, wish)
        reasons = [_lost(view, wish), *[_settle(view, draft, wish, key) for key in own.values()]]
        if found := next(filter(None, reasons), None):
            barred[wish.nqn] = found
            draft.remark(wish.wish.key, *found)
        else:
            keys[wish.nqn] = own
    _tell_shared(view, draft)
    _withdraw(view, draft, {key.name: key for key in wanted_keys(view)})
    return Guests(keys, barred)


def _tell_shared(view: View, draft: Draft) -> None:
    """Who has the key of another host can give itself out as that one."""
    first: dict[str, HostWish] = {}
    for wish in view.target.hosts:
        own = {view.owned.host_keys[secret]: secret for secret in wish.secrets if secret in view.owned.host_keys}
        for fingerprint, secret in own.items():
            other = first.setdefault(fingerprint, wish)
            if other is not wish:
                message = f"{secret.path}: {other.wish.key} has the same key, so each can pass for the other"
                draft.remark(wish.wish.key, "KeyShared", message, ready=True)


def _lost(view: View, wish: HostWish) -> tuple[str, str] | None:
    found = ((s.path, view.owned.lost_host_keys[s]) for s in wish.secrets if s in view.owned.lost_host_keys)
    if lost := next((("KeyUnavailable", f"{path}: {why}") for path, why in found), None):
        return lost
    own, other = view.owned.host_keys.get(wish.key or NOBODYS), view.owned.host_keys.get(wish.controller_key or NOBODYS)
    if other and own == other:
        return (
            "KeyUnavailable",
            "spec.dhchap.controllerKeyFrom: this is the host's own key; the two must differ",
        )
    return None


def _settle(view: View, draft: Draft, wish: HostWish, key: KeyringKey) -> tuple[str, str] | None:
    """Have one key in the ring; why that cannot be, for now."""
    live = next((other for other in view.ring if other.name == key.name), None)
    record = view.records.get(key.key)
    if live is None and key.path is None:
        message = (
            f"{view.owned.unread_keys}: put the key of {key.key_from} into a file on the target's machine, of the "
            f"target's user and with mode 0600, and add it there: keyring_file_add_key {key.name} FILE"
        )
        cause = view.cause(record)
        draft.hold(Proposal(created(key), wish.wish.key, cause, absent("the key", cause)), "KeyNotDelivered", message)
        return "KeyNotDelivered", message
    if live is None:
        cause = view.cause(record)
        drift = missing_drift(key.key, wish.wish.key, cause, "spec.dhchap")
        draft.propose(Proposal(created(key), wish.wish.key, cause, absent("the key", cause), drift=drift))
    elif key.path in (None, live.path):
        draft.own(key, wish.wish)
    else:
        _swap(draft, wish, key, live)
    return None


def _swap(draft: Draft, wish: HostWish, key: KeyringKey, live: KeyringKey) -> None:
    """Somebody has put another file under the name of ours; who holds the one is given the other afterwards."""
    difference = Difference("spec.dhchap", key.path, live.path)
    drift = Drift(key.key, wish.wish.key, DriftClass.MODIFIED, (difference,), "Corrected")
    reason = "the key is read from another file"
    draft.propose(Proposal(deleted(live), wish.wish.key, Cause.DRIFT, reason, drift=drift))
    draft.propose(Proposal(created(key), wish.wish.key, Cause.DRIFT, reason, gone=(key.key,)))


def _withdraw(view: View, draft: Draft, wanted: Mapping[str, KeyringKey]) -> None:
    """Keys that no host is to have any more go once nobody holds them. Those of a host whose keys are lost stay."""
    kept = tuple(f"{wish.name[:NAME]}-" for wish in view.target.hosts if _lost(view, wish))
    ours = identity.site_mark(view.owned.site)
    for live in view.ring:
        stays = live.name in wanted or live.name.startswith(kept) or identity.site_of(live.name) != ours
        if stays or live.users:
            continue
        record = view.records.get(live.key)
        resource = record.resource if record else view.target.key
        guard = Guard(live.key, {"users": 0})
        reason = "no host has this key any more"
        draft.propose(Proposal(deleted(live), resource, Cause.CHANGE, reason, guards=(guard,)))
    named = {live.key for live in view.ring} | {key.key for key in wanted.values()}
    records = (key for key in view.records if key.kind is ObjectKind.KEY)
    draft.forget |= {key for key in records if key not in named and not key.name.startswith(kept)}


# --- hosts that hold them


def hold_barred(draft: Draft, guests: Guests, wish: SubsystemWish, present: Mapping[ObjectKey, LiveObject]) -> None:
    """A host whose keys are not there is not let in without them; one that is in is left as it is."""
    for host in wish.hosts:
        entry = AllowedHost(wish.subsystem.nqn, host)
        if host in guests.barred and entry.key not in present:
            reason, message = guests.barred[host]
            draft.hold(Proposal(created(entry), wish.wish.key, Cause.CHANGE, message), reason, message)
            draft.remark(wish.wish.key, reason, f"{host} is not let in: {message}")


def set_keys(  # noqa: PLR0913, PLR0917  # one host of one subsystem
    view: View, draft: Draft, guests: Guests, wish: SubsystemWish, live: AllowedHost, wanted: AllowedHost
) -> None:
    """Another key, or none: of use from the host's next connection on, and nobody is disconnected."""
    after, record = dataclasses.replace(wanted, psk=live.psk), view.records.get(wanted.key)
    found = differences(after, live, PATHS)
    behind_our_back = drifted(dict(record.applied) if record else {}, after, found, PATHS)
    cause = Cause.DRIFT if behind_our_back else Cause.CHANGE
    drift = Drift(wanted.key, wish.wish.key, DriftClass.MODIFIED, found, "Corrected") if behind_our_back else None
    reason = "the host proves itself with another key" if after.dhchap_key else "the host need prove nothing any more"
    requires = guests.needs(wanted.host)
    draft.propose(Proposal(updated(live, after), wish.wish.key, cause, reason, requires=requires, drift=drift))
