"""When cyclic garbage is looked for."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from reconciler.garbage import OVERLAPPING, uncollected


@pytest.fixture(autouse=True)
def collecting() -> Iterator[None]:
    """The search is on before and after each test."""
    gc.enable()
    yield
    gc.enable()


def test_no_search_goes_on_until_the_last_of_overlapping_ticks_has_ended() -> None:
    """Guards that the end of one target's tick does not begin a search in the middle of another's."""
    with uncollected():
        with uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_tick_that_fails_leaves_the_search_on() -> None:
    """Guards against a process that never again frees what refers to itself."""
    with pytest.raises(ValueError, match="failed"), uncollected():
        raise ValueError("failed")
    assert gc.isenabled()


def test_a_process_that_searches_for_no_garbage_begins_none() -> None:
    """Guards that a command which ends soon and has switched the search off keeps it so."""
    gc.disable()
    with uncollected():
        pass
    assert not gc.isenabled()


def test_ticks_without_a_moment_between_them_do_not_put_the_search_off_for_ever() -> None:
    """Guards the memory of a daemon whose many targets are always at work, one or another."""
    with ExitStack() as always:
        always.enter_context(uncollected())
        for _ in range(OVERLAPPING):
            with uncollected():
                pass
        assert gc.isenabled()
    with uncollected():
        assert not gc.isenabled()
