"""Sockets: what arrives, what left, and every way in which a connection ends."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import MIB, SimulatedLab, free_port, simulated
from peers import line

from backends.contract import Unknown, Unsent
from backends.spdk import methods, transport
from backends.spdk.backend import SpdkBackend
from backends.spdk.client import Call, Client
from backends.spdk.errors import Disconnected
from backends.spdk.simulator import Simulator
from backends.spdk.transport import SocketTransport, connect_tcp, connect_unix

READ, WRITE = Call("a"), Call("b", mutates=True)


@pytest.fixture
def pair() -> Iterator[tuple[SocketTransport, socket.socket]]:
    """A transport, and the socket at its other end."""
    ours, theirs = socket.socketpair()
    carrier = SocketTransport(ours, "peer")
    with theirs:
        yield carrier, theirs
    carrier.close()


def test_what_arrives_is_handed_on_and_nothing_is_no_error(pair: tuple[SocketTransport, socket.socket]) -> None:
    """Guards that a wait without an answer ends with nothing instead of an exception."""
    carrier, theirs = pair
    assert carrier.receive(0.0) == b""
    theirs.sendall(b"abc")
    assert carrier.receive(0.0) == b"abc"
    assert carrier.receive(0.001) == b""


def test_what_came_before_the_end_is_read_first(pair: tuple[SocketTransport, socket.socket]) -> None:
    """Guards that the last answers of a target that ends are not lost, and that the end is named."""
    carrier, theirs = pair
    theirs.sendall(line(1, []))
    theirs.close()
    assert carrier.receive(1.0) == line(1, [])
    with pytest.raises(Disconnected, match="peer: the target closed the connection"):
        carrier.receive(1.0)


def test_a_reset_connection_is_a_lost_one() -> None:
    """Guards that an error of the socket is told as a lost connection, with the system's own words."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        carrier = connect_tcp(f"127.0.0.1:{server.getsockname()[1]}")
        peer, _ = server.accept()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        with pytest.raises(Disconnected, match=r"127\.0\.0\.1:\d+: Connection reset by peer"):
            carrier.receive(1.0)
        carrier.close()


def test_a_closed_transport_is_a_lost_one(pair: tuple[SocketTransport, socket.socket]) -> None:
    """Guards that using a connection that we closed ourselves is no crash."""
    carrier, _ = pair
    carrier.close()
    with pytest.raises(Disconnected):
        carrier.receive(0.0)
    with pytest.raises(Disconnected) as caught:
        carrier.send([b"{}"])
    assert caught.value.sent == 0


def test_nothing_left_when_the_peer_is_gone(pair: tuple[SocketTransport, socket.socket]) -> None:
    """Guards that mutations for a target that is not there any more are known not to have happened."""
    carrier, theirs = pair
    client = Client(carrier)
    theirs.close()
    keys = [client.start(READ), client.start(WRITE)]
    found = {reply.id: type(reply.error) for reply in client.replies(1.0)}
    assert found == dict.fromkeys(keys, Unsent)


def test_a_request_that_left_in_part_has_not_left(
    pair: tuple[SocketTransport, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards that sending to a peer that takes nothing more ends in time, and counts whole requests only."""
    monkeypatch.setattr(transport, "CONNECT_TIMEOUT", 0.02)
    carrier, theirs = pair
    client = Client(carrier)
    keys = [client.start(Call("b", {"x": "y" * 50_000}, mutates=True)) for _ in range(100)]
    found = {reply.id: type(reply.error) for reply in client.replies(1.0)}
    theirs.settimeout(1.0)
    taken = b""
    while piece := theirs.recv(MIB):
        taken += piece
    whole = taken.count(b"}}")
    assert 0 < whole < 99
    assert [found[key] for key in keys] == [Unknown] * whole + [Unsent] * (100 - whole)
    assert len(taken) % len(taken[: taken.index(b"}}") + 2]) != 0


def test_the_peers_process_is_known_on_this_machine_only(pair: tuple[SocketTransport, socket.socket]) -> None:
    """Guards what the proof of a blank device rests on: over TCP nobody knows where the target runs."""
    assert pair[0].peer_pid == os.getpid()
    with socket.create_server(("127.0.0.1", 0)) as server:
        carrier = connect_tcp(f"127.0.0.1:{server.getsockname()[1]}")
        assert carrier.peer_pid is None
        carrier.close()


def test_a_socket_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Guards that no target, a dead target's socket, and a path too long for a socket are all said clearly."""
    missing = str(tmp_path / "missing")
    with pytest.raises(Disconnected, match="missing: No such file"):
        connect_unix(missing)
    with socket.socket(socket.AF_UNIX) as stale:
        os.chdir(tmp_path)
        stale.bind("stale")
    with pytest.raises(Disconnected, match="stale: Connection refused"):
        connect_unix("stale")
    with pytest.raises(Disconnected, match="too long"):
        connect_unix("/" + "x" * 200)


def test_a_port_where_nobody_listens_is_named() -> None:
    """Guards that an unreachable forwarder is an ordinary lost connection."""
    port = free_port()
    with pytest.raises(Disconnected, match=f"127.0.0.1:{port}: Connection refused"):
        connect_tcp(f"127.0.0.1:{port}")


def test_an_ipv6_address_is_written_in_brackets() -> None:
    """Guards `[::1]:port`, whose colons are not the one before the port."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        carrier = connect_tcp(f"[::1]:{server.getsockname()[1]}")
        peer, _ = server.accept()
        with peer:
            peer.sendall(b"hello")
            assert carrier.receive(1.0) == b"hello"
        carrier.close()


def test_a_target_behind_tcp_is_observed_like_any_other(lab: SimulatedLab) -> None:
    """Guards a forwarded socket: the same objects, and nothing that only a local target can prove."""
    address = ("127.0.0.1", free_port())
    with Simulator(lab.folder / "t", tcp=address):
        remote = SpdkBackend(lambda: connect_tcp("{}:{}".format(*address)))
        there = SimulatedLab(lab.folder, connect=lambda: connect_tcp("{}:{}".format(*address)))
        there.make(lab.disk())
        seen = there.observe()
        assert [str(key) for key in seen.objects] == ["bdev disk"]
        assert seen.version.startswith("SPDK v26.05")
        there.backend.close()
        remote.close()


def test_a_thousand_calls_in_flight_on_a_socket() -> None:
    """Guards that a thousand mutations sent in one go all come back, each with its own answer."""
    with simulated() as lab:
        client = Client(connect_unix(str(lab.socket)))
        made = client.call_many(methods.null_create(f"null{n}", MIB, 512, None) for n in range(1000))
        assert [reply.result() for reply in made] == [f"null{n}" for n in range(1000)]
        client.close()
