"""Framing: however the bytes come, each answer is read once, and what is no answer is shown."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any, Self, SupportsIndex

import pytest
from client_calls import READ, WRITE, client_of, ended, failure
from hypothesis import given
from hypothesis import strategies as st
from peers import Script, chopped, line, refusal

from backends.contract import Transient, Unknown, Unsent
from backends.spdk import client as client_module
from backends.spdk.client import Lines, Reply
from backends.spdk.errors import RpcError
from backends.spdk.transport import ANSWER_LIMIT

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)

RESULTS = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


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
