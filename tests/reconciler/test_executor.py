"""The executor: order, one attempt, and what is on disk when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from planning import key, lvol, record, store, uid_of
from world import NQN, Clock

from backends.contract import (
    Applied,
    BackendError,
    Change,
    Guard,
    GuardMismatch,
    Interest,
    Observed,
    Terminal,
    Transient,
    Unknown,
)
from backends.objects import LiveObject, Namespace, ObjectKey, ObjectKind, Subsystem
from reconciler.executor import IN_FLIGHT, Executor
from reconciler.journal import Journal
from reconciler.ledger import Ledger
from reconciler.plan import Cause, Hazard, Outcome, Phase, Plan, Step, created, deleted
from reconciler.store import Store


@dataclass
class Target:
    """A backend that does as it is told, one answer at a time, last begun first answered."""

    ledger: Ledger
    journal: Journal
    errors: dict[str, BackendError] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    refuses: set[str] = field(default_factory=set)
    sent: list[str] = field(default_factory=list)
    most: int = 0
    known: list[Phase | None] = field(default_factory=list)  # what the ledger said when each was sent
    _flying: dict[int, Change] = field(default_factory=dict)

    def observe(self, interest: Interest) -> Observed:
        raise NotImplementedError

    def begin(self, change: Change, guards: Sequence[Guard]) -> int:
        name = f"{change.action} {change.key.name}"
        if name in self.refuses:
            raise Transient("not connected")
        assert change.key in {entry.key for entry in self.journal.open("n1")}
        record = Ledger(self.ledger._store).record("n1", change.key)
        self.known.append(record.phase if record else None)
        self.sent.append(name)
        self._flying[len(self.sent)] = change
        self.most = max(self.most, len(self._flying))
        return len(self.sent)

    def wait(self, timeout: float) -> Sequence[Applied]:
        for ticket in sorted(self._flying, reverse=True):
            change = self._flying[ticket]
            name = f"{change.action} {change.key.name}"
            if name not in self.silent:
                del self._flying[ticket]
                uid = uid_of("made") if change.key.kind is ObjectKind.LVOL else None
                return [Applied(ticket, self.errors.get(name), uid)]
        return []

    def seen(self, changes: Sequence[Change]) -> frozenset[ObjectKey]:
        raise NotImplementedError

    def hurry(self, since: int) -> tuple[int, bool]:
        raise NotImplementedError

    def deserted(self) -> bool:
        raise NotImplementedError

    def close(self) -> None: ...


@dataclass
class Bench:
    store: Store
    target: Target
    executor: Executor
    ledger: Ledger
    journal: Journal

    def run(self, *steps: Step) -> dict[str, Outcome]:
        execution = self.executor.execute(Plan("n1", "r1", steps), "owner", {key("Volume", "a"): "Delete"})
        return {result.step.id: result.outcome for result in execution.results}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    database = Store(tmp_path / "holdfast.db")
    ledger, journal = Ledger(database), Journal(database)
    target = Target(ledger, journal)
    executor = Executor("n1", target, database, ledger, journal, Clock(), patience=0.0)
    return Bench(database, target, executor, ledger, journal)


def step(thing: LiveObject, *needs: Step, after: Sequence[Step] = (), gone: bool = False, **more: object) -> Step:
    change = deleted(thing) if gone else created(thing)
    needed, waited = tuple(n.id for n in needs), tuple(a.id for a in after)
    return Step(change, key("Volume", "a"), Cause.CHANGE, Hazard.SAFE, "test", needed, waited, **more)  # type: ignore[arg-type]


def sub(name: str) -> Subsystem:
    return Subsystem(f"{NQN}{name}")


def test_a_step_goes_out_when_its_own_needs_are_met(bench: Bench) -> None:
    """Guards that there is no barrier: each step waits for its needs alone, and never shares a write with one."""
    first, second = step(sub("a")), step(sub("b"))
    third = step(Namespace(f"{NQN}a", 1, "x"), first)
    assert set(bench.run(third, second, first).values()) == {Outcome.OK}
    sent = bench.target.sent
    assert sent.index(f"create {NQN}a#1") > sent.index(f"create {NQN}a")


def test_a_failure_stops_its_dependents_and_nobody_else(bench: Bench) -> None:
    """Guards isolation: dependents are skipped, waiters for its end go on, the rest is done."""
    bad, fine = step(sub("bad")), step(sub("fine"))
    child = step(Namespace(f"{NQN}bad", 1, "x"), bad)
    grandchild = step(Namespace(f"{NQN}bad", 2, "x"), child)
    patient = step(sub("patient"), after=(child,))
    bench.target.errors[f"create {NQN}bad"] = Terminal("no")
    assert bench.run(bad, fine, child, grandchild, patient) == {
        bad.id: Outcome.FAILED,
        fine.id: Outcome.OK,
        child.id: Outcome.SKIPPED,
        grandchild.id: Outcome.SKIPPED,
        patient.id: Outcome.OK,
    }


def test_steps_of_one_serial_go_one_at_a_time_and_no_more_than_allowed_fly(bench: Bench) -> None:
    """Guards SPDK's limits: 256 requests in flight, one for each subsystem or lvol."""
    many = [step(sub(f"s{n}")) for n in range(2 * IN_FLIGHT)]
    assert set(bench.run(*many).values()) == {Outcome.OK}
    assert bench.target.most == IN_FLIGHT
    bench.target.most = 0
    same = [step(Namespace(f"{NQN}a", n, "x"), serial="a") for n in range(1, 6)]
    assert set(bench.run(*same).values()) == {Outcome.OK}
    assert bench.target.most == 1


