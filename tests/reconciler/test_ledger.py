"""Ledger and journal: what is on disk before, during and after an act."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from planning import key, lvol, marker, record, store, uid_of
from world import NQN, START

from backends.contract import (
    Action,
    Change,
    Gap,
    Incarnation,
    Lvol,
    Namespace,
    ObjectKey,
    ObjectKind,
    Observed,
    Qos,
    QosLimits,
    Subsystem,
    index,
)
from reconciler.desired import Placement
from reconciler.journal import SETTLE, Journal, settle
from reconciler.ledger import Ledger, Session
from reconciler.plan import Phase, Record
from reconciler.planner import Spending
from reconciler.policy import BUILT_IN, Budget, Policy
from reconciler.store import Store
from schemas.resources import ResourceKey


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "holdfast.db")
    yield made
    made.close()


A = record(lvol("a"), key("Volume", "a"))
S = record(Subsystem(f"{NQN}s"), key("Subsystem", "s"))


def test_records_come_back_as_they_were_written(database: Store) -> None:
    """Guards that nothing of a record is lost on the way to disk, also past another ledger's memory."""
    ledger = Ledger(database)
    odd = replace(
        A, resource=ResourceKey("Volume", "team-a", "x"), applied={"n": None, "é": [1, {"b": True}]}, replay=True
    )
    ledger.write("n1", [odd, S])
    assert Ledger(database).records("n1") == ledger.records("n1") == tuple(sorted([odd, S], key=lambda r: r.key))
    ledger.write("n1", [], [odd.key])
    assert Ledger(database).records("n1") == ledger.records("n1") == (S,)
    assert ledger.records("n2") == ()


def test_an_undone_transaction_leaves_no_trace_once_the_ledger_reads_again(database: Store) -> None:
    """Guards all-or-nothing: a defect in the middle of a tick writes nothing."""
    ledger = Ledger(database)

    def stumble() -> None:
        with database.writing():
            ledger.write("n1", [A])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stumble()
    ledger.reread()
    assert ledger.records("n1") == ()


def test_a_new_life_marks_what_died_with_the_old_one(database: Store) -> None:
    """Guards replay: stores and lvols outlive a process, nothing else does."""
    ledger = Ledger(database)
    ledger.write("n1", [A, S, record(store(), key("StoragePool", "p"))])
    ledger.begin_session("n1", Session(marker().uuid or "", 7, START))
    assert {r.key.kind: r.replay for r in ledger.records("n1")} == {
        ObjectKind.LVOL: False,
        ObjectKind.LVOL_STORE: False,
        ObjectKind.SUBSYSTEM: True,
    }
    assert ledger.session("n1") == Session(marker().uuid or "", 7, START)
    ledger.claimed("n1")
    assert ledger.session("n1") == Session(marker().uuid or "", 7, START, claimed=True)


def test_what_bears_data_elsewhere_is_known(database: Store) -> None:
    """Guards that a volume which moves between targets is recognised; a half-made one, too: it may have been made."""
    ledger = Ledger(database)
    ledger.write("n1", [A, S, replace(record(lvol("b"), key("Volume", "b")), phase=Phase.CREATING)])
    assert ledger.elsewhere("n2") == {key("Volume", "a"): "n1", key("Volume", "b"): "n1"}
    assert ledger.elsewhere("n1") == {}


def test_spending_counts_within_its_window_and_outlives_the_daemon(database: Store) -> None:
    """Guards the durable count of what was disturbed and destroyed."""
    spent = Spending(START, "disruptive", f"{NQN}s", "change")
    Ledger(database).spend("n1", "r1", [spent])
    assert Ledger(database).spent("n1", START - 1) == (spent,)
    assert Ledger(database).spent("n1", START) == ()


def test_an_approval_holds_for_its_time_and_is_spent_once(database: Store) -> None:
    """Guards approvals against being used late, or again without being granted again."""
    ledger = Ledger(database)
    ledger.approve("A-1", "me", START, START + 10)
    assert (ledger.approvals(START), ledger.approvals(START + 10)) == (frozenset({"A-1"}), frozenset())
    ledger.spend_approval("A-1", START)
    assert (ledger.approvals(START), ledger.approver("A-1")) == (frozenset(), "me")
    ledger.approve("A-1", "me", START, START + 10)
    assert ledger.approvals(START) == frozenset({"A-1"})


def test_what_is_held_keeps_the_policy_under_which_it_was_first_held(database: Store) -> None:
    """Guards that a later, laxer policy does not let through what was held before it."""
    ledger = Ledger(database)
    strict, lax = Policy(budget=Budget(disruptive=0)), Policy(budget=Budget(disruptive=9))
    ledger.remember_held("n1", ["delete x"], strict, START)
    ledger.remember_held("n1", ["delete x", "delete y"], lax, START + 1)
    assert ledger.held_under("n1") == {"delete x": strict, "delete y": lax}
    ledger.remember_held("n1", [], lax, START + 2)
    assert ledger.held_under("n1") == {}


def test_the_policy_in_force_is_that_of_the_newest_converged_revision(database: Store) -> None:
    """Guards that accepting a policy does not yet put it in force."""
    ledger = Ledger(database)
    lax = Policy(budget=Budget(disruptive=9), contested_after=3, drift_policy="warn")
    assert ledger.policy_in_force() == BUILT_IN
    ledger.accept("r1", "subject", lax, START)
    assert (ledger.accepted(), ledger.policy_in_force()) == ("r1", BUILT_IN)
    assert ledger.converge("r1", START + 1)
    assert not ledger.converge("r1", START + 2)
    assert (ledger.policy_in_force(), ledger.converged()) == (lax, ("r1", START + 1))


