"""Every request that Holdfast makes is a point at which something may go wrong, in each of six ways.

From each of them the next ticks come to the same end as if nothing had happened; no bytes are lost or made twice, and a
target that came back is claimed before anything else is asked of it.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from grand import MODES, PHASES, Grand, Point, grand, mutates

from backends.spdk.features import NEEDED, allowlist
from reconciler.reconcile import Verdict

UNUSED = {"accel_crypto_keys_get"}  # only asked for when a key is there already


@functools.cache
def undisturbed(phase: str) -> tuple[tuple[Point, ...], Any]:
    """The requests of a phase that nothing befalls, and the state that it comes to."""
    with grand(phase) as site:
        before = site.mutations()
        assert site.settle().verdict is Verdict.CONVERGED
        counts: Counter[str] = Counter()
        points = []
        for method, _ in site.asked(before):
            counts[method] += 1
            points.append(Point(phase, method, counts[method]))
        return tuple(points), site.state()


def contents(site: Grand) -> dict[str, str]:
    """A token of the bytes of every lvol that can be read, by its uid."""
    readable = [lvol["uuid"] for lvol in site.call("bdev_lvol_get_lvols") if not lvol["is_degraded"]]
    return {uid: site.simulators["n1"].content(uid) for uid in readable}


def befall(point: Point, mode: str) -> None:
    with grand(point.phase) as site:
        had, consented = contents(site), {c.uid for c in site.desired.consents} if site.desired else set()
        site.strike(point, mode)
        last = site.settle()
        claims = [method for life, method in sorted(site.first_asked.items())][1:]
        assert {*claims} <= {"bdev_null_create"}, (point, mode)
        assert (last.verdict, site.state()) == (Verdict.CONVERGED, undisturbed(point.phase)[1]), (point, mode)
        has = contents(site)
        assert {uid: token for uid, token in had.items() if uid not in consented} == {
            uid: token for uid, token in has.items() if uid in had
        }, (point, mode)
        before = site.mutations()
        assert site.tick().settled, (point, mode)
        assert site.mutations() == before, (point, mode)


def every_point() -> Iterator[Point]:
    for phase in PHASES:
        yield from undisturbed(phase)[0]


def representatives() -> Iterator[tuple[Point, str]]:
    """One request of every method in every phase, each in one of the ways, in turn; then the ways of the rest."""
    modes = itertools.cycle(MODES)
    seen: set[tuple[str, str]] = set()
    for point in every_point():
        if (point.phase, point.method) not in seen:
            seen.add((point.phase, point.method))
            yield point, next(modes)


def test_every_request_is_met() -> None:
    """Guards the matrix itself: what the site is asked for is all that Holdfast can ask of a target."""
    met = {point.method for point in every_point()}
    assert met == {method for method in allowlist(NEEDED) if mutates(method)} - UNUSED
    chosen = [*representatives()]
    assert {point.method for point, _ in chosen} == met
    assert {mode for _, mode in chosen} == {*MODES}


@pytest.mark.parametrize("part", range(4))
def test_one_of_each(part: int) -> None:
    """Guards every method in every phase, and every way in which a request goes wrong; which of them meet, in turn."""
    for point, mode in [*representatives()][part::4]:
        befall(point, mode)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("phase", PHASES)
def test_the_whole_matrix(phase: str, mode: str) -> None:
    """Guards every request of every phase in every way: what was met is all that was sent."""
    met = set()
    for point in undisturbed(phase)[0]:
        befall(point, mode)
        met.add(point)
    assert met == {*undisturbed(phase)[0]}
