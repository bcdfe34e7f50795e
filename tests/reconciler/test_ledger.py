"""Ledger and journal: what is on disk before, during and after an act."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from planning import disk, key, lvol, marker, record, store, uid_of
from world import NQN, START, device_uuid

from backends.contract import Action, Change, Gap, Incarnation, Observed
from backends.objects import (
    AllowedHost,
    Bdev,
    Latency,
    Listener,
    LiveObject,
    Lvol,
    Namespace,
    NvmePath,
    ObjectKey,
    ObjectKind,
    Qos,
    QosLimits,
    Referral,
    Subsystem,
    Transport,
    index,
)
from reconciler.address import address_of, machine_of
from reconciler.desired import Placement
from reconciler.journal import SETTLE, Journal, Patience, settle
from reconciler.ledger import Ledger
from reconciler.ledger.attempts import Setback
from reconciler.ledger.sessions import Session
from reconciler.plan import Phase, Record, created, deleted, updated
from reconciler.planner.view import Spending
from reconciler.policy import BUILT_IN, Budget, Policy
from reconciler.store import StateError, Store
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


def test_an_undone_transaction_leaves_no_trace(database: Store) -> None:
    """Guards all-or-nothing: a defect in the middle of a tick writes nothing, and nothing of it is remembered."""
    ledger = Ledger(database)
    ledger.write("n1", [S])

    def stumble() -> None:
        with database.writing():
            ledger.write("n1", [A], [S.key])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stumble()
    assert ledger.records("n1") == (S,)


def test_a_commit_that_fails_is_undone(database: Store) -> None:
    """Guards the last moment: what the disk refuses at COMMIT is not remembered, and does not join what comes next."""
    ledger = Ledger(database)
    with database.writing() as db:
        db.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
        db.execute("CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
    database.rows("PRAGMA foreign_keys = ON")

    def refused() -> None:
        with database.writing() as db:
            ledger.write("n1", [A])
            db.execute("INSERT INTO child VALUES (1)")  # which COMMIT looks at

    with pytest.raises(StateError, match="FOREIGN KEY"):
        refused()
    assert ledger.records("n1") == ()
    ledger.write("n1", [S])
    assert Ledger(database).records("n1") == ledger.records("n1") == (S,)


def test_a_full_disk_leaves_the_memory_as_the_disk_is(database: Store) -> None:
    """Guards a transaction that SQLite itself gives up: the ledger must not go on with what was never written."""
    ledger = Ledger(database)
    ledger.write("n1", [S])
    database.rows("PRAGMA max_page_count = 1")  # no more room than there is
    with pytest.raises(StateError, match="full"):
        ledger.write("n1", [replace(A, applied={"much": "x" * 1_000_000})])
    assert Ledger(database).records("n1") == ledger.records("n1") == (S,)


def test_a_rehearsal_is_not_remembered(database: Store) -> None:
    """Guards `plan --standalone`: what it only tried out is gone from memory as well."""
    ledger = Ledger(database)
    with database.rehearsal():
        ledger.write("n1", [A])
        assert ledger.records("n1") == (A,)
    assert ledger.records("n1") == ()


def test_who_reads_while_another_writes_leaves_nothing_stale(database: Store) -> None:
    """Guards the page's threads: a read that was begun before a write must not hide what the write put down."""
    ledger = Ledger(database)
    ledger.write("n1", [record(lvol(f"b{number}"), key("Volume", "b")) for number in range(400)])
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            ledger.records("n1")

    readers = [threading.Thread(target=look) for _ in range(3)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for reader in readers:
            reader.start()
        for number in range(100):
            new = record(lvol(f"n{number}"), key("Volume", "n"))
            ledger.begin_session("n1", Session("o", number, START))  # after which everybody reads from the disk
            ledger.write("n1", [new])
            assert ledger.record("n1", new.key) == new
            assert new in ledger.records("n1")
    finally:
        done.set()
        sys.setswitchinterval(before)
        for reader in readers:
            reader.join()


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
    ledger.claimed("n1", "there")
    assert ledger.session("n1") == Session(marker().uuid or "", 7, START, claimed=True, address="there")
    assert (ledger.keeper_of(marker().uuid or ""), ledger.keeper_of("")) == ("n1", "")


def test_what_bears_data_elsewhere_is_known(database: Store) -> None:
    """Guards that a volume which moves between targets is recognised; a half-made one, too: it may have been made."""
    ledger = Ledger(database)
    ledger.write("n1", [A, S, replace(record(lvol("b"), key("Volume", "b")), phase=Phase.CREATING)])
    assert ledger.elsewhere("n2") == {key("Volume", "a"): "n1", key("Volume", "b"): "n1"}
    assert ledger.elsewhere("n1") == {}


def test_namespaces_on_any_other_target_are_known(database: Store) -> None:
    """Guards that the same subsystem on targets before and behind this one by name is found, and its own is not."""
    ledger = Ledger(database)
    shown = Namespace(NQN, 1, uid_of("a"), uid_of("a"))
    for target in ("n1", "n2", "n3"):
        ledger.write(target, [record(shown, key("Subsystem", "a"))])
    ledger.write("n0", [A])
    ledger.write("n4", [record(replace(shown, nsid=2), key("Subsystem", "a"))])
    found = ledger.siblings("n2", [NQN])
    assert {str(at): sorted(others) for at, others in found.items()} == {
        f"namespace {NQN}#1": ["n1", "n3"],
        f"namespace {NQN}#2": ["n4"],
    }
    assert ledger.siblings("n2", ["nqn.2026-01.com.example:other"]) == {}


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


def outcomes(journal: Journal, observed: Observed, waited: float = 1.0) -> set[str]:
    entries = journal.open("n1")
    return set(settle(entries, observed, {entry.key: waited for entry in entries}).values())


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
    """Guards quarantine: creation seen, deletion seen, limits seen; what cannot be read ends nothing."""
    journal = Journal(database)
    journal.begin("n1", "o", [CREATE], START)
    assert outcomes(journal, seen(NS)) == {"seen"}
    assert outcomes(journal, seen()) == set()
    assert outcomes(journal, seen(replace(NS, uuid=uid_of("x")))) == set()
    assert outcomes(journal, seen(NS, gaps=(Gap(ObjectKind.NAMESPACE, "", "refused"),))) == set()
    limits = Qos(lvol("a").alias, QosLimits(1000))
    journal.end(dict.fromkeys(journal.open("n1")[0].ids, "ok"), START)
    journal.begin("n1", "o", [Change(Action.UPDATE, limits.key, limits, limits)], START)
    assert outcomes(journal, seen(lvol("a", limits=QosLimits(1000)))) == {"seen"}
    assert outcomes(journal, seen(lvol("a"))) == set()
    assert outcomes(journal, seen(gaps=(Gap(ObjectKind.QOS, "", "refused"),)), SETTLE + 1) == set()


SUB, GUEST = Subsystem(f"{NQN}s"), AllowedHost(f"{NQN}s", f"{NQN}guest")
DOOR, TCP = Listener(f"{NQN}s", "TCP", "127.0.0.2", 4420), Transport("TCP")
NULL, IMAGE = Bdev("null", "null"), Bdev("image", "aio", path="/i.img", read_only=True)
SEALED = Bdev("sealed", "crypto", uid_of("c"), bases=("x",), key_name="sealed-0123")
SLOW = Bdev("slow", "delay", uid_of("d"), bases=("x",), latency=Latency(1))
STRIPED = Bdev("striped", "raid", uid_of("r"), bases=("x", "y"), level="raid0", superblock=False, strip_size=64)
MIRROR = Bdev("mirror", "raid", uid_of("r"), bases=("x", "y"), level="raid1", superblock=True, strip_size=0)
WAY = NvmePath("nvme", "TCP", "127.0.0.9", 4420, f"{NQN}remote")
ELSEWHERE = Referral("TCP", "127.0.0.9", 8009, f"{NQN}remote")
SNAPSHOT = Lvol(lvol("a").store, "snap", uid_of("snap"), snapshot_of=lvol("a").alias)
CLONE = Lvol(lvol("a").store, "clone", uid_of("clone"), thin=True, clone_of=SNAPSHOT.alias)
OF_IMAGE = Lvol(lvol("a").store, "golden", uid_of("golden"), thin=True, image=uid_of("i"))
MEMORY, LIMITS = Bdev("memory", "malloc", uid_of("m"), 1 << 20, 512), Qos(lvol("a").alias, QosLimits(1000))


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
    ("change", "again", "given_up"),
    [
        (created(TCP), True, True),
        (created(MEMORY), True, True),
        (created(disk()), True, False),
        (deleted(disk()), True, False),
        (created(LIMITS), True, True),
        (updated(LIMITS, LIMITS), True, True),
        (created(SUB), True, True),
        (updated(SUB, replace(SUB, allow_any_host=True)), True, False),
        (deleted(SUB), True, False),
        (created(GUEST), True, False),
        (deleted(GUEST), True, False),
        (created(DOOR), True, False),
        (deleted(DOOR), True, False),
        (CREATE, True, False),
        (DELETE, True, False),
        (created(lvol("a")), True, False),
        (updated(lvol("a"), lvol("a", size=16 << 20)), True, False),
        (deleted(lvol("a")), False, False),
        (created(SNAPSHOT), True, False),
        (created(CLONE), True, False),
        (created(OF_IMAGE), True, False),
        (deleted(SNAPSHOT), False, False),
        (created(store()), False, False),
        (updated(store(), replace(store(), size=1)), True, True),
        (deleted(store()), False, False),
        (created(NULL), True, True),
        (created(IMAGE), True, False),
        (created(SEALED), True, False),
        (deleted(SEALED), True, False),
        (created(SLOW), True, False),
        (updated(SLOW, replace(SLOW, latency=Latency(2))), True, True),
        (updated(disk(), replace(disk(), size=1 << 40)), True, True),
        (created(STRIPED), True, False),
        (deleted(MIRROR), True, False),
        (created(MIRROR), False, False),
        (updated(replace(MIRROR, bases=("x", "")), MIRROR), False, False),
        (created(WAY), True, False),
        (deleted(WAY), True, False),
        (created(ELSEWHERE), True, False),
        (deleted(ELSEWHERE), True, False),
    ],
    ids=lambda value: f"{value.action} {value.key}" if isinstance(value, Change) else str(value),
)
def test_what_time_alone_allows(database: Store, change: Change, *, again: bool, given_up: bool) -> None:
    """Guards the table of the journal, kind by kind: what may be asked for again, and what may be given up."""
    journal = Journal(database)
    journal.begin("n1", "o", [change], START)
    there = [change.before] if change.before and change.key.kind is not ObjectKind.QOS else []
    assert outcomes(journal, seen(*there)) == set()
    assert outcomes(journal, seen(*there), 1e9) == ({"lapsed"} if given_up else set())
    (entry,) = journal.open("n1")
    assert entry.repeatable is again
    journal.bury("n1", START)
    assert journal.open("n1") == ()


