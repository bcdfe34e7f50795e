"""The client: framing, ids, deadlines, and what a lost connection means."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self, SupportsIndex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peers import Moments, Script, chopped, line, refusal

from backends.contract import Terminal, Transient, Unknown, Unsent
from backends.spdk import client as client_module
from backends.spdk.client import Call, Client, Lines, Reply
from backends.spdk.errors import Denied, Disconnected, RpcError
from backends.spdk.transport import ANSWER_LIMIT

READ = Call("bdev_get_bdevs", timeout=30.0)
WRITE = Call("bdev_lvol_create", {"lvol_name": "v"}, mutates=True, timeout=60.0)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
RESULTS = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def client_of(script: Script) -> Client:
    return Client(script, script.clock)


def ended(client: Client, count: int) -> dict[int, Reply]:
    """So many replies, by id; fewer when nothing more comes."""
    found: dict[int, Reply] = {}
    while len(found) < count and (replies := client.replies(1.0)):
        found |= {reply.id: reply for reply in replies}
    return found


def outcome(reply: Reply) -> Any:
    try:
        return reply.result()
    except RpcError as error:
        return (error.method, error.code, error.message)


def failure(reply: Reply) -> type[Exception]:
    with pytest.raises(Exception) as caught:  # noqa: PT011  # which one is what is asked
        reply.result()
    return caught.type


# --- framing


@st.composite
def _streams(draw: st.DrawFn) -> tuple[dict[int, Any], bytes, list[int]]:
    """Answers to so many calls in any order, as SPDK or another server writes them, and where the stream is cut."""
    results = dict(enumerate(draw(st.lists(RESULTS, min_size=1, max_size=6)), 1))
    stream = b""
    for id_ in draw(st.permutations(list(results))):
        message = {"jsonrpc": "2.0", "id": id_, "result": results[id_]}
        compact = draw(st.booleans())
        text = json.dumps(
            message,
            ensure_ascii=draw(st.booleans()),
            separators=(",", ":") if compact else None,
            sort_keys=draw(st.booleans()),
        )
        stream += text.encode() + b"\n" + draw(st.sampled_from([b"", b"\n", b" \n\r\n"]))
    return results, stream, draw(st.lists(st.integers(0, len(stream)), max_size=12))


@given(_streams())
def test_any_chopping_gives_the_same_replies(case: tuple[dict[int, Any], bytes, list[int]]) -> None:
    """Guards that replies depend on the bytes alone: not on order, pieces, blank lines or characters cut in two."""
    results, stream, cuts = case
    script = Script()
    client = client_of(script)
    calls = [client.start(READ) for _ in results]
    script.answer(*chopped(stream, cuts))
    found: dict[int, Any] = {}
    while client._pending and script.entries:
        found |= {reply.id: reply.result() for reply in client.replies(1.0)}
    assert found == {id_: results[id_] for id_ in calls}


def test_a_stream_of_single_bytes_is_read_like_any_other() -> None:
    """Guards that a character of four bytes may arrive one byte at a time (SPDK's own client loses the answer)."""
    stream = json.dumps({"jsonrpc": "2.0", "id": 1, "result": "Größe 🦊"}, ensure_ascii=False).encode() + b"\n"
    script = Script()
    script.answer(*chopped(stream, range(len(stream))))
    assert len(script.entries) == len(stream)
    assert client_of(script).call(READ).result() == "Größe 🦊"


class _Counted(bytearray):
    """A buffer that counts the bytes it is asked to look at, copy or move."""

    looked_at = 0

    def __iadd__(self, data: Any) -> Self:  # type: ignore[override,misc]
        self.looked_at += len(data)
        return super().__iadd__(data)  # type: ignore[return-value]

    def rfind(self, sub: Any, start: SupportsIndex | None = 0, end: SupportsIndex | None = None) -> int:
        found = super().rfind(sub, start, end)
        self.looked_at += len(self) - max(found, start.__index__() if start else 0)
        return found

    def __getitem__(self, where: Any) -> Any:
        found = super().__getitem__(where)
        self.looked_at += len(found) if isinstance(where, slice) else 1
        return found

    def __delitem__(self, where: Any) -> None:
        before = len(self)
        super().__delitem__(where)
        self.looked_at += len(self) if len(self) < before else 0  # what stays is moved


def _work(chunks: Iterator[bytes]) -> int:
    buffer = _Counted()
    lines = Lines(buffer)
    for chunk in chunks:
        list(lines.feed(chunk))
    assert lines._buffer is buffer
    return buffer.looked_at


@pytest.mark.parametrize(
    "stream",
    [
        lambda size: (b"x" for _ in range(size)),
        lambda size: (b"x" * 100 for _ in range(size // 100)),
        lambda size: (b"x" * 60 + b"\n" + b"y" * 39 for _ in range(size // 100)),
        lambda size: (b"x\n" * 50 for _ in range(size // 100)),
        lambda size: itertools.chain([b"x" * size], (b"y\n" for _ in range(size))),
    ],
    ids=[
        "one line in single bytes",
        "one line",
        "a line in each chunk",
        "many lines in each chunk",
        "long, then short",
    ],
)
def test_reading_takes_linear_work(stream: Callable[[int], Iterator[bytes]]) -> None:
    """Guards that twice the input is at most 2.6 times the work, however it is chopped: no byte is searched again."""
    assert _work(stream(40_000)) <= 2.6 * _work(stream(20_000))


# --- too much, or not JSON


def test_an_answer_that_was_cut_off_at_32_mib_is_an_error() -> None:
    """Guards against the wait for the rest of an answer that SPDK has cut off: it says what happened, at once."""
    script = Script()
    stream = b'{"jsonrpc":"2.0","id":1,"result":"' + b"x" * ANSWER_LIMIT
    script.answer(*chopped(stream[:ANSWER_LIMIT], range(0, ANSWER_LIMIT, 1 << 20)))
    client = client_of(script)
    before = script.clock.now
    with pytest.raises(Transient, match=r"^bdev_get_bdevs: .* it reached 32 MiB, where the target cuts it off$"):
        client.call(READ).result()
    assert script.clock.now == before


@given(st.lists(st.integers(0, 10_000), max_size=12))
def test_an_answer_that_was_cut_off_ends_its_own_call_only(cuts: list[int]) -> None:
    """Guards the answers that are glued to a cut-off one: they are read, and the connection goes on."""
    script = Script()
    stream = line(5, "done") + line(1, "x" * 2000)[:1000] + line(3, "y" * 2000)[:1000] + line(2, []) + line(4, {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client_module, "ANSWER_LIMIT", 1000)
        client = client_of(script)
        keys = [client.start(call) for call in (READ, READ, WRITE, READ, WRITE)]
        script.answer(*chopped(stream, cuts))
        found = {reply.id: reply for _ in range(len(script.entries)) for reply in client.replies(1.0)}
        assert [failure(found[keys[0]]), failure(found[keys[2]])] == [Transient, Unknown]
        assert [found[keys[place]].result() for place in (1, 3, 4)] == [[], {}, "done"]
    assert (client.closed, len(client._pending)) == (None, 0)


def test_a_peer_that_never_ends_a_line_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards that so many bytes which are no answer of ours are not waited through, one limit after another."""
    monkeypatch.setattr(client_module, "ANSWER_LIMIT", 1000)
    script = Script()
    script.answer(b"x" * 1000)
    client = client_of(script)
    assert failure(client.call(READ)) is Unsent
    assert client.closed


def test_a_long_answer_below_the_limit_is_read() -> None:
    """Guards that only what SPDK cuts off is taken for cut off."""
    lines = Lines()
    text = b"x" * (ANSWER_LIMIT - 1)
    assert list(lines.feed(text)) == []
    assert list(lines.feed(b"\n")) == [text]
    assert list(lines.feed(text + b"xy")) == [text + b"x"]
    assert list(lines.feed(b"\n")) == [b"y"]


@pytest.mark.parametrize(
    "garbage", [b"HTTP/1.1 400 Bad Request\r\n", b'{"jsonrpc":"2.0","id":"\xff",\n', b'\xff\xfe{"id":1}\n', b"{]\n"]
)
def test_what_is_not_json_ends_the_connection_and_is_shown(garbage: bytes) -> None:
    """Guards that a peer which speaks something else is said to do so, and that answers before that still count."""
    script = Script()
    client = client_of(script)
    keys = [client.start(READ), client.start(WRITE), client.start(READ), client.start(WRITE)]
    script.answer(line(1, "one") + line(2, "two") + garbage + line(3, "three"))
    found = ended(client, 4)
    assert [found[key].result() for key in keys[:2]] == ["one", "two"]
    assert [failure(found[key]) for key in keys[2:]] == [Unsent, Unknown]
    assert f"not JSON: {garbage.rstrip(bytes([10]))[:60]!r}" in str(found[keys[2]].error)
    assert client.closed


@pytest.mark.parametrize(
    "rest",
    [
        b'"result":[}}',
        b'"result":"\xff"}',
        b'"result":',
        b'"error":"no"}',
        b'"error":{}}',
        b'"error":{"code":"-1","message":"no"}}',
        b'"error":{"code":null,"message":null}}',
        b'"error":[]}',
        b'"outcome":true}',
        b'"error":null}',
        b'"result":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'"result":"\\ud800"}',
        b'"result":["a\\uDC00b"]}',
    ],
)
def test_an_answer_of_ours_that_cannot_be_read_is_no_answer(rest: bytes) -> None:
    """Guards against taking a broken answer for success or for a crash of ours (SPDK writes bad JSON now and then)."""
    script = Script()
    client = client_of(script)
    keys = [client.start(READ), client.start(WRITE), client.start(READ)]
    script.answer(*(b'{"jsonrpc":"2.0","id":%d,' % key + rest + b"\n" for key in keys[:2]), line(keys[2], []))
    found = ended(client, 3)
    assert [failure(found[key]) for key in keys[:2]] == [Transient, Unknown]
    assert found[keys[2]].result() == []
    with pytest.raises(Unknown, match=r"bdev_lvol_create: the answer cannot be read: .*jsonrpc"):
        found[keys[1]].result()


def test_a_refusal_is_the_targets_own_words() -> None:
    """Guards that an error answer names method, message and code."""
    script = Script()
    client = client_of(script)
    script.answer(refusal(1, -17, "File exists"))
    with pytest.raises(RpcError, match=r"^bdev_lvol_create: File exists \(code -17\)$") as caught:
        client.call(WRITE).result()
    assert (caught.value.method, caught.value.code, caught.value.message) == ("bdev_lvol_create", -17, "File exists")


def test_equal_answers_have_equal_bodies() -> None:
    """Guards that an unchanged answer is recognised although each has an id of its own."""
    replies = [Reply(id_, READ, line(id_, ["x", id_ // 100]).strip()) for id_ in (7, 12, 123)]
    assert replies[0].body == replies[1].body != replies[2].body
    odd = Reply(7, READ, b'{"id":7,"jsonrpc":"2.0","result":[]}')
    assert odd.body == odd.line


# --- ids


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


# --- requests


def test_requests_are_what_spdk_reads() -> None:
    """Guards the form: version 2.0, and no `params` at all where there are none (SPDK refuses even an empty object)."""
    script = Script()
    client_of(script).call_many([READ, WRITE])
    assert script.sent == [
        {"jsonrpc": "2.0", "id": 1, "method": "bdev_get_bdevs"},
        {"jsonrpc": "2.0", "id": 2, "method": "bdev_lvol_create", "params": {"lvol_name": "v"}},
    ]


# --- deadlines


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


# --- a lost connection


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


# --- many


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
