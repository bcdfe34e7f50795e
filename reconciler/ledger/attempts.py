"""What was tried, asked for and held: schedules, runs, failures, corrections, the circuit breaker."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from backends.objects import ObjectKey, ObjectKind
from reconciler.breaker import CLOSED, Breaker, breaker_of
from reconciler.ledger.book import Book
from reconciler.plan import Memory
from reconciler.policy import Policy, policy_of
from schemas.resources import ResourceKey, canonical


class Failure(NamedTuple):
    """How something failed the last time."""

    at: float  # seconds since 1970
    message: str


class Setback(NamedTuple):
    """How an attempt came to nothing, and what was declared then."""

    message: str
    revision: str


class Attempts(Book):
    """What is remembered of attempts from one tick to the next."""

    def schedules(self, target: str) -> Mapping[ResourceKey, Memory]:
        """What is remembered of the schedules on a target."""
        found = self._under(f"schedule/{target}/")
        return {ResourceKey.of_text(name): Memory.of_json(json.loads(told)) for name, told in found.items()}

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
        found = self._under(f"failure/{target}/")
        return {ResourceKey.of_text(name): Failure(*json.loads(told)) for name, told in found.items()}

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

    def handle(self, target: str, asked: Mapping[ResourceKey, str]) -> None:
        """A run was made that manifests asked for."""
        rows = [(f"handled/{target}/{key.text}", value) for key, value in sorted(asked.items())]
        self._store.write("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)

    def handled(self, target: str) -> Mapping[ResourceKey, str]:
        """The last run that each manifest asked for and got."""
        prefix = f"handled/{target}/"
        rows = self._store.rows("SELECT key, value FROM meta WHERE key BETWEEN ? AND ?", prefix, f"{prefix}\U0010ffff")
        return {ResourceKey.of_text(key.removeprefix(prefix)): value for key, value in rows}

    def breaker(self, target: str) -> Breaker:
        stored = self.get(f"breaker/{target}")
        return breaker_of(json.loads(stored)) if stored else CLOSED

    def set_breaker(self, target: str, breaker: Breaker) -> None:
        self.set(f"breaker/{target}", canonical(breaker.to_json()))

    def failed(self, target: str, resource: ResourceKey, count: int, not_before: float, how: Setback) -> None:
        """An attempt came to nothing: so many in a row, and none before a time, in seconds since 1970."""
        with self._store.writing() as db:
            db.execute(
                "INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?)", (target, resource.text, count, not_before)
            )
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_setback(target, resource), canonical([*how])))

    def setbacks(self, target: str) -> Mapping[ResourceKey, Setback]:
        """How the last attempt at each resource came to nothing."""
        found = self._under(f"setback/{target}/")
        return {ResourceKey.of_text(name): Setback(*json.loads(told)) for name, told in found.items()}

    def succeeded(self, target: str, resources: Iterable[ResourceKey]) -> None:
        gone = sorted(set(resources))
        self._store.write(
            "DELETE FROM failures WHERE target = ? AND resource = ?", [(target, key.text) for key in gone]
        )
        self._store.write("DELETE FROM meta WHERE key = ?", [(_setback(target, key),) for key in gone])

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


def _setback(target: str, resource: ResourceKey) -> str:
    return f"setback/{target}/{resource.text}"