def test_steps_that_work_on_one_object_never_meet(bench: Bench) -> None:
    """Guards SPDK against meetings on one lvol, which crash it: steps also wait by what else they touch."""
    a, b, c = (lvol(name).key for name in "abc")
    touching = [(a, b), (b,), (b, c), (c,), (a,), (c, a)]
    alone = [replace(step(sub(f"s{n}"), serial=f"s{n}"), touches=keys) for n, keys in enumerate(touching)]
    apart = [replace(step(sub("x"), serial="x"), touches=(a,)), replace(step(sub("y"), serial="y"), touches=(b,))]
    assert set(bench.run(*alone).values()) == {Outcome.OK}
    assert bench.target.most <= 2  # (a) beside (b) or (c), never three
    bench.target.most = 0
    assert set(bench.run(*apart).values()) == {Outcome.OK}
    assert bench.target.most == 2
    bench.target.most = 0
    chained = [replace(step(sub(f"c{n}"), serial=f"c{n}"), touches=(a, b)) for n in range(6)]
    assert set(bench.run(*chained).values()) == {Outcome.OK}
    assert bench.target.most == 1


def test_what_flies_from_an_earlier_tick_keeps_its_serial(bench: Bench) -> None:
    """Guards a subsystem against a second change while one of an earlier tick is still at work in the target."""
    slow, other = step(Namespace(f"{NQN}a", 1, "x"), serial="a"), step(sub("b"), serial="b")
    bench.target.silent.add(f"create {NQN}a#1")
    bench.run(slow)
    withdrawn = step(sub("a"), gone=True, serial="a")
    assert bench.run(withdrawn, other) == {withdrawn.id: Outcome.SKIPPED, other.id: Outcome.OK}
    assert f"delete {NQN}a" not in bench.target.sent
    bench.target.silent.clear()
    assert bench.run(withdrawn) == {slow.id: Outcome.OK, withdrawn.id: Outcome.OK}


