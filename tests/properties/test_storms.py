"""No repair storms: a write only on a difference, ever later where it fails, and none where all of them fail."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from world import NQN, World, host, subsystem, volume, world

from backends.spdk.simulator import Refuse
from backends.spdk.simulator.methods import METHODS
from reconciler.breaker import LONGEST_PAUSE
from reconciler.reconcile import Verdict

HOUR = 3600.0
TICK = 120.0
NAMES = ("a", "b", "c", "d")
OURS_TO_BREAK = "nvmf_delete_subsystem"


def shop() -> list[dict[str, Any]]:
    return [
        host("web"),
        *(volume(name, qos={"iops": 1000}) for name in NAMES),
        *(subsystem(name, {1: name}, hosts=["web"]) for name in NAMES),
    ]


def ill(site: World) -> None:
    """From now on the target refuses every write, but for those by which the tests break something."""

    def refuse(method: str, _: object) -> Refuse | None:
        return None if METHODS[method].reads or method == OURS_TO_BREAK else Refuse(-12, "no memory")

    site.simulators["n1"].before("*", refuse)


def well(site: World) -> None:
    site.simulators["n1"].forget_hooks()


def pass_time(site: World, seconds: float) -> int:
    """Tick at the usual pace for so long; how many writes were sent."""
    before, until = site.mutations(), site.clock.now() + seconds
    while site.clock.now() < until:
        site.tick()
        site.clock.advance(TICK)
    return site.mutations() - before


def strip(site: World) -> None:
    """Somebody takes all exports away."""
    for name in NAMES:
        site.call("nvmf_delete_subsystem", {"nqn": f"{NQN}{name}"})


def test_an_ill_target_is_only_observed_until_a_write_succeeds(site: World) -> None:
    """Guards the circuit breaker: a dozen repairs that all fail are not sent again and again; one is tried."""
    site.commit(*shop())
    site.converge()
    strip(site)
    ill(site)

    pass_time(site, HOUR)

    tick = site.tick()
    assert {"CircuitOpen"} <= site.reasons(tick)
    assert tick.verdict is Verdict.WAITING
    assert pass_time(site, 3 * HOUR) <= 3 * HOUR / LONGEST_PAUSE + 1
    target = next(v for k, v in site.house.history.conditions("n1").items() if k.kind == "Target")
    assert (target[0].status, target[0].reason) == ("False", "CircuitOpen")

    well(site)
    pass_time(site, LONGEST_PAUSE + 3 * TICK)

    assert site.subsystems().keys() == {f"{NQN}{name}" for name in NAMES}
    assert site.events().count("CircuitOpen") == site.events().count("CircuitClosed") == 1


def test_it_is_still_open_after_the_daemon_died(site: World) -> None:
    """Guards a daemon that is restarted again and again: it does not begin each time with all that failed."""
    site.commit(*shop())
    site.converge()
    strip(site)
    ill(site)
    pass_time(site, 5 * TICK)
    site.die()
    site.wake()
    before = site.mutations()
    assert "CircuitOpen" in site.reasons(site.tick())
    assert site.mutations() <= before + 1  # the probe, if its time has come


def test_a_new_process_is_written_to_at_once(site: World) -> None:
    """Guards a restart of the target: what was wrong with the former process says nothing of this one."""
    site.commit(*shop())
    site.converge()
    strip(site)
    ill(site)
    pass_time(site, HOUR)
    site.simulators["n1"].kill()
    well(site)
    site.simulators["n1"].start()
    site.converge()
    assert site.subsystems().keys() == {f"{NQN}{name}" for name in NAMES}


def test_what_cannot_be_done_stops_nobody_else(site: World) -> None:
    """Guards the others: one volume whose every write fails backs off alone, and new commits go through."""
    site.commit(*shop())
    site.converge()
    bad = site.uid("a")
    refuse = lambda _, params: Refuse(-12, "no memory") if params.get("name") == bad else None  # noqa: E731
    site.simulators["n1"].before("bdev_lvol_resize", refuse)
    larger = [volume(name, size="16Mi") if name == "a" else volume(name) for name in NAMES]
    site.commit(*larger)
    sent = pass_time(site, HOUR)
    assert sent <= 6 + 9 + HOUR / 300
    site.commit(*larger, volume("new"))
    pass_time(site, 2 * TICK)
    assert site.uid("new")
    assert "CircuitOpen" not in site.events()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("drift"), st.sampled_from(NAMES)),
        st.tuples(st.just("ill"), st.just("")),
        st.tuples(st.just("well"), st.just("")),
        st.tuples(st.just("later"), st.sampled_from(["120", "600", "2400"])),
    ),
    max_size=8,
)


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_writes_are_bounded_by_what_drifted(steps: list[tuple[str, str]]) -> None:
    """Guards both at once: whatever drifts and fails, a difference costs at most its attempts, and none costs none."""
    with world() as site:
        site.commit(*shop())
        site.converge()
        for what, about in steps:
            match what:
                case "drift" if f"{NQN}{about}" in site.subsystems():
                    site.call("nvmf_delete_subsystem", {"nqn": f"{NQN}{about}"})
                case "ill":
                    ill(site)
                case "well":
                    well(site)
                case "later":
                    writes = pass_time(site, float(about))
                    assert writes <= 4 * len(NAMES) * 3 + float(about) / TICK
        well(site)
        pass_time(site, LONGEST_PAUSE + 3 * TICK)
        assert site.tick().settled
        assert pass_time(site, HOUR) == 0