@pytest.mark.parametrize(("thing", "over"), [(lvol("a"), set()), (GUEST, {"seen"})])
def test_what_bears_data_and_was_asked_for_twice_stays_in_doubt(
    database: Store, thing: LiveObject, over: set[str]
) -> None:
    """Guards created-at-most-once: one of two equal requests has come, and the other must not meet a destroyed lvol."""
    journal = Journal(database)
    journal.begin("n1", "o", [created(thing)], START)
    assert outcomes(journal, seen(thing)) == {"seen"}
    (second,) = journal.begin("n1", "o", [created(thing)], START)
    assert outcomes(journal, seen(thing)) == over
    journal.end({second: "ok"}, START)
    assert outcomes(journal, seen(thing)) == over


def test_patience_is_counted_by_a_clock_that_nobody_sets(database: Store) -> None:
    """Guards against a clock that jumps: what counts is how long this daemon has waited, and anew after a repeat."""
    journal, patience = Journal(database), Patience()
    journal.begin("n1", "o", [CREATE], START - 1e9)
    (entry,) = journal.open("n1")
    assert patience.waited([entry], 5.0) == {NS.key: 0.0}
    assert patience.waited([entry], 65.5) == {NS.key: 60.5}
    assert (patience.is_over(entry, 64.0), patience.is_over(entry, 65.5)) == (False, True)
    journal.begin("n1", "o", [CREATE], START)
    (twice,) = journal.open("n1")
    assert (patience.waited([twice], 66.0), twice.sent) == ({NS.key: 0.0}, START - 1e9)


