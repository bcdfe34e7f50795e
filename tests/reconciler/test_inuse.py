"""The interlock: what connected hosts lose, over every target that exports the same; on simulated and live targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from live_world import LIVE, LiveTarget
from world import NQN, World, host, subsystem, volume, world

from reconciler.demo.patience import until
from reconciler.plan import Held, plan_json
from reconciler.reconcile import Tick, Verdict

S = f"{NQN}s"
WEB = f"{NQN}host-web"
DB = f"{NQN}host-db"
FRONT, BACK, SIDE = ("127.0.0.2", 4420), ("127.0.0.3", 4420), ("127.0.0.4", 4420)
OTHER = ("127.0.0.2", 4421)  # the second target's


@pytest.fixture
def pair() -> Iterator[World]:
    """A site with two targets."""
    with world(targets=("n1", "n2")) as made:
        yield made


def exported(*targets: str, portals: Sequence[str] = ("front",), **spec: Any) -> dict[str, Any]:
    """One subsystem without namespaces on several targets, each with controller ids of its own."""
    exports = [
        {"targetRef": name, "portals": [*portals], "cntlidRange": [1 + 1000 * place, 1000 * (place + 1)]}
        for place, name in enumerate(targets)
    ]
    return subsystem("s", {}, hosts=["web", "db"], exports=exports, **spec)


def push(site: World, *manifests: dict[str, Any]) -> None:
    """Past the analyzer: it is the planner that these tests are about, whoever exports what."""
    site.push([*site.nodes(), host("web"), host("db"), *manifests], unchecked=True)


def everywhere(site: World, *manifests: dict[str, Any]) -> None:
    push(site, *manifests)
    for name in site.targets:
        site.converge(name)


def held(tick: Tick) -> Held:
    (found,) = [item for item in tick.plan.held if item.hosts]
    return found


def listening(site: World, target: str = "n1") -> list[tuple[str, int]]:
    found = site.subsystems(target).get(S, {"listen_addresses": []})["listen_addresses"]
    return sorted((address["traddr"], int(address["trsvcid"])) for address in found)


# --- paths of one target


def test_the_last_path_is_held_and_names_hosts_with_what_they_lose(site: World) -> None:
    """Guards the message: the host that loses its last path comes first, with what each loses and keeps."""
    everywhere(site, exported("n1", portals=["front", "back"]))
    for nqn, addresses in ((WEB, [FRONT]), (DB, [FRONT, BACK])):
        for address in addresses:
            site.simulators["n1"].connect(S, nqn, address)
    site.commit(host("web"), host("db"), exported("n1", portals=["back"]))

    tick = site.tick()

    found = held(tick)
    assert (found.reason, tick.verdict) == ("HostsConnected", Verdict.HELD)
    assert found.message == (
        f"connected: {WEB} loses TCP:127.0.0.2:4420, which is all it has; "
        f"{DB} loses TCP:127.0.0.2:4420, and keeps TCP:127.0.0.3:4420"
    )
    assert [item["hosts"] for item in plan_json(tick.plan)["held"]] == [
        [
            {"host": DB, "loses": ["TCP:127.0.0.2:4420"], "keeps": ["TCP:127.0.0.3:4420"], "paths": 2},
            {"host": WEB, "loses": ["TCP:127.0.0.2:4420"], "keeps": [], "paths": 1},
        ]
    ]
    assert listening(site) == [FRONT, BACK]
    told = next(event for event in site.house.history.events() if event.reason == "HostsConnected")
    assert WEB in told.message


def test_one_path_goes_at_a_time_and_the_next_once_the_host_is_back(site: World) -> None:
    """Guards several paths: of three that move to another port each goes only when the host is on the one before."""
    ports = {"front": 4420, "back": 4420, "side": 4420}

    def moved(**to: int) -> None:
        nodes = site.nodes()
        addresses = {"front": "127.0.0.2", "back": "127.0.0.3", "side": "127.0.0.4"}
        spoken = [{"name": n, "address": a, "port": (ports | to)[n]} for n, a in addresses.items()]
        nodes[0]["spec"]["portals"] = spoken
        assert not site.push([*nodes, host("web"), host("db"), exported("n1", portals=[*ports])]).blocks

    moved()
    site.converge()
    for address in (FRONT, BACK, SIDE):
        site.simulators["n1"].connect(S, WEB, address)
    moved(front=4430, back=4430)
    site.tick()
    assert len({FRONT, BACK} & set(listening(site))) == 1
    tick = site.converge()
    assert (held(tick).reason, held(tick).waiting) == ("HostsNotBack", True)
    assert WEB in held(tick).message
    gone = ({FRONT, BACK} - set(listening(site))).pop()

    site.simulators["n1"].connect(S, WEB, (gone[0], 4430))
    site.converge()

    assert listening(site) == [("127.0.0.2", 4430), ("127.0.0.3", 4430), SIDE]


# --- paths through other targets


def test_a_path_through_another_target_is_a_path(pair: World) -> None:
    """Guards multipath over targets: what a host also reaches elsewhere may go here, and is said to be kept."""
    everywhere(pair, exported("n1", "n2"))
    pair.simulators["n1"].connect(S, WEB, FRONT)
    pair.simulators["n2"].connect(S, WEB, OTHER)
    push(pair, exported("n2"))

    tick = pair.tick("n1")

    assert S not in pair.subsystems("n1")
    (step,) = [step for step in tick.plan.steps if step.hosts]
    assert step.hosts[0].keeps == ("n2/TCP:127.0.0.2:4421",)
    told = next(event for event in pair.house.history.events() if event.reason == "Removed")
    assert f"{WEB} loses TCP:127.0.0.2:4420, and keeps n2/TCP:127.0.0.2:4421" in told.message


def unreachable(pair: World) -> None:
    pair.simulators["n2"].kill()


def not_allowed(pair: World) -> None:
    pair.simulators["n2"].connect(S, DB, OTHER)


@pytest.mark.parametrize("other", [unreachable, not_allowed])
def test_a_path_that_is_not_certain_is_none(pair: World, other: Any) -> None:
    """Guards unknown: a target that does not answer, or where the host is not connected, keeps nobody's path."""
    everywhere(pair, exported("n1", "n2"))
    pair.simulators["n1"].connect(S, WEB, FRONT)
    other(pair)
    push(pair, exported("n2"))
    assert held(pair.tick("n1")).reason == "HostsConnected"
    assert S in pair.subsystems("n1")


