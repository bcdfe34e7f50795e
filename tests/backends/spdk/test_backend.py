"""Many changes on one connection: tickets, deadlines, lost connections, and targets that come back."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lab import MIB, NQN, LiveLab, SimulatedLab, created, deleted, guard, simulated
from peers import Moments, Script, line

from backends.contract import Applied, GuardMismatch, Interest, Terminal, Transient, Unknown, Unsent
from backends.objects import Bdev, LiveObject, Lvol, LvolStore, Subsystem
from backends.spdk.backend import SpdkBackend
from backends.spdk.client import READ_TIMEOUT
from backends.spdk.errors import Denied, Disconnected
from backends.spdk.simulator import DropAfter, Hold
from backends.spdk.transport import connect_unix
from reconciler.demo.patience import until

Target: TypeAlias = "SimulatedLab | LiveLab"
IN_FLIGHT = 256  # what a live target's store stands (observed on v26.05: 512 and more fail)


def lvols(count: int) -> list[Lvol]:
    return [Lvol("pool", f"v{number}", size=MIB, thin=True) for number in range(count)]


def null(name: str) -> Bdev:
    return Bdev(name, "null", size=MIB, block_size=512)


def begun(target: Target, things: Sequence[LiveObject]) -> dict[int, LiveObject]:
    """All of them in flight, by ticket."""
    return {target.backend.begin(created(thing), ()): thing for thing in things}


def uuids(target: Target) -> dict[str, str | None]:
    """The lvols that are there."""
    return {lvol.name: lvol.uuid for lvol in target.observe().objects.values() if isinstance(lvol, Lvol)}


# --- many at once


def test_as_many_as_a_store_stands_at_once(target: Target) -> None:
    """Guards that 256 changes in flight all end, each with its own ticket and the identity of its own object."""
    target.pool(size=512 * MIB)  # a store has room for as many lvols as it has clusters
    tickets = begun(target, lvols(IN_FLIGHT))
    ended = target.ended(IN_FLIGHT)
    assert len(tickets) == IN_FLIGHT
    assert sorted(applied.ticket for applied in ended) == sorted(tickets)
    assert {applied.error for applied in ended} == {None}
    made = {thing.name: applied.uid for applied in ended if isinstance(thing := tickets[applied.ticket], Lvol)}
    assert made == uuids(target)
    assert target.backend.wait(0.0) == []


def test_they_leave_together(lab: SimulatedLab) -> None:
    """Guards that nobody waits for the answer to another: all are carried out before one is answered."""
    lab.simulator.before("*", lambda *_: Hold(None))
    begun(lab, [Subsystem(f"{NQN}{number}") for number in range(IN_FLIGHT)])
    assert lab.backend.wait(0.0) == []
    until(lambda: lab.simulator.calls["nvmf_create_subsystem"] == IN_FLIGHT, "all of them")
    lab.simulator.forget_hooks()
    assert len(lab.call("nvmf_get_subsystems")) == IN_FLIGHT + 1


def test_a_slow_change_holds_up_nobody(lab: SimulatedLab) -> None:
    """Guards that what is answered late is collected late, and the others when they are done."""
    lab.simulator.before("bdev_null_create", lambda _, params: Hold(0.2) if params["name"] == "slow" else None)
    tickets = begun(lab, [null("slow"), null("a"), null("b")])
    ended = lab.ended(3)
    assert [tickets[applied.ticket].key.name for applied in ended] == ["a", "b", "slow"]
    assert {applied.error for applied in ended} == {None}


def test_each_ends_by_itself(target: Target) -> None:
    """Guards that refused, guarded and done changes in one go do not touch each other."""
    target.pool()
    good, bad, never, guarded = (
        Lvol("pool", "good", size=MIB),
        Lvol("gone", "v", size=MIB),
        Bdev("x", "raid", size=MIB),
        Lvol("pool", "guarded", size=MIB),
    )
    backend = target.backend
    tickets = [backend.begin(created(thing), ()) for thing in (good, bad, never)]
    tickets.append(backend.begin(created(guarded), [guard(LvolStore("pool", "disk"), lvols=["another"])]))
    ended = {applied.ticket: applied.error for applied in target.ended(4)}
    assert [type(ended[ticket]) for ticket in tickets] == [type(None), Transient, Terminal, GuardMismatch]
    assert set(uuids(target)) == {"good"}


def test_observing_between_changes_loses_none(target: Target) -> None:
    """Guards that answers which arrive while something else is asked are kept for whoever waits for them."""
    target.pool()
    tickets = begun(target, lvols(20))
    target.observe()
    target.backend.hurry(-1)
    assert sorted(applied.ticket for applied in target.ended(20)) == sorted(tickets)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.sampled_from(["", "wait", "look"])), max_size=12))
def test_every_ticket_ends_once(acts: list[tuple[str, bool, str]]) -> None:
    """Guards that whatever is begun, looked at and waited for in between, each ticket ends exactly once."""
    with simulated() as lab:
        tickets: list[int] = []
        ended: list[Applied] = []
        for name, is_created, then in acts:
            tickets.append(lab.backend.begin(created(null(name)) if is_created else deleted(null(name)), ()))
            match then:
                case "wait":
                    ended += lab.backend.wait(0.0)
                case "look":
                    lab.observe()
        ended += lab.ended(len(tickets) - len(ended))
        assert sorted(applied.ticket for applied in ended) == tickets
        assert lab.backend.wait(0.0) == []
        assert {type(applied.error) for applied in ended} <= {type(None), Transient}


def test_waiting_for_nothing_takes_no_time() -> None:
    """Guards that a backend with nothing in flight neither waits nor connects."""

    def connect() -> Script:
        raise AssertionError("there was nothing to connect for")

    clock = Moments()
    assert SpdkBackend(connect, clock).wait(3600.0) == []
    assert clock.now == Moments().now


# --- connections that are lost


@pytest.mark.parametrize("at", [1, 20, 50])
def test_a_connection_lost_midway(lab: SimulatedLab, at: int) -> None:
    """Guards that every ticket ends: what was answered is so, what was sent is Unknown, and nothing claims more."""
    lab.pool()
    seen: list[str] = []

    def drop(_: str, params: dict[str, str]) -> DropAfter | None:
        seen.append(params["lvol_name"])
        return DropAfter() if len(seen) == at else None

    lab.simulator.before("bdev_lvol_create", drop)
    tickets = begun(lab, lvols(50))
    ended = {tickets[applied.ticket].key.name.partition("/")[2]: applied for applied in lab.ended(50)}
    assert len(ended) == 50
    there = uuids(lab)
    done = {name: applied.uid for name, applied in ended.items() if applied.error is None}
    assert done.items() <= there.items()
    assert {type(applied.error) for applied in ended.values()} - {type(None)} == {Unknown}
    assert set(there) == set(seen)
    assert seen[-1] not in done


def test_a_target_that_is_killed_midway(target: Target) -> None:
    """Guards the same against kill -9: what was confirmed outlives the target, and it is met again as another."""
    target.pool(size=512 * MIB)
    tickets = begun(target, lvols(200))
    first = list(target.backend.wait(5.0))
    target.restart()
    ended = {a.ticket: a for a in [*first, *target.ended(len(tickets) - len(first))]}
    assert set(ended) == set(tickets)
    target.backend.close()
    target.attach()
    there = uuids(target)
    for ticket, applied in ended.items():
        assert isinstance(applied.error, Unknown | None)
        thing = tickets[ticket]
        assert isinstance(thing, Lvol)
        if applied.error is None:
            assert there[thing.name] == applied.uid
    assert target.apply(created(Lvol("pool", "next", size=MIB))).error is None


def test_a_change_that_never_left_did_not_happen(lab: SimulatedLab) -> None:
    """Guards that a change begun on a connection that is gone by the time it is sent is Unsent, not in doubt."""
    lab.observe()
    lab.simulator.kill()
    ticket = lab.backend.begin(created(null("n")), ())
    (applied,) = lab.ended(1)
    assert (applied.ticket, type(applied.error)) == (ticket, Unsent)
    lab.simulator.start()
    assert lab.observe().objects == {}


def test_a_conversation_ends_with_its_connection(lab: SimulatedLab) -> None:
    """Guards that a change whose guards were being read when the connection broke is not sent on the next one."""
    lab.make(null("n"))
    lab.simulator.before("bdev_get_bdevs", lambda *_: DropAfter())
    assert isinstance(lab.apply(deleted(null("n")), guard(null("n"), claimed=False)).error, Transient)
    lab.simulator.forget_hooks()
    assert lab.live(null("n").key) is not None


def test_no_target(lab: SimulatedLab) -> None:
    """Guards that a target that is not there is Transient at once, names its socket, and is met when it comes."""
    lab.simulator.stop()
    for ask in (
        lab.observe,
        lambda: lab.backend.begin(created(null("n")), ()),
        lambda: lab.backend.hurry(-1),
    ):
        with pytest.raises(Transient, match=f"{lab.socket}: No such file"):
            ask()
    assert lab.backend.wait(0.0) == []
    lab.simulator.start()
    lab.make(null("n"))
    assert set(lab.observe().objects) == {null("n").key}


def test_reconnecting_after_a_restart(target: Target) -> None:
    """Guards that one question notices the loss, and the next one is answered by the new process."""
    target.make(null("n"))
    before = target.observe().incarnation
    target.restart()
    with pytest.raises(Transient):
        target.backend.hurry(0)
    after = target.observe()
    assert after.incarnation != before
    assert after.objects == {}
    target.make(null("n"))


def test_a_change_goes_to_the_process_that_was_observed(target: Target) -> None:
    """Guards against a restart between looking and acting: what was planned for one process never meets the next."""
    target.observe()
    target.restart()
    with pytest.raises(Transient):
        target.backend.hurry(0)
    assert isinstance(target.apply(created(null("n"))).error, GuardMismatch)
    assert target.observe().objects == {}
    target.make(null("n"))


def test_closing_ends_what_is_in_flight(lab: SimulatedLab) -> None:
    """Guards that nobody waits for a connection that we let go of, and that the next change has a new one."""
    lab.simulator.before("bdev_null_create", lambda *_: Hold(None))
    tickets = begun(lab, [null("a"), null("b")])
    assert lab.backend.wait(0.0) == []
    until(lambda: lab.simulator.calls["bdev_null_create"] == 2, "both of them")
    lab.backend.close()
    lab.backend.close()
    ended = {applied.ticket: type(applied.error) for applied in lab.backend.wait(0.0)}
    assert ended == dict.fromkeys(tickets, Unknown)
    lab.simulator.forget_hooks()
    assert set(lab.observe().objects) == {null("a").key, null("b").key}


def test_who_is_not_let_in_is_told_so() -> None:
    """Guards that a refused login is Terminal for whatever was asked, as an answer to its ticket where there is one."""

    def connect() -> Script:
        raise Denied("wrong user name or password")

    backend = SpdkBackend(connect)
    ticket = backend.begin(created(null("n")), ())
    (applied,) = backend.wait(0.0)
    assert (applied.ticket, type(applied.error)) == (ticket, Terminal)
    with pytest.raises(Terminal, match="wrong user name or password"):
        backend.observe(Interest())


# --- a target that hangs


@pytest.fixture
def hanging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A socket that takes connections and requests, and never answers."""
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("hanging")
        listener.listen()
        yield Path("hanging")


