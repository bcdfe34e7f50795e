"""What happened, for people: events on transitions, drifts from detection to close, conditions as they stand."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.dates import iso
from reconciler.plan import Difference, Drift, DriftClass
from reconciler.status import CONVERGED, Condition, Conditions
from reconciler.store import Store
from schemas.resources import Json, ResourceKey, canonical

KEPT_EVENTS = 10_000
KEPT_DRIFTS = 10_000
_ALL_DRIFTS = (
    "SELECT id, target, kind, name, resource, class, fields, clean, detected, closed, action, revision"
    " FROM drifts WHERE (? = '' OR target = ?) ORDER BY id DESC LIMIT ?"
)
_OPEN_DRIFTS = _ALL_DRIFTS.replace("ORDER BY", "AND closed IS NULL ORDER BY")  # in the words of the index
# Reasons that need no event: they pass by themselves, or something else has told of them.
QUIET = frozenset({
    "Converged", "Progressing", "PoolNotLoaded", "WaitingForNamespaces", "BackingOff", "Blocked", "DeviceNotReady",
    "OutcomeUnknown", "TargetUnreachable", "Unknown", "StepFailed", "Retained", "OnePathAtATime", "Suspended",
    "CircuitOpen",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """Something that changed. `resource` is `Kind namespace/name`; empty when it is about the target or the source."""

    reason: str
    message: str
    target: str = ""
    resource: str = ""
    warning: bool = False
    revision: str = ""
    at: float = 0.0
    id: int = 0

    def to_json(self) -> dict[str, Json]:
        return {
            "id": self.id,
            "time": iso(self.at),
            "type": "Warning" if self.warning else "Normal",
            "reason": self.reason,
            "target": self.target,
            "resource": self.resource,
            "message": self.message,
            "revision": self.revision,
        }


@dataclass(frozen=True, slots=True)
class DriftRecord:
    """One drift, from the last time all was clean to the time it was closed."""

    id: int
    target: str
    object: str
    resource: str
    kind: str  # the drift class
    differences: tuple[Difference, ...]
    clean: float | None  # last observation without it
    detected: float
    closed: float | None
    action: str
    revision: str

    @property
    def is_ours(self) -> bool:
        return self.kind != DriftClass.FOREIGN

    def to_json(self) -> dict[str, Json]:
        return {
            "id": self.id,
            "target": self.target,
            "object": self.object,
            "resource": self.resource,
            "class": self.kind,
            "fields": [{"path": d.path, "want": d.want, "have": d.have} for d in self.differences],
            "lastClean": iso(self.clean) if self.clean is not None else None,
            "detected": iso(self.detected),
            "closed": iso(self.closed) if self.closed is not None else None,
            "seconds": round(self.closed - self.detected, 3) if self.closed is not None else None,
            "action": self.action,
            "revision": self.revision,
        }


class History:
    """The past of one site. `listeners` are told when there is something new to see; they must not block."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._conditions: dict[str, Mapping[ResourceKey, Conditions]] = {}  # by target; replaced, never changed
        self.listeners: list[Callable[[], None]] = []

    # --- events

    def emit(self, events: Sequence[Event], now: float) -> None:
        if not events:
            return
        self._store.write(
            "INSERT INTO events (at, type, reason, target, resource, message, revision) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (now, "Warning" if e.warning else "Normal", e.reason, e.target, e.resource, e.message, e.revision)
                for e in events
            ],
        )
        self._store.write("DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?", [(KEPT_EVENTS,)])
        self.tell()

    def tell(self) -> None:
        """There is something new to see."""
        for listener in self.listeners:
            listener()

    def events(self, limit: int = 100, after: int = 0, target: str = "") -> list[Event]:
        """The newest events, newest first."""
        rows = self._store.rows(
            "SELECT id, at, type, reason, target, resource, message, revision FROM events"
            " WHERE id > ? AND (? = '' OR target = ?) ORDER BY id DESC LIMIT ?",
            after,
            target,
            target,
            limit,
        )
        return [Event(r[3], r[6], r[4], r[5], r[2] == "Warning", r[7], r[1], r[0]) for r in rows]

    # --- drifts

    def note_drifts(self, target: str, drifts: Iterable[Drift], clean: float | None, now: float, revision: str) -> None:
        """Open what is new, keep what goes on, close what is gone; an event for each transition."""
        seen = {_named(drift): drift for drift in drifts}
        known = self._open(target)
        opened = [drift for name, drift in seen.items() if name not in known]
        closed = [record for name, record in known.items() if name not in seen]
        changed = [
            (seen[n].action, known[n].id) for n in seen.keys() & known.keys() if seen[n].action != known[n].action
        ]
        self._store.write(
            "INSERT INTO drifts (target, kind, name, resource, class, fields, clean, detected, action, revision)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [_drift_row(target, drift, clean, now, revision) for drift in opened],
        )
        self._store.write("UPDATE drifts SET action = ? WHERE id = ?", changed)
        told = [drift for drift in opened if drift.kind is not DriftClass.FOREIGN]
        self.emit([_opened(drift, target, revision) for drift in told], now)
        self._close(closed, now)

    def close_drifts(self, target: str, drifts: Iterable[Drift], now: float) -> None:
        """These have been put right, and that has been seen."""
        known = self._open(target)
        self._close([known[name] for drift in drifts if (name := _named(drift)) in known], now)

    def _open(self, target: str) -> dict[tuple[str, str], DriftRecord]:
        return {(record.object, record.kind): record for record in self.drifts(target=target, open_only=True, limit=-1)}

    def _close(self, records: Sequence[DriftRecord], now: float) -> None:
        self._store.write("UPDATE drifts SET closed = ? WHERE id = ?", [(now, record.id) for record in records])
        self.emit([_closed(record, now) for record in records if record.is_ours], now)

    def forget_target(self, target: str, now: float) -> None:
        """A target is no longer kept: nothing about it is open any more."""
        self._store.write(
            "UPDATE drifts SET closed = ?, action = 'Abandoned' WHERE target = ? AND closed IS NULL", [(now, target)]
        )
        self._store.write("DELETE FROM conditions WHERE target = ?", [(target,)])
        self._conditions.pop(target, None)

    def prune(self) -> None:
        """Forget the oldest closed drifts."""
        self._store.write(
            "DELETE FROM drifts WHERE closed IS NOT NULL AND id <= (SELECT max(id) FROM drifts) - ?", [(KEPT_DRIFTS,)]
        )

    def drifts(self, *, target: str = "", open_only: bool = False, limit: int = 1000) -> list[DriftRecord]:
        """Drifts, newest first."""
        rows = self._store.rows(_OPEN_DRIFTS if open_only else _ALL_DRIFTS, target, target, limit)
        return [_drift(row) for row in rows]

    def open_drifts(self, target: str) -> int:
        """How many drifts of a target are open; what is not ours is none of them."""
        ours = "SELECT count(*) FROM drifts WHERE target = ? AND closed IS NULL AND class != ?"
        return int(self._store.rows(ours, target, DriftClass.FOREIGN.value)[0][0])

    # --- conditions

    def note_conditions(self, target: str, now_so: Mapping[ResourceKey, Conditions], now: float, revision: str) -> None:
        """Write down what changed; an event for each change of Ready."""
        before = self.conditions(target)
        changed = {name: value for name, value in now_so.items() if before.get(name) != value}
        gone = before.keys() - now_so.keys()
        self._store.write(
            "INSERT OR REPLACE INTO conditions VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (name.text, target, c.type, c.status, c.reason, c.message, now, revision)
                for name, value in changed.items()
                for c in value
            ],
        )
        self._store.write("DELETE FROM conditions WHERE subject = ? AND target = ?", [(n.text, target) for n in gone])
        self._conditions[target] = dict(sorted(now_so.items()))
        self.emit([e for n, v in changed.items() if (e := _transition(target, n, before.get(n), v, revision))], now)

    def conditions(self, target: str) -> Mapping[ResourceKey, Conditions]:
        """Every resource of a target as it was after the last tick, in the order of names."""
        if target not in self._conditions:
            self._conditions.setdefault(target, self._stored_conditions(target))
        return self._conditions[target]

    def _stored_conditions(self, target: str) -> Mapping[ResourceKey, Conditions]:
        stored: defaultdict[ResourceKey, Conditions] = defaultdict(tuple)
        for subject, kind, status, reason, message in self._store.rows(
            "SELECT subject, type, status, reason, message FROM conditions WHERE target = ?"
            " ORDER BY subject, instr('Ready Synced Reconciling Stalled', type)",
            target,
        ):
            stored[ResourceKey.of_text(subject)] += (Condition(kind, status, reason, message),)
        return dict(sorted(stored.items()))


