"""ANA states and groups through the real reconciler; on simulated and on live targets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from live_world import KINDS, LiveTarget
from stacking import settled
from world import NQN, World, subsystem, volume, world

from backends.ana_states import ANA_STATES, ana_states, ana_text
from reconciler.plan import Hazard

S = f"{NQN}s"


@pytest.fixture(params=KINDS)
def site(request: pytest.FixtureRequest) -> Iterator[World]:
    """A site with one target that is simulated or live, an empty ledger and a clock that stands still."""
    settings: dict[str, Any] = {"begin": lambda socket: LiveTarget(socket).start(), "patience": 5.0}
    with world(**(settings if request.param == "live" else {})) as made:
        yield made


def shop(site: World, *portals: str, groups: dict[int, int] | None = None, **export: Any) -> None:
    """A subsystem of eight groups with two volumes, over these portals of n1."""
    found = subsystem("s", {1: "a", 2: "b"}, anaReporting=True, maxNamespaces=8)
    found["spec"]["exports"] = [{"targetRef": "n1", "portals": list(portals)} | export]
    for entry in found["spec"]["namespaces"]:
        entry.update({"anaGroup": group} if (group := (groups or {}).get(entry["nsid"])) else {})
    site.commit(volume("a"), volume("b"), found)


def states(site: World) -> dict[str, list[str]]:
    """The states of groups 1 to 8 over each address."""
    found = site.call("nvmf_subsystem_get_listeners", {"nqn": S})
    return {at["address"]["traddr"]: [g["ana_state"] for g in at["ana_states"]] for at in found}


def groups(site: World) -> list[int]:
    return [ns["anagrpid"] for ns in site.subsystems()[S]["namespaces"]]


@given(st.lists(st.sampled_from(ANA_STATES), min_size=1, max_size=40))
def test_states_in_words_are_the_states(given_states: list[str]) -> None:
    """Guards the words by which states are compared, recorded and shown: none is lost, and the same are the same."""
    words = ana_text(given_states)
    assert ana_states(words, len(given_states)) == tuple(given_states)
    assert ana_text(ana_states(words, len(given_states))) == words


def test_a_listener_opens_in_its_state_and_comes_back_in_it(site: World) -> None:
    """Guards a path that must not be used: it is never optimized, neither at first nor after a restart."""
    shop(site, "front", "back", anaState="inaccessible")
    tick = settled(site)
    assert tick.plan.steps == ()
    assert states(site) == {"127.0.0.2": ["inaccessible"] * 8, "127.0.0.3": ["inaccessible"] * 8}

    site.restart_target()
    settled(site)
    assert states(site) == {"127.0.0.2": ["inaccessible"] * 8, "127.0.0.3": ["inaccessible"] * 8}


def test_groups_prefer_different_paths(site: World) -> None:
    """Guards states by group, the group of a namespace, and the change of both while hosts stay connected."""
    shop(site, "front", groups={2: 5}, anaGroups=[{"group": 5, "state": "non-optimized"}])
    settled(site)
    assert states(site) == {"127.0.0.2": ["optimized"] * 4 + ["non_optimized"] + ["optimized"] * 3}
    assert groups(site) == [1, 5]

    shop(site, "front", groups={1: 5, 2: 6}, anaState="non-optimized", anaGroups=[{"group": 5, "state": "optimized"}])
    settled(site)
    assert states(site) == {"127.0.0.2": ["non_optimized"] * 4 + ["optimized"] + ["non_optimized"] * 3}
    assert groups(site) == [5, 6]


def test_what_somebody_set_is_set_back(site: World) -> None:
    """Guards drift of ANA states and groups, which no list of a target shows together."""
    shop(site, "front")
    settled(site)
    address = {"trtype": "TCP", "adrfam": "IPv4", "traddr": "127.0.0.2", "trsvcid": "4420"}
    site.call(
        "nvmf_subsystem_listener_set_ana_state",
        {"nqn": S, "listen_address": address, "ana_state": "inaccessible", "anagrpid": 2},
    )
    site.call("nvmf_subsystem_set_ns_ana_group", {"nqn": S, "nsid": 1, "anagrpid": 7})

    tick = site.tick()

    paths = {d.path for drift in tick.plan.drifts for d in drift.differences}
    assert paths == {"spec.exports.anaState", "spec.namespaces[nsid=1].anaGroup"}
    settled(site)
    assert (states(site), groups(site)) == ({"127.0.0.2": ["optimized"] * 8}, [1, 2])


def test_to_a_better_state_is_safe_and_to_a_worse_one_is_not(site: World) -> None:
    """Guards the hazard of ANA states: what takes a path from hosts counts as a disruption."""
    shop(site, "front", anaState="non-optimized")
    settled(site)
    shop(site, "front", anaState="inaccessible")
    assert [step.hazard for step in site.tick().plan.steps] == [Hazard.DISRUPTIVE]
    shop(site, "front", anaState="optimized")
    assert [step.hazard for step in site.tick().plan.steps] == [Hazard.SAFE]


def test_hosts_leave_a_path_before_it_is_closed(site: World) -> None:
    """Guards the order in which a path goes: inaccessible, then, at a later look, closed."""
    shop(site, "front", "back")
    settled(site)
    shop(site, "front")

    tick = site.tick()
    assert "Draining" in site.reasons(tick)
    assert states(site) == {"127.0.0.2": ["optimized"] * 8, "127.0.0.3": ["inaccessible"] * 8}

    settled(site)
    assert states(site) == {"127.0.0.2": ["optimized"] * 8}