def test_the_ledger_says_creating_before_and_created_with_the_uid_after(bench: Bench) -> None:
    """Guards created-at-most-once: on disk before it is sent, with its identity once it is there."""
    assert set(bench.run(step(lvol("a", uuid=None))).values()) == {Outcome.OK}
    assert bench.target.known == [Phase.CREATING]
    found = bench.ledger.record("n1", lvol("a").key)
    assert found
    assert (found.phase, found.uid, found.reclaim) == (Phase.CREATED, uid_of("made"), "Delete")
    assert bench.journal.open("n1") == ()


@pytest.mark.parametrize(
    ("error", "outcome", "phase", "still_open"),
    [
        (Terminal("no"), Outcome.FAILED, None, False),
        (GuardMismatch("changed"), Outcome.DROPPED, None, False),
        (Unknown("no answer"), Outcome.UNKNOWN, Phase.CREATING, True),
    ],
)
def test_what_came_of_it_is_written_as_it_is_known(
    bench: Bench, error: BackendError, outcome: Outcome, phase: Phase | None, *, still_open: bool
) -> None:
    """Guards the three ways not to succeed: nothing came of it, or nobody knows."""
    bench.target.errors[f"create {lvol('a').key.name}"] = error
    assert set(bench.run(step(lvol("a"))).values()) == {outcome}
    found = bench.ledger.record("n1", lvol("a").key)
    assert (found.phase if found else None) == phase
    assert bool(bench.journal.open("n1")) is still_open


def test_what_never_left_is_not_in_doubt(bench: Bench) -> None:
    """Guards that a lost connection before sending leaves no quarantine and no record."""
    bench.target.refuses.add(f"create {NQN}a")
    assert set(bench.run(step(sub("a"))).values()) == {Outcome.FAILED}
    assert (bench.journal.open("n1"), bench.ledger.records("n1")) == ((), ())


def test_what_takes_long_is_left_in_flight_and_collected_later(bench: Bench) -> None:
    """Guards that one slow request does not stop a tick, and that its end is not missed."""
    name = f"create {store().key.name}"
    bench.target.silent.add(name)
    slow, quick = step(store(uuid=None)), step(sub("a"))
    assert bench.run(slow, quick) == {slow.id: Outcome.RUNNING, quick.id: Outcome.OK}
    assert bench.executor.flying == {store().key}
    assert bench.executor.collect() == ()
    bench.target.silent.clear()
    assert [result.outcome for result in bench.executor.collect()] == [Outcome.OK]
    assert bench.executor.flying == frozenset()


def test_destroyed_bytes_leave_a_tombstone_and_spend_their_consent(bench: Bench) -> None:
    """Guards that a Removal counts once and that no blank disk takes the place of what it destroyed."""
    thing = lvol("a")
    bench.ledger.write("n1", [record(thing, key("Volume", "a"))])
    gone = Step(deleted(thing), key("Volume", "a"), Cause.REMOVAL, Hazard.DATA_LOSS, "t", subject="a", bears_data=True)
    assert set(bench.run(gone).values()) == {Outcome.OK}
    found = bench.ledger.record("n1", thing.key)
    assert found
    assert found.phase is Phase.DESTROYED
    assert bench.ledger.removals_spent() == {uid_of("a")}
    assert [(s.hazard, s.subject) for s in bench.ledger.spent("n1", 0)] == [("data-loss", "a")]


def test_a_deleted_subsystem_takes_its_children_off_the_ledger(bench: Bench) -> None:
    """Guards the ledger against children of a subsystem that is gone."""
    inside, other = Namespace(f"{NQN}a", 1, "x"), Namespace(f"{NQN}ab", 1, "x")
    bench.run(step(sub("a")), step(inside), step(other))
    bench.run(step(sub("a"), gone=True))
    assert [record.key for record in bench.ledger.records("n1")] == [other.key]


def test_an_approval_is_spent_when_the_first_of_its_steps_is_sent(bench: Bench) -> None:
    """Guards that an approval cannot be used for a second plan."""
    bench.ledger.approve("A-1", "me", 0, 1e12)
    bench.run(step(sub("a"), released_by="A-1"))
    assert bench.ledger.approvals(1) == frozenset()
