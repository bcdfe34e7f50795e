"""Long lists, element by element."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.contract import BackendError
from backends.spdk.client import Call, Reply
from backends.spdk.elements import Elements
from backends.spdk.errors import RpcError
from backends.spdk.shape import Malformed, Raw

PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
KEYS = st.sampled_from(["name", "nqn", '},{"name":', "hosts"])
NESTED = PLAIN | st.lists(PLAIN | st.dictionaries(KEYS, PLAIN, max_size=2), max_size=2)
ELEMENT = st.dictionaries(KEYS, NESTED, max_size=3)


def reply(line: bytes) -> Reply:
    return Reply(1, Call("bdev_get_bdevs"), line)


def listing(elements: list[Any]) -> Reply:
    return reply(json.dumps({"jsonrpc": "2.0", "id": 1, "result": elements}, separators=(",", ":")).encode() + b"\n")


class Counted:
    """Reads an element as its JSON text, and counts."""

    def __init__(self) -> None:
        self.reads = 0

    def __call__(self, raw: Raw) -> str:
        self.reads += 1
        return json.dumps(raw)


@given(st.lists(st.lists(ELEMENT, max_size=5), max_size=5))
def test_what_is_remembered_is_what_is_read(answers: list[list[dict[str, Any]]]) -> None:
    """Guards that whatever lists came before, and however their elements are nested, a list is read as if anew."""
    elements = Elements(Counted())
    for answer in answers:
        assert elements.of(listing(answer)) == tuple(map(json.dumps, answer))


def test_only_what_is_new_is_read() -> None:
    """Guards that an element is read once, wherever it moves, and that an unchanged list is the very same."""
    read = Counted()
    elements = Elements(read)
    first = elements.of(listing([{"name": "a"}, {"name": "b"}, {"name": "c"}]))
    assert elements.of(listing([{"name": "a"}, {"name": "b"}, {"name": "c"}])) is first
    assert read.reads == 3
    changed = elements.of(listing([{"name": "c"}, {"name": "a"}, {"name": "b", "size": 1}]))
    assert read.reads == 4
    assert changed[0] is first[2]
    assert elements.of(listing([])) == ()
    assert elements.of(listing([{"name": "a"}])) == ('{"name": "a"}',)
    assert read.reads == 5  # what was gone meanwhile is not kept


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b'{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no"}}\n', RpcError),
        (b'{"jsonrpc":"2.0","id":1,"result":[],"error":{"code":-1,"message":"no"}}\n', RpcError),
        (b'{"jsonrpc":"2.0","id":1,"result":{}}\n', Malformed),
        (b'{"jsonrpc":"2.0","id":1,"result":[7]}\n', Malformed),
        (b'{"jsonrpc":"2.0","id":1,"result":[{"name":"\xff"}]}\n', Malformed),
        (b'{"jsonrpc":"2.0","id":1,"result":[{"name":"a"}]\n', BackendError),
        (b'{"jsonrpc":"2.0","id":1,"result":[{"name":]}\n', BackendError),
    ],
    ids=["refused", "refused beside a list", "no list", "no object", "no UTF-8", "cut off", "no JSON"],
)
def test_what_cannot_be_read_is_no_list(line: bytes, error: type[Exception]) -> None:
    """Guards that an unreadable answer is neither empty nor what it was before, and spoils nothing remembered."""
    elements = Elements(Counted())
    before = elements.of(listing([{"name": "a"}]))
    with pytest.raises(error):
        elements.of(reply(line))
    assert elements.of(listing([{"name": "a"}])) is before
