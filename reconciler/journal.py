"""What was sent: every mutation stands here before it goes out, so that no crash leaves an act that nobody knows of.

A request without an answer is in doubt: it may run yet, or never have arrived. Its effect ends the doubt, and so does
the end of the target's process; time alone does not, where a late arrival would do harm. What is safe meanwhile:

    request                        the same again  given up  because a late arrival, perhaps after a change of mind, …
    create transport               yes             yes       is refused, or adds a transport that nobody minds
    create memory, null device     yes             yes       is refused, or adds a device without anybody's bytes
    create device on a path        yes             no        opens bytes that may by then be open elsewhere
    attach, detach NVMe path       yes             no        opens such bytes, or takes them from under a store
    create crypto, passthru,       yes             no        is refused, or claims a device that by then is another's
      delay, raid without superblock
    create raid with superblock,   no              no        overwrites what is on its members
      take a member back
    change, read a device again    yes             yes       is put right as drift
    create, change limits          yes             yes       is put right as drift
    create subsystem               yes             yes       is refused, or adds one without hosts and namespaces
    open or close it to any host   yes             no        lets hosts in
    create host, listener          yes             no        lets hosts in
    create, delete referral        yes             no        sends hosts elsewhere
    create namespace               yes             no        shows bytes that were withdrawn
    delete any of these            yes             no        cuts off hosts, or takes the device from under a store
    inflate, decouple an lvol      yes             no        copies what nobody wants copied any more
    create lvol, snapshot, clone,  yes, once done  no        is refused by its name; but would bring back what was
      grow lvol                    held apart                destroyed, or shrink what was grown further
    delete lvol                    no              no        leaks its clusters, and the lvol comes back (observed.md)
    grow store                     yes             yes       takes in what its device has grown by, which it has
    anything else about a store    no              no        crashes the target, or overwrites the store

What a request works on beside its object (`touches`) is in doubt with it until its effect is seen: a snapshot is taken
of a volume, a clone lies on a snapshot.

"Again" and "given up" come after SETTLE seconds by a clock that nobody sets, counted anew by each daemon, with the
target answering. When the effect of a repeat is seen, the first is over as well: the target takes requests for one
object in order of arrival. Not so for lvols, which bear data: a repeated request about one is held against anything
else until the target restarts.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from backends.contract import Action, Change, Observed
from backends.fields import fields_of
from backends.objects import LiveObject, Lvol, ObjectKey, ObjectKind, Qos, provisioning_of
from reconciler.store import Store, text_of
from schemas.resources import Json, JsonObject

_INSERT = "INSERT INTO journal (id, target, owner, action, kind, name, change, sent) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_TOUCHES = "~touches"  # beside the fields of the object, none of which begins so
_DOUBTFUL = "SELECT kind, name FROM journal WHERE target = ? AND ended IS NULL"
_REPEATED = "UPDATE journal SET repeated = 1 WHERE target = ? AND kind = ? AND name = ? AND ended IS NULL"
SETTLE = 60.0  # seconds after which an unanswered request may be sent again or given up, where that is harmless
_NOBODYS_BYTES = frozenset({"malloc", "null"})  # drivers of devices that stand on nothing


@dataclass(frozen=True, slots=True)
class Entry:
    """A mutation without a known end, with the same ones that were sent for the same object before it."""

    ids: tuple[int, ...]
    action: Action
    key: ObjectKey
    after: JsonObject
    sent: float  # the first of them, seconds since 1970
    touches: tuple[ObjectKey, ...] = ()  # what else it works on
    repeated: bool = False  # it was sent once more, whatever came of that

    @property
    def repeatable(self) -> bool:
        """Whether the very same may be sent again while nobody knows of the first."""
        match self.key.kind:
            case ObjectKind.LVOL_STORE:
                return self._grows_store
            case ObjectKind.LVOL:
                return self.action is not Action.DELETE
        return not self._overwrites_members

    @property
    def harmless(self) -> bool:
        """Whether it may arrive at any later time, whatever is wanted by then."""
        match self.key.kind:
            case ObjectKind.TRANSPORT | ObjectKind.QOS:
                return True
            case ObjectKind.SUBSYSTEM:
                return self.action is Action.CREATE
            case ObjectKind.LVOL_STORE:
                return self._grows_store
            case ObjectKind.BDEV if self.action is Action.CREATE:
                return self.after.get("driver") in _NOBODYS_BYTES
            case ObjectKind.BDEV:
                return self.action is Action.UPDATE and not self._overwrites_members
        return False

    @property
    def _grows_store(self) -> bool:
        """What a store spans is not shown; one that has taken in its whole device is left as it is."""
        return self.key.kind is ObjectKind.LVOL_STORE and self.action is Action.UPDATE

    @property
    def _overwrites_members(self) -> bool:
        """Whether it writes to the members of a raid: its superblock, or all that a member is to hold."""
        is_raid = self.key.kind is ObjectKind.BDEV and self.after.get("driver") == "raid"
        return is_raid and (self.action is Action.UPDATE or bool(self.after.get("superblock")))

    @property
    def is_invisible(self) -> bool:
        """Whether its effect cannot be told by what is seen."""
        return self._grows_store

    @property
    def twice_bears_data(self) -> bool:
        return self.key.kind is ObjectKind.LVOL and self.repeated


@dataclass
class Patience:
    """How long each unanswered request has been waited for, by a clock that nobody sets."""

    _since: dict[int, float] = field(default_factory=dict)  # newest id of an entry → when it was met, or last moved
    _copied: dict[int, int] = field(default_factory=dict)  # newest id of an entry → clusters of what is being copied

    def waited(self, entries: Sequence[Entry], now: float) -> Mapping[ObjectKey, float]:
        """Seconds since each of the entries, which are all there are, was first met."""
        self._since = {entry.ids[-1]: self._since.get(entry.ids[-1], now) for entry in entries}
        return {entry.key: now - self._since[entry.ids[-1]] for entry in entries}

    def note_progress(self, entries: Sequence[Entry], observed: Observed, now: float) -> None:
        """A request whose effect is seen to grow is at work: it is waited for anew."""
        for entry in entries:
            lvol = observed.objects.get(ObjectKey(ObjectKind.LVOL, entry.key.name))
            if entry.key.kind is ObjectKind.PROVISIONING and isinstance(lvol, Lvol):
                number, copied = entry.ids[-1], lvol.allocated_clusters
                if self._copied.get(number, copied) != copied:
                    self._since[number] = now
                self._copied[number] = copied
        self._copied = {number: self._copied[number] for number in self._copied.keys() & self._since.keys()}

    def is_over(self, entry: Entry, now: float) -> bool:
        """Whether an entry has been waited for long enough to ask once more."""
        return now - self._since.get(entry.ids[-1], now) > SETTLE


class Journal:
    """The journal of one site."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(
        self,
        target: str,
        owner: str,
        changes: Sequence[Change],
        now: float,
        touches: Sequence[Sequence[ObjectKey]] = (),
    ) -> list[int]:
        """Write down what is about to be sent; the ids in the order of the changes. `touches`: what else each is at."""
        others = touches or [()] * len(changes)
        with self._store.writing() as db:
            doubtful = {*self._store.rows(_DOUBTFUL, target)}
            first = self._store.rows("SELECT coalesce(max(id), 0) + 1 FROM journal")[0][0]
            ids = range(first, first + len(changes))
            rows = [
                (id_, target, owner, c.action, c.key.kind, c.key.name, _written(c, also), now)
                for id_, c, also in zip(ids, changes, others, strict=True)
            ]
            places = [(target, *c.key) for c in changes if c.key in doubtful]
            db.executemany(_REPEATED, places)
            db.executemany(_INSERT, rows)
        return [*ids]

    def end(self, outcomes: Mapping[int, str], now: float) -> None:
        """Outcomes: ok, failed, dropped (never sent), seen (effect observed), lapsed, died (with the target)."""
        self._store.write(
            "UPDATE journal SET ended = ?, outcome = ? WHERE id = ?",
            [(now, outcome, number) for number, outcome in outcomes.items()],
        )

    def open(self, target: str) -> tuple[Entry, ...]:
        """Mutations without a known end, one for each object."""
        rows = self._store.rows(
            "SELECT id, action, kind, name, change, sent, repeated FROM journal"
            " WHERE target = ? AND ended IS NULL ORDER BY id",
            target,
        )
        newest: dict[ObjectKey, Entry] = {}
        for number, action, kind, name, change, sent, repeated in rows:
            key = ObjectKey(ObjectKind(kind), name)
            first = newest.get(key) or Entry((), Action(action), key, {}, sent)
            after = json.loads(change)
            touched = (ObjectKey(ObjectKind(kind), name) for kind, name in after.pop(_TOUCHES, ()))
            newest[key] = Entry(
                ids=(*first.ids, number),
                action=Action(action),
                key=key,
                after=after,
                sent=first.sent,
                touches=tuple(dict.fromkeys((*first.touches, *touched))),
                repeated=first.repeated or bool(repeated),
            )
        return tuple(newest.values())

    def done(self, target: str, kind: ObjectKind, since: float) -> list[tuple[ObjectKey, JsonObject, float, float]]:
        """What was asked of objects of a kind and is known to be so, newest first: what, when sent and when ended."""
        rows = self._store.rows(
            "SELECT name, change, sent, ended FROM journal WHERE target = ? AND kind = ? AND ended > ?"
            " AND outcome IN ('ok', 'seen') ORDER BY ended DESC, id DESC",
            *(target, kind.value, since),
        )
        return [(ObjectKey(kind, name), json.loads(change), sent, ended) for name, change, sent, ended in rows]

    def bury(self, target: str, now: float) -> None:
        """The target is a new process: whatever its former life was asked for is no longer running."""
        self._store.write(
            "UPDATE journal SET ended = ?, outcome = 'died' WHERE target = ? AND ended IS NULL", [(now, target)]
        )

    def forget_before(self, moment: float, kept: Collection[str]) -> None:
        """Forget what ended before a moment, and what was left open then on targets that are no longer kept."""
        self._store.write("DELETE FROM journal WHERE ended IS NOT NULL AND ended < ?", [(moment,)])
        known = {row[0] for row in self._store.rows("SELECT DISTINCT target FROM journal WHERE ended IS NULL")}
        gone = [(target, moment) for target in sorted(known - set(kept))]
        self._store.write("DELETE FROM journal WHERE target = ? AND sent < ?", gone)


