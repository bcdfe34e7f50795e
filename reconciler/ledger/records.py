"""Which objects are ours, as they were last applied, and what was shown under each namespace id."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from backends.objects import ObjectKey, ObjectKind
from reconciler.address import machine_of
from reconciler.desired import Placement
from reconciler.ledger.book import Book
from reconciler.plan import Phase, Record
from reconciler.planner.view import attaching, reading
from reconciler.store import Store, text_of
from schemas.resources import ResourceKey

OUTLIVES_THE_PROCESS = (ObjectKind.LVOL.value, ObjectKind.LVOL_STORE.value)

_INSIDE_A_SUBSYSTEM = (
    ObjectKind.HOST.value,
    ObjectKind.NAMESPACE.value,
    ObjectKind.VISIBILITY.value,
    ObjectKind.LISTENER.value,
)

_OPENED = (  # its index is found by the very words that it was made with
    "SELECT r.target, r.uid, r.applied, s.address FROM records r LEFT JOIN sessions s USING (target)"
    " WHERE r.target != ? AND r.kind IN ('bdev', 'lvolstore') AND r.kind = 'bdev' AND r.phase != 'destroyed'"
    " ORDER BY r.target"
)

# One step for each target: what this one has itself, which is most, is not gone through.
_WITH_NAMESPACES = (
    "WITH RECURSIVE known (place) AS (SELECT min(target) FROM records UNION ALL"
    " SELECT (SELECT min(target) FROM records WHERE target > known.place) FROM known WHERE known.place IS NOT NULL)"
    " SELECT place FROM known WHERE place != ?"
    " AND EXISTS (SELECT 1 FROM records WHERE target = known.place AND kind = 'namespace')"
)

_RECORD = (
    "INSERT OR REPLACE INTO records (target, kind, name, resource_kind, resource_namespace, resource_name, phase, uid,"
    " applied, reclaim, revision, replay) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)

_FURTHER = (
    "UPDATE records SET phase = ?, uid = ?, reclaim = ?, revision = ?, replay = ? WHERE target = ? AND kind = ?"
    " AND name = ?"
)


@dataclass
class _Known:
    """The records of one target as they are on disk."""

    by_key: dict[ObjectKey, Record]

    @cached_property
    def in_order(self) -> tuple[Record, ...]:
        return tuple(sorted(self.by_key.values(), key=lambda record: record.key.rank))

    @cached_property
    def key_sources(self) -> frozenset[str]:
        found = (record.applied.get("key_from") for record in self.by_key.values())
        return frozenset(source for source in found if isinstance(source, str))

    @cached_property
    def namespaces(self) -> Mapping[str, Sequence[Record]]:
        """Those of each subsystem, by its NQN."""
        found: defaultdict[str, list[Record]] = defaultdict(list)
        for record in self.by_key.values():
            if record.key.kind is ObjectKind.NAMESPACE:
                found[record.key.name.partition("#")[0]].append(record)
        return found

    def change(self, put: Iterable[Record], gone: Iterable[ObjectKey]) -> None:
        for key in gone:
            self.by_key.pop(key, None)
        self.by_key.update((record.key, record) for record in put)
        for worked_out in ("in_order", "key_sources", "namespaces"):
            vars(self).pop(worked_out, None)


class Records(Book):
    """The objects we made, by target and key."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._known: dict[str, _Known] = {}  # by target; looked at and changed only while alone with the store
        self._nsids: Mapping[str, str] | None = None  # replaced, never changed: it is compared by identity
        store.undone.append(self._known.clear)
        store.undone.append(self._forget_nsids)

    def records(self, target: str) -> tuple[Record, ...]:
        """All records of a target, in the order of keys."""
        with self._store.alone():
            return self._all(target).in_order

    def record(self, target: str, key: ObjectKey) -> Record | None:
        with self._store.alone():
            return self._all(target).by_key.get(key)

    def key_sources(self, target: str) -> frozenset[str]:
        """Where the keys of encrypted volumes are."""
        with self._store.alone():
            return self._all(target).key_sources

    def inside(self, target: str, subsystem: ObjectKey) -> tuple[ObjectKey, ...]:
        """What the ledger has inside a subsystem: it goes when the subsystem goes."""
        prefix = f"{subsystem.name}#"
        rows = self._store.rows(
            "SELECT kind, name FROM records WHERE target = ? AND kind IN (?, ?, ?, ?) AND name BETWEEN ? AND ?",
            *(target, *_INSIDE_A_SUBSYSTEM, prefix, f"{prefix}\U0010ffff"),
        )
        return tuple(ObjectKey(ObjectKind(kind), name) for kind, name in rows)

    def _all(self, target: str) -> _Known:
        """To be called while alone with the store."""
        known = self._known.get(target)
        if known is None:
            rows = self._store.rows("SELECT * FROM records WHERE target = ?", target)
            known = self._known[target] = _Known({record.key: record for record in map(_record, rows)})
        return known

    def elsewhere(self, target: str) -> Mapping[ResourceKey, str]:
        """What bears data on other targets, and on which."""
        rows = self._store.rows(  # also what is being created: nobody knows whether it was
            "SELECT resource_kind, resource_namespace, resource_name, target FROM records"
            " WHERE (target < ?1 OR target > ?1) AND kind IN (?2, ?3)",
            target,
            *OUTLIVES_THE_PROCESS,
        )
        return {ResourceKey(kind, namespace, name): where for kind, namespace, name, where in rows}

    def siblings(self, target: str, nqns: Collection[str]) -> Mapping[ObjectKey, Mapping[str, Record]]:
        """Namespaces of these subsystems on other targets, each with the record of every target that has it."""
        found: dict[ObjectKey, dict[str, Record]] = {}
        for (other,) in self._store.rows(_WITH_NAMESPACES, target):
            known = self._all(str(other)).namespaces
            for nqn in known.keys() & nqns:
                for record in known[nqn]:
                    found.setdefault(record.key, {})[str(other)] = record
        return found

    def placements(self) -> Mapping[ResourceKey, Placement]:
        """In which pool each volume and snapshot was made, on whichever target."""
        rows = self._store.rows("SELECT * FROM records WHERE kind IN (?, ?)", *OUTLIVES_THE_PROCESS)
        known = [(str(row[0]), _record(row)) for row in rows]
        pools = {(where, r.key.name): r.resource for where, r in known if r.key.kind is ObjectKind.LVOL_STORE}
        made = ((r, pools.get((where, r.key.name.partition("/")[0]))) for where, r in known)
        return {
            r.resource: Placement(
                pool, r.applied.get("thin") is True, str(r.applied.get("key_from") or ""), "sealed" in r.applied
            )
            for r, pool in made
            if pool
        }

    def opened(self, target: str, address: str) -> Mapping[str, str]:
        """Devices by uuid, and by path where it is the same machine: what other targets have open."""
        machine, found = machine_of(address), dict[str, str]()
        for other, uid, applied, where in self._store.rows(_OPENED, target):
            fields, same_machine = json.loads(applied), where is not None and machine_of(where) == machine
            if fields.get("driver") == "nvme":
                found[attaching(uid or fields.get("uuid", ""))] = other
            elif path := fields.get("path"):  # what has none is nobody else's, or stands on what has one
                name = reading(path) if fields.get("read_only") else path
                found |= {fields.get("uuid", ""): other} | ({name: other} if same_machine else {})
        return found

    def exported_elsewhere(self, target: str, uuids: Iterable[str]) -> Mapping[str, str]:
        """Which of some namespace uuids other targets export, and which target."""
        if not (wanted := sorted(set(uuids))):
            return {}
        rows = self._store.rows(
            "SELECT json_extract(applied, '$.uuid'), target FROM records WHERE target != ? AND kind = ?"
            " AND json_extract(applied, '$.uuid') IN (SELECT value FROM json_each(?))",
            *(target, ObjectKind.NAMESPACE.value, json.dumps(wanted)),
        )
        return dict(rows)

    def write(self, target: str, records: Iterable[Record], forget: Iterable[ObjectKey] = ()) -> None:
        """Put records down and drop others, in one transaction."""
        put, gone = list(records), list(forget)
        if not put and not gone:
            return
        with self._store.writing() as db:
            known = self._all(target)
            further = [record for record in put if _goes_on(known.by_key.get(record.key), record)]
            others = [record for record in put if not _goes_on(known.by_key.get(record.key), record)]
            db.executemany(
                "DELETE FROM records WHERE target = ? AND kind = ? AND name = ?", [(target, *k) for k in gone]
            )
            db.executemany(_RECORD, [_row(target, record) for record in others])
            db.executemany(
                _FURTHER, [(r.phase, r.uid, r.reclaim, r.revision, r.replay, target, *r.key) for r in further]
            )
            known.change(put, gone)
            self._note_nsids(put)

    def tombstones(self) -> Mapping[str, str]:
        """Namespaces (`NQN#nsid`) that were ever shown, each with the uuid that hosts knew last; never forgotten."""
        with self._store.alone():
            if self._nsids is None:
                self._nsids = self._under("nsid/")
            return self._nsids

    def _note_nsids(self, records: Iterable[Record]) -> None:
        known = self.tombstones()
        named = ((r.key.name, r.applied.get("uuid")) for r in records if r.key.kind is ObjectKind.NAMESPACE)
        shown = {name: uuid for name, uuid in named if isinstance(uuid, str) and known.get(name) != uuid}
        if shown:
            self._store.write("INSERT OR REPLACE INTO meta VALUES (?, ?)", [(f"nsid/{n}", u) for n, u in shown.items()])
            self._nsids = {**known, **shown}

    def _forget_nsids(self) -> None:
        self._nsids = None


def _goes_on(known: Record | None, record: Record) -> bool:
    """Whether a record is of the same as was written down before: most are, when what was begun has ended."""
    return known is not None and known.applied is record.applied and known.resource == record.resource


def _record(row: Sequence[Any]) -> Record:
    _, kind, name, r_kind, r_namespace, r_name, phase, uid, applied, reclaim, revision, replay = row
    return Record(
        ObjectKey(ObjectKind(kind), name),
        ResourceKey(r_kind, r_namespace, r_name),
        Phase(phase),
        uid,
        json.loads(applied),
        reclaim,
        revision,
        bool(replay),
    )


def _row(target: str, record: Record) -> tuple[Any, ...]:
    return (
        target,
        record.key.kind,
        record.key.name,
        record.resource.kind,
        record.resource.namespace,
        record.resource.name,
        record.phase,
        record.uid,
        text_of(record.applied),
        record.reclaim,
        record.revision,
        int(record.replay),
    )