def test_what_goes_everywhere_at_once_is_held(pair: World) -> None:
    """Guards the last path of all: two targets do not each rely on the other when both are to withdraw."""
    everywhere(pair, exported("n1", "n2"))
    pair.simulators["n1"].connect(S, WEB, FRONT)
    pair.simulators["n2"].connect(S, WEB, OTHER)
    push(pair)
    for name in pair.targets:
        assert held(pair.tick(name)).reason == "HostsConnected"
        assert S in pair.subsystems(name)


def test_replacing_on_both_targets_goes_one_after_the_other(pair: World) -> None:
    """Guards the order over targets: the second is replaced once the host is back on the first."""
    everywhere(pair, exported("n1", "n2"))
    pair.simulators["n1"].connect(S, WEB, FRONT)
    pair.simulators["n2"].connect(S, WEB, OTHER)
    push(pair, exported("n1", "n2", serialNumber="ANOTHER"))

    pair.converge("n1")
    assert held(pair.tick("n2")).reason == "HostsNotBack"
    pair.simulators["n1"].connect(S, WEB, FRONT)
    pair.converge("n2")

    shown = [pair.subsystems(name)[S]["serial_number"] for name in pair.targets]
    assert shown == ["ANOTHER", "ANOTHER"]


def test_two_targets_that_plan_at_the_same_moment_do_not_both_go(pair: World) -> None:
    """Guards the race: a path that went since the plan was made stops the other target's step before it is sent."""
    everywhere(pair, exported("n1", "n2"))
    pair.simulators["n1"].connect(S, WEB, FRONT)
    pair.simulators["n2"].connect(S, WEB, OTHER)
    push(pair, exported("n1", "n2", serialNumber="ANOTHER"))
    assert pair.desired
    plans = {name: pair.keepers[name].look(pair.desired)[1] for name in pair.targets}

    outcomes = {name: pair.keepers[name]._executor.execute(plan, "", {}) for name, plan in plans.items()}

    ended = {name: {r.step.id: r.outcome.value for r in done.results} for name, done in outcomes.items()}
    removal = f"delete subsystem {S}"
    assert (ended["n1"][removal], ended["n2"][removal]) == ("ok", "dropped")
    assert pair.subsystems("n2")[S]["serial_number"] != "ANOTHER"


