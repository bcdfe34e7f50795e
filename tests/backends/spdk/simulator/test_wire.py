"""What goes over a socket: framing, batches, identities, limits."""

from __future__ import annotations

import itertools
import json
import socket
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated import MIB, Rig, Wire, request, simulated

VERSION = {"jsonrpc": "2.0", "id": 1, "method": "spdk_get_version"}
REQUESTS: list[Any] = [
    request("spdk_get_version", identity=1),
    request("spdk_get_version", {}, identity="two"),
    request("bdev_malloc_create", {"name": "M", "num_blocks": 8192, "block_size": 512}, identity=3),
    request("bdev_malloc_delete", {"name": "M"}, identity=4),
    request("bdev_get_bdevs", {"name": "nothing \u00e9\U0001f600"}, identity=None),
    {"jsonrpc": "2.0", "method": "spdk_get_version"},
    [request("nonsense", identity=6), request("notify_get_types", identity=7)],
    [],
    {"jsonrpc": "1.0", "id": 8, "method": "spdk_get_version"},
]


def answered(rig: Rig, pieces: list[bytes]) -> list[str]:
    """The answers to a stream in pieces, sorted: those that take time may come later."""
    with rig.connect() as wire:
        for piece in pieces:
            wire.send(piece)
        return sorted(wire.finish().decode().splitlines())


@settings(max_examples=40, derandomize=True, deadline=None)
@given(
    chosen=st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=5),
    cuts=st.lists(st.integers(min_value=0), max_size=8),
)
def test_the_same_requests_get_the_same_answers_however_they_are_chopped(chosen: list[Any], cuts: list[int]) -> None:
    """Guards that neither packets nor newlines mean anything: requests are framed by JSON itself."""
    steady = [asked for asked in chosen if "malloc" not in json.dumps(asked)]
    data = "".join(json.dumps(asked, ensure_ascii=False) for asked in steady).encode()
    ends = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    with simulated() as rig:
        whole = answered(rig, [data])
        assert answered(rig, [data[a:b] for a, b in itertools.pairwise(ends)]) == whole
        assert answered(rig, [data[i : i + 1] for i in range(len(data))]) == whole


@pytest.mark.parametrize("identity", [0, 7, -1, "text", "", 1.5, 2**63 - 1])
def test_identities_come_back_as_they_were(rig: Rig, identity: Any) -> None:
    """Guards that an answer can be told from others whatever its request is called."""
    rig.wire.send(json.dumps(request("notify_get_types", identity=identity)).encode())
    answer = rig.wire.receive()
    assert answer["id"] == identity
    assert type(answer["id"]) is type(identity)


def test_an_answer_is_one_line_of_compact_json(rig: Rig) -> None:
    """Guards the form of answers, which clients cut at newlines."""
    with rig.connect() as wire:
        wire.send(json.dumps(request("nonsense")).encode() * 2)
        data = wire.finish()
    line = b'{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}\n'
    assert data == line * 2


def test_a_batch_is_answered_by_one_array_when_all_of_it_is_done(rig: Rig) -> None:
    """Guards batches, slow and fast, refused and notified, in one."""
    aio = {"name": "A", "filename": str(rig.file("a.img")), "block_size": 4096}
    batch = [
        request("bdev_aio_create", aio, 1),
        request("nonsense", None, 2),
        {"jsonrpc": "2.0", "method": "notify_get_types"},
    ]
    rig.wire.send(json.dumps(batch).encode())
    answers = {answer["id"]: answer for answer in rig.wire.receive()}
    assert answers[1]["result"] == "A"
    assert answers[2]["error"]["code"] == -32601
    assert set(answers) == {1, 2}


