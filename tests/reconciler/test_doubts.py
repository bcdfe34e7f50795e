"""Requests that were never answered: nothing they could harm is done meanwhile, and what they do late is foreseen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from world import NQN, World, host, removal, subsystem, volume

from backends.spdk.simulator import DropBefore, Hold
from reconciler.reconcile import Tick, Verdict

Request = tuple[str, dict[str, Any]]


@contextmanager
def losing(site: World, method: str) -> Iterator[list[Request]]:
    """The connection is lost with the next request of a method, which the target has not carried out yet."""
    lost: list[Request] = []

    def hook(name: str, params: dict[str, Any]) -> Any:
        if name == method and not lost:
            lost.append((name, params))
            return DropBefore()
        return None

    site.simulators["n1"].before("*", hook)
    yield lost
    site.simulators["n1"].forget_hooks()


def land(site: World, lost: list[Request]) -> None:
    """The target gets to what was lost."""
    for method, params in lost:
        site.call(method, params)


def ticks(site: World, seconds: float, count: int = 3) -> Tick:
    for _ in range(count):
        site.clock.advance(seconds)
        last = site.tick()
    return last


def size(site: World, name: str) -> int:
    bdev = site.call("bdev_get_bdevs", {"name": site.uid(name)})[0]
    return int(bdev["num_blocks"]) * int(bdev["block_size"]) >> 20


def guests(site: World) -> list[str]:
    return [found["nqn"] for found in site.subsystems()[f"{NQN}s"]["hosts"]]


def grown_with_a_lost_answer(site: World) -> list[Request]:
    """A volume of 8 MiB, of which nobody knows whether it is being grown to 12."""
    site.commit(volume("a", size="8Mi"))
    site.converge()
    site.commit(volume("a", size="12Mi"))
    with losing(site, "bdev_lvol_resize") as lost:
        site.tick()
    return lost


@pytest.mark.parametrize("wait", [30.0, 70.0, 10_000.0])
def test_a_late_grow_never_shrinks(site: World, wait: float) -> None:
    """Guards bytes: a volume is not grown further while an earlier grow, which would cut it off, may still come."""
    lost = grown_with_a_lost_answer(site)
    site.commit(volume("a", size="24Mi"))
    assert "OutcomeUnknown" in site.reasons(ticks(site, wait))
    assert size(site, "a") == 8
    land(site, lost)
    assert site.converge().verdict is Verdict.CONVERGED
    assert size(site, "a") == 24


def test_the_same_grow_is_asked_for_again(site: World) -> None:
    """Guards a volume against one lost answer: the same size is no harm twice; a third size waits for a restart."""
    lost = grown_with_a_lost_answer(site)
    assert ticks(site, 20.0).verdict is Verdict.WAITING
    assert size(site, "a") == 8
    assert ticks(site, 70.0).verdict is Verdict.CONVERGED
    assert size(site, "a") == 12

    site.commit(volume("a", size="24Mi"))
    tick = ticks(site, 70.0)
    assert (tick.verdict, size(site, "a")) == (Verdict.HELD, 12)
    land(site, lost)
    site.restart_target()
    site.converge()
    assert size(site, "a") == 24


def test_a_late_create_of_a_withdrawn_volume_is_retained(site: World) -> None:
    """Guards the ledger: what was asked for is remembered while it may come, so that it is no surprise when it does."""
    site.commit(volume("z"))
    site.converge()
    site.commit(volume("z"), volume("a"))
    with losing(site, "bdev_lvol_create") as lost:
        site.tick()
    site.commit(volume("z"))
    assert ticks(site, 300.0).verdict is Verdict.HELD
    land(site, lost)
    site.commit(volume("z"), volume("new"))
    assert site.converge().verdict is Verdict.CONVERGED
    assert "Recovering" not in site.events()
    assert len(site.lvols()) == 3


def test_a_volume_that_was_asked_for_twice_is_not_destroyed_before_a_restart(site: World) -> None:
    """Guards created-at-most-once: the first request, should it come after the destruction, would bring blank bytes."""
    site.commit(volume("a", reclaimPolicy="Delete"))
    with losing(site, "bdev_lvol_create") as lost:
        site.tick()
    assert ticks(site, 70.0).verdict is Verdict.CONVERGED
    uid = site.uid("a")
    site.commit(removal("a", uid))
    assert "OutcomeUnknown" in site.reasons(ticks(site, 70.0))
    assert list(site.lvols().values()) == [uid]
    with pytest.raises(Exception, match="File exists"):
        land(site, lost)
    site.restart_target()
    site.converge()
    assert site.lvols() == {}


def test_a_host_that_may_yet_be_let_in_is_not_forgotten(site: World) -> None:
    """Guards access: while the request may come the target is not converged; once it has, the host is out again."""
    shop = [host("web"), host("guest"), volume("a")]
    site.commit(*shop, subsystem("s", {1: "a"}, hosts=["web"]))
    site.converge()
    site.commit(*shop, subsystem("s", {1: "a"}, hosts=["web", "guest"]))
    with losing(site, "nvmf_subsystem_add_host") as lost:
        site.tick()
    site.commit(*shop, subsystem("s", {1: "a"}, hosts=["web"]))
    tick = site.tick()
    assert (tick.verdict, tick.settled, "OutcomeUnknown" in site.reasons(tick)) == (Verdict.WAITING, False, True)
    assert ticks(site, 300.0).verdict is Verdict.HELD
    land(site, lost)
    assert f"{NQN}host-guest" in guests(site)
    assert site.converge().verdict is Verdict.CONVERGED
    assert guests(site) == [f"{NQN}host-web"]


def test_a_host_that_is_still_wanted_is_let_in_again(site: World) -> None:
    """Guards a site against hanging on one lost answer: the very same request is sent once more."""
    site.commit(host("web"), volume("a"), subsystem("s", {1: "a"}, hosts=["web"]))
    with losing(site, "nvmf_subsystem_add_host"):
        site.tick()
    assert ticks(site, 70.0).verdict is Verdict.CONVERGED
    assert guests(site) == [f"{NQN}host-web"]


def test_a_set_clock_ends_no_doubt(site: World) -> None:
    """Guards against a clock that jumps ahead: what was sent a moment ago is not long unanswered."""
    site.commit(volume("a"))
    with losing(site, "bdev_lvol_create"):
        site.tick()
    still = site.clock.monotonic()
    site.clock.monotonic = lambda: still  # type: ignore[method-assign]  # only the wall clock is set
    site.clock.advance(86_400.0)
    site.tick()
    assert site.lvols() == {}


def test_a_namespace_by_alias_is_the_same_by_uuid(site: World) -> None:
    """Guards the repeat of what was planned before its volume had a uuid: it is recognised, and sent again."""
    site.commit(volume("a"), subsystem("s", {1: "a"}))
    with losing(site, "nvmf_subsystem_add_ns"):
        site.tick()
    assert ticks(site, 70.0, count=4).verdict is Verdict.CONVERGED
    assert site.exports() == {("s", 1): site.uid("a")}


def test_what_is_still_at_work_is_said(site: World) -> None:
    """Guards the verdict while a request of an earlier tick is in flight: nothing else to do is not converged."""
    site.commit(volume("a"))
    site.simulators["n1"].before("bdev_lvol_create", lambda *_: Hold(None))
    site.tick()
    site.commit()
    site.tick()
    tick = site.tick()
    said = [remark.message for remark in tick.plan.remarks if remark.reason == "OutcomeUnknown"]
    assert (tick.verdict, len(said)) == (Verdict.WAITING, 1)
    assert said[0].endswith("is still at work")


def test_a_look_in_between_keeps_what_it_hears(site: World) -> None:
    """Guards events: `holdfast plan` may be first to hear how a step ended; the next tick tells it all the same."""
    site.commit(volume("b", reclaimPolicy="Delete"))
    site.converge()
    uid = site.uid("b")
    site.commit(removal("b", uid))
    site.simulators["n1"].before("bdev_lvol_delete", lambda *_: Hold(3 * site.patience))
    site.tick()
    assert "DataDestroyed" not in site.events()
    assert site.desired
    while site.keepers["n1"]._executor.flying:
        site.keepers["n1"].preview(site.desired)
    site.tick()
    assert "DataDestroyed" in site.events()
    assert site.lvols() == {}
