"""The manners of the HTTP interface: who may ask what, and what is answered when something is wrong."""

from __future__ import annotations

import hashlib
import hmac
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import REVISION, Client, Desk, desk

from backends.objects import Subsystem
from reconciler.plan import Hazard, Held, approval_id, deleted
from reconciler.serve.render import STATIC
from reconciler.serve.server import ListenError, listen
from reconciler.serve.webhook import LARGEST
from schemas.resources import ResourceKey

BODY = b'{"ref": "refs/heads/main"}'
NAMED = Subsystem("nqn.2026-01.com.example:s")
MEANT = {"X_Holdfast": "1"}


@pytest.fixture
def client(site: Desk) -> Iterator[Client]:
    """A client of a site at peace, over loopback."""
    site.well()
    with site.serving() as made:
        yield made


def signature(body: bytes = BODY, key: bytes = b"swordfish") -> str:
    return hmac.new(key, body, hashlib.sha256).hexdigest()


# --- health


def test_ready_means_that_a_revision_is_enforced(site: Desk) -> None:
    """Guards probes: alive from the first second, ready only once there is something to keep."""
    with site.serving() as client:
        assert client.ask("/healthz").status == 200
        assert client.ask("/readyz").status == 503
        site.accept()
        assert client.ask("/readyz").text == "ready\n"


# --- the webhook


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X_Hub_Signature_256": f"sha256={signature()}"}, 202),
        ({"X_Gitea_Signature": signature()}, 202),
        ({"X_Gitlab_Token": "swordfish"}, 202),
        ({"X_Hub_Signature_256": f"sha256={signature(key=b'other')}"}, 401),
        ({"X_Hub_Signature_256": f"sha256={signature(b'other')}"}, 401),
        ({"X_Hub_Signature_256": "sha256="}, 401),
        ({"X_Gitlab_Token": "swordfis"}, 401),
        ({"X_Gitlab_Token": ""}, 401),
        ({}, 401),
    ],
    ids=["github", "gitea", "gitlab", "other secret", "other body", "empty", "wrong token", "empty token", "unsigned"],
)
def test_only_a_signed_hook_hurries(
    site: Desk, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], status: int
) -> None:
    """Guards the webhook: each forge's proof is accepted, anything else does nothing."""
    hurried: list[bool] = []
    monkeypatch.setattr(site.daemon, "hurry", lambda: hurried.append(True))
    with site.serving() as client:
        assert client.ask("/hooks/git", "POST", BODY, **headers).status == status
    assert hurried == [True] * (status == 202)


def test_a_hook_without_a_configured_secret_is_refused(tmp_path: Path) -> None:
    """Guards the default: an empty secret must not mean that an empty token is right."""
    with desk(tmp_path) as site, site.serving() as client:
        assert client.ask("/hooks/git", "POST", BODY, X_Gitlab_Token="").status == 403


def test_a_hook_that_is_too_large_is_not_read(client: Client) -> None:
    """Guards memory: a body over the limit is refused, whether it says its length or comes in chunks."""
    body = b"x" * (LARGEST + 1)
    signed = {"X-Hub-Signature-256": f"sha256={signature(body)}"}
    connection = client.connect()
    try:
        connection.putrequest("POST", "/hooks/git")
        connection.putheader("Content-Length", str(LARGEST + 1))
        connection.endheaders()
        assert connection.getresponse().status == 413
        connection.close()
        connection.request("POST", "/hooks/git", iter([body]), signed, encode_chunked=True)
        assert connection.getresponse().status == 413
    finally:
        connection.close()


def test_a_hook_through_a_proxy_keeps_its_host(client: Client) -> None:
    """Guards forges behind a proxy: the hook carries its own proof, so its Host may be another."""
    asked = client.ask("/hooks/git", "POST", BODY, Host="storage.example.com", X_Gitlab_Token="swordfish")  # noqa: S106
    assert asked.status == 202


# --- who may ask


@pytest.mark.parametrize(
    "host", ["evil.example.com", "evil.example.com:8770", "127.0.0.1.evil.example.com", "", "localhost:x"]
)
def test_a_foreign_host_is_refused(client: Client, host: str) -> None:
    """Guards against other sites' pages that have their name point here."""
    answer = client.ask("/", Host=host)
    assert answer.status == 421
    assert "Content-Security-Policy".lower() in answer.headers


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:9999", "LOCALHOST:1", "127.0.0.1:8770", "[::1]:8770", "[::1]"]
)
def test_a_tunnel_may_end_on_any_port(client: Client, host: str) -> None:
    """Guards `ssh -L`: loopback by any name and port is us."""
    assert client.ask("/healthz", Host=host).status == 200


def test_a_unix_socket_is_its_owners_and_knows_its_names(site: Desk, tmp_path: Path) -> None:
    """Guards the default address: mode 600, and a tunnel to it is no way round the Host check."""
    path = tmp_path / "s"
    with site.serving(f"unix:{path}") as client:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert client.ask("/healthz").status == 200
        assert client.ask("/healthz", Host="evil.example.com").status == 421


