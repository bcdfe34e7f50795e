"""Whoever is let in sees nothing that is not meant for them: not what is on its way out, nor what cannot be read."""

from __future__ import annotations

from typing import Any

import pytest
from planning import Case, base, held, live_subsystem, lvol, steps
from world import NQN, START, World, host, subsystem, volume

from backends.contract import Action
from backends.objects import ObjectKey, ObjectKind
from backends.spdk.simulator import Refuse
from reconciler.planner.view import Doubt

S, WEB = f"{NQN}s", f"{NQN}host-web"
REFUSED = Refuse(-32603, "Internal error")


def commit(site: World, found: dict[str, Any], visible: list[str] | None = None, **hosts: Any) -> None:
    """Two volumes, two hosts, and a subsystem whose first namespace is masked where hosts are given."""
    if visible is not None:
        found["spec"]["namespaces"][0]["visibleTo"] = visible
    found["spec"]["hosts"] |= hosts
    assert not site.commit(host("web"), host("db"), volume("v"), volume("w"), found).blocks


def let_in(site: World) -> set[str]:
    """Who may connect, by the names of Hosts."""
    found = site.subsystems()[S]
    anybody = {"anybody"} if found["allow_any_host"] else set()
    return {entry["nqn"].removeprefix(f"{NQN}host-") for entry in found["hosts"]} | anybody


def unmask(site: World) -> None:
    """Somebody has everybody see the first namespace."""
    (shown,) = site.subsystems()[S]["namespaces"]
    again = {name: shown[name] for name in ("nsid", "bdev_name", "uuid", "nguid")}
    site.call("nvmf_subsystem_remove_ns", {"nqn": S, "nsid": 1})
    site.call("nvmf_subsystem_add_ns", {"nqn": S, "namespace": again})


def ticks(site: World) -> None:
    for _ in range(3):
        site.tick()
        site.clock.advance(70)


NEWCOMERS = pytest.mark.parametrize("hosts", [{"refs": ["web", "db"]}, {"any": True}], ids=["a host", "anybody"])


@NEWCOMERS
def test_they_wait_for_a_mask_that_cannot_be_put_on(site: World, hosts: dict[str, Any]) -> None:
    """Guards a namespace that is to be masked, and stays as it is while its volume cannot be read."""
    commit(site, subsystem("s", {1: "v"}, hosts=["web"]))
    site.converge()
    site.simulators["n1"].before("bdev_lvol_get_lvols", lambda *_: REFUSED)
    commit(site, subsystem("s", {1: "v"}, hosts=["web"]), ["web"], **hosts)
    ticks(site)
    assert let_in(site) == {"web"}

    site.simulators["n1"].forget_hooks()
    ticks(site)

    assert let_in(site) > {"web"}


@NEWCOMERS
def test_they_wait_while_nobody_knows_whether_there_is_a_mask(site: World, hosts: dict[str, Any]) -> None:
    """Guards drift that cannot be seen: only the configuration tells that somebody took the mask off."""
    commit(site, subsystem("s", {1: "v"}, hosts=["web"]), ["web"])
    site.converge()
    unmask(site)
    site.simulators["n1"].before("framework_get_config", lambda *_: REFUSED)
    commit(site, subsystem("s", {1: "v"}, hosts=["web"]), ["web"], **hosts)
    ticks(site)
    assert let_in(site) == {"web"}

    site.simulators["n1"].forget_hooks()
    ticks(site)

    assert let_in(site) > {"web"}


@NEWCOMERS
def test_they_never_see_what_was_withdrawn_before(site: World, hosts: dict[str, Any]) -> None:
    """Guards a namespace whose removal is held for those who use it: who comes with the same commit waits for that."""
    commit(site, subsystem("s", {1: "v", 2: "w"}, hosts=["web"]))
    site.converge()
    site.simulators["n1"].connect(S, WEB, ("127.0.0.2", 4420))
    commit(site, subsystem("s", {1: "v"}, hosts=["web"]), **hosts)

    tick = site.converge()

    assert (let_in(site), len(site.subsystems()[S]["namespaces"])) == ({"web"}, 2)
    site.house.ledger.approve(tick.plan.approval_id, "test", site.clock.now(), site.clock.now() + 60)
    site.converge()
    assert len(site.subsystems()[S]["namespaces"]) == 1
    assert let_in(site) > {"web"}


def test_who_goes_on_seeing_a_namespace_is_nobody_new(site: World) -> None:
    """Guards masks over a volume that cannot be read: nobody is added to what may show other bytes than is declared."""
    commit(site, subsystem("s", {1: "v"}, hosts=["web", "db"]), ["web"])
    site.converge()
    site.simulators["n1"].before("bdev_lvol_get_lvols", lambda *_: REFUSED)
    commit(site, subsystem("s", {1: "v"}, hosts=["web", "db"]), ["web", "db"])
    ticks(site)

    config = site.call("framework_get_config", {"name": "nvmf"})

    assert [call["params"]["host"] for call in config if call["method"] == "nvmf_ns_add_host"] == [WEB]


def test_nobody_is_shown_bytes_that_somebody_put_in_the_place_of_a_masked_namespace(site: World) -> None:
    """Guards drift that is only warned of: the mask of what is declared is not widened over what is there instead."""
    found = subsystem("s", {1: "v"}, hosts=["web", "db"])
    found["spec"]["driftPolicy"] = "warn"
    commit(site, found, ["web"])
    site.converge()
    instead = {"nsid": 1, "bdev_name": site.uid("w"), "no_auto_visible": True}
    site.call("nvmf_subsystem_remove_ns", {"nqn": S, "nsid": 1})
    site.call("nvmf_subsystem_add_ns", {"nqn": S, "namespace": instead})
    again = subsystem("s", {1: "v"}, hosts=["web", "db"])
    again["spec"]["driftPolicy"] = "warn"

    commit(site, again, ["web", "db"])
    ticks(site)

    config = site.call("framework_get_config", {"name": "nvmf"})
    assert [call for call in config if call["method"] == "nvmf_ns_add_host"] == []


def test_they_wait_for_a_request_that_may_yet_show_what_is_not_declared_any_more() -> None:
    """Guards late landings: a namespace that was withdrawn while its addition was unanswered may come all the same."""
    case = Case([host("web"), host("db"), volume("a"), subsystem("s", {1: "a"}, hosts=["web", "db"])])
    case.live = [*base(), lvol("a"), *live_subsystem("s", {1: "a"}, ["web"])]
    assert "create host s#host-db" in steps(case.plan())

    case.owned["quarantined"] = {ObjectKey(ObjectKind.NAMESPACE, f"{S}#2"): Doubt(Action.CREATE, {}, START)}

    assert held(case.plan()) == {"create host s#host-db": "OutcomeUnknown"}