@pytest.mark.parametrize("identity", [{}, {"id": None}])
def test_notifications_are_executed_and_answered_only_when_they_fail(rig: Rig, identity: dict[str, None]) -> None:
    """Guards that a request without an identity does its work in silence, and fails aloud."""
    size = {"num_blocks": 8, "block_size": 512}
    created = {"jsonrpc": "2.0", "method": "bdev_malloc_create", "params": size} | identity
    failing = {"jsonrpc": "2.0", "method": "nonsense"} | identity
    rig.wire.send(b"".join(json.dumps(asked).encode() for asked in (created, failing, VERSION)))
    assert rig.wire.receive() == {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": -32601, "message": "Method not found"},
    }
    assert rig.wire.receive()["id"] == 1
    assert rig.names() == ["Malloc0"]


@pytest.mark.parametrize(
    "bad",
    [
        {"jsonrpc": "1.0", "id": 1, "method": "spdk_get_version"},
        {"id": 1, "method": 5, "jsonrpc": "2.0"},
        {"jsonrpc": "2.0", "id": 1},
        {"jsonrpc": "2.0", "id": 1, "method": "spdk_get_version", "params": 5},
        {"jsonrpc": "2.0", "id": 1, "method": "spdk_get_version", "more": 1},
        {"jsonrpc": "2.0", "id": [], "method": "spdk_get_version"},
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_stays(rig: Rig, bad: Any) -> None:
    """Guards the difference between bad JSON, which ends a connection, and a bad request, which does not."""
    rig.wire.send(json.dumps(bad).encode())
    assert rig.wire.receive()["error"] == {"code": -32600, "message": "Invalid request"}
    assert rig.call("notify_get_types")


@pytest.mark.parametrize("bad", [b"{]", b"// x\n", b'{"a":"\xff"}', b"\0", b'{"a":' * 65, b"[" + b"1," * 8192 + b"1]"])
def test_what_is_no_json_ends_the_connection_silently(rig: Rig, bad: bytes) -> None:
    """Guards that a client that speaks no JSON is hung up on without a word, and only it."""
    with rig.connect() as wire:
        wire.send(bad)
        assert wire.is_hung_up()
    assert rig.call("notify_get_types")


def test_a_request_that_fills_the_buffer_ends_the_connection(rig: Rig) -> None:
    """Guards the limit of 262,144 bytes for one request."""
    body = json.dumps(request("bdev_get_bdevs", {"name": "x"})).encode()
    fits = body.replace(b'"x"', b'"' + b"x" * (262_144 - len(body) + 1) + b'"')
    assert len(fits) == 262_144
    rig.wire.send(fits)
    assert rig.wire.receive()["error"]["code"] == -19
    with rig.connect() as wire:
        wire.send(fits[:-2] + b"x" + fits[-2:])
        assert wire.is_hung_up()


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"num_blocks": 8, "block_size": 512, "nonsense": 1}, (-32603, "spdk_json_decode_object failed")),
        ({"num_blocks": 8}, (-32603, "spdk_json_decode_object failed")),
        ({"num_blocks": -8, "block_size": 512}, (-32603, "spdk_json_decode_object failed")),
        ({"num_blocks": "8", "block_size": 512}, (-32603, "spdk_json_decode_object failed")),
        ({"num_blocks": 8.5, "block_size": 512}, (-32603, "spdk_json_decode_object failed")),
    ],
)
def test_device_methods_are_strict_about_parameters(rig: Rig, params: Any, error: tuple[int, str]) -> None:
    """Guards that a misspelt, missing or mistyped parameter is refused and changes nothing."""
    assert rig.refusal("bdev_malloc_create", **params) == error
    assert rig.names() == []


def test_a_doubled_parameter_is_refused(rig: Rig) -> None:
    """Guards against the reader of JSON that takes the last of two, which a live target is not."""
    text = '{"jsonrpc":"2.0","id":1,"method":"bdev_get_bdevs","params":{"name":"a","name":"b"}}'
    rig.wire.send(text.encode())
    assert rig.wire.receive()["error"]["message"] == "spdk_json_decode_object failed"


