"""Live updates: who listens hears of everything, and costs nothing once gone."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from desk import PATIENCE, Client, Desk, drift

from reconciler.history import Event
from reconciler.serve import live


class Departures(set[Any]):
    """Readers; tells when one has gone."""

    def __init__(self) -> None:
        super().__init__()
        self.gone = threading.Semaphore(0)

    def discard(self, reader: object) -> None:
        super().discard(reader)
        self.gone.release()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """News are told without a pause."""
    monkeypatch.setattr(live, "PAUSE", 0.0)


@contextmanager
def listening(client: Client) -> Iterator[Iterator[str]]:
    """What a page hears, line by line: the data of each event."""
    connection = client.connect()
    try:
        connection.request("GET", "/live", headers={"Accept": "text/event-stream"})
        answer = connection.getresponse()
        assert (answer.status, answer.headers.get_content_type()) == (200, "text/event-stream")
        yield _data(answer)
    finally:
        connection.close()


def _data(answer: http.client.HTTPResponse) -> Iterator[str]:
    while line := answer.readline():
        if line.startswith(b"data: "):
            yield line.removeprefix(b"data: ").decode().strip()


def test_everybody_hears_of_an_event(site: Desk) -> None:
    """Guards many open pages: one event reaches each of them, and the page they fetch then shows it."""
    site.well()
    with site.serving() as client, ExitStack() as stack:
        readers = [stack.enter_context(listening(client)) for _ in range(20)]
        assert [next(reader) for reader in readers] == ["hello"] * 20

        site.house.history.emit([Event("SomethingNew", "happened")], site.clock.now())

        assert [next(reader) for reader in readers] == ["news"] * 20
        assert "SomethingNew" in client.ask("/").text

        site.drifts(drift("a", ("spec.size", 1, 2)))

        assert [next(reader) for reader in readers] == ["news"] * 20


def test_a_reader_that_leaves_is_forgotten(site: Desk) -> None:
    """Guards the daemon's life of months: a page that is closed leaves nothing behind."""
    with site.serving() as client:
        site.live._readers = readers = Departures()
        for _ in range(5):
            with listening(client) as reader:
                assert next(reader) == "hello"
        for _ in range(5):
            assert readers.gone.acquire(timeout=PATIENCE)
        assert len(readers) == 0
        site.house.history.tell()
        assert client.ask("/healthz").status == 200


def test_a_page_is_told_to_look_even_when_nothing_happens(site: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards staleness on open pages: ages grow without any event, and a silent daemon is found out."""
    monkeypatch.setattr(live, "BEAT", 0.01)
    with site.serving() as client, listening(client) as reader:
        assert [next(reader) for _ in range(3)] == ["hello", "beat", "beat"]


def test_stopping_ends_every_stream(site: Desk) -> None:
    """Guards a quick stop: open pages do not hold the daemon up, they see the end and try again."""
    with ExitStack() as stack:
        with site.serving() as client:
            reader = stack.enter_context(listening(client))
            assert next(reader) == "hello"
        rest = list(reader)
    assert set(rest) <= {"news"}


def test_telling_waits_for_nobody(site: Desk) -> None:
    """Guards the reconciler: a page that does not read holds up neither it nor the other pages."""
    with site.serving() as client, listening(client) as lazy, listening(client) as eager:
        assert (next(lazy), next(eager)) == ("hello", "hello")
        for _ in range(10_000):
            site.house.history.tell()
        assert next(eager) == "news"
        assert client.ask("/healthz").status == 200
        assert next(lazy) == "news"


def test_telling_after_the_server_has_gone_does_no_harm(site: Desk) -> None:
    """Guards the order of stopping: the last tick may end after the last page."""
    with site.serving() as client, listening(client) as reader:
        assert next(reader) == "hello"
    site.house.history.tell()