def test_a_hanging_target_is_given_up_by_the_wall_clock(hanging: Path) -> None:
    """Guards that an observation and a change each end at their deadline, and what each of them means."""
    clock = Moments(step=READ_TIMEOUT - 0.01)  # a look at the clock later, the deadline is 10 ms away
    backend = SpdkBackend(lambda: connect_unix(str(hanging)), clock)
    with pytest.raises(Transient, match="spdk_get_version: no answer within 30 s"):
        backend.observe(Interest())
    with pytest.raises(Transient, match="notify_get_notifications: no answer within 30 s"):
        backend.hurry(-1)
    clock.step = 0.0
    ticket = backend.begin(created(null("n")), ())
    assert backend.wait(0.0) == []
    clock.now += 59.9
    assert backend.wait(0.0) == []
    clock.now += 0.1
    (applied,) = backend.wait(0.0)
    assert (applied.ticket, type(applied.error)) == (ticket, Unknown)
    backend.close()


def test_waiting_ends_in_time() -> None:
    """Guards that a wait is no longer than what was asked for, however long the change may take."""
    clock = Moments()
    script = Script(clock)
    backend = SpdkBackend(lambda: script, clock)
    backend.begin(created(null("n")), ())
    before = clock.now
    assert backend.wait(7.0) == []
    assert clock.now - before == 7.0