def test_some_methods_take_what_they_do_not_know(rig: Rig) -> None:
    """Guards the few methods of a live target that are lax."""
    rig.call("nvmf_create_subsystem", nqn="nqn.2026-01.io.example:s")
    host = {"nqn": "nqn.2026-01.io.example:s", "host": "nqn.2026-01.io.example:h", "nonsense": 1}
    assert rig.call("nvmf_subsystem_add_host", **host) is True


def test_whole_numbers_may_be_written_as_powers_of_ten(rig: Rig) -> None:
    """Guards that 1e3 is the integer 1000, as a live target reads it."""
    rig.wire.send(b'{"jsonrpc":"2.0","id":1,"method":"bdev_null_create","params":{"name":"N","num_blocks":1e3,')
    rig.wire.send(b'"block_size":5120e-1}}')
    assert rig.wire.receive()["result"] == "N"
    assert rig.call("bdev_get_bdevs", name="N")[0]["num_blocks"] == 1000


def test_requests_of_a_client_that_has_gone_still_run(rig: Rig) -> None:
    """Guards the reason for read-backs: a lost connection says nothing about what was done."""
    asked = [request("bdev_null_create", {"name": name, "num_blocks": 8, "block_size": 512}) for name in "abc"]
    with rig.connect() as wire:
        wire.send("".join(map(json.dumps, asked)).encode())
    rig.call("bdev_wait_for_examine")
    assert rig.names() == ["a", "b", "c"]


def test_the_65th_client_waits_until_another_leaves(rig: Rig) -> None:
    """Guards the limit of 64 connections: the next is accepted by the kernel, and served later."""
    crowd = [rig.connect() for _ in range(63)]
    for wire in crowd:
        wire.send(json.dumps(VERSION).encode())
        assert wire.receive()["id"] == 1
    late = rig.connect()
    late.send(json.dumps(VERSION).encode())
    assert rig.call("notify_get_types")
    late._socket.settimeout(0.05)
    with pytest.raises(TimeoutError):
        late._socket.recv(1, socket.MSG_PEEK)
    late._socket.settimeout(20)
    crowd.pop().close()
    assert late.receive()["id"] == 1
    for wire in [*crowd, late]:
        wire.close()


def test_a_client_that_does_not_read_holds_up_nobody(rig: Rig) -> None:
    """Guards that answers wait for their reader alone."""
    rig.call("bdev_null_create", name="N", num_blocks=8, block_size=512)
    with rig.connect() as lazy:
        lazy.send(json.dumps(request("bdev_get_bdevs")).encode() * 2000)
        assert rig.call("notify_get_types")
        assert len(lazy.finish().splitlines()) == 2000


def test_an_answer_longer_than_the_send_buffer_is_cut() -> None:
    """Guards that more than 32 MiB of answer comes out as broken JSON, as it does from a live target."""
    with simulated() as rig:
        rig.store(cluster=65536)
        long = "n" * 60
        calls = [
            (
                "bdev_lvol_create",
                {"lvs_name": "pool", "lvol_name": f"{long}{i}", "size_in_mib": 0, "thin_provision": True},
            )
            for i in range(200)
        ]
        assert all("result" in answer for answer in rig.ask(*calls))
        one = len(json.dumps(rig.call("bdev_get_bdevs")))
        batch = [request("bdev_get_bdevs", identity=i) for i in range(40 * MIB // one + 1)]
        with rig.connect() as wire:
            wire.send(json.dumps(batch).encode())
            data = wire.finish()
        assert len(data) == 32 * MIB
        assert not data.endswith(b"\n")


def test_tcp_is_served_like_the_socket() -> None:
    """Guards the second door, which a forwarded port stands for."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = ("127.0.0.1", free.getsockname()[1])
    with simulated(tcp=address), Wire(address) as wire:
        wire.send(json.dumps(VERSION).encode())
        assert wire.receive()["result"]["version"].startswith("SPDK v26.05")