def test_a_namespace_that_no_other_target_shows_is_lost(pair: World) -> None:
    """Guards namespaces: a path to the same subsystem elsewhere is none to a namespace that it does not hold."""
    everywhere(pair, exported("n1", "n2"))
    pair.simulators["n1"].connect(S, WEB, FRONT)
    pair.simulators["n2"].connect(S, WEB, OTHER)
    pair.call("bdev_null_create", {"name": "x", "num_blocks": 2048, "block_size": 512})
    pair.call("nvmf_subsystem_add_ns", {"nqn": S, "namespace": {"nsid": 7, "bdev_name": "x"}})

    found = held(pair.tick("n1"))

    assert (found.reason, found.hosts[0].loses, found.hosts[0].keeps) == ("HostsConnected", ("nsid 7",), ())


# --- a host on a live target


class Hosts:
    """Hosts that stay connected: those of the simulator, or a second SPDK process."""

    def __init__(self, site: World) -> None:
        self.site = site
        self.process = LiveTarget(site.folder / "host.sock").start()

    def connect(self, address: tuple[str, int]) -> None:
        where = {"trtype": "TCP", "adrfam": "IPv4", "traddr": address[0], "trsvcid": str(address[1]), "subnqn": S}
        name = f"c{address[0].rpartition('.')[2]}"
        self._call("bdev_nvme_attach_controller", {"name": name, "hostnqn": WEB, "multipath": "disable"} | where)

    def _call(self, method: str, params: dict[str, Any]) -> Any:
        self.site.simulators["host"] = self.process  # type: ignore[assignment]
        return self.site.call(method, params, "host")


@pytest.mark.parametrize("kind", [LIVE])
def test_a_real_host_keeps_its_last_path(kind: str) -> None:
    """Guards the interlock on a live target: who is connected is read there, paths and all."""
    del kind
    settings: dict[str, Any] = {"begin": lambda socket: LiveTarget(socket).start(), "patience": 5.0}
    with world(**settings) as site:
        declared = [host("web"), host("db"), volume("a")]

        def export(*portals: str) -> dict[str, Any]:
            exports = [{"targetRef": "n1", "portals": [*portals]}]
            return subsystem("s", {1: "a"}, hosts=["web"], exports=exports)

        site.commit(*declared, export("front", "back"))
        site.converge()
        hosts = Hosts(site)
        for address in (FRONT, BACK):
            hosts.connect(address)
        site.commit(*declared, export("back"))
        tick = site.tick()
        assert next(step.hosts for step in tick.plan.steps if step.hosts)[0].keeps == ("TCP:127.0.0.3:4420",)
        until(lambda: listening(site) == [BACK], "the first path to go")
        site.converge()

        nodes = site.nodes()
        nodes[0]["spec"]["portals"][1]["port"] = 4440
        site.push([*nodes, *declared, export("back")])
        found = held(site.converge())
        assert (found.reason, found.hosts[0].host, found.hosts[0].loses) == (
            "HostsConnected", WEB, ("TCP:127.0.0.3:4420",),
        )  # fmt: skip
        assert BACK in listening(site)


# --- sessions that outlive what allowed them


def sessions(site: World) -> set[str]:
    return {controller["hostnqn"] for controller in site.call("nvmf_subsystem_get_controllers", {"nqn": S})}


def test_a_session_from_when_any_host_could_connect_keeps_it_from_being_ready(site: World) -> None:
    """Guards access: a subsystem that was closed is not Ready until hosts that are not listed are gone."""
    opened = exported("n1")
    opened["spec"]["hosts"] = {"any": True}
    push(site, opened)
    site.converge()
    for nqn in (WEB, f"{NQN}stranger"):
        site.simulators["n1"].connect(S, nqn, FRONT)
    push(site, exported("n1"))

    tick = site.converge()

    assert tick.verdict is Verdict.WAITING
    (told,) = [remark.message for remark in tick.plan.remarks if remark.reason == "SessionsNotAllowed"]
    assert f"{NQN}stranger" in told
    assert WEB not in told
    site.die()
    site.wake()
    assert "SessionsNotAllowed" in site.reasons(site.tick())

    for verb in ("add", "remove"):  # which is how SPDK puts one out
        site.call(f"nvmf_subsystem_{verb}_host", {"nqn": S, "host": f"{NQN}stranger"})
    assert site.converge().verdict is Verdict.CONVERGED
    assert sessions(site) == {WEB}
    asked = site.simulators["n1"].calls["nvmf_subsystem_get_controllers"]
    site.tick()
    assert site.simulators["n1"].calls["nvmf_subsystem_get_controllers"] == asked
