"""The client: framing, ids, deadlines, and what a lost connection means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from client_calls import READ, WRITE, client_of, ended, failure
from hypothesis import given
from hypothesis import strategies as st
from peers import Moments, Script, chopped, line

from backends.contract import Terminal, Transient, Unknown, Unsent
from backends.spdk.client import Call, Reply
from backends.spdk.errors import Denied, Disconnected, RpcError


def outcome(reply: Reply) -> Any:
    try:
        return reply.result()
    except RpcError as error:
        return (error.method, error.code, error.message)


@given(st.permutations(range(1, 9)), st.lists(st.integers(1, 1000), max_size=6))
def test_answers_find_their_calls_in_any_order(order: Sequence[int], cuts: list[int]) -> None:
    """Guards that asynchronous methods, which SPDK answers when they are done, are matched by id."""
    script = Script()
    client = client_of(script)
    script.answer(*chopped(b"".join(line(id_, id_ * 10) for id_ in order), cuts))
    assert [reply.result() for reply in client.call_many([READ] * 8)] == [id_ * 10 for id_ in range(1, 9)]


@pytest.mark.parametrize(
    "foreign", ["2", "0", "-1", "99999999999999999999", "null", "true", '"1"', "1.0", "1e0", "[1]", '{"id":1}']
)
def test_a_foreign_id_is_nobodys_answer(foreign: str) -> None:
    """Guards that an answer with an id that was never sent is ignored (SPDK's own client takes it)."""
    script = Script()
    script.answer(b'{"jsonrpc":"2.0","id":%s,"result":"foreign"}\n' % foreign.encode(), b"[]\n1\n", line(1, "ours"))
    assert client_of(script).call(READ).result() == "ours"


def test_a_late_answer_is_not_given_to_the_next_call() -> None:
    """Guards that after a timeout the same question, asked again, is not answered with what was true before."""
    script = Script()
    client = client_of(script)
    assert failure(client.call(READ)) is Transient
    script.answer(line(1, "stale"), line(2, "fresh"))
    assert client.call(READ).result() == "fresh"


def test_a_second_answer_to_the_same_call_is_ignored() -> None:
    """Guards that an id is used up by its first answer."""
    script = Script()
    client = client_of(script)
    script.answer(line(1, "first") + line(1, "second"), line(2, "next"))
    assert client.call(READ).result() == "first"
    assert client.call(READ).result() == "next"


def test_ids_are_never_used_twice() -> None:
    """Guards what all matching rests on."""
    script = Script()
    client = client_of(script)
    for _ in range(3):
        client.call_many([READ, WRITE])
    assert [request["id"] for request in script.sent] == [1, 2, 3, 4, 5, 6]


def test_requests_are_what_spdk_reads() -> None:
    """Guards the form: version 2.0, and no `params` at all where there are none (SPDK refuses even an empty object)."""
    script = Script()
    client_of(script).call_many([READ, WRITE])
    assert script.sent == [
        {"jsonrpc": "2.0", "id": 1, "method": "bdev_get_bdevs"},
        {"jsonrpc": "2.0", "id": 2, "method": "bdev_lvol_create", "params": {"lvol_name": "v"}},
    ]


@pytest.mark.parametrize(("call", "meaning"), [(READ, Transient), (WRITE, Unknown)])
def test_a_deadline_is_kept_while_the_peer_drips_bytes(call: Call, meaning: type[Exception]) -> None:
    """Guards that time is counted from the request, not from the last byte (SPDK's own client waits 4.4 s for 1 s)."""
    script = Script(pace=0.5)
    script.answer(*[b" "] * 1000)
    client = client_of(script)
    before = script.clock.now
    reply = client.call(call)
    assert failure(reply) is meaning
    assert f"no answer within {call.timeout:g} s" in str(reply.error)
    assert call.timeout <= script.clock.now - before <= call.timeout + script.pace
    assert client.closed is None


def test_a_deadline_is_kept_while_others_are_answered() -> None:
    """Guards that a call without an answer ends in time also when every look brings an answer to another."""
    script = Script(pace=1.0)
    client = client_of(script)
    slow = client.start(READ)
    before = script.clock.now
    found: dict[int, Reply] = {}
    while slow not in found and script.clock.now < before + 100:
        script.answer(line(client.start(READ), []))
        found |= {reply.id: reply for reply in client.replies(5.0)}
    assert failure(found[slow]) is Transient
    assert script.clock.now - before <= READ.timeout + 1


def test_each_call_has_a_deadline_of_its_own() -> None:
    """Guards that the shortest ends first, and that waiting for any is bounded by what was asked for."""
    script = Script()
    client = client_of(script)
    short, long = client.start(Call("a", timeout=5.0)), client.start(Call("b", timeout=50.0))
    before = script.clock.now
    assert client.replies(1.0) == []
    assert script.clock.now - before == 1.0
    assert [reply.id for reply in client.replies(100.0)] == [short]
    assert script.clock.now - before == 5.0
    assert [reply.id for reply in client.replies(100.0)] == [long]
    assert script.clock.now - before == 50.0
    assert client.replies(100.0) == []


def test_a_peer_that_floods_foreign_answers_does_not_keep_a_call_alive() -> None:
    """Guards that bytes of any kind do not extend a deadline."""
    script = Script(pace=1.0)
    script.answer(*[line(77, "x" * 100)] * 100)
    before = script.clock.now
    assert failure(client_of(script).call(READ)) is Transient
    assert script.clock.now - before == READ.timeout


def test_what_a_lost_connection_means() -> None:
    """Guards that a read can be asked again, and that a mutation that was sent may have happened."""
    script = Script()
    client = client_of(script)
    keys = [client.start(READ), client.start(WRITE), client.start(READ)]
    script.answer(line(3, "answered"), Disconnected("the target closed the connection"))
    found = ended(client, 3)
    assert [failure(found[key]) for key in keys[:2]] == [Unsent, Unknown]
    assert found[keys[2]].result() == "answered"
    assert "may still be running in the target" in str(found[keys[1]].error)
    assert (len(client._pending), script.is_closed) == (0, True)


@pytest.mark.parametrize("sent", [0, 1, 2, 3])
def test_what_was_not_sent_has_not_happened(sent: int) -> None:
    """Guards that a mutation which never left is told from one whose outcome is unknown."""
    script = Script(sending_fails=Disconnected("broken pipe", sent=sent))
    client = client_of(script)
    keys = [client.start(WRITE) for _ in range(3)]
    found = ended(client, 3)
    assert [failure(found[key]) for key in keys] == [Unknown] * sent + [Unsent] * (3 - sent)
    assert len(script.sent) == sent


def test_answers_that_came_before_sending_failed_are_not_lost() -> None:
    """Guards that a known outcome stays known when the connection breaks a moment later."""
    script = Script(sending_fails=Disconnected("broken pipe", sent=2))
    client = client_of(script)
    keys = [client.start(WRITE) for _ in range(3)]
    script.answer(line(1, "made"))
    found = ended(client, 3)
    assert found[keys[0]].result() == "made"
    assert [failure(found[key]) for key in keys[1:]] == [Unknown, Unsent]


def test_nothing_can_be_started_on_a_lost_connection() -> None:
    """Guards that a call on a dead connection is refused with the reason that it died of."""
    script = Script()
    script.answer(Disconnected("the target closed the connection"))
    client = client_of(script)
    client.call(READ)
    with pytest.raises(Transient, match="the target closed the connection"):
        client.start(WRITE)
    assert client.replies(1.0) == []


def test_who_is_not_let_in_need_not_try_again() -> None:
    """Guards that a wrong password is Terminal for everything that waited, and that nothing of it happened."""
    script = Script(sending_fails=Denied("wrong user name or password"))
    client = client_of(script)
    keys = [client.start(READ), client.start(WRITE)]
    found = ended(client, 2)
    assert [failure(found[key]) for key in keys] == [Terminal, Terminal]
    with pytest.raises(Terminal, match="wrong user name or password"):
        client.start(READ)


def test_closing_ends_every_call() -> None:
    """Guards that nobody waits for calls on a connection that we ended ourselves."""
    script = Script()
    client = client_of(script)
    sent = [client.start(READ), client.start(WRITE)]
    assert client.replies(0.0) == []
    unsent = client.start(WRITE)
    client.close()
    client.close()
    found = ended(client, 3)
    assert [failure(found[key]) for key in (*sent, unsent)] == [Unsent, Unknown, Unsent]
    assert (len(client._pending), script.is_closed) == (0, True)


def test_call_keeps_what_ends_meanwhile_for_replies() -> None:
    """Guards that a question asked between two mutations does not swallow their answers."""
    script = Script()
    client = client_of(script)
    first, second = client.start(WRITE), client.start(WRITE)
    script.answer(line(second, "second") + line(first, "first"), line(3, "asked"))
    assert client.call(READ).result() == "asked"
    assert {reply.id: outcome(reply) for reply in client.replies(0.0)} == {second: "second", first: "first"}
    assert client.replies(0.0) == []


def test_call_keeps_what_is_lost_meanwhile_for_replies() -> None:
    """Guards that mutations in flight get their end also when a question in between meets the broken connection."""
    script = Script()
    client = client_of(script)
    key = client.start(WRITE)
    script.answer(Disconnected("gone"))
    assert failure(client.call(READ)) is Unsent
    (reply,) = client.replies(0.0)
    assert (reply.id, failure(reply)) == (key, Unknown)


def test_a_thousand_calls_in_flight() -> None:
    """Guards that a thousand calls leave in one go and come back in the order of the calls."""
    script = Script()
    client = client_of(script)
    stream = b"".join(line(id_, id_) for id_ in range(1000, 0, -1))
    script.answer(*chopped(stream, range(0, len(stream), 4096)))
    before = script.clock.now
    assert [reply.result() for reply in client.call_many([READ] * 1000)] == list(range(1, 1001))
    assert len(script.sent) == 1000
    assert script.clock.now == before


def test_no_calls_need_no_connection() -> None:
    """Guards that an empty batch neither sends nor waits."""
    script = Script(Moments(), sending_fails=Disconnected("must not be asked"))
    assert client_of(script).call_many([]) == []
