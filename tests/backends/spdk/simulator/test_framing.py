"""Requests are framed by JSON itself."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.spdk.simulator.framing import MAX_DEPTH, MAX_REQUEST, MAX_VALUES, Malformed, Scanner

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=20
)
CONTAINERS = st.lists(JSON, max_size=4) | st.dictionaries(st.text(), JSON, max_size=4)


def scanned(pieces: Iterable[bytes]) -> list[bytes]:
    scanner = Scanner()
    return [value for piece in pieces for value in scanner.feed(piece)]


def chopped(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    ends = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[begin:end] for begin, end in itertools.pairwise(ends)]


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    values=st.lists(CONTAINERS, min_size=1, max_size=4),
    spaces=st.lists(st.sampled_from(["", " ", "\n", "\r\n\t"]), min_size=4, max_size=4),
    cuts=st.lists(st.integers(min_value=0), max_size=12),
    escape=st.booleans(),
)
def test_values_come_out_whole_however_they_arrive(
    values: list[Any], spaces: list[str], cuts: list[int], *, escape: bool
) -> None:
    """Guards that several requests in one piece, or one in many, are the requests that were sent."""
    text = "".join(json.dumps(value, ensure_ascii=escape) + space for value, space in zip(values, spaces, strict=False))
    try:
        data = text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which no UTF-8 can hold
        return

    assert [json.loads(value) for value in scanned(chopped(data, cuts))] == values


@settings(max_examples=300, derandomize=True, deadline=None)
@given(value=CONTAINERS, cut=st.integers(min_value=0), junk=st.binary(min_size=1, max_size=3))
def test_what_is_no_json_is_malformed_wherever_it_is_cut(value: Any, cut: int, junk: bytes) -> None:
    """Guards that the scanner takes exactly what a JSON reader takes, one piece or two."""
    text = json.dumps(value, ensure_ascii=True).encode()
    place = 1 + cut % (len(text) - 1)
    broken = text[:place] + junk + text[place:]

    def verdict(pieces: list[bytes]) -> list[bytes] | None:
        try:
            return scanned(pieces)
        except Malformed:
            return None

    whole = verdict([broken])
    assert verdict([broken[:place], broken[place:]]) == whole
    assert verdict([broken[i : i + 1] for i in range(len(broken))]) == whole
    for found in whole or ():
        json.loads(found)


@pytest.mark.parametrize(
    "bad",
    [
        b"// hello\n{}",
        b"/* */{}",
        b"{,}",
        b"[1,]",
        b'{"a":1,}',
        b"{'a':1}",
        b'{"a" 1}',
        b'{"a":01}',
        b'{"a":.5}',
        b'{"a":+1}',
        b'{"a":NaN}',
        b'{"a":tru}',
        b'{"a":"\n"}',
        b'{"a":"\\x"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\xff"}',
        b'{"a":"\xc0\x80"}',
        b'{"a":"\xed\xa0\x80"}',
        b"\0{}",
        b"\xef\xbb\xbf{}",
        b"]",
        b"5}",
    ],
)
def test_what_is_not_strict_json_is_malformed(bad: bytes) -> None:
    """Guards the cases in which a live target closes the connection without a word."""
    with pytest.raises(Malformed):
        scanned([bad])


def test_a_request_may_fill_the_receive_buffer_and_no_more() -> None:
    """Guards the limit of 262,144 bytes, whose last one is never read."""
    scanner = Scanner()
    assert list(scanner.feed(b'{"a":"' + b"x" * (MAX_REQUEST - 8))) == []
    assert scanner.room == 2
    assert list(scanner.feed(b"x")) == []
    assert scanner.room == 1
    assert list(scanner.feed(b"x")) == []
    assert scanner.room == 0


def test_values_and_depth_are_limited() -> None:
    """Guards the limits of 8,192 values and 64 levels in one request."""
    fits = b"[" + b",".join([b"1"] * (MAX_VALUES - 2)) + b"]"
    assert scanned([fits]) == [fits]
    with pytest.raises(Malformed):
        scanned([b"[" + b",".join([b"1"] * (MAX_VALUES - 1)) + b"]"])
    deep = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    assert scanned([deep]) == [deep]
    with pytest.raises(Malformed):
        scanned([b"[" * (MAX_DEPTH + 1)])


@pytest.mark.parametrize(
    "unit", [b'{"a":"' + b"\\u0041" * 40_000, b"[" + b" " * 250_000, b"[" + b"1" * 250_000, b"[" + b"[]," * 2_000]
)
def test_single_bytes_take_no_longer_than_one_look_each(unit: bytes) -> None:
    """Guards against a hostile client: work grows with the bytes sent, not with their square."""
    scanner = Scanner()
    begin = time.process_time()
    for byte in unit:
        assert not list(scanner.feed(bytes([byte])))
    assert time.process_time() - begin < 5
