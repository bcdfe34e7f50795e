"""What is ours: objects we made, the life of each target, and what safety has been spent."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from backends.contract import ObjectKey, ObjectKind
from reconciler.address import machine_of
from reconciler.breaker import CLOSED, Breaker, breaker_of
from reconciler.desired import Placement
from reconciler.plan import Memory, Phase, Record
from reconciler.planner.view import PathTaken, Spending, attaching, reading
from reconciler.policy import BUILT_IN, Policy, policy_of
from reconciler.store import Store, text_of
from schemas.resources import JsonObject, ResourceKey, canonical

_OUTLIVES_THE_PROCESS = (ObjectKind.LVOL.value, ObjectKind.LVOL_STORE.value)
_INSIDE_A_SUBSYSTEM = (
    ObjectKind.HOST.value,
    ObjectKind.NAMESPACE.value,
    ObjectKind.VISIBILITY.value,
    ObjectKind.LISTENER.value,
)
_OPENED = (
    "SELECT r.target, r.uid, r.applied, s.address FROM records r LEFT JOIN sessions s USING (target)"
    " WHERE r.target != ? AND r.kind = 'bdev' AND r.phase != 'destroyed' ORDER BY r.target"
)
_RECORD = (
    "INSERT OR REPLACE INTO records (target, kind, name, resource_kind, resource_namespace, resource_name, phase, uid,"
    " applied, reclaim, revision, replay) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_FURTHER = (
    "UPDATE records SET phase = ?, uid = ?, reclaim = ?, revision = ?, replay = ? WHERE target = ? AND kind = ?"
    " AND name = ?"
)


@dataclass(frozen=True, slots=True)
class Session:
    """One life of a target process, as we know it: our marker on it, its pid, and since when."""

    owner: str
    pid: int | None
    since: float
    claimed: bool = False  # our marker has been seen on it
    address: str = ""  # where it was met


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


class Failure(NamedTuple):
    """How something failed the last time."""

    at: float  # seconds since 1970
    message: str


class Ledger:
    """The ledger of one site. Any thread may read it; one thread at a time writes about a target."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, _Known] = {}  # by target; looked at and changed only while alone with the store
        self._nsids: Mapping[str, str] | None = None  # replaced, never changed: it is compared by identity
        store.undone.append(self._known.clear)
        store.undone.append(self._forget_nsids)

    # --- records

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
        rows = self._store.rows(
            "SELECT resource_kind, resource_namespace, resource_name, target FROM records"
            " WHERE target != ? AND kind IN (?, ?)",  # also what is being created: nobody knows whether it was
            target,
            *_OUTLIVES_THE_PROCESS,
        )
        return {ResourceKey(kind, namespace, name): where for kind, namespace, name, where in rows}

    def siblings(self, target: str, nqns: Collection[str]) -> Mapping[ObjectKey, Mapping[str, Record]]:
        """Namespaces of these subsystems on other targets, each with the record of every target that has it."""
        found: dict[ObjectKey, dict[str, Record]] = {}
        others = self._store.rows(
            "SELECT DISTINCT target FROM records WHERE target != ? AND kind = 'namespace'", target
        )
        for (other,) in others:
            known = self._all(str(other)).namespaces
            for nqn in known.keys() & nqns:
                for record in known[nqn]:
                    found.setdefault(record.key, {})[str(other)] = record
        return found

    def placements(self) -> Mapping[ResourceKey, Placement]:
        """In which pool each volume and snapshot was made, on whichever target."""
        rows = self._store.rows("SELECT * FROM records WHERE kind IN (?, ?)", *_OUTLIVES_THE_PROCESS)
        known = [(str(row[0]), _record(row)) for row in rows]
        pools = {(where, r.key.name): r.resource for where, r in known if r.key.kind is ObjectKind.LVOL_STORE}
        made = ((r, pools.get((where, r.key.name.partition("/")[0]))) for where, r in known)
        return {
            r.resource: Placement(pool, r.applied.get("thin") is True, str(r.applied.get("key_from") or ""))
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

    # --- what was shown under each namespace id

    def tombstones(self) -> Mapping[str, str]:
        """Namespaces (`NQN#nsid`) that were ever shown, each with the uuid that hosts knew last; never forgotten."""
        with self._store.alone():
            if self._nsids is None:
                rows = self._store.rows("SELECT key, value FROM meta WHERE key LIKE 'nsid/%'")
                self._nsids = {key.removeprefix("nsid/"): uuid for key, uuid in rows}
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

    # --- lives of targets

    def session(self, target: str) -> Session | None:
        rows = self._store.rows("SELECT owner, pid, since, claimed, address FROM sessions WHERE target = ?", target)
        if not rows:
            return None
        owner, pid, since, claimed, address = rows[0]
        return Session(owner, pid, since, bool(claimed), address)

    def keeper_of(self, owner: str) -> str:
        """The target on which an owner marker of ours belongs; empty when it is not known."""
        rows = self._store.rows("SELECT target FROM sessions WHERE owner = ?", owner)
        return str(rows[0][0]) if rows else ""

    def claimed(self, target: str, address: str) -> None:
        """Our marker has been seen on the target, here."""
        self._store.write("UPDATE sessions SET claimed = 1, address = ? WHERE target = ?", [(address, target)])

    def begin_session(self, target: str, session: Session) -> None:
        """A new life of the target: all that dies with a process waits to be made again."""
        with self._store.writing() as db:
            row = (target, session.owner, session.pid, session.since, int(session.claimed), session.address)
            db.execute("INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?)", row)
            db.execute(
                "UPDATE records SET replay = 1 WHERE target = ? AND kind NOT IN (?, ?)",
                (target, *_OUTLIVES_THE_PROCESS),
            )
            db.execute("DELETE FROM meta WHERE key BETWEEN ? AND ?", _born_between(target))
            self._known.pop(target, None)

    # --- which stores are open where

    def note_stores(self, target: str, uuids: Iterable[str], now: float) -> None:
        """The stores that a target has open now, which are all of them."""
        seen = frozenset(uuids)
        known = {row[0] for row in self._store.rows("SELECT uuid FROM stores WHERE target = ?", target)}
        if seen == known:
            return
        with self._store.writing() as db:
            db.executemany("DELETE FROM stores WHERE uuid = ? AND target = ?", [(u, target) for u in known - seen])
            db.executemany("INSERT INTO stores VALUES (?, ?, ?)", [(u, target, now) for u in sorted(seen - known)])

    def split(self, target: str) -> Mapping[str, str]:
        """Stores of a target that another one had open when it was last seen, and which."""
        rows = self._store.rows(
            "SELECT mine.uuid, other.target FROM stores mine JOIN stores other USING (uuid)"
            " WHERE mine.target = ? AND other.target != mine.target ORDER BY other.target",
            target,
        )
        return dict(rows)

    # --- safety spent

    def spend(self, target: str, revision: str, spendings: Sequence[Spending]) -> None:
        self._store.write(
            "INSERT INTO spending (target, at, hazard, subject, cause, revision) VALUES (?, ?, ?, ?, ?, ?)",
            [(target, s.at, s.hazard, s.subject, s.cause, revision) for s in spendings],
        )

    def spent(self, target: str, since: float) -> tuple[Spending, ...]:
        rows = self._store.rows(
            "SELECT at, hazard, subject, cause FROM spending WHERE target = ? AND at > ? ORDER BY id", target, since
        )
        return tuple(Spending(*row) for row in rows)

    def approve(self, name: str, by: str, now: float, expires: float) -> None:
        """Grant an approval, anew when an earlier one was spent or has expired."""
        self._store.write("INSERT OR REPLACE INTO approvals VALUES (?, ?, ?, ?, NULL)", [(name, now, expires, by)])

    def approver(self, name: str) -> str | None:
        """Who granted an approval last, whether or not it still holds."""
        rows = self._store.rows("SELECT by FROM approvals WHERE id = ?", name)
        return rows[0][0] if rows else None

    def approvals(self, now: float) -> frozenset[str]:
        return frozenset(
            row[0] for row in self._store.rows("SELECT id FROM approvals WHERE spent IS NULL AND expires > ?", now)
        )

    def spend_approval(self, name: str, now: float) -> None:
        self._store.write("UPDATE approvals SET spent = ? WHERE id = ? AND spent IS NULL", [(now, name)])

    def spend_removal(self, uid: str, resource: ResourceKey, now: float, revision: str) -> None:
        self._store.write("INSERT OR IGNORE INTO removals VALUES (?, ?, ?, ?)", [(uid, str(resource), now, revision)])

    def removals_spent(self) -> frozenset[str]:
        return frozenset(row[0] for row in self._store.rows("SELECT uid FROM removals"))

    def show(self, identities: Mapping[str, str]) -> None:
        """Note which bytes (lvol uid) a chosen namespace uuid shows; the first to use it keeps it."""
        self._store.write("INSERT OR IGNORE INTO identities VALUES (?, ?)", sorted(identities.items()))

    def shown(self) -> Mapping[str, str]:
        """Chosen namespace uuids, each with the uid of the bytes it was used for."""
        return dict(self._store.rows("SELECT shown, bytes FROM identities"))

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

    def bear(self, target: str, births: Mapping[str, str]) -> None:
        """Note that devices in memory (by uuid) are made anew: each birth is another device to hosts."""
        self._store.write(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)",
            [(f"{_born(target)}{uuid}", birth) for uuid, birth in sorted(births.items())],
        )

    def births(self, target: str) -> Mapping[str, str]:
        """Uuids of the devices in memory that were made in this life of a target, each with its latest birth."""
        rows = self._store.rows("SELECT key, value FROM meta WHERE key BETWEEN ? AND ?", *_born_between(target))
        return {key.removeprefix(_born(target)): birth for key, birth in rows}

    def seal(self, prints: Mapping[str, str]) -> None:
        """Note with which key (by its fingerprint) the bytes of a crypto device are written; the first stays."""
        rows = [(f"sealed/{uuid}", fingerprint) for uuid, fingerprint in sorted(prints.items())]
        self._store.write("INSERT OR IGNORE INTO meta VALUES (?, ?)", rows)

    def sealed(self) -> Mapping[str, str]:
        """Uuids of crypto devices, each with the fingerprint of its key."""
        rows = self._store.rows("SELECT key, value FROM meta WHERE key LIKE 'sealed/%'")
        return {key.removeprefix("sealed/"): fingerprint for key, fingerprint in rows}

    # --- paths taken from connected hosts

    def take_path(self, nqn: str, taken: PathTaken, seen: float) -> bool:
        """Note that a path of a subsystem goes, unless another went since the plan was made (`seen`: the last then).

        One at a time for the whole site: whoever comes second waits until the hosts are back.
        """
        with self._store.writing():
            known = self._paths_taken(self.get(f"paths/{nqn}"))
            if known is not None and known.at != seen:
                return False
            self.set(f"paths/{nqn}", canonical({"target": taken.target, "at": taken.at, "hosts": dict(taken.hosts)}))
            return True

    def paths_taken(self) -> Mapping[str, PathTaken]:
        """The last path that was taken of each subsystem, by NQN."""
        rows = self._store.rows("SELECT key, value FROM meta WHERE key BETWEEN 'paths/' AND 'paths0' ORDER BY key")
        found = ((key.removeprefix("paths/"), self._paths_taken(value)) for key, value in rows)
        return {nqn: taken for nqn, taken in found if taken}

    @staticmethod
    def _paths_taken(text: str) -> PathTaken | None:
        return PathTaken(**json.loads(text)) if text else None

    # --- schedules

    def schedules(self, target: str) -> Mapping[ResourceKey, Memory]:
        """What is remembered of the schedules on a target."""
        prefix = f"schedule/{target}/"
        rows = self._store.rows("SELECT key, value FROM meta WHERE substr(key, 1, ?) = ?", len(prefix), prefix)
        return {ResourceKey.of_text(key.removeprefix(prefix)): Memory.of_json(json.loads(told)) for key, told in rows}

    def remember_schedules(self, target: str, memories: Mapping[ResourceKey, Memory | None]) -> None:
        """Put down what is to be remembered; None forgets."""
        names = {key: f"schedule/{target}/{key.text}" for key in sorted(memories)}
        rows = [(names[key], canonical(memory.to_json())) for key in names if (memory := memories[key])]
        self._store.write("DELETE FROM meta WHERE key = ?", [(names[key],) for key in names if not memories[key]])
        self._store.write("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)

    def note_failures(self, target: str, failures: Mapping[ResourceKey, Failure]) -> None:
        """Put down how the last run of a schedule, or the last attempt at a task, failed."""
        rows = [(f"failure/{target}/{key.text}", canonical([f.at, f.message])) for key, f in sorted(failures.items())]
        self._store.write("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)

    def last_failures(self, target: str) -> Mapping[ResourceKey, Failure]:
        prefix = f"failure/{target}/"
        rows = self._store.rows("SELECT key, value FROM meta WHERE substr(key, 1, ?) = ?", len(prefix), prefix)
        return {ResourceKey.of_text(key.removeprefix(prefix)): Failure(*json.loads(told)) for key, told in rows}

    # --- what is held, and under which policy it was first held

    def held_under(self, target: str) -> Mapping[str, Policy]:
        rows = self._store.rows("SELECT step, policy FROM held WHERE target = ?", target)
        return {step: policy_of(json.loads(policy)) for step, policy in rows}

    def remember_held(self, target: str, steps: Iterable[str], policy: Policy, now: float) -> None:
        """Steps held now; one that was held before keeps its first policy, one that no longer is is forgotten."""
        wanted = frozenset(steps)
        known = {row[0] for row in self._store.rows("SELECT step FROM held WHERE target = ?", target)}
        if wanted == known:
            return
        with self._store.writing() as db:
            db.executemany(
                "DELETE FROM held WHERE target = ? AND step = ?", [(target, s) for s in sorted(known - wanted)]
            )
            text = canonical(policy.to_json())
            db.executemany(
                "INSERT INTO held VALUES (?, ?, ?, ?)", [(target, s, now, text) for s in sorted(wanted - known)]
            )

    # --- subsystems that were closed to hosts that are not listed

    def closed(self, target: str) -> frozenset[str]:
        """NQNs on which sessions may be left from when any host could connect."""
        stored = self.get(f"closed/{target}")
        return frozenset(json.loads(stored)) if stored else frozenset()

    def set_closed(self, target: str, nqns: Iterable[str]) -> None:
        wanted = frozenset(nqns)
        if wanted != self.closed(target):
            self.set(f"closed/{target}", canonical(sorted(wanted)))

    # --- runs that manifests ask for

    def handle(self, target: str, asked: Mapping[ResourceKey, str]) -> None:
        """A run was made that manifests asked for."""
        rows = [(f"handled/{target}/{key.text}", value) for key, value in sorted(asked.items())]
        self._store.write("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)

    def handled(self, target: str) -> Mapping[ResourceKey, str]:
        """The last run that each manifest asked for and got."""
        prefix = f"handled/{target}/"
        rows = self._store.rows("SELECT key, value FROM meta WHERE key BETWEEN ? AND ?", prefix, f"{prefix}\U0010ffff")
        return {ResourceKey.of_text(key.removeprefix(prefix)): value for key, value in rows}

    # --- failures and corrections

    def breaker(self, target: str) -> Breaker:
        stored = self.get(f"breaker/{target}")
        return breaker_of(json.loads(stored)) if stored else CLOSED

    def set_breaker(self, target: str, breaker: Breaker) -> None:
        self.set(f"breaker/{target}", canonical(breaker.to_json()))

    def failed(self, target: str, resource: ResourceKey, count: int, not_before: float) -> None:
        self._store.write(
            "INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?)", [(target, resource.text, count, not_before)]
        )

    def succeeded(self, target: str, resources: Iterable[ResourceKey]) -> None:
        self._store.write(
            "DELETE FROM failures WHERE target = ? AND resource = ?",
            [(target, r.text) for r in sorted(set(resources))],
        )

    def failures(self, target: str) -> Mapping[ResourceKey, tuple[int, float]]:
        """Failed attempts in a row and the time before which there is no next one."""
        rows = self._store.rows("SELECT resource, count, not_before FROM failures WHERE target = ?", target)
        return {ResourceKey.of_text(text): (count, not_before) for text, count, not_before in rows}

    def corrected(self, target: str, fields: Iterable[tuple[ObjectKey, str]], now: float) -> None:
        self._store.write(
            "INSERT INTO corrections VALUES (?, ?, ?, ?, ?)",
            [(target, key.kind.value, key.name, path, now) for key, path in fields],
        )

    def corrections(self, target: str, since: float) -> Mapping[tuple[ObjectKey, str], tuple[float, ...]]:
        found: defaultdict[tuple[ObjectKey, str], list[float]] = defaultdict(list)
        for kind, name, path, at in self._store.rows(
            "SELECT kind, name, path, at FROM corrections WHERE target = ? AND at > ? ORDER BY at", target, since
        ):
            found[ObjectKey(ObjectKind(kind), name), path].append(at)
        return {field: tuple(times) for field, times in found.items()}

    # --- revisions

    def accept(self, revision: str, subject: str, policy: Policy, now: float) -> None:
        self._store.write(
            "INSERT OR IGNORE INTO revisions VALUES (?, ?, NULL, ?, ?)",
            [(revision, now, canonical(policy.to_json()), subject)],
        )
        self.set("accepted", revision)

    def accepted(self) -> str:
        """The last revision that passed the gate; empty before the first."""
        return self.get("accepted")

    def subject(self, revision: str) -> str:
        """The first line of an accepted revision's message."""
        rows = self._store.rows("SELECT subject FROM revisions WHERE revision = ?", revision)
        return str(rows[0][0]) if rows else ""

    def converge(self, revision: str, now: float) -> bool:
        """Note that a revision has fully converged; whether that is news."""
        with self._store.writing() as db:
            changed = db.execute(
                "UPDATE revisions SET converged = ? WHERE revision = ? AND converged IS NULL", (now, revision)
            ).rowcount
        if changed:
            self.set("converged", revision)
        return bool(changed)

    def converged(self) -> tuple[str, float | None]:
        """The newest revision that fully converged, and when; ("", None) before the first."""
        rows = self._store.rows(
            "SELECT revision, converged FROM revisions WHERE converged IS NOT NULL ORDER BY converged DESC LIMIT 1"
        )
        return (rows[0][0], rows[0][1]) if rows else ("", None)

    def policy_in_force(self) -> Policy:
        """That of the newest fully converged revision: no commit lifts its own limit."""
        rows = self._store.rows(
            "SELECT policy FROM revisions WHERE converged IS NOT NULL ORDER BY converged DESC LIMIT 1"
        )
        return policy_of(json.loads(rows[0][0])) if rows else BUILT_IN

    def prune(self, before: float) -> None:
        """Forget what can no longer matter: what was spent, granted, or failed before a moment, and old revisions."""
        for table, moment in (
            ("spending", "at"), ("corrections", "at"), ("approvals", "expires"), ("failures", "not_before"),
        ):  # fmt: skip
            self._store.write(f"DELETE FROM {table} WHERE {moment} < ?", [(before,)])  # noqa: S608  # names from above
        old = [(f"paths/{nqn}",) for nqn, taken in self.paths_taken().items() if taken.at < before]
        self._store.write("DELETE FROM meta WHERE key = ?", old)
        in_use = (self.accepted(), self.converged()[0])
        self._store.write("DELETE FROM revisions WHERE accepted < ? AND revision NOT IN (?, ?)", [(before, *in_use)])

    def get(self, key: str) -> str:
        rows = self._store.rows("SELECT value FROM meta WHERE key = ?", key)
        return str(rows[0][0]) if rows else ""

    def set(self, key: str, value: str) -> None:
        self._store.write("INSERT OR REPLACE INTO meta VALUES (?, ?)", [(key, value)])


def _born(target: str) -> str:
    return f"born/{target}/"


def _born_between(target: str) -> tuple[str, str]:
    return _born(target), f"{_born(target)}\U0010ffff"


def seals(applied: Iterable[JsonObject]) -> dict[str, str]:
    """What of objects' fields is to be sealed: the uuids of crypto devices, each with the fingerprint of its key."""
    named = ((fields.get("uuid"), fields.get("key_name"), fields.get("sealed")) for fields in applied)
    return {
        uuid: str(sealed or key.rpartition("-")[2])
        for uuid, key, sealed in named
        if isinstance(uuid, str) and isinstance(key, str)
    }


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
