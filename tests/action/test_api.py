"""GitHub's interface as we ask it: what is tried again, what is not, and how long anybody waits."""

from __future__ import annotations

import pytest
from fake_github import FakeGitHub

from reconciler.github.api import ATTEMPTS, LONGEST_WAIT, ApiError, GitHub
from reconciler.github.sticky import LONGEST_KEY, Mark, create, key_of, update

Waits = list[float]


@pytest.fixture
def waits() -> Waits:
    """How long was waited, in seconds of nobody's life."""
    return []


@pytest.fixture
def door(github: FakeGitHub, waits: Waits) -> GitHub:
    return GitHub(github.url, "example/storage", github.state.token, waits.append)


def test_it_is_asked_again(github: FakeGitHub, door: GitHub, waits: Waits) -> None:
    """Guards bad minutes: longer from time to time, as long as GitHub says, and not for ever."""
    github.state.broken = [(500, {}), (503, {}), (429, {"Retry-After": "7"})]
    assert list(door.all("issues/1/comments")) == []
    assert waits == [1.0, 2.0, 7.0]
    github.state.broken = [(500, {})] * (ATTEMPTS + 1)
    with pytest.raises(ApiError, match="500 something is wrong"):
        list(door.all("issues/1/comments"))


@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_a_refusal_is_final(github: FakeGitHub, door: GitHub, waits: Waits, status: int) -> None:
    """Guards GitHub against us: what was refused is not asked again."""
    github.state.broken = [(status, {})]
    with pytest.raises(ApiError) as caught:
        door.ask("PATCH", "issues/comments/1", {"body": "x"})
    assert (caught.value.status, waits) == (status, [])


def test_nobody_waits_long(github: FakeGitHub, door: GitHub, waits: Waits) -> None:
    """Guards jobs that cost by the minute: a longer pause than a minute is said instead."""
    github.state.broken = [(429, {"Retry-After": str(int(LONGEST_WAIT) + 1)})]
    with pytest.raises(ApiError, match="429"):
        door.ask("GET", "issues/1/comments")
    assert waits == []


def test_a_redirect_is_not_followed(github: FakeGitHub, door: GitHub) -> None:
    """Guards the token: it goes to one address, wherever that points."""
    github.state.broken = [(302, {"Location": "http://127.0.0.1:9/elsewhere"})]
    with pytest.raises(ApiError):
        list(door.all("issues/1/comments"))


def test_nobody_there(waits: Waits) -> None:
    """Guards networks that are down: an error in words, after a few tries; and no token in any text."""
    door = GitHub("http://127.0.0.1:1", "example/storage", "s3cr3t", waits.append)
    with pytest.raises(ApiError, match="ConnectionError") as caught:
        door.ask("GET", "issues/1/comments")
    assert len(waits) == ATTEMPTS - 1
    assert "s3cr3t" not in f"{caught.value!r} {door!r}"


def test_a_comment_is_not_written_twice(github: FakeGitHub, door: GitHub) -> None:
    """Guards against doubles: where nobody knows whether it was written, it is looked for first."""
    mark = Mark(key_of("check", "site"), 7, 1)
    github.state.forgets = 1
    assert create(door, 1, "text\n", mark) == "created"
    assert len(github.state.comments) == 1
    github.state.broken = [(500, {})]
    assert create(door, 1, "other\n", Mark(mark.key, 8, 1)) == "created"
    assert len(github.state.comments) == 2


def test_one_comment_for_each_check(github: FakeGitHub, door: GitHub) -> None:
    """Guards jobs that check two folders: each finds its own comment, edits it, and leaves it alone when equal."""
    one, other = Mark(key_of("check", "a"), 1, 1), Mark(key_of("check", "b"), 1, 1)
    assert [update(door, 1, "text\n", mark) for mark in (one, other, one)] == ["created", "created", "unchanged"]
    assert update(door, 1, "new\n", Mark(one.key, 2, 1)) == "updated"
    assert update(door, 1, "old\n", one) == "outdated"
    assert [comment["body"].split("\n")[1] for comment in github.state.comments] == ["new", "text"]


@pytest.mark.parametrize("path", ["a--b", "-->", "x" * 9000, "ä ö", "a\nb", "<!--", "../.."])
def test_keys(path: str) -> None:
    """Guards the mark: whatever a folder is called, it ends where it ends, and is found again."""
    mark = Mark(key_of("check", path), 12, 3)
    assert len(mark.key) <= LONGEST_KEY
    assert Mark.on(f"{mark}text") == mark
    assert str(mark).count("-->") == 1
    assert Mark.on(f"{mark}text".replace("\n", "\r\n")) == mark
    assert key_of("check", path) != key_of("check", path + "x")