def _written(change: Change, touches: Sequence[ObjectKey]) -> str:
    also: list[Json] = [[key.kind.value, key.name] for key in touches]
    return text_of(fields_of(change.after) | ({_TOUCHES: also} if also else {}))


def settle(entries: Sequence[Entry], observed: Observed, waited: Mapping[ObjectKey, float]) -> dict[int, str]:
    """Which unanswered mutations are known to be over, or may be given up: "seen" or "lapsed" for each id."""
    found = ((entry, _outcome(entry, observed, waited.get(entry.key, 0.0))) for entry in entries)
    return {number: outcome for entry, outcome in found if outcome for number in entry.ids}


def is_seen(entry: Entry, observed: Observed) -> bool:
    """Whether the target shows what a request asked for."""
    if any(gap.kind is entry.key.kind for gap in observed.gaps):
        return False
    live = _live(observed, entry.key)
    if entry.action is Action.DELETE:
        return live is None and _is_loaded(entry.key, observed)
    return live is not None and not entry.is_invisible and _shows(live, entry.after)


def _is_loaded(key: ObjectKey, observed: Observed) -> bool:
    """Whether an object could be seen if it were there: an lvol is seen only while its store is loaded."""
    store = ObjectKey(ObjectKind.LVOL_STORE, key.name.partition("/")[0])
    return key.kind is not ObjectKind.LVOL or store in observed.objects


def _outcome(entry: Entry, observed: Observed, waited: float) -> str:
    if is_seen(entry, observed):
        return "" if entry.twice_bears_data else "seen"
    unread = any(gap.kind is entry.key.kind for gap in observed.gaps)
    return "lapsed" if entry.harmless and waited > SETTLE and not unread else ""


def _live(observed: Observed, key: ObjectKey) -> LiveObject | None:
    if key.kind not in (ObjectKind.QOS, ObjectKind.PROVISIONING):
        return observed.objects.get(key)
    lvol = observed.objects.get(ObjectKey(ObjectKind.LVOL, key.name))
    if key.kind is ObjectKind.PROVISIONING:
        return provisioning_of(lvol) if isinstance(lvol, Lvol) else None
    return Qos(key.name, lvol.limits) if isinstance(lvol, Lvol) and lvol.limits else None


def _shows(live: LiveObject, after: JsonObject) -> bool:
    """Whether the object has what was asked for (a bdev may be named by alias or uuid)."""
    have = fields_of(live)
    return all(have[name] == value for name, value in after.items() if name in have and name != "bdev")