def test_deadlines_differ(hanging: Path) -> None:
    """Guards that what takes an hour on a large device is not given up after a minute."""
    clock = Moments()
    backend = SpdkBackend(lambda: connect_unix(str(hanging)), clock)
    backend.begin(deleted(Lvol("pool", "v", "1" * 36)), ())
    quick = backend.begin(created(null("n")), ())
    backend.wait(0.0)
    clock.now += 61.0
    (applied,) = backend.wait(0.0)
    assert applied.ticket == quick
    clock.now += 3600.0
    (applied,) = backend.wait(0.0)
    assert isinstance(applied.error, Unknown)
    backend.close()


def test_a_late_answer_changes_nothing() -> None:
    """Guards that an answer after the deadline does not end another change, nor the same one twice."""
    script = Script()
    backend = SpdkBackend(lambda: script, script.clock)
    backend.begin(created(null("a")), ())
    (first,) = backend.wait(100.0)
    assert isinstance(first.error, Unknown)
    ticket = backend.begin(created(null("b")), ())
    script.answer(line(1, "a") + line(2, "b"))
    (second,) = backend.wait(1.0)
    assert (second.ticket, second.error) == (ticket, None)
    assert backend.wait(0.0) == []


def test_a_transport_that_cannot_connect() -> None:
    """Guards that a transport which breaks while it connects is Transient for the one who asked."""

    def connect() -> Script:
        raise Disconnected("no route to host")

    with pytest.raises(Transient, match="no route to host"):
        SpdkBackend(connect).begin(created(null("n")), ())