def test_ended_acts_are_forgotten_in_time(database: Store) -> None:
    """Guards the journal against growing for ever, without losing what is open on a target that is kept."""
    journal = Journal(database)
    other = Change(Action.CREATE, ObjectKey(ObjectKind.HOST, "h"), None, NS)
    done, _ = journal.begin("n1", "o", [CREATE, other], START)
    journal.begin("gone", "o", [CREATE], START)
    journal.end({done: "ok"}, START)
    journal.forget_before(START + 1, ["n1"])
    assert database.rows("SELECT target, kind FROM journal") == [("n1", "host")]


# --- what several targets have


def test_a_device_is_known_where_it_is_open(database: Store) -> None:
    """Guards one device for one process: by uuid everywhere, by path on the same machine; memory is nobody else's."""
    ledger = Ledger(database)
    ledger.write("n1", [record(thing, key("BlockDevice", "d")) for thing in (disk(), MEMORY)])
    ledger.write("n1", [record(store(), key("StoragePool", "p"))])
    here, there = address_of({"unixSocket": "/a.sock"}), address_of({"tcp": "10.0.0.7:1"})
    ledger.begin_session("n1", Session("o", 1, START, address=here))
    known = {device_uuid("n1"): "n1"}
    assert ledger.opened("n2", address_of({"unixSocket": "/b.sock"})) == known | {"/srv/n1.img": "n1"}
    assert ledger.opened("n2", there) == known
    assert ledger.opened("n1", here) == {}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"tcp": "10.0.0.7:1"}, {"tcp": "10.0.0.7:2"}, True),
        ({"tcp": "10.0.0.7:1"}, {"http": {"url": "http://10.0.0.7:9/"}}, True),
        ({"tcp": "127.0.0.1:1"}, {"tcp": "127.0.0.1:2"}, False),
        ({"http": {"url": "https://n1/"}}, {"http": {"url": "https://n2/"}}, False),
    ],
)
def test_whose_files_a_connection_sees(one: dict[str, Any], other: dict[str, Any], *, same: bool) -> None:
    """Guards forwarded ports: two of them on loopback may lead to two machines, with files of the same name."""
    assert (machine_of(address_of(one)) == machine_of(address_of(other))) is same


