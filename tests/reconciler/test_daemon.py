"""The daemon among its targets: none waits for another, and nobody who asks waits for ever."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager

import pytest
from desk import Client
from station import Station, station
from world import GENEROUS, volume

from reconciler import daemon as daemon_module
from reconciler.fleet import Occupied
from reconciler.serve import application as application_module
from reconciler.serve.application import PLACES, application
from reconciler.serve.server import Server, hosts_of, listen

MEANT = {"X_Holdfast": "1"}
ASKED = "A-0123456789abcdef0123456789abcdef"


@pytest.fixture
def here() -> Iterator[Station]:
    """Two targets; nothing is pushed yet."""
    with station("n1", "n2") as made:
        yield made


def without(here: Station, name: str) -> dict[str, str]:
    """The files of the repository without one target and what is on it."""
    found = [m for m in here.world.nodes() if not m["metadata"]["name"].startswith(name)]
    return {"site.yaml": "\n---\n".join(map(json.dumps, found)), ".holdfast.yaml": json.dumps(GENEROUS)}


def in_time(act: threading.Thread) -> bool:
    """Whether something that must not wait for what is held up here has ended."""
    act.start()
    act.join(10.0)
    return not act.is_alive()


# --- convergence


def test_a_revision_has_not_converged_before_its_targets_are_met(here: Station) -> None:
    """Guards budgets: a commit that adds a target puts its own policy in force only once that target is as declared."""
    here.forge.commit(without(here, "n2"))
    here.daemon.poll()
    here.settle()
    here.world.clock.advance(60.0)
    head = here.forge.commit(here.files())
    here.daemon._source.fetch()
    here.daemon.gate.consider(head)
    for _ in range(3):  # a tick that comes between the decision and the new target
        here.daemon.tick("n1")
    assert here.world.house.ledger.converged()[0] != head
    here.daemon.fleet.adopt()
    here.settle()
    assert here.world.house.ledger.converged()[0] == head


# --- letting go


def test_a_target_at_work_is_let_go_without_waiting(here: Station) -> None:
    """Guards the repository's own pace: a hung tick must not stop the daemon from following what is pushed."""
    here.push()
    here.settle()
    with here.daemon.fleet.turn("n1"):
        revision = here.forge.commit(without(here, "n1"))
        assert in_time(threading.Thread(target=here.daemon.poll, daemon=True))
        assert (here.accepted, here.daemon.targets) == (revision, ("n2",))
        assert "TargetReleased" not in here.told()
    assert here.told().count("TargetReleased") == 1
    assert here.daemon.fleet._leaving == []


def test_a_new_connection_waits_for_the_tick_on_the_old_one(here: Station) -> None:
    """Guards a target against two keepers of ours at once, while the connection in its manifest changes."""
    here.push(volume("a"))
    here.settle()
    (here.world.folder / "alias.sock").symlink_to(here.world.socket("n1"))
    files = here.files(volume("a"), volume("b"))
    files["site.yaml"] = files["site.yaml"].replace("n1.sock", "alias.sock")
    old = here.daemon.fleet._targets["n1"]
    with here.daemon.fleet.turn("n1"):
        here.forge.commit(files)
        assert in_time(threading.Thread(target=here.daemon.poll, daemon=True))
        assert here.daemon.fleet._targets["n1"] is not old
        with pytest.raises(Occupied):
            here.daemon.tick("n1", 0.0)
    assert here.daemon.fleet._leaving == []
    here.settle()
    assert len(here.world.lvols()) == 2


# --- asking


@contextmanager
def serving(here: Station) -> Iterator[Client]:
    sock = listen("127.0.0.1:0")
    server = Server(application(here.daemon, "", hosts_of("127.0.0.1:0")), sock)
    server.start()
    try:
        yield Client("127.0.0.1:0", sock.getsockname()[1])
    finally:
        server.stop()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a target that is at work."""
    monkeypatch.setattr(daemon_module, "PATIENCE", 0.01)
    monkeypatch.setattr(application_module, "PATIENCE", 0.01)


@pytest.mark.usefixtures("impatient")
def test_a_target_at_work_hides_no_other(here: Station) -> None:
    """Guards `holdfast plan`: the plans of the others are shown, and of this one why there is none."""
    here.push()
    with serving(here) as client, here.daemon.fleet.turn("n1"):
        found = client.ask("/plan")
        assert found.status == 200
        first, second = found.json["plans"]
        assert "has been at work for" in first["error"]
        assert second["target"] == "n2"


@pytest.mark.usefixtures("impatient")
def test_what_cannot_be_answered_now_is_503(here: Station) -> None:
    """Guards scripts: a target at work is no "no"; the same request may succeed later."""
    here.push()
    here.settle()
    with serving(here) as client:
        with here.daemon.fleet.turn("n1"):
            assert client.ask(f"/approve/{ASKED}", "POST", **MEANT).status == 503
            assert client.ask("/confirm", "POST", **MEANT).status == 503
        assert client.ask(f"/approve/{ASKED}", "POST", **MEANT).status == 409


def test_requests_about_a_hung_target_do_not_take_the_page_along(here: Station) -> None:
    """Guards the page and the status: however many ask for plans that do not come, others are answered."""
    here.push()
    with serving(here) as client, ThreadPoolExecutor(2 * PLACES) as pool:
        with here.daemon.fleet.turn("n1"):
            asking = [pool.submit(client.ask, "/plan?target=n1") for _ in range(2 * PLACES)]
            refused = next(as_completed(asking)).result()
            assert (refused.status, "too many" in refused.json["error"]) == (503, True)
            assert client.ask("/status").status == 200
            assert client.ask("/").status == 200
        assert {answer.result().status for answer in asking} == {200, 503}
        assert client.ask("/plan?target=n1").json["plans"][0]["steps"]


def test_an_answer_that_does_not_come_is_given_up(here: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards whoever asks against waiting for ever: after the deadline they are told, whatever the target does."""
    monkeypatch.setattr(application_module, "DEADLINE", 0.05)
    here.push()
    with serving(here) as client, here.daemon.fleet.turn("n1"):
        found = client.ask("/plan?target=n1")
        assert (found.status, found.json["error"].startswith("no answer within")) == (503, True)