def _named(drift: Drift) -> tuple[str, str]:
    return str(drift.key), drift.kind.value


def _transition(
    target: str, name: ResourceKey, before: Conditions | None, after: Conditions, revision: str
) -> Event | None:
    """The event for a change of Ready that a person should hear of; what goes on by itself is not one."""
    was, ready = before[0] if before else CONVERGED[0], after[0]
    if was.reason == ready.reason or (was.reason in QUIET and ready.reason in QUIET):
        return None
    if ready.reason not in QUIET:
        return Event(ready.reason, ready.message, target, str(name), ready.status != "True", revision)
    if ready.status == "True":
        return Event("Ready", f"{ready.message}; it was {was.reason}", target, str(name), revision=revision)
    return None


def _opened(drift: Drift, target: str, revision: str) -> Event:
    fields = "; ".join(f"{d.path}: want {_short(d.want)}, have {_short(d.have)}" for d in drift.differences)
    message = f"{drift.kind} {drift.key}: {fields}"
    return Event("DriftDetected", message, target, str(drift.resource), warning=True, revision=revision)


def _closed(record: DriftRecord, now: float) -> Event:
    message = f"{record.kind} {record.object}: closed after {now - record.detected:.1f} s"
    return Event("DriftClosed", message, record.target, record.resource, revision=record.revision)


def _drift_row(target: str, drift: Drift, clean: float | None, now: float, revision: str) -> tuple[Any, ...]:
    fields = canonical([[d.path, d.want, d.have] for d in drift.differences])
    named = (target, drift.key.kind.value, drift.key.name, str(drift.resource), drift.kind.value)
    return (*named, fields, clean, now, drift.action, revision)


def _drift(row: Sequence[Any]) -> DriftRecord:
    number, target, kind, name, resource, drift_class, fields, clean, detected, closed, action, revision = row
    differences = tuple(Difference(*item) for item in json.loads(fields))
    return DriftRecord(
        number, target, f"{kind} {name}", resource, drift_class, differences, clean, detected, closed, action, revision
    )


def _short(value: Json) -> str:
    text = canonical(value)
    return text if len(text) <= 40 else text[:37] + "…"
