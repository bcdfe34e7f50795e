"""What was sent: every mutation stands here before it goes out, so that no crash leaves an act that nobody knows of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backends.contract import (
    Action,
    Change,
    LiveObject,
    Lvol,
    ObjectKey,
    ObjectKind,
    Observed,
    Qos,
    fields_of,
)
from reconciler.store import Store
from schemas.resources import JsonObject, canonical

_INSERT = "INSERT INTO journal (target, owner, action, kind, name, change, sent) VALUES (?, ?, ?, ?, ?, ?, ?)"
_TOUCHES = "~touches"  # beside the fields of the object, none of which begins so
SETTLE = 60.0  # seconds after which an unanswered request is taken for dead, where sending it twice can do no harm


@dataclass(frozen=True, slots=True)
class Entry:
    """A mutation without a known end, with the earlier ones on the same object (they were over when it was sent)."""

    ids: tuple[int, ...]
    action: Action
    key: ObjectKey
    after: JsonObject
    sent: float
    touches: tuple[ObjectKey, ...] = ()  # what else it works on


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
            return [
                db.execute(
                    _INSERT,
                    (target, owner, c.action.value, c.key.kind.value, c.key.name, _written(c, also), now),
                ).lastrowid
                or 0
                for c, also in zip(changes, others, strict=True)
            ]

    def end(self, outcomes: Mapping[int, str], now: float) -> None:
        """Outcomes: ok, failed, dropped (never sent), seen (effect observed), lapsed, died (with the target)."""
        self._store.write(
            "UPDATE journal SET ended = ?, outcome = ? WHERE id = ?",
            [(now, outcome, number) for number, outcome in outcomes.items()],
        )

    def open(self, target: str) -> tuple[Entry, ...]:
        """Mutations without a known end, one for each object."""
        rows = self._store.rows(
            "SELECT id, action, kind, name, change, sent FROM journal WHERE target = ? AND ended IS NULL ORDER BY id",
            target,
        )
        newest: dict[ObjectKey, Entry] = {}
        for number, action, kind, name, change, sent in rows:
            key = ObjectKey(ObjectKind(kind), name)
            before = newest[key].ids if key in newest else ()
            after = json.loads(change)
            touches = tuple(ObjectKey(ObjectKind(kind), name) for kind, name in after.pop(_TOUCHES, ()))
            newest[key] = Entry((*before, number), Action(action), key, after, sent, touches)
        return tuple(newest.values())

    def bury(self, target: str, now: float) -> None:
        """The target is a new process: whatever its former life was asked for is no longer running."""
        self._store.write(
            "UPDATE journal SET ended = ?, outcome = 'died' WHERE target = ? AND ended IS NULL", [(now, target)]
        )

    def forget_before(self, moment: float) -> None:
        self._store.write("DELETE FROM journal WHERE ended IS NOT NULL AND ended < ?", [(moment,)])


def _written(change: Change, touches: Sequence[ObjectKey]) -> str:
    also = [[key.kind.value, key.name] for key in touches]
    return canonical(fields_of(change.after) | ({_TOUCHES: also} if also else {}))


def settle(entries: Sequence[Entry], observed: Observed, now: float) -> dict[int, str]:
    """Which unanswered mutations are known to be over, by what is seen or by how long ago they were sent."""
    found = ((entry, _outcome(entry, observed, now)) for entry in entries)
    return {number: outcome for entry, outcome in found if outcome for number in entry.ids}


def _outcome(entry: Entry, observed: Observed, now: float) -> str:
    if any(gap.kind is entry.key.kind for gap in observed.gaps):
        return ""
    live = None if _invisible(entry) else _live(observed, entry.key)
    if entry.action is Action.DELETE and live is None:
        return "seen"
    if entry.action is not Action.DELETE and live is not None and _shows(live, entry.after):
        return "seen"
    return "lapsed" if now - entry.sent > SETTLE and not _endless(entry) else ""


def _live(observed: Observed, key: ObjectKey) -> LiveObject | None:
    if key.kind is not ObjectKind.QOS:
        return observed.objects.get(key)
    lvol = observed.objects.get(ObjectKey(ObjectKind.LVOL, key.name))
    return Qos(key.name, lvol.limits) if isinstance(lvol, Lvol) and lvol.limits else None


def _shows(live: LiveObject, after: JsonObject) -> bool:
    """Whether the object has what was asked for (a bdev may be named by alias or uuid)."""
    have = fields_of(live)
    return all(have[name] == value for name, value in after.items() if name in have and name != "bdev")


def _invisible(entry: Entry) -> bool:
    """Whether its effect cannot be told: what a store spans is not shown. Growing twice does no harm."""
    return entry.key.kind is ObjectKind.LVOL_STORE and entry.action is Action.UPDATE


def _endless(entry: Entry) -> bool:
    """Requests that may run for hours and must not be met by another: only their effect or a restart ends them."""
    if entry.key.kind is ObjectKind.LVOL_STORE:
        return not _invisible(entry)
    return entry.key.kind is ObjectKind.LVOL and entry.action is Action.DELETE
