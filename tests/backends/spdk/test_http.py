"""A target behind SPDK's rpc_http_proxy: the same objects and changes, logins, and every way in which HTTP fails."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from lab import MIB, NQN, SimulatedLab, created, deleted, free_port, updated

from backends.contract import Interest, Terminal, Transient, Unknown, Unsent
from backends.objects import Bdev, Lvol, Qos, QosLimits
from backends.spdk import transport
from backends.spdk.backend import SpdkBackend
from backends.spdk.client import Call, Client
from backends.spdk.errors import Disconnected, RpcError
from backends.spdk.simulator import DropAfter, DropBefore, Hold
from backends.spdk.simulator.http_proxy import HttpProxy
from backends.spdk.transport import HttpEndpoint, HttpTransport

USER, PASSWORD = "holdfast", "s3cret"
READ, WRITE = Call("bdev_get_bdevs"), Call("bdev_null_delete", {"name": "n"}, mutates=True)


def null(name: str) -> Bdev:
    return Bdev(name, "null", size=MIB, block_size=512)


@pytest.fixture
def proxy(lab: SimulatedLab) -> Iterator[str]:
    """The address of a proxy in front of the target, through which the lab's backend goes."""
    with HttpProxy(("127.0.0.1", 0), lab.socket, USER, PASSWORD) as served:
        url = "http://{}:{}/".format(*served.address)
        lab.backend = backend_of(HttpEndpoint(url, USER, lambda: PASSWORD))
        yield url
        lab.backend.close()


def backend_of(endpoint: HttpEndpoint) -> SpdkBackend:
    return SpdkBackend(lambda: HttpTransport(endpoint))


# --- the same


def test_a_target_behind_a_proxy_is_like_any_other(lab: SimulatedLab, proxy: str) -> None:
    """Guards that a volume is made, exported, limited, grown, and taken away again through HTTP alone."""
    lab.pool()
    applied = lab.apply(created(Lvol("pool", "v", size=4 * MIB, thin=True)))
    assert applied.error is None
    lab.export("s", n1="pool/v")
    assert lab.apply(created(Qos("pool/v", QosLimits(3000)))).error is None
    (lvol,) = (thing for thing in lab.observe().objects.values() if isinstance(thing, Lvol))
    assert (lvol.uuid, lvol.limits) == (applied.uid, QosLimits(3000))
    larger = Lvol("pool", "v", lvol.uuid, 8 * MIB, thin=True)
    assert lab.apply(updated(lvol, larger)).error is None
    lab.call("nvmf_delete_subsystem", nqn=f"{NQN}s")
    assert lab.live(lvol.key) == larger
    assert lab.apply(deleted(larger)).error is None
    assert lab.live(lvol.key) is None


def test_both_ways_show_the_same(lab: SimulatedLab, proxy: str) -> None:
    """Guards that nothing is lost or changed on the way, names that are no ASCII included."""
    lab.pool()
    lab.lvol("Größe 🦊 \n")
    lab.export("s", n1="pool/Größe 🦊 \n")
    through = lab.observe(Interest(blank=frozenset({"disk"})))
    direct = SimulatedLab(lab.folder)
    seen = direct.observe(Interest(blank=frozenset({"disk"})))
    assert through.objects == seen.objects
    assert (through.incarnation, through.blank, seen.blank) == (seen.incarnation, {"disk": None}, {"disk": False})
    assert lab.observe() is lab.observe()
    direct.backend.close()


def test_a_refusal_comes_through(lab: SimulatedLab, proxy: str) -> None:
    """Guards that an error in a body with HTTP 200 is the target's own."""
    client = Client(HttpTransport(HttpEndpoint(proxy, USER, lambda: PASSWORD)))
    with pytest.raises(RpcError, match=r"^bdev_null_delete: No such device \(code -19\)$"):
        client.call(WRITE).result()
    client.close()