def test_a_store_that_two_targets_show_is_split(database: Store) -> None:
    """Guards a store against two writers: known to both targets, until one of them shows it no more."""
    ledger = Ledger(database)
    ledger.note_stores("n1", ["s", "t"], START)
    assert ledger.split("n1") == {}
    ledger.note_stores("n2", ["s"], START)
    assert (ledger.split("n1"), ledger.split("n2")) == ({"s": "n2"}, {"s": "n1"})
    ledger.note_stores("n1", ["t"], START)
    assert (ledger.split("n1"), ledger.split("n2")) == ({}, {})


def test_old_matters_are_forgotten_and_what_is_in_force_is_not(database: Store) -> None:
    """Guards the database against growing for ever, and the limits that an old revision still sets."""
    ledger = Ledger(database)
    for number in range(4):
        ledger.accept(f"r{number}", "subject", Policy(budget=Budget(disruptive=number)), START + number)
    ledger.converge("r1", START)
    ledger.approve("A-1", "me", START, START + 1)
    ledger.failed("n1", key("Volume", "a"), 3, START, Setback("no memory", "r0"))
    ledger.failed("n1", key("Volume", "b"), 3, START + 200, Setback("no space", "r3"))
    ledger.prune(START + 100)
    assert database.rows("SELECT revision FROM revisions") == [("r1",), ("r3",)]
    assert ledger.policy_in_force().budget.disruptive == 1
    assert (ledger.approver("A-1"), [*ledger.failures("n1")]) == (None, [key("Volume", "b")])
    assert ledger.setbacks("n1") == {key("Volume", "b"): Setback("no space", "r3")}