def test_a_chosen_identity_belongs_to_its_first_bytes(database: Store) -> None:
    """Guards that a namespace uuid is never noted for other bytes afterwards."""
    ledger = Ledger(database)
    ledger.show({"u": "a"})
    ledger.show({"u": "b", "v": "b"})
    assert ledger.shown() == {"u": "a", "v": "b"}


# --- the journal

NS = Namespace(f"{NQN}s", 1, uid_of("a"), uid_of("a"))
CREATE = Change(Action.CREATE, NS.key, None, NS)
DELETE = Change(Action.DELETE, NS.key, NS, None)


def seen(*things: object, gaps: tuple[Gap, ...] = ()) -> Observed:
    return Observed(Incarnation(1, None), index(things), gaps)  # type: ignore[arg-type]


def outcomes(journal: Journal, observed: Observed, after: float = 1.0) -> set[str]:
    return set(settle(journal.open("n1"), observed, START + after).values())


def test_an_act_is_open_until_its_end_is_written(database: Store) -> None:
    """Guards the journal: begun before it is sent, ended once, one entry for each object."""
    journal = Journal(database)
    first, second = journal.begin("n1", "owner", [DELETE, CREATE], START)
    assert [(entry.key, entry.action, entry.ids) for entry in journal.open("n1")] == [
        (NS.key, Action.CREATE, (first, second))
    ]
    journal.end({first: "ok", second: "ok"}, START)
    assert journal.open("n1") == ()


def test_an_effect_that_is_seen_ends_the_doubt(database: Store) -> None:
    """Guards quarantine: creation seen, deletion seen, limits seen; anything else stays in doubt for a while."""
    journal = Journal(database)
    journal.begin("n1", "o", [CREATE], START)
    assert outcomes(journal, seen(NS)) == {"seen"}
    assert outcomes(journal, seen()) == set()
    assert outcomes(journal, seen(replace(NS, uuid=uid_of("x")))) == set()
    assert outcomes(journal, seen(gaps=(Gap(ObjectKind.NAMESPACE, "", "refused"),)), SETTLE + 1) == set()
    assert outcomes(journal, seen(), SETTLE + 1) == {"lapsed"}
    limits = Qos(lvol("a").alias, QosLimits(1000))
    journal.end(dict.fromkeys(journal.open("n1")[0].ids, "ok"), START)
    journal.begin("n1", "o", [Change(Action.UPDATE, limits.key, limits, limits)], START)
    assert outcomes(journal, seen(lvol("a", limits=QosLimits(1000)))) == {"seen"}
    assert outcomes(journal, seen(lvol("a"))) == set()


def test_an_act_keeps_what_else_it_works_on(database: Store) -> None:
    """Guards quarantine: an unanswered snapshot is in doubt together with the volume that it is taken of."""
    journal = Journal(database)
    taken = Lvol(lvol("a").store, "s", snapshot_of=lvol("a").alias)
    journal.begin("n1", "o", [Change(Action.CREATE, taken.key, None, taken)], START, [(lvol("a").key,)])
    [entry] = journal.open("n1")
    assert (entry.touches, entry.after["snapshot_of"]) == ((lvol("a").key,), lvol("a").alias)
    assert outcomes(journal, seen(lvol("a"))) == set()
    assert outcomes(journal, seen(lvol("a"), replace(taken, uuid=uid_of("s"), snapshot_of=None))) == {"seen"}


def test_growing_a_store_is_in_doubt_until_it_lapses(database: Store) -> None:
    """Guards growing: what a store spans cannot be seen, and to ask for it twice does no harm."""
    journal = Journal(database)
    journal.begin("n1", "o", [Change(Action.UPDATE, store().key, store(), replace(store(), size=1))], START)
    assert outcomes(journal, seen(store())) == set()
    assert outcomes(journal, seen(store()), SETTLE + 1) == {"lapsed"}


def test_the_ledger_tells_in_which_pool_bytes_were_made(database: Store) -> None:
    """Guards StorageClass: pool and thinness as they were when a volume was created, target by target."""
    ledger = Ledger(database)
    lvs = replace(store(), name="lvs0")
    for target, pool in (("n1", "one"), ("n2", "two")):
        volume = Record(ObjectKey(ObjectKind.LVOL, "lvs0/x"), key("Volume", pool), Phase.CREATING, "", {"thin": True})
        ledger.write(target, [record(lvs, key("StoragePool", pool)), volume])
    assert ledger.placements()[key("Volume", "one")] == Placement(key("StoragePool", "one"), thin=True)
    assert ledger.placements()[key("Volume", "two")] == Placement(key("StoragePool", "two"), thin=True)


@pytest.mark.parametrize(
    "change",
    [
        Change(Action.CREATE, store().key, None, store()),
        Change(Action.DELETE, store().key, store(), None),
        Change(Action.DELETE, lvol("a").key, lvol("a"), None),
    ],
)
def test_requests_that_may_run_for_hours_never_lapse(database: Store, change: Change) -> None:
    """Guards the sequences that crash a live target: only the effect or a restart ends the doubt about these."""
    journal = Journal(database)
    journal.begin("n1", "o", [change], START)
    present = seen(lvol("a"), store()) if change.action is Action.DELETE else seen()
    assert outcomes(journal, present, 1e6) == set()
    journal.bury("n1", START)
    assert journal.open("n1") == ()


def test_ended_acts_are_forgotten_in_time(database: Store) -> None:
    """Guards the journal against growing for ever, without losing what is open."""
    journal = Journal(database)
    done, _ = journal.begin(
        "n1", "o", [CREATE, Change(Action.CREATE, ObjectKey(ObjectKind.HOST, "h"), None, NS)], START
    )
    journal.end({done: "ok"}, START)
    journal.forget_before(START + 1)
    assert database.rows("SELECT count(*) FROM journal") == [(1,)]