def test_many_changes_go_one_after_another(lab: SimulatedLab, proxy: str) -> None:
    """Guards that each ticket ends with its own answer although nothing is pipelined."""
    tickets = [lab.backend.begin(created(null(f"n{number}")), ()) for number in range(20)]
    ended = lab.ended(20)
    assert [applied.ticket for applied in ended] == tickets
    assert {applied.error for applied in ended} == {None}
    assert len(lab.observe().objects) == 20


# --- logins


@pytest.mark.parametrize(
    ("user", "password"),
    [(USER, "wrong"), ("wrong", PASSWORD), (USER, ""), ("", ""), (USER, PASSWORD + " "), (USER, "pässwört")],
)
def test_wrong_credentials(lab: SimulatedLab, proxy: str, user: str, password: str) -> None:
    """Guards that a wrong login is Terminal, names the address and no secret, and lets nothing through."""
    stranger = backend_of(HttpEndpoint(proxy, user, lambda: password))
    with pytest.raises(Terminal) as caught:
        stranger.observe(Interest())
    assert str(caught.value) == f"{proxy}: wrong user name or password"
    ticket = stranger.begin(created(null("n")), ())
    (applied,) = stranger.wait(1.0)
    assert (applied.ticket, type(applied.error)) == (ticket, Terminal)
    assert lab.observe().objects == {}
    stranger.close()


def test_a_password_is_read_anew_for_each_connection(lab: SimulatedLab, proxy: str) -> None:
    """Guards that a corrected password file helps without a restart, and an unreadable one says so."""
    words = iter(["wrong", PASSWORD])
    backend = backend_of(HttpEndpoint(proxy, USER, lambda: next(words)))
    with pytest.raises(Terminal):
        backend.observe(Interest())
    assert backend.observe(Interest()).objects == {}
    backend.close()

    def unreadable() -> str:
        raise Terminal("/etc/holdfast/password: Permission denied")

    with pytest.raises(Terminal, match="Permission denied"):
        backend_of(HttpEndpoint(proxy, USER, unreadable)).observe(Interest())