@pytest.mark.parametrize("path", ["/apply", "/reconcile", "/confirm", "/approve/A-0123456789abcdef0123456789abcdef"])
def test_a_write_must_be_meant(site: Desk, client: Client, path: str) -> None:
    """Guards against forms of other sites: without our header nothing is done."""
    assert client.ask(path, "POST").status == 403
    assert client.ask(path).status == 405
    assert site.house.ledger.approvals(site.clock.now()) == frozenset()


def test_an_approval_is_granted_by_its_id(site: Desk, client: Client) -> None:
    """Guards approving over HTTP: the id and who asked are recorded; what is no id, or asked by nobody, is refused."""
    site.accept()
    back = Held(deleted(NAMED), ResourceKey("Subsystem", "team", "s"), Hazard.DISRUPTIVE, "X", "", approvable=True)
    site.target(held=[back])
    asked = approval_id("node-1", [back])
    assert client.ask(f"/approve/{asked}?by=ada", "POST", **MEANT).json == {"approved": asked}
    assert client.ask("/approve/everything", "POST", **MEANT).status == 400
    assert client.ask("/approve/A-0123456789abcdef0123456789abcdef", "POST", **MEANT).status == 409
    assert site.house.ledger.approvals(site.clock.now()) == {asked}
    assert site.house.history.events(1)[0].message.startswith(f"{asked} by ada")


# --- what is answered


@pytest.mark.parametrize(
    "path", ["/", "/?output=json", "/status", "/healthz", "/static/page.css", "/nowhere", "/apply"]
)
def test_every_answer_carries_the_policy(client: Client, path: str) -> None:
    """Guards the browser: strict CSP, no sniffing, no referrer, on pages and on refusals alike."""
    headers = client.ask(path).headers
    assert headers["content-security-policy"].startswith("default-src 'self'")
    assert "unsafe" not in headers["content-security-policy"]
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    assert "server" not in headers


@pytest.mark.parametrize("path", ["/", "/status", "/healthz", "/static/page.js", "/live"])
def test_head_is_get_without_a_body(client: Client, path: str) -> None:
    """Guards HEAD: the same status and type, nothing after it, also for the endless stream."""
    answer = client.ask(path, "HEAD")
    assert (answer.status, answer.text) == (200, "")
    if path != "/live":
        assert answer.headers["content-type"] == client.ask(path).headers["content-type"]


def test_refusals_are_short(client: Client) -> None:
    """Guards 404 and 405: one line of text, or JSON for who asks for it, and the methods that are allowed."""
    assert (client.ask("/nowhere").status, client.ask("/nowhere").text) == (404, "not found\n")
    assert client.ask("/nowhere", Accept="application/json").json == {"error": "not found"}
    refused = client.ask("/status", "DELETE")
    assert (refused.status, refused.text) == (405, "method not allowed\n")
    assert set(refused.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize("path", ["/", "/status"])
def test_a_defect_shows_no_traceback(site: Desk, client: Client, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """Guards what leaks: an exception gives a sentence and the policy, and the server goes on."""

    def broken(**_: bool) -> None:
        raise RuntimeError("the password is swordfish")

    with monkeypatch.context() as patch:
        patch.setattr(site.daemon, "status", broken)
        answer = client.ask(path)
        machine = client.ask(path, Accept="application/json")

    assert (answer.status, answer.text) == (500, "a defect in Holdfast; its log says more\n")
    assert machine.json == {"error": "a defect in Holdfast; its log says more"}
    assert answer.headers["content-security-policy"].startswith("default-src 'self'")
    assert client.ask(path).status == 200


def test_the_command_line_gets_its_json(site: Desk, client: Client) -> None:
    """Guards the verbs' routes: status, events and drift in the form that they print, wrong numbers ignored."""
    assert client.ask("/status").json["revision"]["accepted"] == REVISION
    assert client.ask("/events?limit=nonsense&after=-1").json["events"] == []
    assert client.ask("/drift?open=true").json == {"drifts": []}
    assert client.ask("/plan?target=nowhere").json == {"error": "there is no target nowhere; there are: node-1"}
    assert client.ask("/plan?target=nowhere").status == 409


def test_static_files_are_ours_and_nothing_else_is(client: Client) -> None:
    """Guards the folder of static files: right types, no way out of it, another address when the content is another."""
    types = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
    for file in STATIC.iterdir():
        answer = client.ask(f"/static/{file.name}")
        assert answer.text == file.read_text()
        assert answer.headers["content-type"].split(";")[0] == types[file.suffix]
    for path in ("/static/../application.py", "/static/%2e%2e/application.py", "/static/", "/static/nothing.css"):
        assert client.ask(path).status == 404
    assert client.ask("/").text.count("?v=") == 4


# --- listening


def test_an_address_that_cannot_be_had_is_said(client: Client) -> None:
    """Guards the start: a port that somebody has, or that none is, or a path that is too long: one clear error."""
    with pytest.raises(ListenError, match="in use"):
        listen(f"127.0.0.1:{client.port}")
    with pytest.raises(ListenError, match="no such port"):
        listen("127.0.0.1:99999")
    with pytest.raises(ListenError, match="too long"):
        listen(f"unix:/tmp/{'x' * 200}")