def test_a_login_is_not_taken_from_elsewhere(lab: SimulatedLab, proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards that neither .netrc nor proxy variables of the environment change who asks whom."""
    netrc = lab.folder / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    with pytest.raises(Terminal, match="wrong user name or password"):
        backend_of(HttpEndpoint(proxy)).observe(Interest())
    assert lab.observe().objects == {}


# --- what fails


def test_no_proxy() -> None:
    """Guards that a change is known not to have happened when nobody took it."""
    url = f"http://127.0.0.1:{free_port()}/"
    backend = backend_of(HttpEndpoint(url))
    with pytest.raises(Transient, match=f"{url}: cannot connect"):
        backend.observe(Interest())
    backend.begin(created(null("n")), ())
    (applied,) = backend.wait(1.0)
    assert type(applied.error) is Unsent


def test_no_target_behind_the_proxy(lab: SimulatedLab, proxy: str) -> None:
    """Guards that the proxy's own failure leaves a question open and a change in doubt."""
    lab.simulator.stop()
    with pytest.raises(Transient, match="HTTP 500"):
        lab.observe()
    lab.backend.begin(created(null("n")), ())
    (applied,) = lab.ended(1)
    assert isinstance(applied.error, Unknown)
    lab.simulator.start()
    assert lab.observe().objects == {}


@pytest.mark.parametrize(("fault", "happened"), [(DropAfter(), True), (DropBefore(), False)])
def test_a_connection_lost_behind_the_proxy(
    lab: SimulatedLab,
    proxy: str,
    fault: DropAfter | DropBefore,
    happened: bool,  # noqa: FBT001
) -> None:
    """Guards that a change whose answer the proxy did not get is Unknown, and the ones behind it never left."""
    lab.simulator.before("bdev_null_create", lambda _, params: fault if params["name"] == "b" else None)
    tickets = [lab.backend.begin(created(null(name)), ()) for name in "abc"]
    ended = {applied.ticket: type(applied.error) for applied in lab.ended(3)}
    assert [ended[ticket] for ticket in tickets] == [type(None), Unknown, Unsent]
    lab.simulator.forget_hooks()
    assert {key.name for key in lab.observe().objects} == ({"a", "b"} if happened else {"a"})


def test_an_answer_that_never_comes(lab: SimulatedLab, proxy: str) -> None:
    """Guards that the proxy, which waits for ever, is not waited for."""
    lab.simulator.before("bdev_null_create", lambda *_: Hold(None))
    hasty = backend_of(HttpEndpoint(proxy, USER, lambda: PASSWORD, timeout=0.05))
    hasty.begin(created(null("n")), ())
    (applied,) = hasty.wait(1.0)
    assert isinstance(applied.error, Unknown)
    hasty.close()
    assert [bdev["name"] for bdev in lab.call("bdev_get_bdevs")] == ["n"]
    lab.restart()  # which the proxy waits for


class _Server:
    """An HTTP server that answers with what a test says."""

    def __init__(self, *answers: bytes, endless: bytes = b"") -> None:
        rest = iter(answers)

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's word
                """Silent."""

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.wfile.write(answer := next(rest, b""))
                self.close_connection = True
                with suppress(OSError):  # which ends it: the client hangs up
                    while endless and answer.endswith(endless):
                        self.wfile.write(endless)

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @contextmanager
    def serving(self) -> Iterator[Client]:
        self._thread.start()
        client = Client(HttpTransport(HttpEndpoint(self.url, timeout=5.0)))
        try:
            yield client
        finally:
            client.close()
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()


def ok(body: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.0 200 OK", *headers, b"", body])


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00\x01\x02",
        b"HTTP/1.0 500 Internal Server Error\r\n\r\n",
        b"HTTP/1.0 404 Not Found\r\nContent-Length: 3\r\n\r\nno\n",
        b"HTTP/1.0 301 Moved\r\nLocation: http://127.0.0.1:1/\r\n\r\n",
        b"HTTP/1.0 204 No Content\r\n\r\n",
        ok(b"<html>welcome</html>"),
        ok(b'{"jsonrpc":"2.0","id":1,'),
        ok(b"not gzip", b"Content-Encoding: gzip"),
        ok(b"zz\r\n", b"Transfer-Encoding: chunked"),
        ok(b"x", b"Content-Length: 100"),
    ],
)
def test_whatever_is_no_answer(answer: bytes) -> None:
    """Guards that anything else that speaks HTTP is a lost connection: never a crash, never a success."""
    for call, meaning in ((READ, Transient), (WRITE, Unknown)):
        with _Server(answer).serving() as client, pytest.raises(meaning):
            client.call(call).result()


def test_an_answer_over_many_lines() -> None:
    """Guards a proxy that writes its JSON over several lines: it is one answer all the same."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "result": ["x", {"y": 1}]}, indent=2).encode()
    with _Server(ok(body)).serving() as client:
        assert client.call(READ).result() == ["x", {"y": 1}]


def test_an_answer_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards that no more is taken than what a target may say, and that this is said."""
    monkeypatch.setattr(transport, "ANSWER_LIMIT", 1000)
    monkeypatch.setattr("backends.spdk.client.ANSWER_LIMIT", 1000)
    body = b'{"jsonrpc":"2.0","id":1,"result":"' + b"x" * 5000
    next_body = b'{"jsonrpc":"2.0","id":2,"result":[]}'
    with _Server(ok(body), ok(next_body), endless=b"x" * 1000).serving() as client:
        with pytest.raises(Transient, match="where the target cuts it off"):
            client.call(READ).result()
        assert client.call(READ).result() == []


def test_sending_tells_how_many_left() -> None:
    """Guards that of several requests only those that an answer is missing for are in doubt."""
    first = ok(b'{"jsonrpc":"2.0","id":1,"result":true}')
    with _Server(first, b"").serving() as client:
        keys = [client.start(WRITE) for _ in range(3)]
        found = {reply.id: reply for reply in client.replies(1.0)}
        assert found[keys[0]].result() is True
        assert [type(found[key].error) for key in keys[1:]] == [Unknown, Unsent]
        with pytest.raises(Disconnected):
            raise client.closed or AssertionError
